/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The report for a person. */
#include <string.h>

#include "vmm/proof/workload.h"
#include "vmm/report/baseline.h"
#include "vmm/report/builder.h"
#include "vmm/report/report.h"
#include "vmm/report/units.h"

#define LEGS_LISTED 20 /* of more legs than this the first and the last half are listed */

/* A word as a shell would take it. */
static void print_word(FILE *file, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+,./:@%";

    if (*word && word[strspn(word, plain)] == '\0') {
        fprintf(file, " %s", word);
        return;
    }
    fputs(" '", file);
    for (; *word; word++)
        fputs(*word == '\'' ? "'\\''" : (char[]){*word, '\0'}, file);
    fputc('\'', file);
}

void report_print_command(const json_t *manifest, FILE *file)
{
    json_t *word;
    size_t i;

    json_array_foreach (json_object_get(manifest, "command"), i, word)
        print_word(file, json_string_value(word));
}

static void print_manifest(const json_t *report, FILE *file)
{
    const json_t *manifest = json_object_get(report, "manifest");

    if (!json_is_object(manifest)) {
        fputs("stopcopy, with no word of what ran\n", file);
        return;
    }
    fprintf(file, "stopcopy %s, %s\n  command:", report_text(manifest, "version"), report_text(manifest, "time"));
    report_print_command(manifest, file);
    fprintf(file, "\n  seed:    %s\n  kernel:  %s\n  CPU:     %s\n", report_text(manifest, "seed"),
            report_text(manifest, "kernel"), report_text(manifest, "cpu"));
}

static void print_phases(const json_t *report, FILE *file)
{
    json_int_t start = report_number(report, "start_ns");
    json_t *phase;
    size_t i;

    if (json_array_size(json_object_get(report, "phases")))
        fprintf(file, "\n%-28s %-12s %12s %12s %12s\n", "Phase", "where", "at", "time", "data");
    json_array_foreach (json_object_get(report, "phases"), i, phase) {
        json_int_t at = report_number(phase, "start_ns") - start;
        json_int_t ns = report_number(phase, "end_ns") - report_number(phase, "start_ns");
        char at_text[32], time_text[32], bytes_text[32];

        fprintf(file, "  %-26s %-12s %12s %12s %12s\n", report_text(phase, "name"), report_text(phase, "role"),
                units_time(at < 0 ? 0 : at, at_text), units_time(ns < 0 ? 0 : ns, time_text),
                report_number(phase, "bytes") ? units_bytes(report_number(phase, "bytes"), bytes_text) : "");
    }
}

static double microseconds(const json_t *object, const char *name)
{
    return (double)report_number(object, name) / 1000;
}

static void print_switchover(const json_t *report, FILE *file)
{
    const json_t *switchover = json_object_get(report, "switchover");
    json_t *step;
    size_t i;

    if (!json_is_object(switchover))
        return;
    fprintf(file, "\nDowntime, step by step %18s %12s\n", "at (us)", "time (us)");
    json_array_foreach (json_object_get(switchover, "steps"), i, step)
        fprintf(file, "  %-26s %12.1f %12.1f  %-12s%s\n", report_text(step, "name"), microseconds(step, "at_ns"),
                microseconds(step, "ns"), report_text(step, "role"),
                json_is_true(json_object_get(step, "critical")) ? " critical" : "");
    fprintf(file, "  %-26s %25.1f\n  %-26s %25.1f\n", "messages and scheduling", microseconds(switchover, "between_ns"),
            "in all", microseconds(switchover, "ns"));
    if (report_number(switchover, "verifying_ns"))
        fprintf(file, "  %-26s %25.1f\n", "without verification",
                microseconds(switchover, "ns") - microseconds(switchover, "verifying_ns"));
}

static void print_device(const json_t *device, FILE *file)
{
    char state[32], before[32], after[32], in_flight[32], time[32], arc_text[80];
    json_t *arc;
    size_t i;

    fprintf(file, "\nDevice %lld: %s\n", report_number(device, "index"), report_text(device, "name"));
    fprintf(file, "  state %s; operations: %s before, %s after, %s in flight at the stop\n",
            units_bytes_of(device, "state_bytes", state), units_count_of(device, "ops_before", before),
            units_count_of(device, "ops_after", after), units_count_of(device, "in_flight_at_stop", in_flight));
    json_array_foreach (json_object_get(device, "arcs"), i, arc) {
        snprintf(arc_text, sizeof(arc_text), "%.32s -> %.32s", report_text(arc, "from"), report_text(arc, "to"));
        fprintf(file, "  %-40s %-12s %12s\n", arc_text, report_text(arc, "role"), units_time_of(arc, "ns", time));
    }
}

