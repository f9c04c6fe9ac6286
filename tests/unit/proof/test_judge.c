/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The judge over runs of a guest that the models act: what it finds, and of which migration. */
#include <criterion/criterion.h>
#include <string.h>

#include "vmm/proof/judge.h"

#define BUDGET_NS 60000000000ull
#define DMA 0 /* chains by their place: dma of two queues, memory, cpu, clock */
#define MEMORY 2
#define CPU 3
#define CLOCK 4

static struct proof_plan plan;
static struct proof_model *model[PROGRESS_CHAINS_MAX];
static struct proof_snapshot snapshot;
static struct proof_judge *judge;
static struct event_log *event_log;
static struct error error;

static void set_up(void)
{
    int count;

    plan = (struct proof_plan){
        .seed = 11,
        .vcpus = 1,
        .wanted[WORKLOAD_DMA] = true,
        .wanted[WORKLOAD_MEMORY] = true,
        .wanted[WORKLOAD_CPU] = true,
        .wanted[WORKLOAD_CLOCK] = true,
        .dma_depth = 8,
        .memory_size = 16384,
        .device_count = 1,
        .device[0] =
            {.workload = WORKLOAD_DMA, .slot = 5, .index = 3, .chains = 2, .memory_size = 1 << 20, .window_size = 4096},
    };
    memset(&snapshot, 0, sizeof(snapshot));
    count = proof_plan_chains(&plan, snapshot.chain, &error);
    cr_assert_eq(count, 5);
    snapshot.chain_count = (size_t)count;
    snapshot.vcpus = 1;
    snapshot.state = PROGRESS_RUNNING;
    for (size_t i = 0; i < snapshot.chain_count; i++)
        cr_assert(model[i] = proof_model_new(&plan, &snapshot.chain[i], &error));
    event_log = event_log_new("test", -1);
    cr_assert(judge = proof_judge_new(&plan, event_log, BUDGET_NS, &error), "%s", error.text);
}

static void tear_down(void);

/* From the start, with a second device that the first has for a peer. */
static void restart_with_peers(void)
{
    int count;

    tear_down();
    plan.wanted[WORKLOAD_MEMORY] = plan.wanted[WORKLOAD_CPU] = plan.wanted[WORKLOAD_CLOCK] = false;
    plan.dma_p2p = plan.dma_p2p_required = true;
    plan.device_count = 2;
    plan.device[1] = plan.device[0];
    plan.device[1].slot = 6;
    plan.device[1].index = 4;
    memset(&snapshot, 0, sizeof(snapshot));
    count = proof_plan_chains(&plan, snapshot.chain, &error);
    cr_assert_eq(count, 4);
    snapshot.chain_count = (size_t)count;
    snapshot.vcpus = 1;
    snapshot.state = PROGRESS_RUNNING;
    for (size_t i = 0; i < snapshot.chain_count; i++)
        cr_assert(model[i] = proof_model_new(&plan, &snapshot.chain[i], &error));
    event_log = event_log_new("test", -1);
    cr_assert(judge = proof_judge_new(&plan, event_log, BUDGET_NS, &error), "%s", error.text);
}

static void tear_down(void)
{
    for (size_t i = 0; i < snapshot.chain_count; i++)
        proof_model_free(model[i]);
    proof_judge_free(judge);
    event_log_free(event_log);
}

TestSuite(judge, .init = set_up, .fini = tear_down);

/* The guest does so many operations in each chain; the first queue is some operations ahead. */
static void work(uint64_t operations)
{
    for (size_t i = 0; i < snapshot.chain_count; i++) {
        struct proof_chain *chain = &snapshot.chain[i];

        chain->operations += operations;
        chain->submitted = chain->operations;
        chain->interrupts += operations;
        chain->digest = proof_model_digest(model[i], chain->operations);
    }
    snapshot.chain[DMA].submitted += 3;
    snapshot.clock[0].last_tsc += 1000;
    snapshot.clock[0].last_kvmclock += 1000;
    snapshot.clock[0].ticks += 1;
}

static void pause_guest(void)
{
    cr_assert_eq(proof_judge_pause(judge, &snapshot, &error), 0, "%s", error.text);
}

