/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reports, made and printed from one event log. docs/report.md lists the members.
 *
 * A pass needs evidence for all that the log's "expect" event names: the guest finished, every chain equal to its model
 * at every pause and at the end, every chain and device at work before and after, each device with an operation in
 * flight at a stop; or, without a guest, rules that were tried and held. What is missing makes the verdict incomplete.
 */
#ifndef STOPCOPY_REPORT_H
#define STOPCOPY_REPORT_H

#include <jansson.h>
#include <stdint.h>
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

/* errno EINVAL where there is no such format: text, json, tap, junit, trace, html. */
int report_parse_target(const char *text, struct report_target *target, struct error *error);

/* What runs on what, as reports have it (docs/report.md, "What ran"): the words of the command begin with its name. NULL without
 * memory. */
json_t *report_manifest(const char *role, int argc, char *const argv[], uint64_t seed);
/* The report as one JSON object, with the members that docs/report.md lists, made from the events (borrowed). NULL
 * without memory. */
json_t *report_build(json_t *events);
/* Incomplete where report is NULL. */
enum verdict report_verdict(json_t *report);
/* The exit status that goes with it (README, "Exit status"). */
int report_status(json_t *report);
/* The report for a person; the verdict is its last line. Returns -1 where writing failed. */
int report_print_text(json_t *report, FILE *file);
/* The report's cases (cases.h) as TAP version 14, and as JUnit's XML. */
int report_print_tap(json_t *report, FILE *file);
int report_print_junit(json_t *report, FILE *file);
/* Phases, arcs, pauses and findings as trace events (JSON, as Perfetto and chrome://tracing read), with a track for each end,
 * each device and the guest. */
int report_print_trace(json_t *report, FILE *file);
/* The same in parts: adds a report's events to an array of them as those of a process of that number and name, times counted
 * from start_ns; and writes the array, which is taken over. */
int report_trace_add(json_t *events, const json_t *report, int process, const char *name, json_int_t start_ns);
int report_trace_write(json_t *events, const char *verdict, json_int_t clock_error_ns, FILE *file);
/* One HTML page with all of it and pictures, which needs nothing else. */
int report_print_html(json_t *report, FILE *file);
/* Prints it in the target's format. A file is written whole under another name beside it and then renamed; what is no
 * regular file (a pipe, /dev/stderr) is written to as it is. */
int report_write(json_t *report, const struct report_target *target, struct error *error);

/* The report in the target's format, whatever its file is. */
int report_print(json_t *report, const struct report_target *target, FILE *file, struct error *error);

/* Prints a report; -1 with errno. */
typedef int (*report_printer)(json_t *report, FILE *file);
/* As report_write, by a printer of the caller's. file: "" for standard output. */
int report_write_by(json_t *report, report_printer print, const char *file, struct error *error);

#endif
