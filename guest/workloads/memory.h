/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The memory workload of one vCPU (stopcopy/workload.h). */
#ifndef GUEST_WORKLOADS_MEMORY_H
#define GUEST_WORKLOADS_MEMORY_H

#include "guest/workloads/chain.h"

struct vcpu;

struct memory {
    bool wanted;
    struct chain chain;
    uint64_t (*page)[512];
    uint64_t pages;
    uint64_t cycles_per_page; /* of the TSC, by the rate; 0: no limit */
    uint64_t next_at;         /* TSC at which the next page is due */
    uint64_t verified;        /* pages looked at once more at the end */
};

void memory_open(struct vcpu *vcpu);
/* Visits some pages, where they are due. Returns whether it did. */
bool memory_step(struct vcpu *vcpu);
/* Verifies some pages at the end. Returns whether there are more. */
bool memory_verify(struct vcpu *vcpu);

#endif
