/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The edu workload of stopcopy/workload.h: what comes back from a device that does it right, whether or not it was asked
 * more than once. */
#include "vmm/proof/arithmetic.h"
#include "vmm/proof/model.h"

struct edu_model {
    struct model model; /* first */
    uint32_t liveness;  /* what the register reads as */
};

/* n! modulo 2^32 */
static uint64_t product_to(uint64_t n)
{
    uint64_t product = 1;

    while (n > 1)
        product = product * n-- & UINT32_MAX;
    return product;
}

static void step(struct model *model, uint64_t i)
{
    struct edu_model *edu = (struct edu_model *)model;
    uint64_t r = proof_mix(model->seed + WORKLOAD_GOLDEN * (i + 1));
    uint64_t count = 2 + (r >> 8) % 254;
    uint64_t value = proof_digest_word(i, i + 1);

    value = proof_digest_pattern(proof_mix(r) + WORKLOAD_GOLDEN, count - 1, value);
    value = proof_digest_word(value, r % 4 ? product_to((r >> 40) % 34) : 0);
    if (i % 4 == 3) {
        value ^= edu->liveness;
        edu->liveness = (uint32_t)(proof_mix(model->seed ^ i) & UINT32_MAX);
    }
    model->chain = proof_enter(model->chain, value);
}

const struct model_ops edu_model_ops = {.size = sizeof(struct edu_model), .step = step};
