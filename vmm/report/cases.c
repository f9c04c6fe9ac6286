/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/report/cases.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "vmm/report/builder.h"

#define NAME_MAX_LENGTH 64
#define TEXT_MAX_LENGTH 2304 /* an event's text and some words */

struct case_list {
    json_t *cases;
    bool full; /* no memory */
};

__attribute__((format(printf, 6, 7))) static void add(struct case_list *list, const char *group, const char *name,
                                                      const char *result, json_int_t ns, const char *format, ...)
{
    char text[TEXT_MAX_LENGTH];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    /* A text that was cut in the middle of a character is no text to JSON: s% takes none, so it is passed as far as it is
     * one. */
    for (size_t length = strlen(text); length; text[--length] = '\0') {
        json_t *whole = json_string(text);

        if (whole) {
            json_decref(whole);
            break;
        }
    }
    if (json_array_append_new(list->cases, json_pack("{s:s, s:s, s:s, s:s, s:I}", "group", group, "name", name,
                                                     "result", result, "text", text, "ns", ns)) < 0)
        list->full = true;
}

static void add_checks(struct case_list *list, const json_t *report)
{
    json_t *check;
    size_t i;

    json_array_foreach (json_object_get(report, "checks"), i, check)
        add(list, "check", report_text(check, "rule"), report_text(check, "result"), report_number(check, "ns"), "%s",
            report_text(check, "text"));
}

static void add_ram(struct case_list *list, const json_t *leg, const char *migration)
{
    const json_t *ram = json_object_get(leg, "ram");
    json_int_t verified = report_number(ram, "pages_verified"), unverified = report_number(ram, "pages_unverified");
    char name[NAME_MAX_LENGTH];

    snprintf(name, sizeof(name), "RAM of %.48s", migration);
    if (verified && !unverified)
        add(list, "ram", name, "pass", 0, "%lld pages are the same on both sides", verified);
    else
        add(list, "ram", name, "skip", 0, "%lld pages were compared, %lld were not", verified, unverified);
}

static void add_migrations(struct case_list *list, const json_t *report)
{
    const json_t *legs = json_object_get(report, "legs");
    json_int_t expected = report_number(json_object_get(report, "expected"), "migrations");
    char name[NAME_MAX_LENGTH];
    json_t *leg;
    size_t i;

    json_array_foreach (legs, i, leg) {
        bool over = report_knows(leg, "status") && report_number(leg, "status") == 0;

        snprintf(name, sizeof(name), "migration %lld", report_number(leg, "leg") + 1);
        if (over)
            add(list, "migration", name, "pass", report_number(leg, "total_ns"), "downtime %lld us",
                report_number(leg, "downtime_ns") / 1000);
        else
            add(list, "migration", name, "fail", 0, "%s",
                *report_text(report, "outcome_text") ? report_text(report, "outcome_text")
                                                     : "it did not come to its end");
        if (over)
            add_ram(list, leg, name);
    }
    for (json_int_t leg_number = (json_int_t)json_array_size(legs); leg_number < expected; leg_number++) {
        snprintf(name, sizeof(name), "migration %lld", leg_number + 1);
        add(list, "migration", name, "skip", 0, "it was not begun");
    }
}

static void add_chains(struct case_list *list, const json_t *report)
{
    const json_t *chains = json_object_get(json_object_get(report, "guest"), "chains");
    char name[96];
    json_t *chain;
    size_t i;

    json_array_foreach (chains, i, chain) {
        const char *expected = report_text(chain, "digest_expected");

        if (strcmp(report_text(chain, "workload"), "clock") == 0) /* it has no digest: the guest judges it */
            continue;
        report_name_chain(chain, name);
        if (json_is_true(json_object_get(chain, "verified")))
            add(list, "guest", name, "pass", 0, "%lld operations, %s", report_number(chain, "operations"), expected);
        else if (*expected)
            add(list, "guest", name, "fail", 0, "after %lld operations its digest is %s, and must be %s",
                report_number(chain, "operations"), report_text(chain, "digest"), expected);
        else
            add(list, "guest", name, "skip", 0, "its digest was not verified");
    }
}

/* A rule of check that failed is a case already. */
static bool is_a_case(const struct case_list *list, const char *rule)
{
    json_t *entry;
    size_t i;

    json_array_foreach (list->cases, i, entry) {
        if (strcmp(report_text(entry, "name"), rule) == 0 && strcmp(report_text(entry, "result"), "fail") == 0)
            return true;
    }
    return false;
}

static void add_findings(struct case_list *list, const json_t *report)
{
    json_t *finding;
    size_t i;

    json_array_foreach (json_object_get(report, "findings"), i, finding) {
        if (!is_a_case(list, report_text(finding, "rule")))
            add(list, "finding", report_text(finding, "rule"), "fail", 0, "%s", report_text(finding, "text"));
    }
}

static void add_verdict(struct case_list *list, const json_t *report)
{
    const char *verdict = report_text(report, "verdict");
    const char *reason = json_string_value(json_array_get(json_object_get(report, "incomplete_because"), 0));
    const json_t *finding = json_array_get(json_object_get(report, "findings"), 0);

    if (strcmp(verdict, "pass") == 0)
        add(list, "verdict", "verdict", "pass", report_number(report, "total_ns"), "PASS");
    else if (strcmp(verdict, "fail") == 0)
        add(list, "verdict", "verdict", "fail", 0, "FAIL: %s",
            finding ? report_text(finding, "rule") : report_text(report, "outcome_text"));
    else
        add(list, "verdict", "verdict", "fail", 0, "INCOMPLETE: %s", reason ? reason : "not all was proven");
}

json_t *report_cases(const json_t *report)
{
    struct case_list list = {.cases = json_array()};

    if (!list.cases)
        return NULL;
    add_checks(&list, report);
    add_migrations(&list, report);
    add_chains(&list, report);
    add_findings(&list, report);
    add_verdict(&list, report);
    if (list.full) {
        json_decref(list.cases);
        return NULL;
    }
    return list.cases;
}

struct report_case_counts report_count_cases(const json_t *cases)
{
    struct report_case_counts counts = {.total = json_array_size(cases)};
    json_t *entry;
    size_t i;

    json_array_foreach (cases, i, entry) {
        counts.failed += strcmp(report_text(entry, "result"), "fail") == 0;
        counts.skipped += strcmp(report_text(entry, "result"), "skip") == 0;
    }
    return counts;
}
