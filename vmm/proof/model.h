/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The models of the workloads, one file each; proof_model chooses among them. All are zeroed when they begin. */
#ifndef STOPCOPY_PROOF_MODEL_H
#define STOPCOPY_PROOF_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "stopcopy/workload.h"
#include "vmm/proof/proof.h"

#define PROOF_PAGE_WORDS (WORKLOAD_DMA_BUFFER_SIZE / 8)
#define PROOF_CPU_GENERAL 6
#define PROOF_CPU_VECTORS 7
#define PROOF_CPU_X87 4

struct dma_model {
    uint64_t seed;
    uint64_t chain;
    uint32_t depth;
    bool internal_memory;                 /* each slot has a region of the device's */
    uint64_t (*region)[PROOF_PAGE_WORDS]; /* of each slot */
    uint64_t window_words;                /* of this queue */
    uint64_t *window;
    uint64_t span_words;                /* of an area in the peer's window, 0: none */
    uint64_t (*area)[PROOF_PAGE_WORDS]; /* two of each slot */
    uint64_t peer_operations;           /* so far */
};

struct memory_model {
    uint64_t seed;
    uint64_t chain;
    uint64_t pages;
};

struct cpu_model {
    uint64_t seed;
    bool avx2;
    uint64_t g[PROOF_CPU_GENERAL];
    uint64_t x[PROOF_CPU_VECTORS][2];
    uint64_t y[PROOF_CPU_VECTORS][4];
    uint64_t f[PROOF_CPU_X87];
};

struct uart_model {
    uint64_t seed;
    uint64_t chain;
    uint8_t scratch; /* SCR */
};

struct edu_model {
    uint64_t seed;
    uint64_t chain;
    uint32_t liveness; /* what the register reads as */
};

/* seed is the chain seed; peer: the device whose window the operations aim at, NULL for none. Allocates; freed by
 * dma_model_free, also after a failure. */
int dma_model_init(struct dma_model *model, uint64_t seed, uint32_t depth, const struct proof_device *device,
                   const struct proof_device *peer, struct error *error);
void dma_model_step(struct dma_model *model, uint64_t operation);
/* Is it one that aims at the peer? */
bool dma_model_reaches_peer(const struct dma_model *model, uint64_t operation);
void dma_model_free(struct dma_model *model);

void memory_model_init(struct memory_model *model, uint64_t seed, uint64_t pages);
void memory_model_step(struct memory_model *model, uint64_t operation);

void uart_model_init(struct uart_model *model, uint64_t seed);
void uart_model_step(struct uart_model *model, uint64_t operation);

void edu_model_init(struct edu_model *model, uint64_t seed);
void edu_model_step(struct edu_model *model, uint64_t operation);

void cpu_model_init(struct cpu_model *model, uint64_t seed, bool avx2);
void cpu_model_step(struct cpu_model *model);
uint64_t cpu_model_digest(const struct cpu_model *model);

#endif
