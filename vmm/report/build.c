/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "vmm/report/builder.h"
#include "vmm/report/event_form.h"
#include "vmm/report/report.h"

json_int_t report_number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

const char *report_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

bool report_knows(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return value && !json_is_null(value);
}

/* In the order in which they are printed; what is not known yet is null. */
static json_t *new_report(void)
{
    json_t *report = json_pack("{s:s, s:n, s:n, s:n, s:n, s:[], s:[], s:[], s:[], s:[], s:[]}", "format",
                               "stopcopy-report-1", "verdict", "status", "outcome", "outcome_text", "findings",
                               "not_proven", "incomplete_because", "notes", "console", "checks");
    json_t *numbers =
        json_pack("{s:n, s:i, s:n, s:n, s:n, s:n, s:n, s:[], s:[], s:n, s:{}, s:[], s:n, s:n, s:[], s:n}", "expected",
                  "migrations", 0, "downtime_ns", "total_ns", "guest", "ram", "summary", "devices", "phases",
                  "switchover", "facts", "legs", "start_ns", "manifest", "manifests", "baseline");

    if (json_object_update(report, numbers) < 0) {
        json_decref(report);
        report = NULL;
    }
    json_decref(numbers);
    return report;
}

static json_int_t max(json_int_t a, json_int_t b)
{
    return a > b ? a : b;
}

static int add_expect(struct report_builder *builder, json_t *event)
{
    builder->expected = true;
    builder->guest |= json_is_true(json_object_get(event, "guest"));
    builder->migrations = max(builder->migrations, report_number(event, "migrations"));
    builder->devices = max(builder->devices, report_number(event, "devices"));
    return json_object_set_new(builder->report, "expected",
                               json_pack("{s:b, s:I, s:I}", "guest", builder->guest, "migrations", builder->migrations,
                                         "devices", builder->devices));
}

static int add_finding(struct report_builder *builder, json_t *event)
{
    return json_array_append_new(json_object_get(builder->report, "findings"),
                                 json_pack("{s:O, s:O, s:O, s:O, s:O}", "rule", json_object_get(event, "rule"), "text",
                                           json_object_get(event, "text"), "role", json_object_get(event, "role"),
                                           "leg", json_object_get(event, "leg"), "time_ns",
                                           json_object_get(event, "time_ns")));
}

static int add_not_proven(struct report_builder *builder, json_t *event)
{
    json_t *text = json_object_get(event, "text");

    if (json_is_true(json_object_get(event, "about_device")) &&
        json_array_append(json_object_get(builder->report, "incomplete_because"), text) < 0)
        return -1;
    return json_array_append(json_object_get(builder->report, "not_proven"), text);
}

static int add_check(struct report_builder *builder, json_t *event)
{
    return json_array_append_new(json_object_get(builder->report, "checks"),
                                 json_pack("{s:O, s:O, s:O}", "rule", json_object_get(event, "rule"), "result",
                                           json_object_get(event, "result"), "text", json_object_get(event, "text")));
}

static int add_manifest(struct report_builder *builder, json_t *event)
{
    static const char *const members[] = {"role", "version", "kernel", "cpu", "command", "seed", "time"};
    json_t *manifests = json_object_get(builder->report, "manifests");
    json_t *manifest = json_object();

    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        json_object_set(manifest, members[i], json_object_get(event, members[i]));
    if (json_array_size(manifests) == 0)
        json_object_set(builder->report, "manifest", manifest);
    return json_array_append_new(manifests, manifest);
}

/* A destination that never had the guest knows no more than that: whether it runs on the source, the source has said. */
static bool source_knows_better(const struct report_builder *builder, const json_t *event)
{
    json_t *outcome;
    size_t i;

    if (strcmp(report_text(event, "role"), "destination") != 0 || strcmp(report_text(event, "who"), "source") != 0)
        return false;
    json_array_foreach (builder->outcomes, i, outcome)
        if (strcmp(report_text(outcome, "role"), "source") == 0 && report_number(outcome, "status") != 0 &&
            report_number(outcome, "leg") == report_number(event, "leg"))
            return true;
    return false;
}

/* A guest that came to its end has done so, whichever process is lost after it, or is missed after it. */
static bool guest_has_finished(const struct report_builder *builder)
{
    const json_t *last = json_array_get(builder->outcomes, json_array_size(builder->outcomes) - 1);

    return last && strcmp(report_text(last, "who"), "finished") == 0;
}

static int add_outcome(struct report_builder *builder, json_t *event)
{
    if (source_knows_better(builder, event))
        return 0;
    if (guest_has_finished(builder) && strcmp(report_text(event, "who"), "finished") != 0) {
        size_t before = json_array_size(builder->outcomes) - 1;

        return json_array_insert(builder->outcomes, before, event) < 0 ? -1 : report_leg_add(builder, "outcome", event);
    }
    if (json_array_append(builder->outcomes, event) < 0 ||
        json_object_set(builder->report, "outcome", json_object_get(event, "who")) < 0 ||
        json_object_set(builder->report, "outcome_text", json_object_get(event, "text")) < 0)
        return -1;
    return report_leg_add(builder, "outcome", event);
}

static int add_event(struct report_builder *builder, json_t *event)
{
    const char *kind = report_text(event, "kind");

    if (strcmp(kind, "expect") == 0)
        return add_expect(builder, event);
    if (strcmp(kind, "finding") == 0)
        return add_finding(builder, event);
    if (strcmp(kind, "not-proven") == 0)
        return add_not_proven(builder, event);
    if (strcmp(kind, "note") == 0)
        return json_array_append(json_object_get(builder->report, "notes"), json_object_get(event, "text"));
    if (strcmp(kind, "console") == 0)
        return json_array_append(json_object_get(builder->report, "console"), json_object_get(event, "text"));
    if (strcmp(kind, "check") == 0)
        return add_check(builder, event);
    if (strcmp(kind, "manifest") == 0)
        return add_manifest(builder, event);
    if (strcmp(kind, "outcome") == 0)
        return add_outcome(builder, event);
    return report_leg_add(builder, kind, event);
}