static void end_guest(void)
{
    snapshot.state = snapshot.state == PROGRESS_RUNNING ? PROGRESS_DONE : snapshot.state;
    snapshot.chain[DMA].submitted -= 3;
    cr_assert_eq(proof_judge_end(judge, &snapshot, &error), 0, "%s", error.text);
}

static json_t *events_of(const char *kind)
{
    json_t *events = event_log_events(event_log), *some = json_array(), *event;
    size_t i;

    json_array_foreach (events, i, event) {
        if (strcmp(json_string_value(json_object_get(event, "kind")), kind) == 0)
            json_array_append(some, event);
    }
    json_decref(events);
    return some;
}

static void expect_none(const char *kind)
{
    json_t *events = events_of(kind);
    const char *text = json_string_value(json_object_get(json_array_get(events, 0), "text"));

    cr_expect_eq(json_array_size(events), 0, "%s", text ? text : "");
    json_decref(events);
}

/* There is one finding, of the rule, the leg and with the words. */
static void expect_finding(const char *rule, int leg, const char *words)
{
    json_t *events = events_of("finding"), *first = json_array_get(events, 0);
    const char *text = json_string_value(json_object_get(first, "text"));

    cr_assert_eq(json_array_size(events), 1, "%zu findings", json_array_size(events));
    cr_expect_str_eq(json_string_value(json_object_get(first, "rule")), rule);
    cr_expect_eq(json_integer_value(json_object_get(first, "leg")), leg);
    cr_expect(strstr(text, words), "\"%s\" has not \"%s\"", text, words);
    json_decref(events);
}

Test(judge, right_work_is_found_right)
{
    json_t *chains;
    json_t *chain;
    size_t i;

    work(500);
    pause_guest();
    work(30000);
    pause_guest();
    work(100);
    end_guest();
    expect_none("finding");
    expect_none("not-proven");
    chains = events_of("chain");
    cr_expect_eq(json_array_size(chains), 15);
    json_array_foreach (chains, i, chain) {
        cr_expect_str_eq(json_string_value(json_object_get(chain, "digest")),
                         json_string_value(json_object_get(chain, "expected")));
        cr_expect_eq(json_integer_value(json_object_get(chain, "leg")), i < 5 ? 0 : 1);
        cr_expect_str_eq(json_string_value(json_object_get(chain, "when")), i < 10 ? "pause" : "end");
    }
    json_decref(chains);
}

static void expect_device(json_t *event, int leg, const char *name, json_int_t number)
{
    cr_expect_eq(json_integer_value(json_object_get(event, "index")), 3);
    cr_expect_eq(json_integer_value(json_object_get(event, "leg")), leg);
    cr_expect(json_object_get(event, name), "no %s", name);
    cr_expect_eq(json_integer_value(json_object_get(event, name)), number);
}

Test(judge, the_devices_work_is_counted_by_legs)
{
    json_t *devices;

    work(500);
    pause_guest();
    work(300);
    pause_guest();
    work(100);
    end_guest();
    devices = events_of("device");
    cr_assert_eq(json_array_size(devices), 4);
    expect_device(json_array_get(devices, 0), 0, "ops_before", 1000);
    expect_device(json_array_get(devices, 0), 0, "in_flight_at_stop", 3);
    expect_device(json_array_get(devices, 1), 0, "ops_after", 600);
    expect_device(json_array_get(devices, 2), 1, "ops_before", 600);
    expect_device(json_array_get(devices, 3), 1, "ops_after", 200);
    json_decref(devices);
}

Test(judge, without_a_pause_all_is_before)
{
    json_t *devices;

    work(500);
    end_guest();
    expect_none("finding");
    devices = events_of("device");
    cr_assert_eq(json_array_size(devices), 1);
    expect_device(json_array_get(devices, 0), 0, "ops_before", 1000);
    expect_device(json_array_get(devices, 0), 0, "ops_after", 0);
    json_decref(devices);
}

Test(judge, a_digest_that_is_wrong_at_the_first_pause_was_wrong_before)
{
    work(500);
    snapshot.chain[MEMORY].digest ^= 1;
    pause_guest();
    work(500);
    snapshot.chain[MEMORY].digest ^= 1; /* stays wrong: one finding */
    end_guest();
    expect_finding("proof/digest-before", 0, "memory, vCPU 0: after 500 operations");
}

