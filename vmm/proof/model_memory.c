/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The memory workload of stopcopy/workload.h. Every page is a function of its generation, so that none is kept. */
#include "vmm/proof/arithmetic.h"
#include "vmm/proof/model.h"

#define PAGE_WORDS 512

struct memory_model {
    struct model model; /* first */
    uint64_t pages;
};

static int init(struct model *model, const struct model_start *start, struct error *error)
{
    if (!start->chain->parameter)
        return error_rule(error, "guest/chains", 0, "the memory chain of vCPU %u has no pages", start->chain->index);
    ((struct memory_model *)model)->pages = start->chain->parameter;
    return 0;
}

static void step(struct model *model, uint64_t i)
{
    uint64_t pages = ((const struct memory_model *)model)->pages;
    uint64_t page = i % pages;
    uint64_t generation = i / pages;
    uint64_t value = 0;

    if (generation > 0) {
        /* The page holds generation - 1: base(p, g) has g + 1. */
        uint64_t base = proof_mix(model->seed + (generation << 32) + page);

        value = proof_digest_pattern(base, PAGE_WORDS, i);
    }
    model->chain = proof_enter(model->chain, value);
}

const struct model_ops memory_model_ops = {.size = sizeof(struct memory_model), .init = init, .step = step};
