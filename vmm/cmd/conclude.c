/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cmd/conclude.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/proof/judge.h"
#include "vmm/report/baseline.h"

/* For the models to catch up with the guest between two of its stops. */
#define JUDGE_BUDGET_NS 600000000000u

void log_manifest(struct event_log *log, int argc, char **argv, uint64_t seed)
{
    char **words = calloc((size_t)argc + 2, sizeof(*words));

    if (!words)
        return;
    words[0] = "stopcopy";
    memcpy(words + 1, argv, (size_t)argc * sizeof(*words));
    event_manifest(log, argc + 1, words, seed);
    free(words);
}

int keep_begin(struct options *options, struct kernel_log *kernel_log, struct error *error)
{
    if (keep_open(&options->keep, kernel_log, error) < 0)
        return -1;
    if (!options->keep.file || options->uapi_log)
        return 0;
    options->uapi_log = options->keep.file;
    options->uapi_log_fd = keep_uapi_log(&options->keep, error);
    return options->uapi_log_fd < 0 ? -1 : 0;
}

/* Feeds every snapshot to the judge, in order. */
static int judge_all(struct proof_judge *judge, struct snapshot_store *store, struct proof_snapshot *snapshot,
                     struct error *error)
{
    bool end = false;
    int found = 1;

    for (unsigned int index = 0; !end; index++) {
        found = snapshot_store_get(store, index, &end, snapshot, error);
        if (found <= 0)
            break;
        if (end ? proof_judge_end(judge, snapshot, error) < 0 : proof_judge_pause(judge, snapshot, error) < 0)
            return -1;
    }
    return found < 0 ? -1 : 0;
}

static int judge_run(struct event_log *log, struct snapshot_store *store, struct error *error)
{
    struct proof_snapshot *snapshot = malloc(sizeof(*snapshot));
    struct proof_judge *judge = NULL;
    struct proof_plan plan;
    int result = -1;
    int found = snapshot_store_get_plan(store, &plan, error);

    if (!snapshot) {
        error_set(error, ENOMEM, "judging the guest's work");
        goto out;
    }
    /* Without a plan no guest came to run here, and there is nothing to judge. */
    if (found == 0)
        result = 0;
    if (found <= 0)
        goto out;
    judge = proof_judge_new(&plan, log, JUDGE_BUDGET_NS, error);
    if (!judge)
        goto out;
    result = judge_all(judge, store, snapshot, error);
out:
    proof_judge_free(judge);
    free(snapshot);
    return result;
}

static void show_console(json_t *events)
{
    json_t *event;
    size_t index;

    json_array_foreach (events, index, event) {
        const char *kind = json_string_value(json_object_get(event, "kind"));
        const char *text = json_string_value(json_object_get(event, "text"));

        if (kind && text && !strcmp(kind, "console"))
            fprintf(stderr, "guest: %s\n", text);
    }
}

enum status conclude(const struct options *options, struct event_log *log, struct snapshot_store *store,
                     struct report_writer *writer, enum status status)
{
    struct error error = ERROR_INIT;
    json_t *events, *report;

    /* Where nothing could be started the line on standard error says it all. */
    if (status == STATUS_USAGE || status == STATUS_CANNOT)
        return status;
    if (judge_run(log, store, &error) < 0) {
        event_not_proven(log, true, "the guest's work was not judged: %s", error.text);
        fprintf(stderr, "stopcopy: %s\n", error.text);
    }
    events = event_log_events(log);
    report = report_build(events);
    if (!report) {
        fprintf(stderr, "stopcopy: no memory for the report\n");
        json_decref(events);
        return status ? status : STATUS_INCOMPLETE;
    }
    if (options->baseline_report && baseline_add(report, options->baseline_report, options->baseline, &error) < 0) {
        fprintf(stderr, "stopcopy: %s\n", error.text);
        status = status ? status : STATUS_USAGE;
    }
    if (options->console)
        show_console(events);
    if (keep_save(&options->keep, report, events, &error) < 0)
        fprintf(stderr, "stopcopy: %s\n", error.text);
    for (size_t i = 0; i < options->report_count; i++) {
        if (report_writer_write(writer, options, i, report, &error) == 0)
            continue;
        fprintf(stderr, "stopcopy: %s\n", error.text);
        status = status ? status : STATUS_USAGE;
    }
    /* That the guest runs on the source says nothing yet of its work. */
    if (status == STATUS_INTACT ||
        ((status == STATUS_ON_SOURCE || status == STATUS_LOSS) && report_status(report) == STATUS_BROKEN))
        status = (enum status)report_status(report);
    json_decref(report);
    json_decref(events);
    return status;
}
