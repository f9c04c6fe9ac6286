/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A digest chain (stopcopy/workload.h) and its record in the progress area. One vCPU has it. */
#ifndef GUEST_WORKLOADS_CHAIN_H
#define GUEST_WORKLOADS_CHAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "stopcopy/guest_abi.h"
#include "stopcopy/workload.h"

struct guest;

struct chain {
    struct guest *guest;
    struct progress_chain *published;
    uint64_t seed;
    uint64_t operations;
    uint64_t digest;
    uint64_t limit; /* operations that it ends at, UINT64_MAX for a chain that goes on as long as others do */
};

/* Is it of a vCPU, and not of a device? Then an operation is submitted when it is done. */
static inline bool chain_is_of_vcpu(const struct progress_chain *published)
{
    return published->workload == WORKLOAD_MEMORY || published->workload == WORKLOAD_CPU ||
           published->workload == WORKLOAD_CLOCK;
}

/* Makes the chain and its record; at boot, on vCPU 0. */
void chain_open(struct chain *chain, struct guest *guest, enum workload_id workload, uint16_t device, uint16_t index,
                uint32_t parameter);
/* May operation number `operation` be begun? */
bool chain_wants(const struct chain *chain, uint64_t operation);
/* An operation is done and checked, and its value enters. */
void chain_enter(struct chain *chain, uint64_t value);
/* An operation is done and checked, and the digest is what it is now. */
void chain_set(struct chain *chain, uint64_t digest);
void chain_publish_submitted(struct chain *chain, uint64_t submitted);
/* Makes the count and the digest be seen. */
void chain_publish(struct chain *chain);

#endif
