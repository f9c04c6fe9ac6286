/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the downtime went: the steps between the beginning of the phase "pause" and the end of "resume", by one clock, and
 * which of them the guest waited for. The critical path is found from the end: what was under way then, what was when that
 * began, and so on; time in which no step was under way went to messages and scheduling.
 */
#include <stdlib.h>
#include <string.h>

#include "vmm/report/builder.h"

/* Phases that are nothing but the other end's steps, seen from this one. */
static bool is_waiting(const char *name)
{
    return strcmp(name, "load") == 0 || strcmp(name, "wait-ready") == 0 || strcmp(name, "wait-running") == 0;
}

/* The last phase of that name, NULL where there is none. */
static const json_t *find_phase(const json_t *phases, const char *name)
{
    const json_t *found = NULL;
    json_t *phase;
    size_t i;

    json_array_foreach (phases, i, phase)
        if (strcmp(report_text(phase, "name"), name) == 0)
            found = phase;
    return found;
}

static int compare_steps(const void *first, const void *second)
{
    json_int_t a = report_number(*(json_t *const *)first, "at_ns"),
               b = report_number(*(json_t *const *)second, "at_ns");

    return a < b ? -1 : a > b;
}

/* The steps within [start, end), in order, none of them critical yet. */
static json_t *collect(const json_t *phases, json_int_t start, json_int_t end)
{
    size_t count = 0, i;
    json_t **step = calloc(json_array_size(phases) + 1, sizeof(json_t *));
    json_t *steps = json_array();
    json_t *phase;

    json_array_foreach (phases, i, phase) {
        json_int_t from = report_number(phase, "start_ns"), to = report_number(phase, "end_ns");

        if (!step || from < start || to > end || to < from || is_waiting(report_text(phase, "name")))
            continue;
        step[count] = json_pack("{s:O, s:O, s:I, s:I, s:b}", "name", json_object_get(phase, "name"), "role",
                                json_object_get(phase, "role"), "at_ns", from - start, "ns", to - from, "critical", 0);
        count += step[count] != NULL;
    }
    if (count)
        qsort(step, count, sizeof(*step), compare_steps);
    for (i = 0; i < count; i++)
        json_array_append_new(steps, step[i]);
    free(step);
    return steps;
}

/* What was under way last before an instant; of several the one that began last. *until: how far it counts. */
static json_t *under_way(const json_t *steps, json_int_t instant, json_int_t *until)
{
    json_t *found = NULL, *step;
    size_t i;

    json_array_foreach (steps, i, step) {
        json_int_t at = report_number(step, "at_ns");
        json_int_t end = at + report_number(step, "ns");

        if (end > instant)
            end = instant;
        if (at >= instant || (found && end < *until))
            continue;
        found = step;
        *until = end;
    }
    return found;
}

json_t *report_switchover(const json_t *phases)
{
    const json_t *pause = find_phase(phases, "pause"), *resume = find_phase(phases, "resume");
    json_int_t start = report_number(pause, "start_ns"), end = report_number(resume, "end_ns");
    json_int_t instant = end - start, until = 0, verifying = 0, between = 0;
    json_t *steps, *step;

    if (!pause || !resume || end <= start)
        return json_null();
    steps = collect(phases, start, end);
    while ((step = under_way(steps, instant, &until)) != NULL) {
        json_int_t at = report_number(step, "at_ns");

        between += instant - until;
        if (strncmp(report_text(step, "name"), "verify", 6) == 0)
            verifying += until - at;
        json_object_set_new(step, "critical", json_true());
        instant = at;
    }
    return json_pack("{s:I, s:I, s:I, s:o}", "ns", end - start, "verifying_ns", verifying, "between_ns",
                     between + instant, "steps", steps);
}
