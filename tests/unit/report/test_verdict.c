/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sample is a pass; each test takes away or changes one piece of its evidence. */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <string.h>

#include "tests/unit/report/sample.h"
#include "vmm/report/event_log.h"
#include "vmm/report/report.h"

static json_t *events;

static void set_up(void)
{
    events = sample_events();
}

static void tear_down(void)
{
    json_decref(events);
}

TestSuite(verdict, .init = set_up, .fini = tear_down);

static bool has(json_t *event, const char *name, const char *text)
{
    const char *value = json_string_value(json_object_get(event, name));

    return value && strcmp(value, text) == 0;
}

/* The n-th event of a kind of a leg (-1: any) whose member name has the text (NULL: any). */
static json_t *find(const char *kind, int leg, const char *name, const char *text, size_t *at)
{
    json_t *event;
    size_t i;

    json_array_foreach (events, i, event) {
        if (!has(event, "kind", kind) || (leg >= 0 && json_integer_value(json_object_get(event, "leg")) != leg) ||
            (name && !has(event, name, text)))
            continue;
        if (at)
            *at = i;
        return event;
    }
    return NULL;
}

static void take_out(const char *kind, int leg, const char *name, const char *text)
{
    size_t at;

    cr_assert(find(kind, leg, name, text, &at));
    while (find(kind, leg, name, text, &at))
        json_array_remove(events, at);
}

static void add(void (*emit)(struct event_log *log))
{
    struct event_log *log = event_log_new("test", -1);
    json_t *more;

    emit(log);
    more = event_log_events(log);
    json_array_extend(events, more);
    json_decref(more);
    event_log_free(log);
}

static bool any_contains(json_t *texts, const char *words)
{
    json_t *text;
    size_t i;

    json_array_foreach (texts, i, text) {
        if (strstr(json_string_value(text), words))
            return true;
    }
    return false;
}

static void expect_incomplete(const char *words)
{
    json_t *report = report_build(events);
    json_t *reasons = json_object_get(report, "incomplete_because");
    char *dump = json_dumps(reasons, 0);

    cr_expect_eq(report_verdict(report), VERDICT_INCOMPLETE);
    cr_expect_eq(report_status(report), 7);
    cr_expect(any_contains(reasons, words), "%s has not \"%s\"", dump, words);
    cr_expect(any_contains(json_object_get(report, "not_proven"), words));
    free(dump);
    json_decref(report);
}

static void expect_fail(int status, const char *rule)
{
    json_t *report = report_build(events);
    json_t *first = json_array_get(json_object_get(report, "findings"), 0);

    cr_expect_eq(report_verdict(report), VERDICT_FAIL);
    cr_expect_eq(report_status(report), status, "status %d", report_status(report));
    if (rule)
        cr_expect(has(first, "rule", rule), "%s", json_string_value(json_object_get(first, "rule")));
    else
        cr_expect_null(first);
    json_decref(report);
}

static void expect_pass(void)
{
    json_t *report = report_build(events);
    char *dump = json_dumps(json_object_get(report, "incomplete_because"), 0);

    cr_expect_eq(report_verdict(report), VERDICT_PASS, "%s", dump);
    cr_expect_eq(report_status(report), 0);
    free(dump);
    json_decref(report);
}

Test(verdict, the_sample_is_a_pass)
{
    expect_pass();
}

static void emit_finding(struct event_log *log)
{
    event_finding(log, "device/arc", "refused");
}

Test(verdict, a_finding_is_a_failure)
{
    add(emit_finding);
    expect_fail(1, "device/arc");
}

static void emit_not_proven(struct event_log *log)
{
    event_not_proven(log, true, "the device was idle");
}

static void emit_not_proven_elsewhere(struct event_log *log)
{
    event_not_proven(log, false, "the kernel log cannot be read");
}

Test(verdict, what_is_not_proven_of_the_device_is_incomplete)
{
    add(emit_not_proven);
    expect_incomplete("the device was idle");
}

Test(verdict, what_is_not_proven_elsewhere_is_said)
{
    json_t *report;

    add(emit_not_proven_elsewhere);
    expect_pass();
    report = report_build(events);
    cr_expect(any_contains(json_object_get(report, "not_proven"), "the kernel log cannot be read"));
    json_decref(report);
}

Test(verdict, a_finding_weighs_more_than_what_is_missing)
{
    add(emit_not_proven);
    add(emit_finding);
    expect_fail(1, "device/arc");
}

Test(verdict, an_empty_log_is_no_pass)
{
    json_array_clear(events);
    expect_incomplete("does not say what there was to be shown");
    cr_expect_eq(report_verdict(NULL), VERDICT_INCOMPLETE);
    cr_expect_eq(report_status(NULL), 7);
}

Test(verdict, needs_to_know_what_was_to_be_shown)
{
    take_out("expect", -1, NULL, NULL);
    expect_incomplete("does not say what there was to be shown");
}

Test(verdict, needs_an_outcome)
{
    take_out("outcome", -1, NULL, NULL);
    expect_incomplete("nothing says who runs the guest");
}

