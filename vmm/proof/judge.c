/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/proof/judge.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/deadline.h"
#include "vmm/proof/catch_up.h"

#define CHAIN_NAME_MAX 64

/* One chain of the plan over all snapshots. */
struct judged_chain {
    struct proof_model *model;
    struct proof_chain now;  /* in this snapshot */
    struct proof_chain last; /* in the one before; zero operations at first */
    bool present;            /* in this snapshot, and not gone backwards */
    bool wrong;              /* a finding has been made of it: the rest follows from that one */
    bool submitted_wrong;    /* the same, of the operations submitted */
    bool lost;               /* the model did not get as far as the guest, and is not asked again */
    uint64_t peer_now;       /* peer-to-peer operations up to this snapshot */
    uint64_t peer_last;      /* and up to the one before */
};

/* A device's peer-to-peer operations before a stop, and at it. */
struct peer_numbers {
    uint64_t before, in_flight;
};

struct proof_judge {
    struct proof_plan plan;
    struct event_log *log;
    uint64_t budget_ns;
    unsigned int pauses; /* judged so far */
    bool failure_found;
    bool chains_found;
    size_t count;
    struct judged_chain chain[PROGRESS_CHAINS_MAX];
    struct catch_up catch_up[PROGRESS_CHAINS_MAX];
    struct peer_numbers peer[sizeof(((struct proof_plan *)0)->device) / sizeof(struct proof_device)];
    struct progress_clock last_clock[PROGRESS_VCPUS_MAX];
};

static const char *const state_name[] = {"booting", "running", "done", "failed"};

struct proof_judge *proof_judge_new(const struct proof_plan *plan, struct event_log *log, uint64_t budget_ns,
                                    struct error *error)
{
    struct proof_judge *judge = calloc(1, sizeof(*judge));
    struct proof_chain planned[PROGRESS_CHAINS_MAX];
    int count;

    if (!judge) {
        error_set(error, ENOMEM, "judging the guest's work");
        return NULL;
    }
    judge->plan = *plan;
    judge->log = log;
    judge->budget_ns = budget_ns;
    count = proof_plan_chains(plan, planned, error);
    for (int i = 0; i < count; i++) {
        judge->chain[i].last = planned[i];
        judge->chain[i].model = proof_model_new(plan, &planned[i], error);
        judge->count = (size_t)i + 1;
        if (!judge->chain[i].model)
            count = -1;
    }
    if (count >= 0)
        return judge;
    proof_judge_free(judge);
    return NULL;
}

void proof_judge_free(struct proof_judge *judge)
{
    if (!judge)
        return;
    for (size_t i = 0; i < judge->count; i++)
        proof_model_free(judge->chain[i].model);
    free(judge);
}

/* What went wrong since the snapshot before this one belongs to the migration in between. */
static unsigned int leg_since(const struct proof_judge *judge)
{
    return judge->pauses ? judge->pauses - 1 : 0;
}

static void judge_failure(struct proof_judge *judge, const struct proof_snapshot *snapshot)
{
    const struct progress_failure *failure = &snapshot->failure;

    if (snapshot->state != PROGRESS_FAILED || judge->failure_found)
        return;
    judge->failure_found = true;
    event_finding_of_leg(judge->log, leg_since(judge), failure->rule[0] ? failure->rule : "guest/failed",
                         "the guest found: %s (expected 0x%" PRIx64 ", seen 0x%" PRIx64 ")",
                         failure->text[0] ? failure->text : "a failure that it does not name", failure->expected,
                         failure->seen);
}

static void judge_chain_list(struct proof_judge *judge, const struct proof_snapshot *snapshot)
{
    struct error error = ERROR_INIT;

    if (judge->chains_found || proof_check_chains(&judge->plan, snapshot, &error) == 0)
        return;
    judge->chains_found = true;
    event_finding_of_leg(judge->log, leg_since(judge), "guest/chains", "%s", error.text);
}

static void judge_backwards(struct proof_judge *judge, struct judged_chain *chain)
{
    char name[CHAIN_NAME_MAX];

    if (chain->now.operations >= chain->last.operations)
        return;
    proof_chain_name(&chain->now, name, sizeof(name));
    if (!chain->wrong)
        event_finding_of_leg(judge->log, leg_since(judge), "proof/backwards",
                             "%s: %" PRIu64 " operations were done at one pause and %" PRIu64 " at the next look", name,
                             chain->last.operations, chain->now.operations);
    chain->wrong = true;
    chain->present = false;
}