Test(judge, a_digest_that_is_wrong_at_the_end_is_of_the_last_leg)
{
    work(500);
    pause_guest();
    work(500);
    pause_guest();
    work(500);
    snapshot.chain[DMA + 1].digest ^= 1ull << 63;
    end_guest();
    expect_finding("proof/digest-after", 1, "dma, device in slot 5, queue 1: after 1500 operations the digest is 0x");
}

Test(judge, a_digest_that_is_wrong_at_a_later_pause_is_of_the_leg_before)
{
    work(500);
    pause_guest();
    work(500);
    snapshot.chain[CPU].digest ^= 1;
    pause_guest();
    expect_finding("proof/digest-after", 0, "the last that was right was after 500 operations");
}

Test(judge, a_run_without_a_migration_has_a_rule_of_its_own)
{
    work(500);
    snapshot.chain[CPU].digest ^= 1;
    end_guest();
    expect_finding("proof/digest", 0, "cpu, vCPU 0");
}

Test(judge, a_clock_has_no_digest)
{
    work(500);
    snapshot.chain[CLOCK].digest = 1;
    end_guest();
    expect_finding("proof/digest", 0, "clock, vCPU 0");
}

Test(judge, the_guests_own_failure_is_under_its_own_rule)
{
    work(500);
    pause_guest();
    work(10);
    snapshot.state = PROGRESS_FAILED;
    snapshot.failure =
        (struct progress_failure){.rule = "guest/data", .text = "the page differs", .expected = 0xab, .seen = 0xcd};
    end_guest();
    expect_finding("guest/data", 0, "the page differs (expected 0xab, seen 0xcd)");
}

Test(judge, a_failure_without_a_name_is_one)
{
    work(500);
    snapshot.state = PROGRESS_FAILED;
    end_guest();
    expect_finding("guest/failed", 0, "does not name");
}

Test(judge, other_chains_than_planned_are_found)
{
    work(500);
    snapshot.chain_count--;
    pause_guest();
    snapshot.chain_count++;
    expect_finding("guest/chains", 0, "no chain of clock");
}

Test(judge, operations_that_go_backwards_are_found)
{
    work(500);
    pause_guest();
    snapshot.chain[CPU].operations = 400;
    end_guest();
    expect_finding("proof/backwards", 0, "cpu, vCPU 0: 500 operations were done at one pause and 400");
}

Test(judge, clocks_that_go_backwards_are_found)
{
    work(500);
    pause_guest();
    work(1);
    snapshot.clock[0].last_tsc = 999;
    end_guest();
    expect_finding("proof/backwards", 0, "the TSC of vCPU 0 went from 1000 back to 999");
}

Test(judge, kvmclock_that_goes_backwards_is_found)
{
    work(500);
    pause_guest();
    work(1);
    snapshot.clock[0].last_kvmclock = 0;
    end_guest();
    expect_finding("proof/backwards", 0, "kvmclock of vCPU 0");
}

Test(judge, a_timer_that_has_stopped_is_not_proven)
{
    json_t *events;

    work(500);
    pause_guest();
    work(1);
    snapshot.clock[0].ticks--;
    end_guest();
    expect_none("finding");
    events = events_of("not-proven");
    cr_expect_eq(json_array_size(events), 1);
    json_decref(events);
}

Test(judge, fewer_submitted_than_done_is_found_once)
{
    work(500);
    snapshot.chain[DMA].submitted = 499;
    pause_guest();
    pause_guest();
    expect_finding("proof/submitted", 0, "499 operations were submitted and 500 done");
}

Test(judge, all_that_was_submitted_is_done_at_the_end)
{
    work(500);
    snapshot.chain[DMA].submitted++;
    end_guest();
    expect_finding("proof/submitted", 0, "501 operations were submitted and 500 done when the guest had finished");
}

Test(judge, a_guest_that_has_not_finished_is_found)
{
    work(500);
    pause_guest();
    work(10);
    snapshot.chain[DMA].submitted -= 3;
    cr_assert_eq(proof_judge_end(judge, &snapshot, &error), 0);
    expect_finding("guest/unfinished", 0, "it was running");
}

