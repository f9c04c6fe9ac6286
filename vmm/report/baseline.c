/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/report/baseline.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "vmm/report/builder.h"
#include "vmm/report/html.h"
#include "vmm/report/units.h"

#define FILE_MAX_BYTES (64 << 20)

/* A number of a report by its way there: an object's member, or the report's own where object is NULL. */
static const struct known_number {
    const char *name;
    const char *unit; /* "ns", "bytes" or "count" */
    const char *object, *inner, *member;
} known_numbers[] = {
    {"downtime, worst", "ns", "summary", "downtime_ns", "worst"},
    {"downtime, median", "ns", "summary", "downtime_ns", "median"},
    {"blackout, worst", "ns", "summary", "blackout_ns", "worst"},
    {"total of the last migration", "ns", NULL, NULL, "total_ns"},
    {"RAM sent", "bytes", "ram", NULL, "bytes"},
    {"pre-copy rounds", "count", "facts", NULL, "precopy.rounds"},
};

/* Those of each step of a campaign. */
static const struct known_number step_numbers[] = {
    {"downtime, worst", "ns", "numbers", NULL, "downtime_worst_ns"},
    {"blackout, worst", "ns", "numbers", NULL, "blackout_worst_ns"},
    {"RAM sent", "bytes", "numbers", NULL, "ram_bytes"},
    {"state", "bytes", "numbers", NULL, "state_bytes"},
};

json_t *baseline_read(const char *file, struct error *error)
{
    struct stat status;
    json_error_t where;
    json_t *report;

    if (stat(file, &status) < 0) {
        error_set(error, errno, "--baseline %s", file);
        return NULL;
    }
    if (!S_ISREG(status.st_mode) || status.st_size > FILE_MAX_BYTES) {
        error_set(error, 0, "--baseline %s: it is no file of %d MiB at most", file, FILE_MAX_BYTES >> 20);
        return NULL;
    }
    report = json_load_file(file, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_string(json_object_get(report, "format")) || !json_is_string(json_object_get(report, "verdict"))) {
        error_set(error, 0, "--baseline %s: it is no report in JSON%s%s", file, report ? "" : ": ",
                  report ? "" : where.text);
        json_decref(report);
        return NULL;
    }
    return report;
}

/* NULL where the number is not there or not one. */
static const json_t *find_number(const json_t *report, const struct known_number *known)
{
    const json_t *object = known->object ? json_object_get(report, known->object) : report;
    const json_t *number =
        json_object_get(known->inner ? json_object_get(object, known->inner) : object, known->member);

    return json_is_integer(number) && json_integer_value(number) >= 0 ? number : NULL;
}

static void compare_number(json_t *numbers, const char *prefix, const struct known_number *known, const json_t *report,
                           const json_t *old)
{
    const json_t *now = find_number(report, known), *then = find_number(old, known);

    if (now && then)
        json_array_append_new(numbers,
                              json_pack("{s:o, s:s, s:I, s:I}", "name",
                                        json_sprintf("%s%s%s", prefix, *prefix ? ": " : "", known->name), "unit",
                                        known->unit, "old", json_integer_value(then), "new", json_integer_value(now)));
}

static void compare_text(json_t *changes, const char *name, const char *now, const char *then)
{
    if (strcmp(now, then) != 0)
        json_array_append_new(changes, json_pack("{s:s, s:s, s:s}", "name", name, "old", *then ? then : "(not there)",
                                                 "new", *now ? now : "(not there)"));
}

/* Of two lists of objects that have a name: the one of that name. */
static const json_t *find_named(const json_t *list, const char *member, const char *name)
{
    json_t *entry;
    size_t i;

    json_array_foreach (list, i, entry)
        if (!strcmp(report_text(entry, member), name))
            return entry;
    return NULL;
}

/* Rules of check, or steps of a campaign: their results, with those that are in one report alone. */
static void compare_results(json_t *changes, const json_t *list, const json_t *old_list, const char *member)
{
    json_t *entry;
    size_t i;

    json_array_foreach (list, i, entry) {
        const char *name = report_text(entry, member);

        compare_text(changes, name, report_text(entry, "result"),
                     report_text(find_named(old_list, member, name), "result"));
    }
    json_array_foreach (old_list, i, entry) {
        const char *name = report_text(entry, member);

        if (!find_named(list, member, name))
            compare_text(changes, name, "", report_text(entry, "result"));
    }
}

static bool is_same_finding(const json_t *finding, const json_t *other)
{
    return !strcmp(report_text(finding, "rule"), report_text(other, "rule")) &&
           !strcmp(report_text(finding, "step"), report_text(other, "step"));
}

/* The findings that the other report has not, each rule once: their texts have numbers that differ from run to run. */
static json_t *findings_only_in(const json_t *report, const json_t *other)
{
    const json_t *findings = json_object_get(report, "findings"), *others = json_object_get(other, "findings");
    json_t *only = json_array(), *finding;
    size_t i;

    json_array_foreach (findings, i, finding) {
        bool found = false;
        json_t *entry;
        size_t j;

        json_array_foreach (others, j, entry)
            found |= is_same_finding(finding, entry);
        json_array_foreach (only, j, entry)
            found |= is_same_finding(finding, entry);
        if (!found)
            json_array_append_new(only, json_pack("{s:s, s:s, s:s}", "rule", report_text(finding, "rule"), "text",
                                                  report_text(finding, "text"), "step", report_text(finding, "step")));
    }
    return only;
}

