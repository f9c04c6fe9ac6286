/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "vmm/report/event_log.h"
#include "vmm/report/report.h"

json_t *report_manifest(const char *role, int argc, char *const argv[], uint64_t seed)
{
    struct event_log *log = event_log_new(role, -1);
    char **words = calloc((size_t)argc + 1, sizeof(*words));
    json_t *events, *report, *manifest = NULL;

    if (log && words) {
        words[0] = "stopcopy";
        memcpy(words + 1, argv, (size_t)argc * sizeof(*words));
        event_manifest(log, argc + 1, words, seed);
        events = event_log_events(log);
        report = report_build(events);
        manifest = json_incref(json_object_get(report, "manifest"));
        json_decref(report);
        json_decref(events);
    }
    free(words);
    event_log_free(log);
    return manifest;
}