static void judge_submitted(struct proof_judge *judge, struct judged_chain *chain, bool end)
{
    const struct proof_chain *now = &chain->now;
    char name[CHAIN_NAME_MAX];

    if (!proof_workload_of_device(now->workload) || chain->wrong || chain->submitted_wrong)
        return;
    if (now->submitted >= now->operations && (!end || now->submitted == now->operations))
        return;
    chain->submitted_wrong = true;
    proof_chain_name(now, name, sizeof(name));
    event_finding_of_leg(judge->log, leg_since(judge), "proof/submitted",
                         "%s: %" PRIu64 " operations were submitted and %" PRIu64 " done%s", name, now->submitted,
                         now->operations, end ? " when the guest had finished" : "");
}

/* A migration cuts the pair that is under way at the pause, if any, and no other: the buffer it is in does not move. */
static void judge_repeats(struct proof_judge *judge, struct judged_chain *chain)
{
    const struct proof_chain *now = &chain->now, *last = &chain->last;
    uint64_t allowed = judge->pauses && last->submitted > last->operations ? 1 : 0;
    uint64_t repeats = now->repeats - last->repeats;
    char name[CHAIN_NAME_MAX];

    if (now->workload != WORKLOAD_EDU || chain->wrong || repeats == 0)
        return;
    if (repeats <= allowed && now->repeated == last->operations)
        return;
    chain->wrong = true;
    proof_chain_name(now, name, sizeof(name));
    if (!judge->pauses)
        event_finding_of_leg(judge->log, 0, "proof/repeats",
                             "%s: wrong data came back, the last time for operation %" PRIu64
                             ", and there was no migration that cut it",
                             name, now->repeated);
    else
        event_finding_of_leg(judge->log, leg_since(judge), "proof/repeats",
                             "%s: wrong data came back %" PRIu64 " times since the pause, the last time for operation "
                             "%" PRIu64 "; the migration can have cut %s%" PRIu64,
                             name, repeats, now->repeated, allowed ? "but operation " : "none before operation ",
                             last->operations);
}

/* Takes the chains of the plan out of the snapshot; any others are not looked at. */
static void take_chains(struct proof_judge *judge, const struct proof_snapshot *snapshot)
{
    for (size_t i = 0; i < judge->count; i++) {
        struct judged_chain *chain = &judge->chain[i];

        chain->present = false;
        for (size_t j = 0; j < snapshot->chain_count && !chain->present; j++) {
            const struct proof_chain *found = &snapshot->chain[j];

            if (found->workload != chain->last.workload || found->device != chain->last.device ||
                found->index != chain->last.index)
                continue;
            chain->now = *found;
            chain->present = true;
        }
        chain->present = chain->present && !chain->lost;
        if (chain->present)
            judge_backwards(judge, chain);
    }
}

static void catch_up(struct proof_judge *judge)
{
    size_t count = 0;

    for (size_t i = 0; i < judge->count; i++) {
        if (judge->chain[i].present)
            judge->catch_up[count++] = (struct catch_up){
                .model = judge->chain[i].model,
                .from = judge->chain[i].last.operations,
                .to = judge->chain[i].now.operations,
            };
    }
    catch_up_all(judge->catch_up, count, deadline_in_ns(judge->budget_ns));
}

static const char *digest_rule(const struct proof_judge *judge, bool end)
{
    if (judge->pauses == 0)
        return end ? "proof/digest" : "proof/digest-before";
    return "proof/digest-after";
}

/* A chain that has published nothing yet has digest 0. */
static bool digest_is(const struct proof_chain *now, uint64_t expected)
{
    return now->digest == expected || (now->operations == 0 && now->digest == 0);
}

static void judge_digest(struct proof_judge *judge, struct judged_chain *chain, const struct catch_up *model, bool end)
{
    const struct proof_chain *now = &chain->now;
    char name[CHAIN_NAME_MAX];

    proof_chain_name(now, name, sizeof(name));
    if (!model->done) {
        event_not_proven(judge->log, true,
                         "%s: its %" PRIu64 " operations could not be recomputed within %" PRIu64 " ms", name,
                         now->operations, judge->budget_ns / 1000000);
        chain->lost = true;
        return;
    }
    if (digest_is(now, model->digest) || chain->wrong)
        return;
    chain->wrong = true;
    event_finding_of_leg(judge->log, leg_since(judge), digest_rule(judge, end),
                         "%s: after %" PRIu64 " operations the digest is 0x%016" PRIx64 " and should be 0x%016" PRIx64
                         "; the last that was right was after %" PRIu64 " operations",
                         name, now->operations, now->digest, model->digest, chain->last.operations);
}

