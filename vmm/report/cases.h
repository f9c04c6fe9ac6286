/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A report as a list of test cases, for the formats that know nothing else (TAP, JUnit): so that they cannot disagree.
 *
 * There is a case for each rule that `stopcopy check` tried; for each migration that was asked for, and the comparison of its
 * RAM; for each chain of the guest's work that has a digest; for each finding; and the last is the verdict, which fails where
 * it is INCOMPLETE, too: what was not proven must not make a pipeline green.
 */
#ifndef STOPCOPY_REPORT_CASES_H
#define STOPCOPY_REPORT_CASES_H

#include <jansson.h>
#include <stddef.h>

/* An array of objects: group, name, result ("pass", "fail" or "skip"), text (may be ""), ns (0 where not known). A new
 * reference, NULL without memory. */
json_t *report_cases(const json_t *report);

struct report_case_counts {
    size_t total;
    size_t failed;
    size_t skipped;
};
struct report_case_counts report_count_cases(const json_t *cases);

#endif
