/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading the progress area, and the chains and the blackout that come from it. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/proof/proof.h"

static struct progress_area area;
static struct proof_snapshot snapshot;
static struct error error;

static void set_up(void)
{
    memset(&area, 0, sizeof(area));
    area.magic = PROGRESS_MAGIC;
    area.version = PROGRESS_VERSION;
    area.state = PROGRESS_RUNNING;
    area.vcpus = 2;
    area.tsc_hz = 2000000000;
    area.chains = 2;
    area.chain[0] = (struct progress_chain){
        .workload = WORKLOAD_DMA,
        .device = 3,
        .index = 1,
        .parameter = 16,
        .generation = 7,
        .slot = {{.operations = 1, .digest = 2}, {.operations = 30, .digest = 40}},
        .submitted = 35,
        .interrupts = 12,
        .repeats = 2,
        .repeated = 29,
    };
    area.chain[1] = (struct progress_chain){.workload = WORKLOAD_CPU, .index = 1, .slot = {{5, 6}, {7, 8}}};
}

TestSuite(read, .init = set_up);

static void expect_refused(const char *words)
{
    cr_expect_eq(proof_read(&area, sizeof(area), &snapshot, &error), -1);
    cr_expect_str_eq(error.rule, "guest/progress");
    cr_expect(strstr(error.text, words), "\"%s\" has not \"%s\"", error.text, words);
    set_up();
}

Test(read, takes_the_slot_that_the_generation_names)
{
    cr_assert_eq(proof_read(&area, sizeof(area), &snapshot, &error), 0);
    cr_expect_eq(snapshot.state, PROGRESS_RUNNING);
    cr_expect_eq(snapshot.vcpus, 2);
    cr_expect_eq(snapshot.tsc_hz, 2000000000);
    cr_expect_eq(snapshot.chain_count, 2);
    cr_expect_eq(snapshot.chain[0].device, 3);
    cr_expect_eq(snapshot.chain[0].index, 1);
    cr_expect_eq(snapshot.chain[0].parameter, 16);
    cr_expect_eq(snapshot.chain[0].operations, 30);
    cr_expect_eq(snapshot.chain[0].digest, 40);
    cr_expect_eq(snapshot.chain[0].submitted, 35);
    cr_expect_eq(snapshot.chain[0].interrupts, 12);
    cr_expect_eq(snapshot.chain[0].repeats, 2);
    cr_expect_eq(snapshot.chain[0].repeated, 29);
    cr_expect_eq(snapshot.chain[1].operations, 5);
}

Test(read, an_empty_area_is_a_guest_that_boots)
{
    memset(&area, 0, sizeof(area));
    cr_assert_eq(proof_read(&area, sizeof(area), &snapshot, &error), 0);
    cr_expect_eq(snapshot.state, PROGRESS_BOOTING);
    cr_expect_eq(snapshot.chain_count, 0);
}

Test(read, the_failure_is_made_printable)
{
    area.state = PROGRESS_FAILED;
    memset(area.failure.rule, 'r', sizeof(area.failure.rule));
    strcpy(area.failure.text, "bad\x1b[2J\n\xff data");
    area.failure.expected = 1;
    area.failure.seen = 2;
    cr_assert_eq(proof_read(&area, sizeof(area), &snapshot, &error), 0);
    cr_expect_eq(strlen(snapshot.failure.rule), sizeof(area.failure.rule) - 1);
    cr_expect_str_eq(snapshot.failure.text, "bad?[2J?? data");
    cr_expect_eq(snapshot.failure.expected, 1);
    cr_expect_eq(snapshot.failure.seen, 2);
}

Test(read, refuses_nonsense)
{
    area.magic++;
    expect_refused("magic");
    area.version = 3;
    expect_refused("version 3");
    area.state = 4;
    expect_refused("state 4");
    area.vcpus = PROGRESS_VCPUS_MAX + 1;
    expect_refused("65 vCPUs");
    area.chains = PROGRESS_CHAINS_MAX + 1;
    expect_refused("257 chains");
    area.tsc_hz = 1;
    expect_refused("TSC");
    area.chain[1].workload = 0;
    expect_refused("workload 0");
    area.chain[1].workload = 8;
    expect_refused("workload 8");
    area.chain[0].device = 32;
    expect_refused("slot 32");
}