static json_t *compare(const json_t *report, const json_t *old, const char *file)
{
    const json_t *manifest = json_object_get(old, "manifest"), *steps = json_object_get(report, "steps");
    json_t *changes = json_array(), *numbers = json_array(), *step;
    size_t i, j;

    compare_text(changes, "verdict", report_text(report, "verdict"), report_text(old, "verdict"));
    if (!steps)
        compare_results(changes, json_object_get(report, "checks"), json_object_get(old, "checks"), "rule");
    compare_results(changes, steps, json_object_get(old, "steps"), "name");
    for (i = 0; i < sizeof(known_numbers) / sizeof(known_numbers[0]); i++)
        compare_number(numbers, "", &known_numbers[i], report, old);
    json_array_foreach (steps, i, step)
        for (j = 0; j < sizeof(step_numbers) / sizeof(step_numbers[0]); j++)
            compare_number(numbers, report_text(step, "name"), &step_numbers[j], step,
                           find_named(json_object_get(old, "steps"), "name", report_text(step, "name")));
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "file", file, "version", report_text(manifest, "version"),
                     "time", report_text(manifest, "time"), "changes", changes, "numbers", numbers, "findings_new",
                     findings_only_in(report, old), "findings_gone", findings_only_in(old, report));
}

int baseline_add(json_t *report, const json_t *old, const char *file, struct error *error)
{
    json_t *comparison;

    if (strcmp(report_text(report, "format"), report_text(old, "format")) != 0)
        return error_set(error, 0, "--baseline %s: it is a %s, and this is a %s", file, report_text(old, "format"),
                         report_text(report, "format"));
    comparison = compare(report, old, file);
    if (!comparison || json_object_set_new(report, "baseline", comparison) < 0)
        return error_set(error, ENOMEM, "--baseline %s", file);
    return 0;
}

/* "50.2 ms, was 48.1 ms (+4.4 %)" */
static void say_number(const json_t *number, char *text, size_t size)
{
    json_int_t now = report_number(number, "new"), then = report_number(number, "old");
    const char *unit = report_text(number, "unit");
    char words[2][UNITS_TEXT_MAX];
    size_t used;

    for (int i = 0; i < 2; i++) {
        json_int_t value = i ? then : now;

        if (!strcmp(unit, "ns"))
            units_time(value, words[i]);
        else if (!strcmp(unit, "bytes"))
            units_bytes(value, words[i]);
        else
            snprintf(words[i], sizeof(words[i]), "%lld", value);
    }
    used = (size_t)snprintf(text, size, "%s, was %s", words[0], words[1]);
    if (then && now != then && used < size)
        snprintf(text + used, size - used, " (%+.1f %%)", 100.0 * ((double)now - (double)then) / (double)then);
}

static const struct {
    const char *member, *words;
} finding_lists[] = {{"findings_new", "new finding"}, {"findings_gone", "no longer found"}};

void baseline_print_text(const json_t *report, FILE *file)
{
    const json_t *baseline = json_object_get(report, "baseline");
    json_t *entry;
    char text[128];
    size_t i, j;

    if (!json_is_object(baseline))
        return;
    fprintf(file, "\nCompared with %s (stopcopy %s, %s)\n", report_text(baseline, "file"),
            report_text(baseline, "version"), report_text(baseline, "time"));
    json_array_foreach (json_object_get(baseline, "changes"), i, entry)
        fprintf(file, "  - %s: %s, was %s\n", report_text(entry, "name"), report_text(entry, "new"),
                report_text(entry, "old"));
    if (!i)
        fputs("  - the verdict and every result are the same\n", file);
    for (j = 0; j < 2; j++)
        json_array_foreach (json_object_get(baseline, finding_lists[j].member), i, entry)
            fprintf(file, "  - %s: %s: %s\n", finding_lists[j].words, report_text(entry, "rule"),
                    report_text(entry, "text"));
    json_array_foreach (json_object_get(baseline, "numbers"), i, entry) {
        say_number(entry, text, sizeof(text));
        fprintf(file, "  - %s: %s\n", report_text(entry, "name"), text);
    }
}

static void print_row(const char *name, const char *now, const char *then, FILE *file)
{
    fputs("<tr><td>", file);
    html_text(file, name);
    fputs("</td><td>", file);
    html_text(file, now);
    fputs(*then ? "</td><td>was " : "</td><td>", file);
    html_text(file, then);
    fputs("</td></tr>\n", file);
}

void baseline_print_html(const json_t *report, FILE *file)
{
    const json_t *baseline = json_object_get(report, "baseline");
    json_t *entry;
    char text[128];
    size_t i, j;

    if (!json_is_object(baseline))
        return;
    fputs("<h2>Compared with an earlier report</h2>\n<p><code>", file);
    html_text(file, report_text(baseline, "file"));
    fputs("</code>, stopcopy ", file);
    html_text(file, report_text(baseline, "version"));
    fputs(", ", file);
    html_text(file, report_text(baseline, "time"));
    fputs("</p>\n<div class=\"wide\"><table>\n", file);
    json_array_foreach (json_object_get(baseline, "changes"), i, entry)
        print_row(report_text(entry, "name"), report_text(entry, "new"), report_text(entry, "old"), file);
    if (!i)
        print_row("verdict and results", "the same", "", file);
    for (j = 0; j < 2; j++)
        json_array_foreach (json_object_get(baseline, finding_lists[j].member), i, entry)
            print_row(finding_lists[j].words, report_text(entry, "rule"), "", file);
    json_array_foreach (json_object_get(baseline, "numbers"), i, entry) {
        say_number(entry, text, sizeof(text));
        print_row(report_text(entry, "name"), text, "", file);
    }
    fputs("</table></div>\n", file);
}
