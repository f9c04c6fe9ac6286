/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's time: kvmclock and the TSCs. It runs on while the guest is moved:
 * Documentation/virt/kvm/devices/vcpu.rst, "KVM_VCPU_TSC_OFFSET", has the procedure.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <x86intrin.h>

#include "vmm/kvm/x86/x86_private.h"

#ifndef KVM_CLOCK_REALTIME
#define KVM_CLOCK_REALTIME (1 << 2)
#define KVM_CLOCK_HOST_TSC (1 << 3)
#endif

#define NS_PER_S 1000000000u
#define HOST_TIME_TRIES 4
/* The kernel's own tolerance for TSC rates that count as the same. */
#define TSC_KHZ_TOLERANCE_PPM 250u
/* About 146 years: no time is later. */
#define TIME_NS_MAX (1ull << 62)
#define TSC_KHZ_MAX 100000000u

static void add_line(struct buffer *ignored, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add_line(struct buffer *ignored, const char *format, ...)
{
    char line[256];
    va_list arguments;
    int length;

    if (!ignored)
        return;
    va_start(arguments, format);
    length = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (length > 0)
        buffer_put(ignored, line, (size_t)length < sizeof(line) ? (size_t)length : sizeof(line) - 1);
}

void x86_host_time(uint64_t *tsc, uint64_t *realtime_ns)
{
    uint64_t best = UINT64_MAX;

    for (int i = 0; i < HOST_TIME_TRIES; i++) {
        uint64_t before = __rdtsc();
        struct timespec now;
        uint64_t after;

        clock_gettime(CLOCK_REALTIME, &now);
        after = __rdtsc();
        if (after - before >= best)
            continue;
        best = after - before;
        *tsc = before + best / 2;
        *realtime_ns = (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
    }
}

uint32_t x86_tsc_khz(struct vcpu *vcpu)
{
    int khz = ioctl(vcpu->fd, KVM_GET_TSC_KHZ, 0);

    return khz > 0 ? (uint32_t)khz : 0;
}

static int get_offset(struct vcpu *vcpu, int64_t *offset)
{
    struct kvm_device_attr attribute = {
        .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uintptr_t)offset};

    return ioctl(vcpu->fd, KVM_GET_DEVICE_ATTR, &attribute);
}

static int set_offset(struct vcpu *vcpu, int64_t offset)
{
    struct kvm_device_attr attribute = {
        .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uintptr_t)&offset};

    return ioctl(vcpu->fd, KVM_SET_DEVICE_ATTR, &attribute);
}

int x86_tsc_get(struct vcpu *vcpu, struct x86_tsc_state *state, struct error *error)
{
    *state = (struct x86_tsc_state){.khz = vcpu->arch->tsc_khz};
    if (get_offset(vcpu, &state->offset) == 0) {
        state->has_offset = 1;
        state->guest_tsc = __rdtsc() + (uint64_t)state->offset;
        return 0;
    }
    if (x86_msr_get_one(vcpu, MSR_IA32_TSC, &state->guest_tsc) < 0)
        return error_set(error, EIO, "neither KVM_VCPU_TSC_OFFSET nor IA32_TSC can be read");
    return 0;
}

int x86_tsc_check(const struct x86_tsc_state *state, struct error *error)
{
    if (state->khz > TSC_KHZ_MAX || state->has_offset > 1)
        return error_set(error, EINVAL, "a TSC of %" PRIu32 " kHz, offset given %" PRIu32, state->khz,
                         state->has_offset);
    return 0;
}

static bool same_rate(uint32_t a, uint32_t b)
{
    uint64_t difference = a > b ? a - b : b - a;

    return difference * 1000000u <= (uint64_t)a * TSC_KHZ_TOLERANCE_PPM;
}

