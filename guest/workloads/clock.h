/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The clocks of a vCPU, sampled between any two steps of any workload: the gaps that the guest saw, and the time in
 * which it was seen to run, by which all else is timed. The clock workload judges them.
 */
#ifndef GUEST_WORKLOADS_CLOCK_H
#define GUEST_WORKLOADS_CLOCK_H

#include "guest/workloads/chain.h"

#define CLOCK_TICKS_HZ 100
#define CLOCK_GAP_RECORDED_US PROGRESS_GAP_MIN_US
#define CLOCK_GAP_EXCLUDED_US 10000
#define CLOCK_TIMER_STOPPED_NS 1000000000ull

struct vcpu;

/* KVM's struct pvclock_vcpu_time_info (Documentation/virt/kvm/x86/msr.rst). */
struct pvclock {
    uint32_t version;
    uint32_t pad0;
    uint64_t tsc_timestamp;
    uint64_t system_time;
    uint32_t tsc_to_system_mul;
    int8_t tsc_shift;
    uint8_t flags;
    uint8_t pad[2];
} __attribute__((aligned(32)));

struct clock {
    volatile struct pvclock pvclock; /* KVM writes it */
    struct progress_clock *published;
    const volatile uint64_t *ticks; /* counter of the timer's interrupts */
    bool judged;                    /* the clock workload was asked for: chain is there */
    bool kvmclock;
    struct chain chain;
    uint64_t tsc_hz;
    uint64_t gap_recorded, gap_excluded; /* in TSC cycles */
    uint64_t last_tsc;
    uint64_t observed; /* TSC cycles, without gaps of gap_excluded and more */
    uint64_t last_ticks, ticked_at;
};

/* On vCPU 0, at boot. The clock's chain comes after those of all other workloads. */
void clock_open(struct vcpu *vcpu);
/* On the vCPU itself: the timer and kvmclock begin. */
void clock_start(struct vcpu *vcpu);
/* Takes a sample. */
void clock_sample(struct vcpu *vcpu);
/* Nanoseconds in which this vCPU was seen to run. */
uint64_t clock_observed_ns(const struct clock *clock);
void clock_finish(struct vcpu *vcpu);

#endif
