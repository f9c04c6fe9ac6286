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

/* A passed-through device that a workload works on, as far as its work depends on it. */
struct proof_device {
    uint32_t workload;                 /* enum workload_id */
    uint16_t slot;                     /* PCI slot number: progress_chain.device */
    uint16_t index;                    /* the device's number in the event log */
    uint32_t chains;                   /* that it has: queues, ports */
    uint64_t memory_size, window_size; /* of a reference DMA device; else 0 */
};

/* What was asked of the guest. */
struct proof_plan {
    uint64_t seed;
    uint64_t operations; /* that each chain of the leading workload must have at the end; 0: not judged */
    unsigned int vcpus;
    bool wanted[WORKLOAD_END]; /* workloads asked for, by enum workload_id */
    uint32_t dma_depth;
    bool dma_p2p;          /* with operations that aim at another device */
    bool dma_p2p_required; /* the user asked for them: without any nothing is proven */
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
    uint64_t repeats;  /* edu: pairs done again */
    uint64_t repeated; /* edu: the operation that was repeated last */
};

struct proof_snapshot {
    uint32_t state;                  /* enum progress_state */
    struct progress_failure failure; /* texts are NUL-terminated and printable */
    uint32_t vcpus;
    uint64_t tsc_hz;
    size_t chain_count;
    struct proof_chain chain[PROGRESS_CHAINS_MAX];
    struct progress_clock clock[PROGRESS_VCPUS_MAX];
};

/*
 * Reads the progress area, which the guest may be writing, or have written nonsense to: it is copied first and every
 * number of the copy is checked. An area that is all zero is a guest that is booting. area must be aligned to 8 bytes
 * and may be a copy of the area, of another process. Error rule: "guest/progress".
 */
int proof_read(const void *area, size_t size, struct proof_snapshot *snapshot, struct error *error);

/* Pages of the memory workload's working set that vCPU index has: the pages of the size, divided; the first vCPUs have
 * one more where it does not divide evenly. */
uint64_t proof_memory_pages(const struct proof_plan *plan, unsigned int vcpu);

/* The chains that the guest must have under this plan, with their parameters and no numbers, in the order of the
 * workloads, devices and indexes. A vCPU without a page of the memory workload has no chain of it. Returns how many, or
 * -1 where the plan is not possible. */
int proof_plan_chains(const struct proof_plan *plan, struct proof_chain chain[static PROGRESS_CHAINS_MAX],
                      struct error *error);

/* The chains that the guest must have under this plan are all there, each once, and no other. Error rule:
 * "guest/chains". */
int proof_check_chains(const struct proof_plan *plan, const struct proof_snapshot *snapshot, struct error *error);

/* Is it a workload of enum workload_id? */
bool proof_workload_known(uint32_t workload);
/* Where it stands among those that may lead, from 0; workload.h. Unknown ones come last. */
unsigned int proof_workload_rank(uint32_t workload);
/* Are its operations a device's, handed to it before they are done? */
bool proof_workload_of_device(uint32_t workload);
/* A name of WORKLOAD_NAMES, or "unknown". */
const char *proof_workload_name(uint32_t workload);
/* For messages: "dma, device in slot 2, queue 0", "cpu, vCPU 1". Writes at most size bytes with the NUL. */
void proof_chain_name(const struct proof_chain *chain, char *name, size_t size);

/* A model of one chain, which advances. It takes the chain's workload, device, index and parameter, none of its
 * numbers. Memory: a page for each slot of a dma queue and the queue's part of the window, as they are touched. */
struct proof_model;
struct proof_model *proof_model_new(const struct proof_plan *plan, const struct proof_chain *chain,
                                    struct error *error);
/* The digest after operations operations. A model does not go back: with fewer than the last time the answer is that of
 * the last time. */
uint64_t proof_model_digest(struct proof_model *model, uint64_t operations);
void proof_model_free(struct proof_model *model);
/* How many of the operations so far were peer-to-peer ones; and of those from first up to, without, end. */
uint64_t proof_model_peer_operations(const struct proof_model *model);
uint64_t proof_model_peer_operations_in(const struct proof_model *model, uint64_t first, uint64_t end);

/*
 * Which vCPUs have been seen to work again. The first sample that a vCPU publishes after the pause may be one that it took
 * before it: only the second is known to be of after it, and to have its gap entered. Begins zeroed.
 */
struct proof_resume {
    uint64_t first[PROGRESS_VCPUS_MAX]; /* the first sample past that of the pause, 0 for none yet */
};
/* Looks at what the guest has published by now. Returns whether every vCPU works again. */
bool proof_resume_watch(struct proof_resume *resume, const struct proof_snapshot *paused,
                        const struct proof_snapshot *now);

/*
 * The blackout as the guest saw it: the gap in the clock samples of each vCPU that began at the sample which was the
 * last at the pause; the longest of all vCPUs, in nanoseconds. Returns 0 when no vCPU has published a sample past the
 * pause yet. A vCPU that entered no gap was out for less than PROGRESS_GAP_MIN_US, and counts with the time to its
 * last sample, that at most. The guest keeps its last PROGRESS_GAPS gaps: take resumed soon after the vCPUs run again, or
 * the gap is gone; then it is looked for in the longest.
 */
uint64_t proof_blackout_ns(const struct proof_snapshot *paused, const struct proof_snapshot *resumed);

#endif
