/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A campaign's report as one HTML page: the steps on a line of time, and a table of what came of each. */
#include <string.h>

#include "vmm/campaign/report.h"
#include "vmm/report/baseline.h"
#include "vmm/report/builder.h"
#include "vmm/report/html.h"
#include "vmm/report/units.h"

#define CHART_WIDTH 940
#define CHART_NAMES 190
#define ROW_HEIGHT 20

static void print_chart_row(const json_t *step, size_t row, double from, double length, FILE *file)
{
    const char *result = report_text(step, "result");
    bool bad = !strcmp(result, "fail") || !strcmp(result, "hung");
    double width = CHART_WIDTH - CHART_NAMES - 70;
    char time[UNITS_TEXT_MAX];

    fprintf(file, "<text x=\"0\" y=\"%zu\">", row * ROW_HEIGHT + 14);
    html_text(file, report_text(step, "name"));
    fputs("</text>", file);
    if (!report_knows(step, "ns")) {
        fprintf(file, "<text x=\"%d\" y=\"%zu\" opacity=\".6\">%s</text>\n", CHART_NAMES, row * ROW_HEIGHT + 14,
                result);
        return;
    }
    fprintf(
        file,
        "<rect class=\"%s\" x=\"%.1f\" y=\"%zu\" width=\"%.1f\" height=\"%d\"/><text x=\"%.1f\" y=\"%zu\">%s</text>\n",
        bad ? "wrong" : "source", CHART_NAMES + from * width, row * ROW_HEIGHT + 3,
        length * width < 2 ? 2 : length * width, ROW_HEIGHT - 6, CHART_NAMES + (from + length) * width + 6,
        row * ROW_HEIGHT + 14, units_time_of(step, "ns", time));
}

/* Each step's share of the time that all of them took, one after the other: what ran beside each other is drawn so, too. */
static void print_chart(const json_t *report, FILE *file)
{
    const json_t *steps = json_object_get(report, "steps");
    double total = (double)report_number(report, "total_ns"), at = 0;
    json_t *step;
    size_t i;

    if (total <= 0)
        return;
    fprintf(
        file,
        "<h2>Where the time went</h2>\n<div class=\"wide\"><svg class=\"timeline\" viewBox=\"0 0 %d %zu\" role=\"img\" "
        "aria-label=\"the steps and their time\"><style>.wrong{fill:#d22}</style>\n",
        CHART_WIDTH, json_array_size(steps) * ROW_HEIGHT + 4);
    json_array_foreach (steps, i, step) {
        double length = (double)report_number(step, "ns") / total;

        print_chart_row(step, i, at, length, file);
        at += length;
    }
    fputs("</svg></div>\n", file);
}

static void print_numbers(const json_t *step, FILE *file)
{
    const json_t *numbers = json_object_get(step, "numbers");
    char text[4][UNITS_TEXT_MAX];

    if (!report_knows(numbers, "downtime_worst_ns")) {
        fputs("<td></td><td></td><td></td><td></td>", file);
        return;
    }
    fprintf(file, "<td>%s</td><td>%s</td><td>%s</td><td>%s</td>", units_time_of(numbers, "downtime_worst_ns", text[0]),
            units_time_of(numbers, "blackout_worst_ns", text[1]), units_bytes_of(numbers, "ram_bytes", text[2]),
            units_bytes_of(numbers, "state_bytes", text[3]));
}

static void print_files(const json_t *step, FILE *file)
{
    json_t *name;
    size_t i;

    json_array_foreach (json_object_get(step, "files"), i, name) {
        const char *text = json_string_value(name), *suffix = strrchr(text, '.');

        fputs("<a href=\"", file);
        html_text(file, text);
        fputs("\">", file);
        html_text(file, suffix ? suffix + 1 : text);
        fputs("</a> ", file);
    }
}

