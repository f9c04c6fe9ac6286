/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reports, printed from one event log. */
#ifndef STOPCOPY_REPORT_H
#define STOPCOPY_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "lib/error.h"

enum verdict {
    VERDICT_PASS,
    VERDICT_FAIL,
    VERDICT_INCOMPLETE,
};

/* "text", "text:FILE", "json:FILE", ... as given to --report. */
struct report_target {
    char format[16];
    char file[4096]; /* "" for standard output */
};

int report_parse_target(const char *text, struct report_target *target, struct error *error);

/* The report as one JSON object, with the members that docs/report.md lists, made from the events. */
json_t *report_build(json_t *events);
enum verdict report_verdict(json_t *report);
/* The exit status that goes with it (README, "Exit status"). */
int report_status(json_t *report);
/* Prints it in the target's format. A file is written whole under another name and then renamed. */
int report_write(json_t *report, const struct report_target *target, struct error *error);

#endif
