/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The models against digests that a slow implementation in Python made (model.py). */
#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "vmm/proof/proof.h"

#include "tests/unit/proof/golden.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct proof_model *new_model(const struct golden *row)
{
    struct proof_plan plan = {
        .seed = row->seed,
        .vcpus = 64,
        .wanted[WORKLOAD_DMA] = true,
        .avx2 = row->avx2,
        .dma_depth = row->parameter,
        .dma_p2p = row->peer_window,
        .device_count = row->peer_window ? 4 : 1,
        .device[0] = {.workload = row->workload,
                      .slot = row->device,
                      .chains = row->workload == WORKLOAD_DMA ? row->queues : row->index + 1u,
                      .memory_size = row->memory_size,
                      .window_size = row->window_size},
        /* The peer of a device is the next that has a window. */
        .device[1] = {.workload = WORKLOAD_DMA, .slot = 40, .chains = 1},
        .device[2] = {.workload = WORKLOAD_DMA, .slot = 41, .chains = 3, .window_size = row->peer_window},
        .device[3] = {.workload = WORKLOAD_DMA, .slot = 42, .chains = 1, .window_size = 8},
    };
    struct proof_chain chain = {
        .workload = row->workload,
        .device = row->device,
        .index = row->index,
        .parameter = row->parameter,
    };
    struct error error = ERROR_INIT;
    struct proof_model *model = proof_model_new(&plan, &chain, &error);

    cr_assert(model, "%s", error.text);
    return model;
}

Test(model, digests_are_those_of_the_slow_implementation)
{
    for (size_t i = 0; i < COUNT(golden); i++) {
        struct proof_model *model = new_model(&golden[i]);

        for (size_t j = 0; j < COUNT(golden_counts); j++)
            cr_expect_eq(proof_model_digest(model, golden_counts[j]), golden[i].digest[j],
                         "case %zu after %llu operations", i, (unsigned long long)golden_counts[j]);
        proof_model_free(model);
    }
}

Test(model, going_there_at_once_gives_the_same)
{
    size_t last = COUNT(golden_counts) - 1;

    for (size_t i = 0; i < COUNT(golden); i++) {
        struct proof_model *model = new_model(&golden[i]);

        cr_expect_eq(proof_model_digest(model, golden_counts[last]), golden[i].digest[last], "case %zu", i);
        proof_model_free(model);
    }
}

Test(model, does_not_go_back)
{
    struct proof_model *model = new_model(&golden[0]);
    uint64_t digest = proof_model_digest(model, 100);

    cr_expect_eq(proof_model_digest(model, 50), digest);
    cr_expect_eq(proof_model_digest(model, golden_counts[3]), golden[0].digest[3]);
    proof_model_free(model);
}

Test(model, a_clock_has_no_digest)
{
    struct proof_plan plan = {.vcpus = 1, .wanted[WORKLOAD_CLOCK] = true};
    struct proof_chain chain = {.workload = WORKLOAD_CLOCK};
    struct proof_model *model = proof_model_new(&plan, &chain, NULL);

    cr_assert(model);
    cr_expect_eq(proof_model_digest(model, 1u << 30), 0);
    proof_model_free(model);
}

static void expect_refused(const struct proof_plan *plan, struct proof_chain chain, const char *words)
{
    struct error error = ERROR_INIT;

    cr_expect_null(proof_model_new(plan, &chain, &error));
    cr_expect(strstr(error.text, words), "\"%s\" has not \"%s\"", error.text, words);
}

Test(model, refuses_chains_that_cannot_be)
{
    struct proof_plan plan = {.vcpus = 1,
                              .device_count = 1,
                              .device[0] = {.workload = WORKLOAD_DMA, .slot = 3, .chains = 2, .window_size = 4096}};

    expect_refused(&plan, (struct proof_chain){.workload = WORKLOAD_DMA, .device = 4, .parameter = 1}, "slot 4");
    expect_refused(&plan, (struct proof_chain){.workload = WORKLOAD_DMA, .device = 3, .index = 2, .parameter = 1},
                   "queue 2");
    expect_refused(&plan, (struct proof_chain){.workload = WORKLOAD_DMA, .device = 3}, "depth 0");
    expect_refused(&plan, (struct proof_chain){.workload = WORKLOAD_MEMORY}, "no pages");
    expect_refused(&plan, (struct proof_chain){.workload = 9}, "workload 9");
    plan.device[0].window_size = (64ull << 20) + 8;
    expect_refused(&plan, (struct proof_chain){.workload = WORKLOAD_DMA, .device = 3, .parameter = 1}, "window");
}
