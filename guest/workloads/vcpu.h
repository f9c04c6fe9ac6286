/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A vCPU and its work: at CPL 3, a turn after the other, a step of each workload it has in each turn. */
#ifndef GUEST_WORKLOADS_VCPU_H
#define GUEST_WORKLOADS_VCPU_H

#include "guest/kernel/gate.h"
#include "guest/workloads/clock.h"
#include "guest/workloads/cpu.h"
#include "guest/workloads/memory.h"

#define VCPU_STACK_SIZE 16384u

struct guest;
struct device_work;

struct vcpu {
    volatile uint64_t interrupts[256]; /* the kernel counts here */
    struct guest *guest;
    uint32_t index;
    uint32_t apic_id;
    bool online;
    uint8_t next_vector; /* of the local APIC, for the next queue */
    struct clock clock;
    struct memory memory;
    struct cpu cpu;
    struct device_work *work; /* devices, or parts of them, of which this vCPU takes care; newest first */
    uint64_t poll_at;         /* vCPU 0: TSC at which to look for the VMM's request */
};

/* Makes all vCPUs of the configuration, and starts all but the first, which are online and wait. */
void vcpus_open(struct guest *guest);
/* Works until all is done and checked; vCPU 0 then tells how it ended. */
_Noreturn void vcpu_work(struct vcpu *vcpu);

#endif