/* Finds the number of legs and the first event's time. */
static int survey(struct report_builder *builder, json_t *events)
{
    json_int_t last = 0;
    json_t *event;
    size_t i;

    json_array_foreach (events, i, event) {
        if (report_number(event, "leg") < EVENT_LEGS_MAX)
            last = max(last, report_number(event, "leg"));
    }
    builder->leg_count = (size_t)last + 1;
    builder->leg = calloc(builder->leg_count, sizeof(*builder->leg));
    builder->end = json_array();
    builder->outcomes = json_array();
    builder->report = new_report();
    if (json_array_size(events))
        json_object_set(builder->report, "start_ns", json_object_get(json_array_get(events, 0), "time_ns"));
    return builder->leg && builder->end && builder->outcomes && builder->report ? 0 : -1;
}

static int compare_numbers(const void *first, const void *second)
{
    json_int_t a = *(const json_int_t *)first, b = *(const json_int_t *)second;

    return a < b ? -1 : a > b;
}

/* {median, worst} of the legs that know the number; null where none does. */
static json_t *summarize(const struct report_builder *builder, const char *name)
{
    json_int_t *number = calloc(builder->leg_count, sizeof(*number));
    size_t count = 0;
    json_t *summary;

    for (size_t i = 0; number && i < builder->leg_count; i++) {
        if (report_knows(builder->leg[i].object, name))
            number[count++] = report_number(builder->leg[i].object, name);
    }
    if (count) {
        qsort(number, count, sizeof(*number), compare_numbers);
        summary = json_pack("{s:I, s:I}", "median", (number[(count - 1) / 2] + number[count / 2]) / 2, "worst",
                            number[count - 1]);
    } else {
        summary = json_pack("{s:n, s:n}", "median", "worst");
    }
    free(number);
    return summary;
}

/* The numbers at the top are those of the last leg. Legs are listed where there were migrations. */
static void add_legs(struct report_builder *builder)
{
    static const char *const top[] = {"downtime_ns", "total_ns", "ram", "devices", "phases", "switchover", "facts"};
    const struct report_leg *last = report_last_leg(builder);
    json_int_t migrations = 0;

    for (size_t i = 0; i < builder->leg_count; i++) {
        json_t *leg = builder->leg[i].object;

        if (leg)
            json_object_set_new(leg, "switchover", report_switchover(json_object_get(leg, "phases")));
    }
    for (size_t i = 0; last && i < sizeof(top) / sizeof(top[0]); i++)
        json_object_set(builder->report, top[i], json_object_get(last->object, top[i]));
    for (size_t i = 0; builder->migrations && i < builder->leg_count; i++) {
        if (!builder->leg[i].object)
            continue;
        json_array_append(json_object_get(builder->report, "legs"), builder->leg[i].object);
        migrations += builder->leg[i].succeeded;
    }
    json_object_set_new(builder->report, "migrations", json_integer(migrations));
    json_object_set_new(builder->report, "summary",
                        json_pack("{s:o, s:o}", "downtime_ns", summarize(builder, "downtime_ns"), "blackout_ns",
                                  summarize(builder, "blackout_ns")));
}

static void note_missing_digests(struct report_builder *builder)
{
    json_t *not_proven = json_object_get(builder->report, "not_proven");

    for (size_t i = 0; i < builder->leg_count && builder->migrations; i++) {
        const struct report_leg *leg = &builder->leg[i];

        if (leg->succeeded && report_number(json_object_get(leg->object, "ram"), "pages_verified") == 0) {
            json_array_append_new(not_proven,
                                  json_sprintf("the RAM of migration %zu was not compared page by page", i + 1));
        }
    }
}

static void free_builder(struct report_builder *builder)
{
    for (size_t i = 0; builder->leg && i < builder->leg_count; i++) {
        json_decref(builder->leg[i].object);
        json_decref(builder->leg[i].pause);
    }
    free(builder->leg);
    json_decref(builder->end);
    json_decref(builder->outcomes);
}

/* The same objects are at the top and in the legs; the caller gets a tree that shares nothing. */
static json_t *finish(struct report_builder *builder, int result)
{
    json_t *report = result == 0 ? json_deep_copy(builder->report) : NULL;

    json_decref(builder->report);
    free_builder(builder);
    return report;
}

json_t *report_build(json_t *events)
{
    struct report_builder builder = {.report = NULL};
    int result = survey(&builder, events);
    json_t *event;
    size_t i;

    json_array_foreach (events, i, event) {
        if (result == 0 && event_form_check(event, NULL) == 0)
            result = add_event(&builder, event);
    }
    if (result == 0) {
        report_leg_operations(&builder);
        add_legs(&builder);
        json_object_set_new(builder.report, "guest", report_guest(&builder));
        note_missing_digests(&builder);
        report_judge(&builder);
    }
    return finish(&builder, result);
}

enum verdict report_verdict(json_t *report)
{
    const char *verdict = report_text(report, "verdict");

    if (strcmp(verdict, "pass") == 0)
        return VERDICT_PASS;
    return strcmp(verdict, "fail") == 0 ? VERDICT_FAIL : VERDICT_INCOMPLETE;
}

int report_status(json_t *report)
{
    return report_knows(report, "status") ? (int)report_number(report, "status") : 7;
}