static void log_chain(struct proof_judge *judge, const struct judged_chain *chain, const struct catch_up *model,
                      bool end)
{
    /* An unpublished digest is no evidence and no error: zero operations say so. */
    uint64_t expected = digest_is(&chain->now, model->digest) ? chain->now.digest : model->digest;

    event_chain(judge->log, end ? leg_since(judge) : judge->pauses, end ? "end" : "pause", &chain->now,
                model->done ? &expected : NULL);
}

static void judge_chains(struct proof_judge *judge, bool end)
{
    size_t count = 0;

    catch_up(judge);
    for (size_t i = 0; i < judge->count; i++) {
        struct judged_chain *chain = &judge->chain[i];
        const struct catch_up *model = &judge->catch_up[count];

        if (!chain->present)
            continue;
        count++;
        judge_submitted(judge, chain, end);
        judge_repeats(judge, chain);
        judge_digest(judge, chain, model, end);
        log_chain(judge, chain, model, end);
    }
}

static uint64_t sum_operations(const struct proof_judge *judge, uint16_t slot, bool last)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < judge->count; i++) {
        const struct judged_chain *chain = &judge->chain[i];
        const struct proof_chain *at = last || !chain->present ? &chain->last : &chain->now;

        if (proof_workload_of_device(at->workload) && at->device == slot)
            sum += at->operations;
    }
    return sum;
}

static uint64_t sum_in_flight(const struct proof_judge *judge, uint16_t slot)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < judge->count; i++) {
        const struct proof_chain *now = &judge->chain[i].now;

        if (judge->chain[i].present && proof_workload_of_device(now->workload) && now->device == slot &&
            now->submitted > now->operations)
            sum += now->submitted - now->operations;
    }
    return sum;
}

/* What the device did since the last snapshot is the last leg's after, and this leg's before. */
static void log_device(struct proof_judge *judge, uint16_t slot, uint16_t index, bool end)
{
    uint64_t done = sum_operations(judge, slot, false) - sum_operations(judge, slot, true);
    struct event_device_numbers after = EVENT_DEVICE_NUMBERS_UNKNOWN;
    struct event_device_numbers before = EVENT_DEVICE_NUMBERS_UNKNOWN;

    after.ops_after = done;
    before.ops_before = done;
    if (judge->pauses)
        event_device(judge->log, judge->pauses - 1, index, NULL, &after);
    if (end && judge->pauses)
        return;
    if (end)
        before.ops_after = 0; /* no migration, so all of it was before none */
    else
        before.in_flight_at_stop = sum_in_flight(judge, slot);
    event_device(judge->log, judge->pauses, index, NULL, &before);
}

/* In flight are as many as a queue has slots at most, whatever the guest says. */
static uint64_t peer_in_flight(const struct proof_judge *judge, const struct judged_chain *chain)
{
    uint64_t most = chain->now.operations + judge->plan.dma_depth;

    return proof_model_peer_operations_in(chain->model, chain->now.operations,
                                          chain->now.submitted < most ? chain->now.submitted : most);
}

/* Says of the last leg how many peer-to-peer operations there were, once it is known what came after it. */
static void judge_peers(struct proof_judge *judge, size_t device, bool end)
{
    const struct proof_device *planned = &judge->plan.device[device];
    struct peer_numbers now = {0}, last = judge->peer[device];

    if (!judge->plan.dma_p2p || !planned->window_size)
        return;
    for (size_t i = 0; i < judge->count; i++) {
        struct judged_chain *chain = &judge->chain[i];

        if (!chain->present || chain->last.workload != WORKLOAD_DMA || chain->last.device != planned->slot)
            continue;
        chain->peer_now = proof_model_peer_operations(chain->model);
        now.before += chain->peer_now - chain->peer_last;
        now.in_flight += peer_in_flight(judge, chain);
        chain->peer_last = chain->peer_now;
    }
    judge->peer[device] = now;
    if (judge->pauses)
        event_note(judge->log,
                   "device %u, migration %u: %" PRIu64 " peer-to-peer operations before it, %" PRIu64
                   " in flight at the stop, %" PRIu64 " after it",
                   planned->index, judge->pauses, last.before, last.in_flight, now.before);
    else if (end)
        event_note(judge->log, "device %u: %" PRIu64 " peer-to-peer operations", planned->index, now.before);
    if (judge->plan.dma_p2p_required && (judge->pauses || end) && (!now.before || (judge->pauses && !last.before)))
        event_not_proven(judge->log, true, "device %u: peer-to-peer operations were asked for, and there were none %s",
                         planned->index,
                         now.before      ? "before the migration"
                         : judge->pauses ? "after the migration"
                                         : "");
}

