/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The memory workload of stopcopy/workload.h. Every page is a function of its generation, so that none is kept. */
#include "vmm/proof/arithmetic.h"
#include "vmm/proof/model.h"

void memory_model_init(struct memory_model *model, uint64_t seed, uint64_t pages)
{
    model->seed = seed;
    model->chain = seed;
    model->pages = pages;
}

void memory_model_step(struct memory_model *model, uint64_t i)
{
    uint64_t page = i % model->pages;
    uint64_t generation = i / model->pages;
    uint64_t value = 0;

    if (generation > 0) {
        /* The page holds generation - 1: base(p, g) has g + 1. */
        uint64_t base = proof_mix(model->seed + (generation << 32) + page);

        value = proof_digest_pattern(base, PROOF_PAGE_WORDS, i);
    }
    model->chain = proof_enter(model->chain, value);
}
