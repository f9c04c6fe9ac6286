/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/campaign/report.h"

#include <stdlib.h>
#include <string.h>

#include "vmm/cmd/cmd.h"
#include "vmm/report/builder.h"

/* Names of the step's files that are there, without the folder. */
static json_t *list_files(const struct campaign *campaign, const struct campaign_step *step)
{
    static const char *const suffixes[] = {".txt", ".json", ".html", ".err", ".hung", ".tar"};
    char path[CAMPAIGN_PATH_MAX];
    json_t *files = json_array();

    for (size_t i = 0; step_is_done(step) && i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        FILE *file;

        campaign_file(campaign, step, suffixes[i], path, sizeof(path));
        file = fopen(path, "re");
        if (!file)
            continue;
        if (fgetc(file) != EOF)
            json_array_append_new(files, json_string(strrchr(path, '/') + 1));
        fclose(file);
    }
    return files;
}

static json_t *known_or_null(const json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);

    return value ? json_incref(value) : json_null();
}

/* The largest stream of a device in any of the migrations; null where there is none. */
static json_t *state_bytes(const json_t *report)
{
    json_int_t most = -1;
    json_t *leg, *device;
    size_t i, j;

    json_array_foreach (json_object_get(report, "legs"), i, leg)
        json_array_foreach (json_object_get(leg, "devices"), j, device)
            if (report_knows(device, "state_bytes") && report_number(device, "state_bytes") > most)
                most = report_number(device, "state_bytes");
    return most < 0 ? json_null() : json_integer(most);
}

static json_t *numbers_of(const struct campaign_step *step)
{
    const json_t *report = step->report, *summary = json_object_get(report, "summary");
    const json_t *downtime = json_object_get(summary, "downtime_ns"),
                 *blackout = json_object_get(summary, "blackout_ns");

    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o}", "migrations", report_number(report, "migrations"),
                     "downtime_median_ns", known_or_null(downtime, "median"), "downtime_worst_ns",
                     known_or_null(downtime, "worst"), "blackout_worst_ns", known_or_null(blackout, "worst"),
                     "ram_bytes", known_or_null(json_object_get(report, "ram"), "bytes"), "state_bytes",
                     state_bytes(report));
}

static json_t *command_of(const struct campaign_step *step)
{
    json_t *command = json_array();

    json_array_append_new(command, json_string("stopcopy"));
    for (size_t i = 0; i < step->words; i++)
        json_array_append_new(command, json_string(step->word[i]));
    return command;
}

static json_t *findings_of(const struct campaign_step *step)
{
    json_t *findings = json_array(), *finding;
    size_t i;

    json_array_foreach (json_object_get(step->report, "findings"), i, finding)
        json_array_append_new(findings, json_pack("{s:s, s:s, s:s}", "rule", report_text(finding, "rule"), "text",
                                                  report_text(finding, "text"), "step", step->name));
    return findings;
}

static json_t *texts_of(const struct campaign_step *step, const char *member)
{
    json_t *texts = json_array(), *text;
    size_t i;

    json_array_foreach (json_object_get(step->report, member), i, text)
        if (json_is_string(text))
            json_array_append(texts, text);
    return texts;
}

json_t *campaign_report_step(const struct campaign *campaign, const struct campaign_step *step)
{
    json_t *object =
        json_pack("{s:s, s:s, s:o, s:s, s:s, s:i, s:s, s:b}", "name", step->name, "text", step->text, "command",
                  command_of(step), "result", step_result_name(step->result), "said", step->said ? step->said : "",
                  "due_status", step->due_status, "due_finding", step->due_finding, "kept", step->kept);
    bool ended = step_is_done(step) && step->end == STEP_END_STATUS;
    /* What is due to be found is no finding of the campaign's. */
    bool due = step->due_status != STATUS_INTACT && step->result == STEP_PASSED;

    json_object_set_new(object, "status", ended ? json_integer(step->end_number) : json_null());
    json_object_set_new(object, "start_ns",
                        step_is_done(step) ? json_integer((json_int_t)step->start_ns) : json_null());
    json_object_set_new(object, "ns", step_is_done(step) ? json_integer((json_int_t)step->ns) : json_null());
    json_object_set_new(object, "numbers", numbers_of(step));
    json_object_set_new(object, "findings", due ? json_array() : findings_of(step));
    json_object_set_new(object, "not_proven", due ? json_array() : texts_of(step, "not_proven"));
    json_object_set_new(object, "files", list_files(campaign, step));
    return object;
}

/* As TAP and JUnit have it. Incomplete is no success there: what was not proven makes no pipeline green. */
static const char *case_result(enum step_result result)
{
    if (result == STEP_PASSED)
        return "pass";
    return result == STEP_SKIPPED || result == STEP_INTERRUPTED || result == STEP_WAITING ? "skip" : "fail";
}

