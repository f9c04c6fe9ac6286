/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The proof that the guest's work is intact: what the guest published, against a model that knows only
 * include/stopcopy/workload.h and shares no code with the guest's drivers or the devices.
 */
#ifndef STOPCOPY_PROOF_H
#define STOPCOPY_PROOF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "stopcopy/guest_abi.h"
#include "stopcopy/workload.h"

/* A passed-through reference DMA device, as far as its work depends on it. */
struct proof_device {
    uint16_t slot; /* PCI slot number: progress_chain.device */
    uint32_t queues;
    uint64_t memory_size;
    uint64_t window_size;
};

/* What was asked of the guest. */
struct proof_plan {
    uint64_t seed;
    unsigned int vcpus;
    bool dma, memory, cpu, clock; /* workloads asked for */
    uint32_t dma_depth;
    bool avx2;
    uint64_t memory_size; /* of the memory workload, all vCPUs together */
    size_t device_count;
    struct proof_device device[32];
};

/* One chain at an instant. */
struct proof_chain {
    uint32_t workload;
    uint16_t device;
    uint16_t index;
    uint32_t parameter;
    uint64_t operations;
    uint64_t digest;
    uint64_t submitted;
    uint64_t interrupts;
};

struct proof_snapshot {
    uint32_t state; /* enum progress_state */
    struct progress_failure failure; /* texts are NUL-terminated and printable */
    uint32_t vcpus;
    uint64_t tsc_hz;
    size_t chain_count;
    struct proof_chain chain[PROGRESS_CHAINS_MAX];
    struct progress_clock clock[PROGRESS_VCPUS_MAX];
};

/* Reads the progress area, which the guest may be writing, or have written nonsense to: every number is checked. */
int proof_read(const void *area, size_t size, struct proof_snapshot *snapshot, struct error *error);

/* Pages of the memory workload's working set that vCPU index has: the pages of the size, divided; the first vCPUs have
 * one more where it does not divide evenly. */
uint64_t proof_memory_pages(const struct proof_plan *plan, unsigned int vcpu);

/* The chains that the guest must have under this plan are all there, each once, and no other. Error rule:
 * "guest/chains". */
int proof_check_chains(const struct proof_plan *plan, const struct proof_snapshot *snapshot, struct error *error);

/* A model of one chain, which advances. */
struct proof_model;
struct proof_model *proof_model_new(const struct proof_plan *plan, const struct proof_chain *chain,
                                    struct error *error);
/* The digest after operations operations, which must not be less than the last time. */
uint64_t proof_model_digest(struct proof_model *model, uint64_t operations);
void proof_model_free(struct proof_model *model);

/* The blackout as the guest saw it: the gap in the clock samples of each vCPU that began at the sample which was the
 * last at the pause; the longest of all vCPUs. Returns 0 when no vCPU has published a sample past the pause yet. */
uint64_t proof_blackout_ns(const struct proof_snapshot *paused, const struct proof_snapshot *resumed);

#endif
