/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The report of a check for a person. */
#include <inttypes.h>
#include <string.h>

#include "vmm/check/print.h"
#include "vmm/cmd/cmd.h"

#define WIDTH 100

const char *check_entry_word(const struct check_entry *entry)
{
    switch (entry->result.outcome) {
    case CHECK_OK:
        return "ok";
    case CHECK_BROKEN:
        if (entry->known)
            return "known";
        return entry->level == CHECK_MUST ? "FAIL" : entry->level == CHECK_SHOULD ? "should" : "observed";
    default:
        return "skip";
    }
}

/* Words of text, in lines that begin with indent. */
static void print_wrapped(const char *first, const char *indent, const char *text, FILE *file)
{
    size_t column = strlen(first);

    fputs(first, file);
    while (*text) {
        size_t length = strcspn(text, " ");

        if (column + length > WIDTH) {
            fprintf(file, "\n%s", indent);
            column = strlen(indent);
        }
        fprintf(file, "%.*s", (int)length, text);
        column += length;
        text += length;
        if (*text == ' ') {
            text++;
            fputc(' ', file);
            column++;
        }
    }
    fputc('\n', file);
}

void check_print_line(const struct check_entry *entry, FILE *file)
{
    const struct check_result *result = &entry->result;

    fprintf(file, "%-8s  %s", check_entry_word(entry), entry->rule->name);
    if (result->outcome == CHECK_NOT_APPLICABLE || result->outcome == CHECK_NOT_TRIED)
        fprintf(file, ": %s", result->reason);
    else if (result->tried < result->possible)
        fprintf(file, " (%" PRIu64 " of %" PRIu64 " cases)", result->tried, result->possible);
    fputc('\n', file);
}

static void print_finding(const struct check_entry *entry, FILE *file)
{
    const struct check_result *result = &entry->result;

    fprintf(file, "\n%s  %s (%s)\n", check_entry_word(entry), entry->rule->name, check_level_name(entry->level));
    if (entry->known && *entry->known)
        print_wrapped("  accepted: ", "            ", entry->known, file);
    for (size_t i = 0; i < result->finding_count; i++) {
        print_wrapped("  expected: ", "            ", result->finding[i].expected, file);
        print_wrapped("  seen:     ", "            ", result->finding[i].seen, file);
    }
    if (result->findings_more)
        fprintf(file, "  and %zu more of the kind\n", result->findings_more);
    print_wrapped("  why:      ", "            ", entry->rule->basis, file);
    print_wrapped("  usually:  ", "            ", entry->rule->causes, file);
    if (entry->rule->field)
        print_wrapped("  met as:   ", "            ", entry->rule->field, file);
}

static void print_notes(const struct check_run *run, FILE *file)
{
    bool any = false;

    for (size_t i = 0; i < run->count; i++) {
        const struct check_result *result = &run->entry[i].result;

        for (size_t j = 0; j < result->note_count; j++) {
            fputs(any ? "" : "\nNotes:\n", file);
            any = true;
            fprintf(file, "  %s: %s\n", run->entry[i].rule->name, result->note[j]);
        }
    }
}

struct counts {
    unsigned int ok, broken, other, known, skipped, not_tried;
};

static struct counts count_entries(const struct check_run *run)
{
    struct counts counts = {0};

    for (size_t i = 0; i < run->count; i++) {
        const struct check_entry *entry = &run->entry[i];

        if (entry->result.outcome == CHECK_OK)
            counts.ok++;
        else if (entry->result.outcome != CHECK_BROKEN)
            counts.skipped++;
        else if (entry->known)
            counts.known++;
        else if (entry->level == CHECK_MUST)
            counts.broken++;
        else
            counts.other++;
        counts.not_tried += check_entry_is_incomplete(entry);
    }
    return counts;
}

static void print_verdict(const struct check_run *run, FILE *file)
{
    struct counts counts = count_entries(run);
    int status = check_run_status(run);

    fprintf(file, "\n%s: %u rules held, %u skipped",
            status == STATUS_BROKEN       ? "FAIL"
            : status == STATUS_INCOMPLETE ? "INCOMPLETE"
                                          : "PASS",
            counts.ok, counts.skipped);
    if (counts.broken)
        fprintf(file, ", %u broken", counts.broken);
    if (counts.other)
        fprintf(file, ", %u findings that break no must", counts.other);
    if (counts.known)
        fprintf(file, ", %u known", counts.known);
    if (counts.not_tried)
        fprintf(file, ", %u that could not be tried", counts.not_tried);
    fprintf(file, "; %.1f s, seed 0x%" PRIx64 "\n", (double)run->ns / 1e9, run->seed);
}

int check_print_conclusion(const struct check_run *run, FILE *file)
{
    for (size_t i = 0; i < run->count; i++)
        if (run->entry[i].result.outcome == CHECK_BROKEN)
            print_finding(&run->entry[i], file);
    print_notes(run, file);
    if (run->unusable[0])
        print_wrapped("\nThe device is ", "  ", run->unusable, file);
    print_verdict(run, file);
    return ferror(file) ? -1 : 0;
}

int check_print_text(const struct check_run *run, FILE *file)
{
    for (size_t i = 0; i < run->count; i++)
        check_print_line(&run->entry[i], file);
    return check_print_conclusion(run, file);
}
