/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `stopcopy check` prints. Each returns 0, or -1 where writing failed. */
#ifndef STOPCOPY_CHECK_PRINT_H
#define STOPCOPY_CHECK_PRINT_H

#include <jansson.h>
#include <stdio.h>

#include "vmm/check/runner.h"

/* One line of a rule that was run. */
void check_print_line(const struct check_entry *entry, FILE *file);
/* For a person: a line for each rule, the findings with their reasons, the verdict as the last line. */
int check_print_text(const struct check_run *run, FILE *file);
/* The same without the lines, for who printed these as they came. */
int check_print_conclusion(const struct check_run *run, FILE *file);
/*
 * The same as JSON, with the members `verdict`, `checks`, `findings` and `incomplete_because` of a report, so that the
 * other formats of vmm/report/report.h can be made from it. docs/check.md lists the members. NULL without memory.
 */
json_t *check_build_json(const struct check_run *run);

/* The table: a line for each rule, or the page docs/rules.md. */
int check_print_list(FILE *file);
int check_print_markdown(FILE *file);
int check_print_rule(const struct check_rule *rule, FILE *file);

/* "ok", "FAIL", "skip", ... of an entry. */
const char *check_entry_word(const struct check_entry *entry);

#endif