Test(read, refuses_too_little)
{
    cr_expect_eq(proof_read(&area, sizeof(area) - 1, &snapshot, &error), -1);
    cr_expect_eq(proof_read((char *)&area + 4, sizeof(area), &snapshot, &error), -1);
}

Test(read, random_bytes_give_an_error_or_a_snapshot_within_bounds)
{
    unsigned char *bytes = (unsigned char *)&area;

    srand(1);
    for (int round = 0; round < 2000; round++) {
        if (round % 2)
            set_up();
        for (size_t i = 0; i < sizeof(area); i++) {
            if (round % 2 == 0 || rand() % 64 == 0)
                bytes[i] = (unsigned char)rand();
        }
        if (round % 4)
            area.magic = PROGRESS_MAGIC;
        if (round % 8)
            area.version = PROGRESS_VERSION;
        if (round % 16) {
            area.state = (uint32_t)(rand() % 5);
            area.vcpus = (uint32_t)(rand() % 70);
            area.chains = (uint32_t)(rand() % 3);
            area.tsc_hz = 1000000000;
        }
        if (proof_read(&area, sizeof(area), &snapshot, &error) < 0)
            continue;
        cr_assert_leq(snapshot.state, PROGRESS_FAILED);
        cr_assert_leq(snapshot.vcpus, PROGRESS_VCPUS_MAX);
        cr_assert_leq(snapshot.chain_count, PROGRESS_CHAINS_MAX);
        cr_assert_lt(strlen(snapshot.failure.text), sizeof(snapshot.failure.text));
        proof_blackout_ns(&snapshot, &snapshot);
    }
}

struct writer {
    bool stop;
};

/* Publishes pairs in which the digest is the number of operations turned round. */
static void *publish(void *context)
{
    struct writer *writer = context;
    struct progress_chain *chain = &area.chain[0];

    for (uint64_t n = 1; !__atomic_load_n(&writer->stop, __ATOMIC_RELAXED); n++) {
        uint32_t generation = chain->generation + 1;
        struct progress_chain_value *slot = &chain->slot[generation & 1];

        __atomic_store_n(&slot->operations, n, __ATOMIC_RELEASE);
        __atomic_store_n(&slot->digest, ~n, __ATOMIC_RELEASE);
        __atomic_store_n(&chain->generation, generation, __ATOMIC_RELEASE);
        /* A guest does an operation between two publications. */
        for (volatile int pause = 0; pause < 200; pause++)
            ;
    }
    return NULL;
}