Test(judge, a_booting_guest_at_a_pause_is_not_proven)
{
    static const struct proof_snapshot booting;
    json_t *events;

    cr_assert_eq(proof_judge_pause(judge, &booting, &error), 0);
    work(500);
    end_guest();
    expect_none("finding");
    events = events_of("not-proven");
    cr_assert_eq(json_array_size(events), 1);
    cr_expect(json_is_true(json_object_get(json_array_get(events, 0), "about_device")));
    json_decref(events);
}

Test(judge, the_leading_workload_does_what_was_asked_for)
{
    proof_judge_free(judge);
    plan.operations = 501;
    plan.device[0].chains = 2;
    cr_assert(judge = proof_judge_new(&plan, event_log, BUDGET_NS, &error));
    work(501);
    snapshot.chain[MEMORY].operations = 3; /* not of the leading workload */
    proof_model_free(model[MEMORY]);
    model[MEMORY] = proof_model_new(&plan, &snapshot.chain[MEMORY], &error);
    snapshot.chain[MEMORY].digest = proof_model_digest(model[MEMORY], 3);
    snapshot.chain[DMA + 1].operations--;
    snapshot.chain[DMA + 1].submitted--;
    proof_model_free(model[DMA + 1]);
    model[DMA + 1] = proof_model_new(&plan, &snapshot.chain[DMA + 1], &error);
    snapshot.chain[DMA + 1].digest = proof_model_digest(model[DMA + 1], 500);
    end_guest();
    expect_finding("guest/operations", 0, "queue 1: 500 operations were done and 501 asked for");
}

Test(judge, nothing_published_yet_is_no_error)
{
    work(500);
    snapshot.chain[CPU].operations = 0;
    snapshot.chain[CPU].digest = 0;
    pause_guest();
    expect_none("finding");
}

/* A hostile guest claims what no model can reach. */
Test(judge, operations_out_of_reach_end_at_the_budget)
{
    json_t *events;

    proof_judge_free(judge);
    cr_assert(judge = proof_judge_new(&plan, event_log, 1000000, &error));
    work(500);
    snapshot.chain[CPU].operations = UINT64_MAX;
    pause_guest();
    pause_guest();
    expect_none("finding");
    events = events_of("not-proven");
    cr_assert_eq(json_array_size(events), 1);
    cr_expect(json_is_true(json_object_get(json_array_get(events, 0), "about_device")));
    json_decref(events);
}

Test(judge, an_impossible_plan_is_refused)
{
    struct error refused = ERROR_INIT;

    plan.dma_depth = 0;
    cr_expect_null(proof_judge_new(&plan, event_log, BUDGET_NS, &refused));
    cr_expect(strstr(refused.text, "depth 0"), "%s", refused.text);
}

static uint64_t peers_of_first_device(void)
{
    return proof_model_peer_operations(model[0]) + proof_model_peer_operations(model[1]);
}

Test(judge, peer_to_peer_operations_are_counted_on_both_sides_of_a_stop)
{
    uint64_t before, after, in_flight;
    json_t *notes;
    char text[160];

    restart_with_peers();
    work(400);
    before = peers_of_first_device();
    in_flight = proof_model_peer_operations_in(model[0], 400, 403);
    pause_guest();
    work(300);
    after = peers_of_first_device() - before;
    end_guest();
    expect_none("finding");
    expect_none("not-proven");
    cr_expect_gt(before, 80);
    cr_expect_gt(after, 60);
    snprintf(text, sizeof(text),
             "device 3, migration 1: %llu peer-to-peer operations before it, %llu in flight at the stop, %llu after it",
             (unsigned long long)before, (unsigned long long)in_flight, (unsigned long long)after);
    notes = events_of("note");
    cr_assert_eq(json_array_size(notes), 2);
    cr_expect_str_eq(json_string_value(json_object_get(json_array_get(notes, 0), "text")), text);
    json_decref(notes);
}

Test(judge, peer_to_peer_operations_that_were_asked_for_must_be_there)
{
    json_t *events;

    restart_with_peers();
    work(100);
    pause_guest();
    snapshot.chain[DMA].submitted -= 3;
    work(0);
    end_guest();
    events = events_of("not-proven");
    cr_assert_eq(json_array_size(events), 2);
    cr_expect(json_is_true(json_object_get(json_array_get(events, 0), "about_device")));
    cr_expect(
        strstr(json_string_value(json_object_get(json_array_get(events, 0), "text")), "none after the migration"));
    json_decref(events);
}
