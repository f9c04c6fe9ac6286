/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The report as one HTML page that needs nothing else: no network, no script, and no more width than a telephone has. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/report/baseline.h"
#include "vmm/report/builder.h"
#include "vmm/report/html.h"
#include "vmm/report/report.h"
#include "vmm/report/units.h"

#define LEGS_LISTED 1000

static void print_number(const char *name, const char *value, FILE *file)
{
    fprintf(file, "<li>%s<b>%s</b></li>\n", name, value);
}

static void print_numbers(const json_t *report, FILE *file)
{
    const json_t *ram = json_object_get(report, "ram");
    char text[UNITS_TEXT_MAX];

    if (json_array_size(json_object_get(report, "legs")) == 0)
        return;
    fputs("<ul class=\"numbers\">\n", file);
    print_number("Migrations", units_count_of(report, "migrations", text), file);
    print_number("Downtime", units_time_of(report, "downtime_ns", text), file);
    print_number("Blackout", units_time_of(json_object_get(report, "guest"), "blackout_ns", text), file);
    print_number("Total", units_time_of(report, "total_ns", text), file);
    print_number("RAM sent", units_bytes_of(ram, "bytes", text), file);
    print_number("Pages compared", units_count_of(ram, "pages_verified", text), file);
    fputs("</ul>\n<p class=\"legend\">Downtime: source paused to destination running. Blackout: what the guest itself "
          "saw. Of the last migration.</p>\n",
          file);
}

static void print_texts(const json_t *report, const char *member, const char *head, FILE *file)
{
    json_t *text;
    size_t i;

    json_array_foreach (json_object_get(report, member), i, text) {
        if (i == 0)
            fprintf(file, "<h2>%s</h2>\n<ul>\n", head);
        fputs("<li>", file);
        html_text(file, json_string_value(text));
        fputs("</li>\n", file);
    }
    if (i)
        fputs("</ul>\n", file);
}

static void print_findings(const json_t *report, FILE *file)
{
    json_t *finding;
    size_t i;

    json_array_foreach (json_object_get(report, "findings"), i, finding) {
        if (i == 0)
            fputs("<h2>Findings</h2>\n<dl>\n", file);
        fputs("<dt><span class=\"rule\">", file);
        html_text(file, report_text(finding, "rule"));
        fputs("</span> ", file);
        html_text(file, report_text(finding, "role"));
        if (json_array_size(json_object_get(report, "legs")) > 1)
            fprintf(file, ", migration %lld", report_number(finding, "leg") + 1);
        fputs("</dt><dd>", file);
        html_text(file, report_text(finding, "text"));
        fputs("</dd>\n", file);
    }
    if (i)
        fputs("</dl>\n", file);
}

static void print_row(const char *name, const char *value, FILE *file)
{
    fprintf(file, "<tr><th>%s</th><td>", name);
    html_text(file, value);
    fputs("</td></tr>\n", file);
}

static void print_manifests(const json_t *report, FILE *file)
{
    json_t *manifest;
    size_t i;

    json_array_foreach (json_object_get(report, "manifests"), i, manifest) {
        if (i == 0) {
            fputs("<h2>What was tested, on what</h2>\n<p>To run it again:</p>\n<pre>", file);
            html_print_escaped(report_print_command, manifest, file);
            fputs("</pre>\n", file);
        }
        fputs("<div class=\"wide\"><table>\n", file);
        print_row("process", report_text(manifest, "role"), file);
        print_row("stopcopy", report_text(manifest, "version"), file);
        print_row("time", report_text(manifest, "time"), file);
        print_row("kernel", report_text(manifest, "kernel"), file);
        print_row("CPU", report_text(manifest, "cpu"), file);
        print_row("seed", report_text(manifest, "seed"), file);
        fputs("</table></div>\n", file);
    }
}

static void print_chain(const json_t *chain, FILE *file)
{
    bool clock = strcmp(report_text(chain, "workload"), "clock") == 0;
    bool right = json_is_true(json_object_get(chain, "verified"));
    char name[96];

    fputs("<tr><td>", file);
    html_text(file, report_name_chain(chain, name));
    fprintf(file, "</td><td>%lld</td><td><code>", report_number(chain, "operations"));
    html_text(file, clock ? "" : report_text(chain, "digest"));
    fputs("</code></td>", file);
    if (clock)
        fputs("<td>judged by the guest itself</td></tr>\n", file);
    else if (right)
        fputs("<td>as the model has it</td></tr>\n", file);
    else if (report_knows(chain, "digest_expected")) {
        fputs("<td class=\"wrong\">should be <code>", file);
        html_text(file, report_text(chain, "digest_expected"));
        fputs("</code></td></tr>\n", file);
    } else
        fputs("<td>not verified</td></tr>\n", file);
}