Test(verdict, needs_a_guest_that_finished)
{
    take_out("outcome", -1, "who", "finished");
    expect_incomplete("nothing says that the guest finished");
}

Test(verdict, needs_every_migration_to_have_gone_over)
{
    take_out("outcome", 0, NULL, NULL);
    expect_incomplete("went over in migration 1");
}

Test(verdict, needs_as_many_migrations_as_asked_for)
{
    json_object_set_new(find("expect", -1, NULL, NULL, NULL), "migrations", json_integer(3));
    expect_incomplete("went over in migration 3");
}

Test(verdict, needs_a_downtime)
{
    take_out("fact", 1, "name", "downtime_ns");
    expect_incomplete("the downtime of migration 2 was not measured");
}

Test(verdict, needs_chains_at_every_pause)
{
    take_out("chain", 0, "when", "pause");
    expect_incomplete("no work of the guest was verified at the pause of migration 1");
}

Test(verdict, needs_chains_at_the_end)
{
    take_out("chain", 1, "when", "end");
    expect_incomplete("no work of the guest was verified at the end");
}

Test(verdict, needs_every_chain_verified)
{
    json_object_del(find("chain", 1, "when", "end", NULL), "expected");
    expect_incomplete("the digest of cpu, vCPU 0 was not verified at the end");
}

Test(verdict, needs_every_chain_verified_at_the_pause)
{
    json_object_del(find("chain", 0, "workload", "dma", NULL), "expected");
    expect_incomplete("the digest of dma, device in slot 2, queue 0 was not verified at the pause of migration 1");
}

Test(verdict, a_clock_alone_is_no_work)
{
    take_out("chain", -1, "workload", "dma");
    take_out("chain", -1, "workload", "cpu");
    expect_incomplete("no work of the guest was verified at the end");
}

Test(verdict, needs_the_chains_of_the_pause_at_the_end)
{
    size_t at;

    for (size_t i = 0; i < 3; i++) { /* the third of dma is that of the end */
        json_t *dma = find("chain", -1, "workload", "dma", &at);

        if (has(dma, "when", "end"))
            json_array_remove(events, at);
        else
            json_object_set_new(dma, "workload", json_string("memory"));
    }
    expect_incomplete("memory, vCPU 0 is missing at the end");
}

Test(verdict, needs_the_chains_of_the_end_at_the_pause)
{
    take_out("chain", 0, "workload", "dma");
    expect_incomplete("dma, device in slot 2, queue 0 is missing at the pause of migration 1");
}

static void set_operations(const char *when, json_int_t operations)
{
    json_t *event;
    size_t i;

    json_array_foreach (events, i, event) {
        if (has(event, "kind", "chain") && has(event, "when", when) && has(event, "workload", "cpu"))
            json_object_set_new(event, "operations", json_integer(operations));
    }
}

Test(verdict, needs_operations_after_the_migration)
{
    set_operations("end", 2001);
    expect_incomplete("cpu, vCPU 0: no operation after the migration");
}

Test(verdict, needs_operations_before_the_migration)
{
    set_operations("pause", 0);
    expect_incomplete("cpu, vCPU 0: no operation before the migration");
}

Test(verdict, a_wrong_digest_is_a_failure_though_nobody_said_so)
{
    json_object_set_new(find("chain", 1, "when", "end", NULL), "digest", json_string("0x0000000000000001"));
    expect_fail(1, "proof/digest-after");
}

Test(verdict, a_wrong_digest_at_the_first_pause_is_of_before)
{
    json_object_set_new(find("chain", 0, "when", "pause", NULL), "digest", json_string("0x0000000000000001"));
    expect_fail(1, "proof/digest-before");
}

static void set_device(const char *name, json_int_t first_leg, json_int_t second_leg)
{
    json_t *event;
    size_t i;

    json_array_foreach (events, i, event) {
        if (has(event, "kind", "device") && json_object_get(event, name))
            json_object_set_new(
                event, name, json_integer(json_integer_value(json_object_get(event, "leg")) ? second_leg : first_leg));
    }
}

Test(verdict, needs_to_know_the_devices_work)
{
    take_out("device", -1, NULL, NULL);
    expect_incomplete("nothing is known of the work of device 0");
}

Test(verdict, needs_every_device)
{
    json_object_set_new(find("expect", -1, NULL, NULL, NULL), "devices", json_integer(2));
    expect_incomplete("nothing is known of the work of device 1");
}

Test(verdict, a_device_that_was_never_used_is_incomplete)
{
    set_device("ops_before", 0, 0);
    set_device("ops_after", 0, 0);
    expect_incomplete("device 0 was never used");
}

Test(verdict, needs_work_of_the_device_before)
{
    set_device("ops_before", 0, 0);
    expect_incomplete("device 0 did no operation before");
}

Test(verdict, needs_work_of_the_device_after_the_last_migration)
{
    set_device("ops_after", 1000, 0);
    expect_incomplete("device 0 did no operation after");
}

Test(verdict, needs_an_operation_in_flight_at_one_stop)
{
    set_device("in_flight_at_stop", 0, 0);
    expect_incomplete("device 0 had no operation in flight");
}