static void put_rate(struct vcpu *vcpu, uint32_t wanted, struct buffer *ignored)
{
    uint32_t here = vcpu->arch->tsc_khz;

    if (!wanted || same_rate(wanted, here))
        return;
    /* Some KVM fails and tells the new rate all the same, so both count. */
    if (ioctl(vcpu->fd, KVM_SET_TSC_KHZ, (unsigned long)wanted) == 0 && same_rate(wanted, x86_tsc_khz(vcpu)))
        vcpu->arch->tsc_khz = wanted;
    else
        add_line(ignored,
                 "vCPU %u: the TSC runs at %" PRIu32 " kHz here and ran at %" PRIu32
                 " kHz on the source; this host does not scale it\n",
                 vcpu->index, here, wanted);
}

/* The offset stays what it is: right, where the guest's TSC does not go back by it. */
static int keep_offset(struct vcpu *vcpu, const struct x86_tsc_state *state, int64_t here, int64_t wanted,
                       struct buffer *ignored, struct error *error)
{
    uint64_t guest_tsc = __rdtsc() + (uint64_t)here;

    if (guest_tsc < state->guest_tsc)
        return error_rule(error, "clock/tsc-behind", 0,
                          "the guest's TSC was at %" PRIu64 " on the source and would be at %" PRIu64
                          " here: this host ignores TSC offsets, and its TSC is behind the source's; migrate to a host "
                          "that was started earlier",
                          state->guest_tsc, guest_tsc);
    add_line(ignored, "vCPU %u: TSC offset %" PRId64 " was asked for, and this host keeps %" PRId64 "\n", vcpu->index,
             wanted, here);
    return 0;
}

int x86_tsc_put(struct vcpu *vcpu, const struct x86_tsc_state *state, struct buffer *ignored, struct error *error)
{
    const struct vm_arch *arch = vcpu->vm->arch;
    const struct x86_time *time = &arch->time;
    int64_t wanted = (int64_t)((uint64_t)state->offset + (uint64_t)(time->known ? time->tsc_shift : 0));
    int64_t here = 0;

    put_rate(vcpu, state->khz, ignored);
    if (arch->tsc_offset == X86_TSC_OFFSET_IGNORED && state->has_offset && wanted == vcpu->arch->tsc_offset)
        return 0;
    if (arch->tsc_offset == X86_TSC_OFFSET_IGNORED)
        return keep_offset(vcpu, state, vcpu->arch->tsc_offset, wanted, ignored, error);
    if (state->has_offset && set_offset(vcpu, wanted) == 0 && get_offset(vcpu, &here) == 0 && here == wanted) {
        x86_tsc_remember(vcpu);
        return 0;
    }
    if (get_offset(vcpu, &here) < 0) {
        uint64_t guest_tsc;

        if (x86_msr_get_one(vcpu, MSR_IA32_TSC, &guest_tsc) < 0)
            return error_set(error, EIO, "neither KVM_VCPU_TSC_OFFSET nor IA32_TSC can be read");
        here = (int64_t)(guest_tsc - __rdtsc());
    }
    return keep_offset(vcpu, state, here, wanted, ignored, error);
}

/* Kept, because to ask for it would wait until the vCPU leaves KVM_RUN. */
void x86_tsc_remember(struct vcpu *vcpu)
{
    vcpu->arch->tsc_offset = 0;
    get_offset(vcpu, &vcpu->arch->tsc_offset);
}

uint64_t vm_guest_tsc(struct vm *vm)
{
    return __rdtsc() + (uint64_t)vm->vcpu[0].arch->tsc_offset;
}

bool vm_honours_tsc_offset(struct vm *vm)
{
    struct vcpu *vcpu = &vm->vcpu[0];
    int64_t before = 0, after = 0;

    if (vm->arch->tsc_offset != X86_TSC_OFFSET_UNKNOWN)
        return vm->arch->tsc_offset == X86_TSC_OFFSET_HONOURED;
    /* Some KVM says yes and does nothing, so only reading it back tells. */
    if (get_offset(vcpu, &before) < 0 || set_offset(vcpu, before + 1000) < 0 || get_offset(vcpu, &after) < 0)
        return false;
    set_offset(vcpu, before);
    vm->arch->tsc_offset = after == before + 1000 ? X86_TSC_OFFSET_HONOURED : X86_TSC_OFFSET_IGNORED;
    return after == before + 1000;
}

