/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which pairs of edu the judge lets a guest repeat: the one that was under way at a pause, once. */
#include <criterion/criterion.h>
#include <string.h>

#include "vmm/proof/judge.h"

#define BUDGET_NS 60000000000ull

static const struct proof_plan plan = {.seed = 3,
                                       .vcpus = 1,
                                       .wanted[WORKLOAD_EDU] = true,
                                       .device_count = 1,
                                       .device[0] = {.workload = WORKLOAD_EDU, .slot = 6, .index = 1, .chains = 1}};
static struct proof_model *model;
static struct proof_snapshot snapshot;
static struct proof_chain *const chain = &snapshot.chain[0];
static struct proof_judge *judge;
static struct event_log *event_log;
static struct error error;

static void set_up(void)
{
    memset(&snapshot, 0, sizeof(snapshot));
    cr_assert_eq(proof_plan_chains(&plan, snapshot.chain, &error), 1);
    snapshot.chain_count = 1;
    snapshot.vcpus = 1;
    snapshot.state = PROGRESS_RUNNING;
    cr_assert(model = proof_model_new(&plan, chain, &error), "%s", error.text);
    event_log = event_log_new("test", -1);
    cr_assert(judge = proof_judge_new(&plan, event_log, BUDGET_NS, &error), "%s", error.text);
}

static void tear_down(void)
{
    proof_model_free(model);
    proof_judge_free(judge);
    event_log_free(event_log);
}

TestSuite(repeats, .init = set_up, .fini = tear_down);

/* Operations are done, and one more is under way where it is said. */
static void work(uint64_t operations, bool under_way)
{
    chain->operations += operations;
    chain->submitted = chain->operations + under_way;
    chain->digest = proof_model_digest(model, chain->operations);
}

static void repeat(uint64_t operation)
{
    chain->repeats++;
    chain->repeated = operation;
}

static void pause_guest(void)
{
    cr_assert_eq(proof_judge_pause(judge, &snapshot, &error), 0, "%s", error.text);
}

static void end_guest(void)
{
    work(1, false);
    snapshot.state = PROGRESS_DONE;
    cr_assert_eq(proof_judge_end(judge, &snapshot, &error), 0, "%s", error.text);
}

/* Every finding is of proof/repeats. Returns how many there are; the first is of the leg and has the words. */
static size_t findings(int leg, const char *words)
{
    json_t *events = event_log_events(event_log), *event;
    size_t i, count = 0;

    json_array_foreach (events, i, event) {
        if (strcmp(json_string_value(json_object_get(event, "kind")), "finding") != 0)
            continue;
        cr_expect_str_eq(json_string_value(json_object_get(event, "rule")), "proof/repeats");
        if (count++)
            continue;
        cr_expect_eq(json_integer_value(json_object_get(event, "leg")), leg);
        cr_expect(strstr(json_string_value(json_object_get(event, "text")), words), "\"%s\" has not \"%s\"",
                  json_string_value(json_object_get(event, "text")), words);
    }
    json_decref(events);
    return count;
}

Test(repeats, the_pair_under_way_at_each_pause_may_be_repeated)
{
    work(10, true);
    pause_guest();
    repeat(10);
    work(5, true);
    pause_guest();
    repeat(15);
    pause_guest();
    repeat(15);
    end_guest();
    cr_expect_eq(findings(0, ""), 0);
}

Test(repeats, none_may_be_before_a_migration)
{
    work(10, true);
    repeat(10);
    pause_guest();
    end_guest();
    cr_expect_eq(findings(0, "there was no migration"), 1);
}

Test(repeats, none_may_be_without_a_migration)
{
    work(10, true);
    repeat(9);
    end_guest();
    cr_expect_eq(findings(0, "for operation 9"), 1);
}

Test(repeats, one_is_allowed_for_each_migration)
{
    work(10, true);
    pause_guest();
    work(2, true);
    pause_guest();
    repeat(12);
    repeat(12);
    end_guest();
    cr_expect_eq(findings(1, "2 times since the pause"), 1);
}

Test(repeats, another_pair_was_not_cut)
{
    work(10, true);
    pause_guest();
    repeat(11);
    work(2, true);
    end_guest();
    cr_expect_eq(findings(0, "operation 11; the migration can have cut but operation 10"), 1);
}

Test(repeats, none_was_cut_where_none_was_under_way)
{
    work(10, false);
    pause_guest();
    repeat(10);
    end_guest();
    cr_expect_eq(findings(0, "can have cut none before operation 10"), 1);
}