static void print_steps(const json_t *report, FILE *file)
{
    json_t *step;
    size_t i;

    fputs(
        "<h2>The steps</h2>\n<p class=\"legend\">Downtime and blackout are the worst of the step; the files are in the "
        "folder beside this page.</p>\n<div class=\"wide\"><table "
        "style=\"min-width:860px\"><tr><th>step</th><th>result</th><th>downtime</th>"
        "<th>blackout</th><th>RAM</th><th>state</th><th>what it said</th><th>files</th></tr>\n",
        file);
    json_array_foreach (json_object_get(report, "steps"), i, step) {
        const char *result = report_text(step, "result");

        fputs("<tr><td><b>", file);
        html_text(file, report_text(step, "name"));
        fputs("</b><br>", file);
        html_text(file, report_text(step, "text"));
        fprintf(file, "</td><td%s>%s%s</td>",
                !strcmp(result, "fail") || !strcmp(result, "hung") ? " class=\"wrong\"" : "", result,
                json_is_true(json_object_get(step, "kept")) ? " (before)" : "");
        print_numbers(step, file);
        fputs("<td>", file);
        html_text(file, report_text(step, "said"));
        fputs("</td><td>", file);
        print_files(step, file);
        fputs("</td></tr>\n", file);
    }
    fputs("</table></div>\n", file);
}

static void print_findings(const json_t *report, FILE *file)
{
    json_t *finding;
    size_t i;

    json_array_foreach (json_object_get(report, "findings"), i, finding) {
        fputs(i ? "<dt><span class=\"rule\">" : "<h2>Findings</h2>\n<dl>\n<dt><span class=\"rule\">", file);
        html_text(file, report_text(finding, "rule"));
        fputs("</span> ", file);
        html_text(file, report_text(finding, "step"));
        fputs("</dt><dd>", file);
        html_text(file, report_text(finding, "text"));
        fputs("</dd>\n", file);
    }
    if (i)
        fputs("</dl>\n", file);
}

static void print_texts(const json_t *report, const char *member, const char *head, FILE *file)
{
    json_t *text;
    size_t i;

    json_array_foreach (json_object_get(report, member), i, text) {
        fprintf(file, i ? "<li>" : "<h2>%s</h2>\n<ul>\n<li>", head);
        html_text(file, json_string_value(text));
        fputs("</li>\n", file);
    }
    if (i)
        fputs("</ul>\n", file);
}

static void print_row(const char *name, const char *value, FILE *file)
{
    fprintf(file, "<tr><th>%s</th><td>", name);
    html_text(file, value);
    fputs("</td></tr>\n", file);
}

static void print_device(const json_t *report, FILE *file)
{
    const json_t *device = json_object_get(report, "device"), *migration = json_object_get(device, "migration");
    const json_t *missing = json_object_get(device, "missing");
    char text[96], size[UNITS_TEXT_MAX];
    json_t *words;
    size_t i;

    if (!json_is_object(device))
        return;
    print_row("device", report_text(device, "device"), file);
    print_row("served by", report_text(device, "backend"), file);
    snprintf(text, sizeof(text), "0x%llx", report_number(migration, "flags"));
    print_row("migration flags", text, file);
    print_row("size of its state", units_bytes_of(migration, "data_size", size), file);
    json_array_foreach (missing, i, words)
        print_row("missing", json_string_value(words) ? json_string_value(words) : "", file);
}

static void print_subject(const json_t *report, FILE *file)
{
    const json_t *manifest = json_object_get(report, "manifest");

    fputs("<h2>What was tested, on what</h2>\n<p>To run it again:</p>\n<pre>", file);
    html_print_escaped(report_print_command, manifest, file);
    fputs("</pre>\n<div class=\"wide\"><table>\n", file);
    print_device(report, file);
    print_row("stopcopy", report_text(manifest, "version"), file);
    print_row("time", report_text(manifest, "time"), file);
    print_row("kernel", report_text(manifest, "kernel"), file);
    print_row("CPU", report_text(manifest, "cpu"), file);
    print_row("folder", report_text(report, "folder"), file);
    fputs("</table></div>\n", file);
}

static void print_commands(const json_t *report, FILE *file)
{
    json_t *step;
    size_t i;

    fputs("<h2>The commands</h2>\n<pre>", file);
    json_array_foreach (json_object_get(report, "steps"), i, step) {
        html_print_escaped(report_print_command, step, file);
        fputc('\n', file);
    }
    fputs("</pre>\n", file);
}

int campaign_print_html(json_t *report, FILE *file)
{
    html_begin(file, report_text(report, "verdict"), campaign_print_verdict, report, report_text(report, "subject"));
    print_findings(report, file);
    print_steps(report, file);
    baseline_print_html(report, file);
    print_chart(report, file);
    print_texts(report, "not_proven", "Not proven", file);
    print_subject(report, file);
    print_commands(report, file);
    fputs("</body></html>\n", file);
    return ferror(file) ? -1 : 0;
}