int x86_clock_get(struct vm *vm, struct x86_clock_state *state, struct error *error)
{
    struct kvm_clock_data clock = {.flags = 0};
    const uint32_t both = KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC;

    if (ioctl(vm->fd, KVM_GET_CLOCK, &clock) < 0)
        return error_set(error, errno, "KVM_GET_CLOCK");
    *state = (struct x86_clock_state){.clock_ns = clock.clock, .tsc_khz = vm->vcpu[0].arch->tsc_khz};
    if ((clock.flags & both) == both) {
        state->realtime_ns = clock.realtime;
        state->host_tsc = clock.host_tsc;
        state->from_kvm = 1;
    } else {
        x86_host_time(&state->host_tsc, &state->realtime_ns);
    }
    return 0;
}

int x86_clock_check(const struct x86_clock_state *state, struct error *error)
{
    if (state->clock_ns > TIME_NS_MAX || state->realtime_ns > TIME_NS_MAX || state->tsc_khz > TSC_KHZ_MAX ||
        state->from_kvm > 1)
        return error_set(error, EINVAL, "clock %" PRIu64 " ns at %" PRIu64 " ns of real time, TSC %" PRIu32 " kHz",
                         state->clock_ns, state->realtime_ns, state->tsc_khz);
    return 0;
}

/*
 * What the vCPUs' TSC offsets have to change by, so that the guest's TSC is where it would be had it run on here. Where
 * both ends share one TSC that is 0, and what is left is the error of real time against the TSC (it is slewed by up to
 * 500 ppm) and of reading both: within that, the offsets stay as they are.
 */
static int64_t tsc_shift(const struct x86_clock_state *state, uint64_t tsc, uint64_t elapsed_ns)
{
    __int128 elapsed_tsc = (__int128)elapsed_ns * state->tsc_khz / 1000000;
    __int128 tolerance = (__int128)(elapsed_ns / 1000 + 100000) * state->tsc_khz / 1000000;
    __int128 shift = (__int128)state->host_tsc + elapsed_tsc - tsc;

    if (shift <= tolerance && shift >= -tolerance)
        return 0;
    return (int64_t)(uint64_t)shift;
}

int x86_clock_put(struct vm *vm, const struct x86_clock_state *state, struct buffer *ignored, struct error *error)
{
    const uint32_t supported = (uint32_t)vm_extension(vm, KVM_CAP_ADJUST_CLOCK);
    struct kvm_clock_data clock = {.clock = state->clock_ns};
    uint64_t tsc = 0, realtime_ns = 0, elapsed_ns;

    x86_host_time(&tsc, &realtime_ns);
    elapsed_ns = realtime_ns > state->realtime_ns ? realtime_ns - state->realtime_ns : 0;
    if (realtime_ns < state->realtime_ns)
        add_line(ignored,
                 "clock: real time here is %" PRIu64
                 " ns behind that of the source when it paused, so the guest's time stands still meanwhile\n",
                 state->realtime_ns - realtime_ns);
    if (supported & KVM_CLOCK_REALTIME) {
        clock.flags = KVM_CLOCK_REALTIME;
        clock.realtime = state->realtime_ns;
    } else {
        clock.clock += elapsed_ns;
    }
    if (ioctl(vm->fd, KVM_SET_CLOCK, &clock) < 0)
        return error_set(error, errno, "KVM_SET_CLOCK to %" PRIu64 " ns", state->clock_ns);
    vm->arch->time = (struct x86_time){.known = true, .tsc_shift = tsc_shift(state, tsc, elapsed_ns)};
    return 0;
}
