/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A report beside an earlier one (--baseline): what changed of the verdict, the results, the numbers and the findings. Made
 * of reports of any kind: of a run or a migration, of check, of a campaign. docs/report.md lists the members.
 */
#ifndef STOPCOPY_REPORT_BASELINE_H
#define STOPCOPY_REPORT_BASELINE_H

#include <jansson.h>
#include <stdio.h>

#include "lib/error.h"

/* Reads a report from a file: hostile, of a bounded size. NULL with error. */
json_t *baseline_read(const char *file, struct error *error);
/*
 * Sets the member "baseline" of report to the comparison with old, which was read from the file. -1 where they are reports of
 * different kinds, or without memory.
 */
int baseline_add(json_t *report, const json_t *old, const char *file, struct error *error);

/* What the member "baseline" says, for a person and for a page; nothing where it is null. */
void baseline_print_text(const json_t *report, FILE *file);
void baseline_print_html(const json_t *report, FILE *file);

#endif
