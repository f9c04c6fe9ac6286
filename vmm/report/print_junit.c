/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The report as JUnit's XML, in the form that Jenkins and GitLab read: one suite, with a test case for each case. */
#include <string.h>

#include "vmm/report/builder.h"
#include "vmm/report/cases.h"
#include "vmm/report/report.h"

/* Text and attributes alike. XML has no way to write control characters. */
static void print_escaped(const char *text, FILE *file)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", file);
            break;
        case '<':
            fputs("&lt;", file);
            break;
        case '>':
            fputs("&gt;", file);
            break;
        case '"':
            fputs("&quot;", file);
            break;
        default:
            fputc((unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text, file);
        }
    }
}

/* To the millisecond: Jenkins takes no more digits. */
static void print_seconds(json_int_t ns, FILE *file)
{
    fprintf(file, "%lld.%03lld", ns / 1000000000, ns % 1000000000 / 1000000);
}

static void print_property(const char *name, const char *value, FILE *file)
{
    fprintf(file, "      <property name=\"%s\" value=\"", name);
    print_escaped(value, file);
    fputs("\"/>\n", file);
}

static void print_properties(const json_t *report, FILE *file)
{
    const json_t *manifest = json_object_get(report, "manifest");

    if (!json_is_object(manifest))
        return;
    fputs("    <properties>\n", file);
    print_property("version", report_text(manifest, "version"), file);
    print_property("kernel", report_text(manifest, "kernel"), file);
    print_property("cpu", report_text(manifest, "cpu"), file);
    print_property("seed", report_text(manifest, "seed"), file);
    fputs("    </properties>\n", file);
}

static void print_case(const json_t *entry, FILE *file)
{
    const char *result = report_text(entry, "result");

    fputs("    <testcase classname=\"stopcopy.", file);
    print_escaped(report_text(entry, "group"), file);
    fputs("\" name=\"", file);
    print_escaped(report_text(entry, "name"), file);
    fputs("\" time=\"", file);
    print_seconds(report_number(entry, "ns"), file);
    if (strcmp(result, "pass") == 0) {
        fputs("\"/>\n", file);
        return;
    }
    if (strcmp(result, "skip") == 0) {
        fputs("\">\n      <skipped message=\"", file);
        print_escaped(report_text(entry, "text"), file);
        fputs("\"/>\n    </testcase>\n", file);
        return;
    }
    fputs("\">\n      <failure type=\"", file);
    print_escaped(report_text(entry, "name"), file);
    fputs("\" message=\"", file);
    print_escaped(report_text(entry, "text"), file);
    fputs("\"/>\n    </testcase>\n", file);
}

int report_print_junit(json_t *report, FILE *file)
{
    json_t *cases = report_cases(report), *entry;
    struct report_case_counts counts = report_count_cases(cases);
    size_t i;

    if (!cases)
        return -1;
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n", file);
    fprintf(file, "  <testsuite name=\"stopcopy\" tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"%zu\" time=\"",
            counts.total, counts.failed, counts.skipped);
    print_seconds(report_number(report, "total_ns"), file);
    /* ISO 8601 without a zone: JUnit's form. */
    fprintf(file, "\" timestamp=\"%.19s\">\n", report_text(json_object_get(report, "manifest"), "time"));
    print_properties(report, file);
    json_array_foreach (cases, i, entry)
        print_case(entry, file);
    fputs("  </testsuite>\n</testsuites>\n", file);
    json_decref(cases);
    return ferror(file) ? -1 : 0;
}
