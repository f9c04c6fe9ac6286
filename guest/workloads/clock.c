/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/workloads/clock.h"
#include "guest/base/processor.h"
#include "guest/guest.h"
#include "guest/kernel/gate.h"

#define NS_PER_SECOND 1000000000ull
#define US_PER_SECOND 1000000ull
#define PVCLOCK_TRIES 1000

void clock_open(struct vcpu *vcpu)
{
    struct guest *guest = vcpu->guest;
    struct clock *clock = &vcpu->clock;

    clock->published = &guest->progress->clock[vcpu->index];
    clock->ticks = &vcpu->interrupts[GATE_TIMER_VECTOR];
    clock->tsc_hz = guest->config.tsc_hz;
    clock->kvmclock = guest->config.kvmclock;
    clock->gap_recorded = scale(CLOCK_GAP_RECORDED_US, clock->tsc_hz, US_PER_SECOND);
    clock->gap_excluded = scale(CLOCK_GAP_EXCLUDED_US, clock->tsc_hz, US_PER_SECOND);
    clock->judged = guest->config.wanted[WORKLOAD_CLOCK];
    if (clock->judged)
        chain_open(&clock->chain, guest, WORKLOAD_CLOCK, 0, (uint16_t)vcpu->index, 0);
}

void clock_start(struct vcpu *vcpu)
{
    struct clock *clock = &vcpu->clock;

    if (clock->kvmclock)
        gate_call(GATE_START_KVMCLOCK, (uint64_t)&clock->pvclock, 0, 0);
    gate_call(GATE_START_TIMER, vcpu->guest->config.apic_timer_hz / CLOCK_TICKS_HZ, 0, 0);
    clock->last_tsc = tsc_read();
}

uint64_t clock_observed_ns(const struct clock *clock)
{
    return scale(clock->observed, NS_PER_SECOND, clock->tsc_hz);
}

/* The gap is published before the sample that ends it. */
static void record_gap(struct clock *clock, uint64_t now)
{
    struct progress_clock *published = clock->published;
    struct progress_gap gap = {.start = clock->last_tsc, .end = now};

    published->gaps[published->gap_count % PROGRESS_GAPS] = gap;
    if (now - clock->last_tsc > published->longest.end - published->longest.start)
        published->longest = gap;
    __atomic_store_n(&published->gap_count, published->gap_count + 1, __ATOMIC_RELEASE);
}

static void sample_tsc(struct vcpu *vcpu)
{
    struct clock *clock = &vcpu->clock;
    uint64_t now = tsc_read(), passed = now - clock->last_tsc;

    if (now < clock->last_tsc) {
        if (clock->judged)
            guest_fail(vcpu->guest, "guest/tsc-back", clock->last_tsc, now, "vCPU %u: the TSC went back", vcpu->index);
        passed = 0;
    }
    if (passed < clock->gap_excluded)
        clock->observed += passed;
    if (passed >= clock->gap_recorded)
        record_gap(clock, now);
    clock->last_tsc = now;
    __atomic_store_n(&clock->published->last_tsc, now, __ATOMIC_RELEASE);
}

static uint64_t pvclock_scale(uint64_t cycles, int8_t shift, uint32_t multiplier)
{
    cycles = shift < 0 ? cycles >> -shift : cycles << shift;
    return (uint64_t)((unsigned __int128)cycles * multiplier >> 32);
}

/* Nanoseconds, 0 where the host does not come to an end of writing. */
static uint64_t pvclock_read(const volatile struct pvclock *pvclock)
{
    for (unsigned int i = 0; i < PVCLOCK_TRIES; i++) {
        uint32_t version = __atomic_load_n(&pvclock->version, __ATOMIC_ACQUIRE);
        uint64_t passed = tsc_read() - pvclock->tsc_timestamp;
        uint64_t now = pvclock->system_time + pvclock_scale(passed, pvclock->tsc_shift, pvclock->tsc_to_system_mul);

        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (version && !(version & 1) && version == pvclock->version)
            return now;
        processor_pause();
    }
    return 0;
}

static void sample_kvmclock(struct vcpu *vcpu)
{
    struct clock *clock = &vcpu->clock;
    uint64_t now = pvclock_read(&clock->pvclock), last = clock->published->last_kvmclock;

    if (!now)
        return;
    if (now < last && clock->judged)
        guest_fail(vcpu->guest, "guest/kvmclock-back", last, now, "vCPU %u: kvmclock went back", vcpu->index);
    __atomic_store_n(&clock->published->last_kvmclock, now, __ATOMIC_RELEASE);
}

static void sample_timer(struct vcpu *vcpu)
{
    struct clock *clock = &vcpu->clock;
    uint64_t ticks = *clock->ticks;

    if (ticks != clock->last_ticks) {
        clock->last_ticks = ticks;
        clock->ticked_at = clock->observed;
        __atomic_store_n(&clock->published->ticks, ticks, __ATOMIC_RELEASE);
        return;
    }
    if (clock->judged &&
        scale(clock->observed - clock->ticked_at, NS_PER_SECOND, clock->tsc_hz) > CLOCK_TIMER_STOPPED_NS)
        guest_fail(vcpu->guest, "guest/timer-stopped", ticks + 1, ticks,
                   "vCPU %u: no timer interrupt for %lu ns of running", vcpu->index,
                   scale(clock->observed - clock->ticked_at, NS_PER_SECOND, clock->tsc_hz));
}

void clock_sample(struct vcpu *vcpu)
{
    struct clock *clock = &vcpu->clock;

    sample_tsc(vcpu);
    if (clock->kvmclock)
        sample_kvmclock(vcpu);
    sample_timer(vcpu);
    if (!clock->judged || !chain_wants(&clock->chain, clock->chain.operations))
        return;
    chain_set(&clock->chain, 0);
    clock->chain.published->interrupts = clock->last_ticks;
    chain_publish(&clock->chain);
}

void clock_finish(struct vcpu *vcpu)
{
    struct clock *clock = &vcpu->clock;

    if (!clock->judged)
        return;
    clock->chain.published->interrupts = clock->last_ticks;
    chain_publish(&clock->chain);
}