static void print_leg(const json_t *leg, FILE *file)
{
    char downtime[32], blackout[32], before[32], after[32];

    fprintf(file, "  %9lld %12s %12s %14s %14s\n", report_number(leg, "leg") + 1,
            units_time_of(leg, "downtime_ns", downtime), units_time_of(leg, "blackout_ns", blackout),
            units_count_of(leg, "ops_before", before), units_count_of(leg, "ops_after", after));
}

static void print_legs(const json_t *report, FILE *file)
{
    const json_t *legs = json_object_get(report, "legs"), *summary = json_object_get(report, "summary");
    const json_t *downtime = json_object_get(summary, "downtime_ns"),
                 *blackout = json_object_get(summary, "blackout_ns");
    char text[4][32];
    json_t *leg;
    size_t i;

    if (json_array_size(legs) < 2)
        return;
    fprintf(file, "\nMigration      downtime     blackout     ops before      ops after\n");
    json_array_foreach (legs, i, leg) {
        bool listed = i < LEGS_LISTED / 2 || i + LEGS_LISTED / 2 >= json_array_size(legs);

        if (listed)
            print_leg(leg, file);
        else if (i == LEGS_LISTED / 2)
            fprintf(file, "  ... %zu more, see the JSON report\n", json_array_size(legs) - LEGS_LISTED);
    }
    fprintf(file, "  %9s %12s %12s\n  %9s %12s %12s\n", "median", units_time_of(downtime, "median", text[0]),
            units_time_of(blackout, "median", text[1]), "worst", units_time_of(downtime, "worst", text[2]),
            units_time_of(blackout, "worst", text[3]));
}

static void print_numbers(const json_t *report, FILE *file)
{
    const json_t *guest = json_object_get(report, "guest"), *ram = json_object_get(report, "ram"), *value;
    const char *name;
    char text[4][32];

    if (json_array_size(json_object_get(report, "legs")))
        fprintf(file,
                "\nDowntime %s (source paused to destination running), blackout %s (what the guest saw), total %s\n",
                units_time_of(report, "downtime_ns", text[0]), units_time_of(guest, "blackout_ns", text[1]),
                units_time_of(report, "total_ns", text[2]));
    if (report_knows(ram, "bytes"))
        fprintf(file, "RAM sent: %s in %s pages\n", units_bytes_of(ram, "bytes", text[0]),
                units_count_of(ram, "pages", text[1]));
    json_object_foreach ((json_t *)json_object_get(report, "facts"), name, value)
        fprintf(file, "%s: %lld\n", name, json_integer_value(value));
}

static void print_chain(const json_t *chain, FILE *file)
{
    bool known = report_knows(chain, "digest_expected");
    const char *workload = report_text(chain, "workload");
    char place[64];

    proof_workload_place(proof_workload_named(workload), (unsigned int)report_number(chain, "device"),
                         (unsigned int)report_number(chain, "index"), 2, place, sizeof(place));
    fprintf(file, "  %-8s%-27s", workload, place);
    /* The clock has no digest: the guest judges it, by what must hold of it at each sample. */
    if (strcmp(workload, "clock") == 0) {
        fprintf(file, " %14lld samples, judged by the guest itself\n", report_number(chain, "operations"));
        return;
    }
    fprintf(file, " %14lld operations, %s", report_number(chain, "operations"), report_text(chain, "digest"));
    if (json_is_true(json_object_get(chain, "verified")))
        fputs(", as the model has it\n", file);
    else
        fprintf(file, ", %s %s\n", known ? "WRONG: should be" : "not verified",
                known ? report_text(chain, "digest_expected") : "");
}

/* Of shared RAM there is one copy: its identity is compared, and a digest shows that nobody wrote to it meanwhile. */
static void print_ram_verified(const json_t *report, FILE *file)
{
    const json_t *ram = json_object_get(report, "ram");
    json_int_t shared = report_number(json_object_get(report, "facts"), "ram.shared_ranges");
    json_int_t verified = report_number(ram, "pages_verified");

    if (shared)
        fprintf(file, "RAM: %lld memfd%s shared, the same on both sides by st_dev and st_ino\n", shared,
                shared > 1 ? "s" : "");
    if (verified && shared)
        fprintf(file, "RAM: nobody wrote to %lld pages between the stop and the start, by digest\n", verified);
    else if (verified)
        fprintf(file, "RAM: %lld pages are the same on both sides, by digest\n", verified);
}

