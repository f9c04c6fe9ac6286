/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The models of the workloads, one file each, chosen by the table of workload.h. */
#ifndef STOPCOPY_PROOF_MODEL_H
#define STOPCOPY_PROOF_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stopcopy/workload.h"
#include "vmm/proof/proof.h"

/* The first member of each model. */
struct model {
    uint64_t seed;
    uint64_t chain; /* after the operations so far; the seed at first */
};

/* What a model begins with. */
struct model_start {
    const struct proof_plan *plan;
    const struct proof_chain *chain;
    const struct proof_device *device; /* whose chain it is, NULL for a chain of a vCPU */
};

struct model_ops {
    size_t size; /* of the model, which is zeroed but for struct model when it begins */
    /* NULL: nothing to do. What it has allocated when it fails is freed by free. */
    int (*init)(struct model *model, const struct model_start *start, struct error *error);
    /* Acts out operation number `operation`, the one after the last. */
    void (*step)(struct model *model, uint64_t operation);
    /* The digest; NULL: it is the chain. */
    uint64_t (*digest)(const struct model *model);
    void (*free)(struct model *model); /* what it has allocated; NULL: nothing */
};

extern const struct model_ops clock_model_ops;
extern const struct model_ops cpu_model_ops;
extern const struct model_ops dma_model_ops;
extern const struct model_ops edu_model_ops;
extern const struct model_ops memory_model_ops;
extern const struct model_ops tally_model_ops;
extern const struct model_ops uart_model_ops;

/* Of a model of dma: how many operations so far aimed at the peer, and whether this one does. */
uint64_t dma_model_peer_operations(const struct model *model);
bool dma_model_reaches_peer(const struct model *model, uint64_t operation);

#endif
