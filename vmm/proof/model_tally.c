/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tally workload of stopcopy/workload.h: what the registers hold when the device adds up right. */
#include "vmm/proof/arithmetic.h"
#include "vmm/proof/model.h"

struct tally_model {
    struct model model; /* first */
    uint64_t tally, additions;
};

static void step(struct model *model, uint64_t i)
{
    struct tally_model *tally = (struct tally_model *)model;
    uint64_t r = proof_mix(model->seed + WORKLOAD_GOLDEN * (i + 1));
    uint64_t count = 1 + (r >> 8) % 8;
    uint64_t last = (r >> 16) % count;
    uint64_t threshold = 0, value;

    for (uint64_t j = 0; j < count; j++) {
        tally->tally += proof_mix(r + j + 1) >> 40;
        if (j == last)
            threshold = tally->tally;
    }
    tally->additions += count;
    value = proof_digest_word(i, tally->tally);
    value = proof_digest_word(value, threshold);
    value = proof_digest_word(value, tally->additions);
    model->chain = proof_enter(model->chain, value);
}

const struct model_ops tally_model_ops = {.size = sizeof(struct tally_model), .step = step};