static void print_guest(const json_t *report, FILE *file)
{
    const json_t *chains = json_object_get(json_object_get(report, "guest"), "chains");
    json_t *chain;
    size_t i;

    if (json_array_size(chains) == 0)
        return;
    fprintf(file,
            "<h2>The guest's work at the %s</h2>\n<div class=\"wide\"><table><tr><th>chain</th><th>operations</th>"
            "<th>digest</th><th></th></tr>\n",
            report_text(json_array_get(chains, 0), "at"));
    json_array_foreach (chains, i, chain)
        print_chain(chain, file);
    fputs("</table></div>\n", file);
}

static void print_checks(const json_t *report, FILE *file)
{
    json_t *check;
    size_t i;

    json_array_foreach (json_object_get(report, "checks"), i, check) {
        const char *result = report_text(check, "result");

        if (i == 0)
            fputs("<h2>Rules</h2>\n<div class=\"wide\"><table><tr><th>rule</th><th>result</th><th></th></tr>\n", file);
        fputs("<tr><td>", file);
        html_text(file, report_text(check, "rule"));
        fprintf(file, "</td><td%s>", strcmp(result, "fail") == 0 ? " class=\"wrong\"" : "");
        html_text(file, result);
        fputs("</td><td>", file);
        html_text(file, report_text(check, "text"));
        fputs("</td></tr>\n", file);
    }
    if (i)
        fputs("</table></div>\n", file);
}

static void print_devices(const json_t *leg, FILE *file)
{
    json_t *device;
    size_t i;

    json_array_foreach (json_object_get(leg, "devices"), i, device) {
        char text[4][UNITS_TEXT_MAX];

        fprintf(file, "<h2>Device %lld: ", report_number(device, "index"));
        html_text(file, report_text(device, "name"));
        fprintf(file, "</h2>\n<p>State %s; operations: %s before, %s after, %s in flight at the stop.</p>\n",
                units_bytes_of(device, "state_bytes", text[0]), units_count_of(device, "ops_before", text[1]),
                units_count_of(device, "ops_after", text[2]), units_count_of(device, "in_flight_at_stop", text[3]));
        html_print_states(device, file);
    }
}

static void print_legs(const json_t *legs, FILE *file)
{
    json_t *leg;
    size_t i;

    if (json_array_size(legs) < 2)
        return;
    fputs("<h2>All migrations</h2>\n<div class=\"wide\"><table><tr><th>migration</th><th>downtime</th><th>blackout</th>"
          "<th>total</th><th>guest on</th></tr>\n",
          file);
    json_array_foreach (legs, i, leg) {
        char text[3][UNITS_TEXT_MAX];

        if (i == LEGS_LISTED)
            break;
        fprintf(file, "<tr><td>%lld</td><td>%s</td><td>%s</td><td>%s</td><td>", report_number(leg, "leg") + 1,
                units_time_of(leg, "downtime_ns", text[0]), units_time_of(leg, "blackout_ns", text[1]),
                units_time_of(leg, "total_ns", text[2]));
        html_text(file, report_text(leg, "outcome"));
        fputs("</td></tr>\n", file);
    }
    fputs("</table></div>\n", file);
    if (json_array_size(legs) > LEGS_LISTED)
        fprintf(file, "<p>%zu more are in the JSON report.</p>\n", json_array_size(legs) - LEGS_LISTED);
}

int report_print_html(json_t *report, FILE *file)
{
    const json_t *legs = json_object_get(report, "legs");
    const json_t *last = json_array_get(legs, json_array_size(legs) ? json_array_size(legs) - 1 : 0);

    html_begin(file, report_text(report, "verdict"), report_print_verdict, report, report_text(report, "outcome_text"));
    print_numbers(report, file);
    print_findings(report, file);
    print_texts(report, "not_proven", "Not proven", file);
    baseline_print_html(report, file);
    if (last) {
        fputs("<h2>The switchover</h2>\n", file);
        html_print_timeline(last, file);
        html_print_rounds(last, file);
        print_devices(last, file);
    }
    print_guest(report, file);
    print_checks(report, file);
    print_legs(legs, file);
    print_texts(report, "notes", "Notes", file);
    print_manifests(report, file);
    fputs("</body></html>\n", file);
    return ferror(file) ? -1 : 0;
}
