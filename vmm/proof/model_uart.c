/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The uart workload of stopcopy/workload.h: what one port receives when the card does it right. */
#include "vmm/proof/arithmetic.h"
#include "vmm/proof/model.h"

struct uart_model {
    struct model model; /* first */
    uint8_t scratch;    /* SCR */
};

static void step(struct model *model, uint64_t i)
{
    struct uart_model *port = (struct uart_model *)model;
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
        value ^= port->scratch;
        port->scratch = (uint8_t)(proof_mix(model->seed ^ i) & 0xff);
    }
    model->chain = proof_enter(model->chain, value);
}

const struct model_ops uart_model_ops = {.size = sizeof(struct uart_model), .step = step};