/* The status that a step's failure is for the whole: that of the step, where it says where the guest is. */
static int failure_status(const struct campaign_step *step)
{
    bool guest = step->words && strcmp(step->word[0], "check") != 0 && strcmp(step->word[0], "probe") != 0;

    if (step->result == STEP_HUNG || step->end == STEP_END_SIGNAL)
        return guest ? STATUS_NO_GUEST : STATUS_BROKEN;
    if (step->due_status == STATUS_INTACT && step->end_number >= STATUS_ON_SOURCE && step->end_number <= STATUS_UNKNOWN)
        return step->end_number;
    return STATUS_BROKEN;
}

struct tally {
    const struct campaign_step *failed; /* the first */
    bool cannot_host, cannot_input;
};

static void count_step(json_t *report, const struct campaign_step *step, struct tally *tally)
{
    json_t *reasons = json_object_get(report, "incomplete_because");

    if ((step->result == STEP_FAILED || step->result == STEP_HUNG) && !tally->failed)
        tally->failed = step;
    if (step->result == STEP_CANNOT) {
        tally->cannot_host |= step->end_number == STATUS_CANNOT;
        tally->cannot_input |= step->end_number == STATUS_USAGE;
    }
    if (step->result != STEP_PASSED && step->result != STEP_FAILED && step->result != STEP_HUNG)
        json_array_append_new(reasons,
                              json_sprintf("%s: %s%s", step->name, step->result == STEP_SKIPPED ? "was not run: " : "",
                                           step->said ? step->said : step_result_name(step->result)));
}

static void add_step(const struct campaign *campaign, json_t *report, const struct campaign_step *step)
{
    json_t *object = campaign_report_step(campaign, step), *text;
    json_t *not_proven = json_object_get(report, "not_proven");
    size_t i;

    json_array_append_new(json_object_get(report, "steps"), object);
    json_array_extend(json_object_get(report, "findings"), json_object_get(object, "findings"));
    json_array_foreach (json_object_get(object, "not_proven"), i, text)
        json_array_append_new(not_proven, json_sprintf("%s: %s", step->name, json_string_value(text)));
    /* A failure that no finding explains is one. */
    if ((step->result == STEP_FAILED || step->result == STEP_HUNG) &&
        !json_array_size(json_object_get(object, "findings")))
        json_array_append_new(json_object_get(report, "findings"),
                              json_pack("{s:s, s:s, s:s}", "rule",
                                        step->result == STEP_HUNG ? "step/hung" : "step/failed", "text",
                                        step->said ? step->said : "it left no word", "step", step->name));
    json_array_append_new(json_object_get(report, "checks"),
                          json_pack("{s:s, s:s, s:s, s:I}", "rule", step->name, "result", case_result(step->result),
                                    "text", step->said ? step->said : "", "ns", (json_int_t)step->ns));
}

static void conclude(const struct campaign *campaign, json_t *report, const struct tally *tally)
{
    const char *verdict = "pass";
    int status = STATUS_INTACT;

    json_array_extend(json_object_get(report, "not_proven"), campaign->not_proven);
    json_array_extend(json_object_get(report, "incomplete_because"), campaign->not_proven);
    if (campaign->full)
        json_array_append_new(json_object_get(report, "incomplete_because"),
                              json_string("steps were left out: there are too many, or no memory for them"));
    if (tally->failed) {
        verdict = "fail";
        status = failure_status(tally->failed);
    } else if (json_array_size(json_object_get(report, "incomplete_because")) || !campaign->steps) {
        verdict = "incomplete";
        status = tally->cannot_input ? STATUS_USAGE : tally->cannot_host ? STATUS_CANNOT : STATUS_INCOMPLETE;
    }
    json_object_set_new(report, "verdict", json_string(verdict));
    json_object_set_new(report, "status", json_integer(status));
}

json_t *campaign_report(const struct campaign *campaign)
{
    json_t *report =
        json_pack("{s:s, s:s, s:s, s:n, s:n, s:s, s:[], s:[], s:[], s:[], s:[], s:n}", "format", "stopcopy-campaign-1",
                  "kind", campaign->kind, "subject", campaign->subject, "verdict", "status", "folder", campaign->folder,
                  "steps", "findings", "not_proven", "incomplete_because", "checks", "baseline");
    struct tally tally = {.failed = NULL};
    json_int_t total = 0;

    if (!report)
        return NULL;
    for (size_t i = 0; i < campaign->steps; i++) {
        add_step(campaign, report, &campaign->step[i]);
        count_step(report, &campaign->step[i], &tally);
        total += (json_int_t)campaign->step[i].ns;
    }
    json_object_set_new(report, "total_ns", json_integer(total));
    json_object_set_new(report, "manifest", campaign->manifest ? json_incref(campaign->manifest) : json_null());
    json_object_set_new(report, "device", campaign->device ? json_incref(campaign->device) : json_null());
    conclude(campaign, report, &tally);
    return report;
}
