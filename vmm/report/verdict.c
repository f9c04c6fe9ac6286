/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verdict. Any finding is a failure; without one, each rule below gives the reasons why the evidence does not make
 * a pass, and one reason is enough for incomplete.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "vmm/proof/workload.h"
#include "vmm/report/builder.h"

enum {
    STATUS_INTACT = 0,
    STATUS_BROKEN = 1,
    STATUS_USAGE = 2,
    STATUS_ON_SOURCE = 3,
    STATUS_ON_SOURCE_LOSS = 4,
    STATUS_NO_GUEST = 5,
    STATUS_UNKNOWN = 6,
    STATUS_INCOMPLETE = 7,
    STATUS_HOST_CANNOT = 77,
};

static void reason(struct report_builder *builder, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void reason(struct report_builder *builder, const char *format, ...)
{
    va_list arguments;
    char text[512];

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    json_array_append_new(json_object_get(builder->report, "incomplete_because"), json_string(text));
    json_array_append_new(json_object_get(builder->report, "not_proven"), json_string(text));
}

const char *report_name_chain(const json_t *chain, char name[static 96])
{
    const char *workload = report_text(chain, "workload");
    char place[64];

    proof_workload_place(proof_workload_named(workload), (unsigned int)report_number(chain, "device"),
                         (unsigned int)report_number(chain, "index"), 0, place, sizeof(place));
    snprintf(name, 96, "%.28s, %s", workload, place);
    return name;
}

static void need_expectation(struct report_builder *builder)
{
    if (!builder->expected)
        reason(builder, "the log does not say what there was to be shown");
}

static void need_finished_guest(struct report_builder *builder)
{
    const json_t *last = json_array_get(builder->outcomes, json_array_size(builder->outcomes) - 1);

    if (!builder->guest)
        return;
    if (!last)
        reason(builder, "nothing says who runs the guest");
    else if (strcmp(report_text(last, "who"), "finished") != 0)
        reason(builder, "nothing says that the guest finished: the last word is \"%s\"", report_text(last, "who"));
}

static void need_migrations(struct report_builder *builder)
{
    for (json_int_t i = 0; i < builder->migrations; i++) {
        const struct report_leg *leg = (size_t)i < builder->leg_count ? &builder->leg[i] : NULL;

        if (!leg || !leg->succeeded) {
            reason(builder, "nothing says that the guest went over in migration %lld", i + 1);
            return; /* once is enough: there may be a thousand */
        }
        if (!report_knows(leg->object, "downtime_ns"))
            reason(builder, "the downtime of migration %lld was not measured", i + 1);
    }
}

/* Chain by chain: there is none that is not right, and one at least that has a digest and did something. */
static void need_right_chains(struct report_builder *builder, const json_t *chains, const char *when)
{
    bool any = false;
    char name[96];
    json_t *chain;
    size_t i;

    json_array_foreach (chains, i, chain) {
        if (!report_knows(chain, "expected"))
            reason(builder, "the digest of %s was not verified %s", report_name_chain(chain, name), when);
        any |= report_chain_has_digest(chain) && report_number(chain, "operations") > 0;
    }
    if (!any)
        reason(builder, "no work of the guest was verified %s", when);
}

static void need_right_chains_at_pauses(struct report_builder *builder)
{
    for (json_int_t i = 0; builder->guest && i < builder->migrations; i++) {
        bool exists = (size_t)i < builder->leg_count && builder->leg[i].object;
        char when[64];

        snprintf(when, sizeof(when), "at the pause of migration %lld", i + 1);
        need_right_chains(builder, exists ? builder->leg[i].pause : NULL, when);
        if (!exists)
            return;
    }
}

static void need_right_chains_at_end(struct report_builder *builder)
{
    if (builder->guest)
        need_right_chains(builder, builder->end, "at the end");
    if (builder->too_many_chains)
        reason(builder, "the log has more chains of one instant than a guest can have");
}

static void need_same_chains(struct report_builder *builder, const json_t *some, const json_t *others, const char *when)
{
    char name[96];
    json_t *chain;
    size_t i;

    json_array_foreach (some, i, chain) {
        if (!report_find_chain(others, chain))
            reason(builder, "%s is missing %s", report_name_chain(chain, name), when);
    }
}

static void need_the_same_chains_always(struct report_builder *builder)
{
    for (json_int_t i = 0; builder->guest && i < builder->migrations && (size_t)i < builder->leg_count; i++) {
        char when[64];

        if (!builder->leg[i].object)
            continue;
        snprintf(when, sizeof(when), "at the pause of migration %lld", i + 1);
        need_same_chains(builder, builder->end, builder->leg[i].pause, when);
        need_same_chains(builder, builder->leg[i].pause, builder->end, "at the end");
    }
}

/* Every chain that has a digest did operations before the first migration and after the last. */
static void need_work_before_and_after(struct report_builder *builder)
{
    const struct report_leg *first = builder->leg;
    const struct report_leg *last = builder->migrations && (size_t)builder->migrations <= builder->leg_count
                                        ? &builder->leg[builder->migrations - 1]
                                        : NULL;
    char name[96];
    json_t *chain;
    size_t i;

    if (!builder->guest || !last)
        return;
    json_array_foreach (builder->end, i, chain) {
        const json_t *before = report_find_chain(first->pause, chain), *paused = report_find_chain(last->pause, chain);

        if (!report_chain_has_digest(chain) || !before || !paused)
            continue;
        if (report_number(before, "operations") == 0)
            reason(builder, "%s: no operation before the migration", report_name_chain(chain, name));
        if (report_number(chain, "operations") <= report_number(paused, "operations"))
            reason(builder, "%s: no operation after the migration", report_name_chain(chain, name));
    }
}

struct device_work {
    bool known;
    json_int_t before;    /* of all legs */
    json_int_t after;     /* of all legs */
    json_int_t last;      /* after the last migration */
    json_int_t in_flight; /* of all legs */
};

static json_int_t add_up(json_int_t a, json_int_t b)
{
    json_int_t sum;

    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static struct device_work device_work(const struct report_builder *builder, json_int_t index)
{
    struct device_work work = {.known = false};

    for (size_t i = 0; i < builder->leg_count; i++) {
        const json_t *device = builder->leg[i].object ? report_leg_device(&builder->leg[i], index) : NULL;

        if (!device)
            continue;
        work.known |= report_knows(device, "ops_before") || report_knows(device, "ops_after");
        work.before = add_up(work.before, report_number(device, "ops_before"));
        work.after = add_up(work.after, report_number(device, "ops_after"));
        work.in_flight = add_up(work.in_flight, report_number(device, "in_flight_at_stop"));
        if (builder->migrations && i == (size_t)builder->migrations - 1)
            work.last = report_number(device, "ops_after");
    }
    return work;
}

static void need_device(struct report_builder *builder, json_int_t index)
{
    struct device_work work = device_work(builder, index);

    if (!work.known)
        reason(builder, "nothing is known of the work of device %lld", index);
    else if (work.before == 0 && work.after == 0)
        reason(builder, "device %lld was never used: it did no operation", index);
    else if (builder->migrations && work.before == 0)
        reason(builder, "device %lld did no operation before the migration", index);
    else if (builder->migrations && work.last == 0)
        reason(builder, "device %lld did no operation after the migration", index);
    else if (builder->migrations && work.in_flight == 0)
        reason(builder, "device %lld had no operation in flight at any stop", index);
}

static void need_devices_at_work(struct report_builder *builder)
{
    for (json_int_t i = 0; builder->guest && i < builder->devices; i++) {
        need_device(builder, i);
        if (i == 255)
            return; /* there are no more device numbers */
    }
}

static void need_checks(struct report_builder *builder)
{
    bool any = false;
    json_t *check;
    size_t i;

    json_array_foreach (json_object_get(builder->report, "checks"), i, check) {
        any |= strcmp(report_text(check, "result"), "pass") == 0;
        if (strcmp(report_text(check, "result"), "skip") == 0)
            json_array_append_new(
                json_object_get(builder->report, "not_proven"),
                json_sprintf("%s was not tried: %s", report_text(check, "rule"), report_text(check, "text")));
    }
    if (builder->expected && !builder->guest && !any)
        reason(builder, "no rule was tried that held");
}

static void (*const rules[])(struct report_builder *builder) = {
    need_expectation,
    need_finished_guest,
    need_migrations,
    need_right_chains_at_pauses,
    need_right_chains_at_end,
    need_the_same_chains_always,
    need_work_before_and_after,
    need_devices_at_work,
    need_checks,
};

static void add_finding(struct report_builder *builder, json_t *rule, json_t *text, const json_t *event)
{
    json_array_append_new(json_object_get(builder->report, "findings"),
                          json_pack("{s:o, s:o, s:O, s:O}", "rule", rule, "text", text, "role",
                                    json_object_get(event, "role"), "leg", json_object_get(event, "leg")));
}

static void find_wrong_chains(struct report_builder *builder, const json_t *chains, const char *rule)
{
    char name[96];
    json_t *chain;
    size_t i;

    json_array_foreach (chains, i, chain) {
        if (report_knows(chain, "expected") && !report_chain_is_right(chain))
            add_finding(builder, json_string(rule),
                        json_sprintf("%s: the digest is %s and should be %s", report_name_chain(chain, name),
                                     report_text(chain, "digest"), report_text(chain, "expected")),
                        chain);
    }
}

/* What is wrong by the log's own evidence is a finding, whether or not somebody said so. */
static void add_missing_findings(struct report_builder *builder)
{
    json_t *findings = json_object_get(builder->report, "findings");
    json_t *check, *nowhere;
    size_t i;

    for (size_t leg = 0; leg < builder->leg_count && !json_array_size(findings); leg++)
        find_wrong_chains(builder, builder->leg[leg].pause, leg ? "proof/digest-after" : "proof/digest-before");
    if (!json_array_size(findings))
        find_wrong_chains(builder, builder->end, builder->migrations ? "proof/digest-after" : "proof/digest");
    if (json_array_size(findings))
        return;
    nowhere = json_pack("{s:s, s:i}", "role", "check", "leg", 0);
    json_array_foreach (json_object_get(builder->report, "checks"), i, check) {
        if (strcmp(report_text(check, "result"), "fail") == 0)
            add_finding(builder, json_incref(json_object_get(check, "rule")),
                        json_incref(json_object_get(check, "text")), nowhere);
    }
    json_decref(nowhere);
}

/* The status of the last outcome that was not intact, and its text in the report, so that a failure is not forgotten
 * over a later success. */
static int outcome_status(const struct report_builder *builder)
{
    json_int_t status = STATUS_INTACT;
    json_t *outcome;
    size_t i;

    json_array_foreach (builder->outcomes, i, outcome) {
        if (report_number(outcome, "status") == STATUS_INTACT)
            continue;
        status = report_number(outcome, "status");
        json_object_set(builder->report, "outcome_text", json_object_get(outcome, "text"));
    }
    return (int)(status > 255 ? 255 : status);
}

static bool guest_is_intact(const struct report_builder *builder)
{
    json_t *finding;
    size_t i;

    json_array_foreach (json_object_get(builder->report, "findings"), i, finding) {
        const char *rule = report_text(finding, "rule");

        if (strncmp(rule, "proof/", 6) == 0 || strncmp(rule, "guest/", 6) == 0)
            return false;
    }
    return true;
}

/* Where a migration failed the status says where the guest is; "intact" it is only without a finding against it. */
static int failure_status(const struct report_builder *builder, int outcome)
{
    if (outcome == STATUS_ON_SOURCE || outcome == STATUS_ON_SOURCE_LOSS)
        return guest_is_intact(builder) ? outcome : STATUS_BROKEN;
    if (outcome == STATUS_NO_GUEST || outcome == STATUS_UNKNOWN)
        return outcome;
    return STATUS_BROKEN;
}

static bool is_failure(int outcome)
{
    return outcome != STATUS_INTACT && outcome != STATUS_USAGE && outcome != STATUS_INCOMPLETE &&
           outcome != STATUS_HOST_CANNOT;
}

void report_judge(struct report_builder *builder)
{
    json_t *findings = json_object_get(builder->report, "findings");
    json_t *reasons = json_object_get(builder->report, "incomplete_because");
    int outcome = outcome_status(builder);
    const char *verdict = "pass";
    int status = STATUS_INTACT;

    add_missing_findings(builder);
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        rules[i](builder);
    if (!is_failure(outcome) && outcome != STATUS_INTACT)
        reason(builder, "%s", report_text(builder->report, "outcome_text"));
    if (json_array_size(findings) || is_failure(outcome)) {
        verdict = "fail";
        status = failure_status(builder, outcome);
    } else if (json_array_size(reasons)) {
        verdict = "incomplete";
        status = outcome == STATUS_USAGE || outcome == STATUS_HOST_CANNOT ? outcome : STATUS_INCOMPLETE;
    }
    json_object_set_new(builder->report, "verdict", json_string(verdict));
    json_object_set_new(builder->report, "status", json_integer(status));
}
