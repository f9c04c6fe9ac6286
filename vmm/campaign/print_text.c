/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A campaign's report for a person. */
#include <string.h>

#include "vmm/campaign/report.h"
#include "vmm/report/baseline.h"
#include "vmm/report/builder.h"
#include "vmm/report/units.h"

static const char *word_of(const json_t *step)
{
    static const struct {
        const char *result, *word;
    } words[] = {{"pass", "ok"}, {"fail", "FAIL"}, {"hung", "HUNG"}};
    const char *result = report_text(step, "result");

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (!strcmp(result, words[i].result))
            return words[i].word;
    return result;
}

void campaign_print_step(const json_t *step, FILE *file)
{
    char time[UNITS_TEXT_MAX];

    fprintf(file, "%-10s  %-22s %9s  %s\n", word_of(step), report_text(step, "name"),
            report_knows(step, "ns") ? units_time_of(step, "ns", time) : "", report_text(step, "said"));
}

static void print_device(const json_t *report, FILE *file)
{
    const json_t *device = json_object_get(report, "device"), *pci = json_object_get(device, "pci");
    const json_t *migration = json_object_get(device, "migration");
    char size[UNITS_TEXT_MAX];

    if (!json_is_object(device))
        return;
    fprintf(file, "  device:  %s, served by %s", report_text(device, "device"), report_text(device, "backend"));
    if (json_is_object(pci))
        fprintf(file, ", PCI %04llx:%04llx", report_number(pci, "vendor"), report_number(pci, "device"));
    fprintf(file, "\n  migration flags 0x%llx", report_number(migration, "flags"));
    if (report_knows(migration, "data_size"))
        fprintf(file, ", about %s of state", units_bytes_of(migration, "data_size", size));
    fputc('\n', file);
}

static void print_head(const json_t *report, FILE *file)
{
    const json_t *manifest = json_object_get(report, "manifest");

    fprintf(file, "stopcopy %s, %s\n  command:", report_text(manifest, "version"), report_text(manifest, "time"));
    report_print_command(manifest, file);
    fprintf(file, "\n  kernel:  %s\n  CPU:     %s\n", report_text(manifest, "kernel"), report_text(manifest, "cpu"));
    print_device(report, file);
}

static void print_findings(const json_t *report, FILE *file)
{
    json_t *finding;
    size_t i;

    json_array_foreach (json_object_get(report, "findings"), i, finding)
        fprintf(file, "%s  - %s (%s)\n    %s\n", i ? "" : "\nFindings\n", report_text(finding, "rule"),
                report_text(finding, "step"), report_text(finding, "text"));
}

static void print_texts(const json_t *report, const char *member, const char *head, FILE *file)
{
    json_t *text;
    size_t i;

    json_array_foreach (json_object_get(report, member), i, text)
        fprintf(file, "%s  - %s\n", i ? "" : head, json_string_value(text));
}

/* The worst downtime of all the steps that have one. */
static json_int_t worst_downtime(const json_t *report)
{
    json_int_t worst = 0;
    json_t *step;
    size_t i;

    json_array_foreach (json_object_get(report, "steps"), i, step) {
        json_int_t downtime = report_number(json_object_get(step, "numbers"), "downtime_worst_ns");

        worst = downtime > worst ? downtime : worst;
    }
    return worst;
}

static size_t count_results(const json_t *report, const char *result)
{
    size_t count = 0, i;
    json_t *step;

    json_array_foreach (json_object_get(report, "steps"), i, step)
        count += !strcmp(report_text(step, "result"), result);
    return count;
}

void campaign_print_verdict(const json_t *report, FILE *file)
{
    const char *verdict = report_text(report, "verdict");
    const json_t *finding = json_array_get(json_object_get(report, "findings"), 0);
    const json_t *reasons = json_object_get(report, "incomplete_because");
    size_t steps = json_array_size(json_object_get(report, "steps"));
    json_int_t downtime = worst_downtime(report);
    char text[UNITS_TEXT_MAX];

    if (!strcmp(verdict, "pass")) {
        fprintf(file, "PASS: all %zu steps are as they must be", steps);
        if (downtime)
            fprintf(file, "; downtime at worst %s", units_time(downtime, text));
        return;
    }
    if (!strcmp(verdict, "fail"))
        fprintf(file, "FAIL: %s: %s: %s", report_text(finding, "step"), report_text(finding, "rule"),
                report_text(finding, "text"));
    else
        fprintf(file, "INCOMPLETE: %s", json_string_value(json_array_get(reasons, 0)));
    fprintf(file, " (%zu of %zu steps passed)", count_results(report, "pass"), steps);
}

int campaign_print_conclusion(json_t *report, FILE *file)
{
    print_texts(report, "not_proven", "\nNot proven\n", file);
    print_findings(report, file);
    baseline_print_text(report, file);
    fprintf(file, "\nReports of each step: %s\n", report_text(report, "folder"));
    if (count_results(report, "interrupted") || (count_results(report, "hung") && count_results(report, "skip")))
        fprintf(file, "To go on with what was not run: stopcopy %s --resume %s\n", report_text(report, "kind"),
                report_text(report, "folder"));
    fputc('\n', file);
    campaign_print_verdict(report, file);
    fputc('\n', file);
    return ferror(file) ? -1 : 0;
}

int campaign_print_text(json_t *report, FILE *file)
{
    json_t *step;
    size_t i;

    print_head(report, file);
    fputc('\n', file);
    json_array_foreach (json_object_get(report, "steps"), i, step)
        campaign_print_step(step, file);
    return campaign_print_conclusion(report, file);
}
