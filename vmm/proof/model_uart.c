/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The uart workload of stopcopy/workload.h: what one port receives when the card does it right. */
#include "vmm/proof/arithmetic.h"
#include "vmm/proof/model.h"

void uart_model_init(struct uart_model *model, uint64_t seed)
{
    model->seed = seed;
    model->chain = seed;
    model->scratch = 0;
}

void uart_model_step(struct uart_model *model, uint64_t i)
{
    uint64_t r = proof_mix(model->seed + WORKLOAD_GOLDEN * (i + 1));
    uint64_t length = 1 + (r >> 8) % 8;
    uint64_t value = 0;

    /* Of an overrun nothing is received. */
    if ((r & 15) != 15) {
        value = i;
        for (uint64_t j = 0; j < length; j++)
            value = proof_digest_word(value, proof_mix(r + j + 1) & 0xff);
    }
    if ((i & 15) == 15) {
        value ^= model->scratch;
        model->scratch = (uint8_t)(proof_mix(model->seed ^ i) & 0xff);
    }
    model->chain = proof_enter(model->chain, value);
}