Test(read, a_pair_is_whole_while_the_guest_writes)
{
    struct writer writer = {.stop = false};
    pthread_t thread;
    uint64_t last = 0;

    area.chain[0].slot[0] = area.chain[0].slot[1] = (struct progress_chain_value){0, ~0ull};
    cr_assert_eq(pthread_create(&thread, NULL, publish, &writer), 0);
    for (int i = 0; i < 200000 || last == 0; i++) {
        if (proof_read(&area, sizeof(area), &snapshot, &error) < 0)
            continue;
        cr_assert_eq(snapshot.chain[0].digest, ~snapshot.chain[0].operations);
        cr_assert_geq(snapshot.chain[0].operations, last);
        last = snapshot.chain[0].operations;
    }
    __atomic_store_n(&writer.stop, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
}

static struct proof_snapshot paused, resumed;

/* Paused at TSC 1000000 at 1 GHz, so that a cycle is a nanosecond. */
static void set_up_blackout(void)
{
    paused = (struct proof_snapshot){.vcpus = 1, .tsc_hz = 1000000000};
    paused.clock[0].last_tsc = 1000000;
    paused.clock[0].gap_count = 3;
    resumed = paused;
    resumed.clock[0].last_tsc = 90000000;
}

static void add_gap(unsigned int vcpu, uint64_t start, uint64_t end)
{
    struct progress_clock *clock = &resumed.clock[vcpu];

    clock->gaps[clock->gap_count++ % PROGRESS_GAPS] = (struct progress_gap){start, end};
}

TestSuite(blackout, .init = set_up_blackout);

Test(blackout, is_the_gap_that_began_at_the_last_sample)
{
    add_gap(0, 1000000, 13000000);
    add_gap(0, 20000000, 80000000); /* a longer one, later, is not ours */
    cr_expect_eq(proof_blackout_ns(&paused, &resumed), 12000000);
}

Test(blackout, a_gap_that_was_entered_late_is_not_ours)
{
    add_gap(0, 900000, 1000000);
    add_gap(0, 1000200, 13000200);
    cr_expect_eq(proof_blackout_ns(&paused, &resumed), 12000000);
}

Test(blackout, is_the_longest_of_all_vcpus)
{
    paused.vcpus = resumed.vcpus = 2;
    paused.clock[1].last_tsc = 1100000;
    resumed.clock[1].last_tsc = 90000000;
    add_gap(0, 1000000, 13000000);
    add_gap(1, 1100000, 33100000);
    cr_expect_eq(proof_blackout_ns(&paused, &resumed), 32000000);
}

Test(blackout, is_0_as_long_as_no_sample_was_taken_after_the_pause)
{
    resumed.clock[0].last_tsc = 1000000;
    cr_expect_eq(proof_blackout_ns(&paused, &resumed), 0);
}

Test(blackout, without_a_gap_it_was_under_50_microseconds)
{
    cr_expect_eq(proof_blackout_ns(&paused, &resumed), PROGRESS_GAP_MIN_US * 1000u);
    resumed.clock[0].last_tsc = 1020000;
    cr_expect_eq(proof_blackout_ns(&paused, &resumed), 20000);
}

Test(blackout, after_too_many_gaps_it_is_looked_for_in_the_longest)
{
    add_gap(0, 1000000, 13000000);
    for (uint64_t i = 0; i < PROGRESS_GAPS; i++)
        add_gap(0, 20000000 + i * 1000000, 20060000 + i * 1000000);
    cr_expect_eq(proof_blackout_ns(&paused, &resumed), 0);
    resumed.clock[0].longest = (struct progress_gap){1000000, 13000000};
    cr_expect_eq(proof_blackout_ns(&paused, &resumed), 12000000);
    resumed.clock[0].longest.start = 999999; /* one from before the pause */
    cr_expect_eq(proof_blackout_ns(&paused, &resumed), 0);
}

Test(blackout, a_sample_that_was_published_late_is_not_taken_for_the_resume)
{
    struct proof_resume resume = {{0}};

    paused.vcpus = resumed.vcpus = 2;
    paused.clock[1].last_tsc = 1100000;
    cr_expect_not(proof_resume_watch(&resume, &paused, &paused));
    /* Taken before the pause, seen after it: once or often. */
    resumed.clock[0].last_tsc = 1000001;
    resumed.clock[1].last_tsc = 1100001;
    cr_expect_not(proof_resume_watch(&resume, &paused, &resumed));
    cr_expect_not(proof_resume_watch(&resume, &paused, &resumed));
    resumed.clock[0].last_tsc = 90000000;
    cr_expect_not(proof_resume_watch(&resume, &paused, &resumed), "the other vCPU does not work yet");
    resumed.clock[1].last_tsc = 90000000;
    cr_expect(proof_resume_watch(&resume, &paused, &resumed));
}

Test(blackout, a_gap_up_to_a_sample_that_was_published_late_does_not_hide_the_pause)
{
    add_gap(0, 1000000, 1300000);
    add_gap(0, 1300000, 13000000);
    add_gap(0, 20000000, 80000000);
    cr_expect_eq(proof_blackout_ns(&paused, &resumed), 11700000);
}

Test(blackout, gaps_that_cannot_be_are_left_out)
{
    add_gap(0, 2000000, 1500000);
    add_gap(0, 2000000, 1ull << 63);
    cr_expect_eq(proof_blackout_ns(&paused, &resumed), 0);
    resumed.tsc_hz = 0;
    cr_expect_eq(proof_blackout_ns(&paused, &resumed), 0);
}