static void judge_clock(struct proof_judge *judge, unsigned int vcpu, const struct progress_clock *now, bool end)
{
    const struct progress_clock *last = &judge->last_clock[vcpu];

    if (now->last_tsc < last->last_tsc)
        event_finding_of_leg(judge->log, leg_since(judge), "proof/backwards",
                             "the TSC of vCPU %u went from %" PRIu64 " back to %" PRIu64, vcpu, last->last_tsc,
                             now->last_tsc);
    if (now->last_kvmclock < last->last_kvmclock)
        event_finding_of_leg(judge->log, leg_since(judge), "proof/backwards",
                             "kvmclock of vCPU %u went from %" PRIu64 " ns back to %" PRIu64 " ns", vcpu,
                             last->last_kvmclock, now->last_kvmclock);
    if (now->ticks < last->ticks)
        event_finding_of_leg(judge->log, leg_since(judge), "proof/backwards",
                             "the timer interrupts of vCPU %u went from %" PRIu64 " back to %" PRIu64, vcpu,
                             last->ticks, now->ticks);
    if (end && judge->plan.wanted[WORKLOAD_CLOCK] && judge->pauses && now->ticks <= last->ticks)
        event_not_proven(judge->log, false, "vCPU %u took no timer interrupt after the last migration", vcpu);
}

static int judge_snapshot(struct proof_judge *judge, const struct proof_snapshot *snapshot, bool end)
{
    judge_failure(judge, snapshot);
    judge_chain_list(judge, snapshot);
    take_chains(judge, snapshot);
    judge_chains(judge, end);
    for (size_t i = 0; i < judge->plan.device_count; i++) {
        if (judge->plan.wanted[judge->plan.device[i].workload])
            log_device(judge, judge->plan.device[i].slot, judge->plan.device[i].index, end);
    }
    for (size_t i = 0; judge->plan.wanted[WORKLOAD_DMA] && i < judge->plan.device_count; i++)
        judge_peers(judge, i, end);
    for (unsigned int vcpu = 0; vcpu < judge->plan.vcpus && vcpu < snapshot->vcpus; vcpu++) {
        judge_clock(judge, vcpu, &snapshot->clock[vcpu], end);
        judge->last_clock[vcpu] = snapshot->clock[vcpu];
    }
    for (size_t i = 0; i < judge->count; i++) {
        if (judge->chain[i].present)
            judge->chain[i].last = judge->chain[i].now;
    }
    return 0;
}

static int check_snapshot(const struct proof_snapshot *snapshot, struct error *error)
{
    if (snapshot->state > PROGRESS_FAILED || snapshot->vcpus > PROGRESS_VCPUS_MAX ||
        snapshot->chain_count > PROGRESS_CHAINS_MAX)
        return error_set(error, EINVAL, "judging a snapshot that proof_read has not made");
    return 0;
}

int proof_judge_pause(struct proof_judge *judge, const struct proof_snapshot *snapshot, struct error *error)
{
    if (check_snapshot(snapshot, error) < 0)
        return -1;
    if (snapshot->state == PROGRESS_BOOTING)
        event_not_proven(judge->log, true, "the guest was still booting at the pause of migration %u",
                         judge->pauses + 1);
    else
        judge_snapshot(judge, snapshot, false);
    judge->pauses++;
    return 0;
}

/* The leading workload is the first that was asked for and has a chain. */
static void judge_operations(struct proof_judge *judge)
{
    for (size_t i = 0; i < judge->count && judge->plan.operations; i++) {
        const struct judged_chain *chain = &judge->chain[i];
        char name[CHAIN_NAME_MAX];

        if (chain->last.workload != judge->chain[0].last.workload || !chain->present ||
            chain->now.operations == judge->plan.operations)
            continue;
        proof_chain_name(&chain->now, name, sizeof(name));
        event_finding_of_leg(judge->log, leg_since(judge), "guest/operations",
                             "%s: %" PRIu64 " operations were done and %" PRIu64 " asked for", name,
                             chain->now.operations, judge->plan.operations);
    }
}

int proof_judge_end(struct proof_judge *judge, const struct proof_snapshot *snapshot, struct error *error)
{
    if (check_snapshot(snapshot, error) < 0)
        return -1;
    if (snapshot->state == PROGRESS_RUNNING || snapshot->state == PROGRESS_BOOTING)
        event_finding_of_leg(judge->log, leg_since(judge), "guest/unfinished",
                             "the guest had not finished at the end: it was %s", state_name[snapshot->state]);
    if (snapshot->state != PROGRESS_BOOTING)
        judge_snapshot(judge, snapshot, true);
    if (snapshot->state == PROGRESS_DONE)
        judge_operations(judge);
    return 0;
}