static void print_verified(const json_t *report, FILE *file)
{
    const json_t *chains = json_object_get(json_object_get(report, "guest"), "chains");
    const json_t *ram = json_object_get(report, "ram");
    size_t passed = 0, i;
    json_t *entry;

    if (json_array_size(chains))
        fprintf(file, "\nThe guest's work at the %s\n", report_text(json_array_get(chains, 0), "at"));
    json_array_foreach (chains, i, entry)
        print_chain(entry, file);
    print_ram_verified(report, file);
    if (report_number(ram, "pages_unverified"))
        fprintf(file, "RAM: %lld pages could not be compared\n", report_number(ram, "pages_unverified"));
    json_array_foreach (json_object_get(report, "checks"), i, entry) {
        fprintf(file, "%s  %-6s %s%s%s\n", i == 0 ? "\nRules\n" : "", report_text(entry, "result"),
                report_text(entry, "rule"), *report_text(entry, "text") ? ": " : "", report_text(entry, "text"));
        passed += strcmp(report_text(entry, "result"), "pass") == 0;
    }
    if (i)
        fprintf(file, "%zu of %zu rules held\n", passed, i);
}

static void print_texts(const json_t *texts, const char *head, FILE *file)
{
    json_t *text;
    size_t i;

    json_array_foreach (texts, i, text)
        fprintf(file, "%s%s  - %s\n", i == 0 ? head : "", i == 0 ? "\n" : "", json_string_value(text));
}

static void print_findings(const json_t *report, FILE *file)
{
    json_t *finding;
    size_t i;

    json_array_foreach (json_object_get(report, "findings"), i, finding) {
        fprintf(file, "%s  - %s (%s", i == 0 ? "\nFindings\n" : "", report_text(finding, "rule"),
                report_text(finding, "role"));
        if (json_array_size(json_object_get(report, "legs")) > 1)
            fprintf(file, ", migration %lld", report_number(finding, "leg") + 1);
        fprintf(file, ")\n    %s\n", report_text(finding, "text"));
    }
}

static void print_more(size_t count, FILE *file)
{
    if (count > 1)
        fprintf(file, " (and %zu more)", count - 1);
}

static void print_fail(const json_t *report, FILE *file)
{
    const json_t *findings = json_object_get(report, "findings"), *first = json_array_get(findings, 0);

    if (first) {
        fprintf(file, "FAIL: %s: %s", report_text(first, "rule"), report_text(first, "text"));
        print_more(json_array_size(findings), file);
    } else {
        fprintf(file, "FAIL: %s",
                *report_text(report, "outcome_text") ? report_text(report, "outcome_text") : "the migration failed");
    }
}

static void print_pass(const json_t *report, FILE *file)
{
    const json_t *chains = json_object_get(json_object_get(report, "guest"), "chains");
    json_int_t migrations = report_number(report, "migrations");
    char text[32];

    fputs("PASS: ", file);
    if (migrations)
        fprintf(file, "%lld migration%s, downtime %s%s; ", migrations, migrations > 1 ? "s" : "",
                migrations > 1 ? "at worst " : "",
                units_time_of(json_object_get(json_object_get(report, "summary"), "downtime_ns"), "worst", text));
    if (json_array_size(chains))
        fprintf(file, "the guest's work is intact in %zu chains", json_array_size(chains));
    else
        fputs("every rule that was tried held", file);
}

void report_print_verdict(const json_t *report, FILE *file)
{
    const json_t *reasons = json_object_get(report, "incomplete_because");

    if (strcmp(report_text(report, "verdict"), "fail") == 0) {
        print_fail(report, file);
    } else if (strcmp(report_text(report, "verdict"), "pass") == 0) {
        print_pass(report, file);
    } else {
        const char *first = json_string_value(json_array_get(reasons, 0));

        fprintf(file, "INCOMPLETE: %s", first ? first : "there is no report");
        print_more(json_array_size(reasons), file);
    }
}

int report_print_text(json_t *report, FILE *file)
{
    json_t *device;
    size_t i;

    print_manifest(report, file);
    print_legs(report, file);
    print_phases(report, file);
    print_switchover(report, file);
    json_array_foreach (json_object_get(report, "devices"), i, device)
        print_device(device, file);
    print_numbers(report, file);
    print_verified(report, file);
    print_texts(json_object_get(report, "notes"), "\nNotes", file);
    print_texts(json_object_get(report, "not_proven"), "\nNot proven", file);
    print_findings(report, file);
    baseline_print_text(report, file);
    if (*report_text(report, "outcome"))
        fprintf(file, "\nOutcome: %s: %s\n", report_text(report, "outcome"), report_text(report, "outcome_text"));
    fputc('\n', file);
    report_print_verdict(report, file);
    fputc('\n', file);
    return ferror(file) ? -1 : 0;
}
