/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The report as TAP version 14: a test point for each case. */
#include <stdbool.h>
#include <string.h>

#include "vmm/report/builder.h"
#include "vmm/report/cases.h"
#include "vmm/report/report.h"

/* A '#' would begin a directive, and a line's end would end the test point. */
static void print_description(const char *text, FILE *file)
{
    for (; *text; text++) {
        if (*text == '#' || *text == '\\')
            fputc('\\', file);
        fputc(*text == '\n' || *text == '\r' ? ' ' : *text, file);
    }
}

/* JSON's strings are YAML's, too. */
static int print_yaml_string(const char *text, FILE *file)
{
    json_t *string = json_string(text);
    int result = string ? json_dumpf(string, file, JSON_ENCODE_ANY) : -1;

    json_decref(string);
    return result;
}

static int print_case(size_t number, const json_t *entry, FILE *file)
{
    const char *result = report_text(entry, "result"), *text = report_text(entry, "text");
    bool failed = strcmp(result, "fail") == 0;

    fprintf(file, "%sok %zu - ", failed ? "not " : "", number);
    print_description(report_text(entry, "group"), file);
    fputs(": ", file);
    print_description(report_text(entry, "name"), file);
    if (strcmp(result, "skip") == 0) {
        fputs(" # SKIP ", file);
        print_description(text, file);
    }
    fputc('\n', file);
    if (!failed)
        return 0;
    fputs("  ---\n  message: ", file);
    if (print_yaml_string(text, file) < 0)
        return -1;
    fputs("\n  ...\n", file);
    return 0;
}

int report_print_tap(json_t *report, FILE *file)
{
    json_t *cases = report_cases(report), *entry;
    int result = cases ? 0 : -1;
    size_t i;

    fprintf(file, "TAP version 14\n1..%zu\n", json_array_size(cases));
    json_array_foreach (cases, i, entry) {
        if (result == 0)
            result = print_case(i + 1, entry, file);
    }
    json_decref(cases);
    return result < 0 || ferror(file) ? -1 : 0;
}