Test(verdict, one_stop_with_an_operation_in_flight_is_enough)
{
    set_device("in_flight_at_stop", 0, 1);
    expect_pass();
}

Test(verdict, more_chains_than_a_guest_has_are_incomplete)
{
    json_t *chain = json_deep_copy(find("chain", 1, "when", "end", NULL));

    for (int i = 0; i < 300; i++)
        json_array_append(events, chain);
    json_decref(chain);
    expect_incomplete("more chains of one instant");
}

static int outcome_status;
static const char *outcome_who;

static void emit_outcome(struct event_log *log)
{
    event_log_set_leg(log, 1);
    event_outcome(log, outcome_who, outcome_status, "it went wrong");
}

static void expect_outcome(const char *who, int given, int status, const char *verdict)
{
    json_t *report;

    set_up();
    take_out("outcome", -1, "who", "finished");
    outcome_who = who;
    outcome_status = given;
    add(emit_outcome);
    report = report_build(events);
    cr_expect_eq(report_status(report), status, "%d for %d", report_status(report), given);
    cr_expect(has(report, "verdict", verdict), "%s", json_string_value(json_object_get(report, "verdict")));
    cr_expect(has(report, "outcome", who));
    cr_expect(has(report, "outcome_text", "it went wrong"));
    json_decref(report);
    tear_down();
}

Test(verdict, an_outcome_that_is_not_intact_decides_the_status)
{
    tear_down();
    expect_outcome("none", 1, 1, "fail");
    expect_outcome("source", 3, 3, "fail");
    expect_outcome("source", 4, 4, "fail");
    expect_outcome("none", 5, 5, "fail");
    expect_outcome("unknown", 6, 6, "fail");
    expect_outcome("none", 99, 1, "fail");
    expect_outcome("none", 7, 7, "incomplete");
    expect_outcome("none", 77, 77, "incomplete");
    expect_outcome("none", 2, 2, "incomplete");
    set_up();
}

/* The other end's last word may come after it. */
Test(verdict, a_guest_that_finished_has_done_so_whatever_is_said_after_it)
{
    json_t *report;

    outcome_who = "none";
    outcome_status = 5;
    add(emit_outcome);
    report = report_build(events);
    cr_expect_eq(report_status(report), 5);
    cr_expect(has(report, "outcome", "finished"));
    cr_expect(has(report, "outcome_text", "it went wrong"));
    for (size_t i = 0; i < json_array_size(json_object_get(report, "not_proven")); i++)
        cr_expect_null(strstr(json_string_value(json_array_get(json_object_get(report, "not_proven"), i)), "finished"));
    json_decref(report);
}

static void emit_failure_and_finish(struct event_log *log)
{
    event_log_set_leg(log, 1);
    event_outcome(log, "source", 3, "the destination refused");
    event_outcome(log, "finished", 0, "the guest finished");
}

Test(verdict, a_failed_migration_is_not_forgotten_when_the_guest_finishes)
{
    add(emit_failure_and_finish);
    expect_fail(3, NULL);
}

static void emit_broken_guest(struct event_log *log)
{
    emit_failure_and_finish(log);
    event_finding(log, "proof/digest-after", "wrong");
}

Test(verdict, on_the_source_but_not_intact_is_broken)
{
    add(emit_broken_guest);
    expect_fail(1, "proof/digest-after");
}

static void emit_broken_rule_on_source(struct event_log *log)
{
    emit_failure_and_finish(log);
    event_finding(log, "device/arc", "refused");
}

Test(verdict, a_broken_rule_leaves_the_word_on_where_the_guest_is)
{
    add(emit_broken_rule_on_source);
    expect_fail(3, "device/arc");
}

static void emit_run(struct event_log *log)
{
    struct event_expectation expectation = {.guest = true, .devices = 1};

    event_expect(log, &expectation);
}

Test(verdict, a_run_without_a_migration_needs_no_pause)
{
    take_out("expect", -1, NULL, NULL);
    take_out("chain", -1, "when", "pause");
    set_device("ops_after", 0, 0);
    set_device("in_flight_at_stop", 0, 0);
    add(emit_run);
    expect_pass();
    set_device("ops_before", 0, 0);
    expect_incomplete("device 0 was never used");
}

static void emit_rules_expected(struct event_log *log)
{
    struct event_expectation expectation = {.devices = 1};

    event_expect(log, &expectation);
}

static void emit_check_passed(struct event_log *log)
{
    event_check(log, "fsm/stop", "pass", "held");
}

static void emit_check_skipped(struct event_log *log)
{
    event_check(log, "fsm/p2p", "skip", "the device has no P2P");
}

static void emit_check_failed(struct event_log *log)
{
    event_check(log, "fsm/error", "fail", "SET of ERROR was taken");
}

Test(verdict, without_a_guest_a_rule_must_have_held)
{
    json_array_clear(events);
    add(emit_rules_expected);
    add(emit_check_skipped);
    expect_incomplete("no rule was tried that held");
    add(emit_check_passed);
    expect_pass();
    add(emit_check_failed);
    expect_fail(1, "fsm/error");
}
