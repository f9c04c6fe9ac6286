/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of vmm/kvm/x86/ share. */
#ifndef STOPCOPY_X86_PRIVATE_H
#define STOPCOPY_X86_PRIVATE_H

#include "vmm/kvm/vm_private.h"

#ifndef KVM_CAP_X86_APIC_BUS_CYCLES_NS
#define KVM_CAP_X86_APIC_BUS_CYCLES_NS 237
#endif

#define X86_MSRS_MAX 96
#define X86_CPUID_MAX 256

#define MSR_IA32_TSC 0x10
#define MSR_IA32_TSC_DEADLINE 0x6e0
#define MSR_KVM_SYSTEM_TIME_NEW 0x4b564d01

#define XCR0_X87 (1u << 0)
#define XCR0_SSE (1u << 1)
#define XCR0_AVX (1u << 2)

/* KVM_GET_MSRS and KVM_SET_MSRS with room of their own. */
struct x86_msrs {
    struct kvm_msrs header;
    struct kvm_msr_entry entries[X86_MSRS_MAX];
};
_Static_assert(offsetof(struct x86_msrs, entries) == sizeof(struct kvm_msrs), "the entries follow the header");

/* A CPUID table with room of its own. */
struct x86_cpuid {
    struct kvm_cpuid2 header;
    struct kvm_cpuid_entry2 entries[X86_CPUID_MAX];
};
_Static_assert(offsetof(struct x86_cpuid, entries) == sizeof(struct kvm_cpuid2), "the entries follow the header");

/* The destination's time against the source's, learnt from the VM's state for the vCPUs' TSC offsets. */
struct x86_time {
    bool known;
    int64_t tsc_shift; /* what to add to the source's TSC offset */
};

/* What a vCPU is like that the state of another is to be put into, so that what is so already need not be set. */
struct x86_known {
    bool known;
    struct kvm_debugregs debugregs;
    struct kvm_mp_state mp_state;
    uint64_t xcr0;
    struct x86_msrs msrs;
};

/* See warm.c. */
struct x86_warm {
    bool known;
    struct kvm_mp_state mp_state;
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    struct kvm_vcpu_events events;
};

/* Does KVM keep a TSC offset that it is given? */
enum x86_tsc_offset {
    X86_TSC_OFFSET_UNKNOWN,
    X86_TSC_OFFSET_HONOURED,
    X86_TSC_OFFSET_IGNORED,
};

struct vm_arch {
    struct x86_cpuid supported; /* KVM_GET_SUPPORTED_CPUID */
    struct x86_msrs msrs;       /* the MSRs that are saved, values 0 */
    size_t xsave_size;
    bool has_xcrs, has_sregs2;
    bool has_tsc_deadline;
    bool xcr0_avx;      /* XCR0 can have SSE and AVX set */
    bool has_sync_regs; /* KVM_CAP_SYNC_REGS, of regs and sregs */
    enum x86_tsc_offset tsc_offset;
    struct x86_time time;
};

struct vcpu_arch {
    /* Room for KVM_GET_*, so that neither get nor put allocate. */
    struct x86_msrs msrs;
    uint8_t *xsave; /* vm_arch.xsave_size bytes */
    uint32_t tsc_khz;
    int64_t tsc_offset;
    /* MSRs that name guest memory: put, and not yet set. */
    struct x86_msrs deferred;
    struct x86_known known;
    struct x86_warm warm;
    bool synced; /* kvm_run has regs and sregs as they are */
};

/* cpuid.c */
int x86_cpuid_init(struct vm *vm, struct error *error);
int x86_cpuid_set(struct vcpu *vcpu, struct error *error);
/* NULL where it is not there. */
const struct kvm_cpuid_entry2 *x86_cpuid_find(const struct vm *vm, uint32_t function, uint32_t index);

/* features.c */
/* Sets XCR0 for the guest, whose KVM may not hear of it when the guest does so itself. */
int x86_xcr0_init(struct vcpu *vcpu, struct error *error);

/* msrs.c */
/* Finds out which MSRs this host's vCPUs have. */
int x86_msrs_init(struct vm *vm, struct vcpu *vcpu, struct error *error);
/* Reads all of them into vcpu->arch->msrs. */
int x86_msrs_get(struct vcpu *vcpu, struct error *error);
/* Leaves those out of msrs that have the value in known already. */
void x86_msrs_leave_out(struct x86_msrs *msrs, const struct x86_msrs *known);
/* Checks pairs of index and value from outside: fills vcpu->arch->msrs with what to set at once and pending with what
 * to defer. *tsc_deadline is what to set after the local APIC, 0 for nothing. */
int x86_msrs_check(struct vcpu *vcpu, const struct kvm_msr_entry *entries, size_t count, struct x86_msrs *pending,
                   uint64_t *tsc_deadline, struct error *error);
int x86_msrs_set(struct vcpu *vcpu, struct x86_msrs *msrs, struct error *error);
int x86_msr_get_one(struct vcpu *vcpu, uint32_t index, uint64_t *value);
int x86_msr_set_one(struct vcpu *vcpu, uint32_t index, uint64_t value, struct error *error);

/* clock.c */
/* The host's TSC and CLOCK_REALTIME at the same moment. */
void x86_host_time(uint64_t *tsc, uint64_t *realtime_ns);
/* KVM_GET_TSC_KHZ, 0 where it is not known. */
uint32_t x86_tsc_khz(struct vcpu *vcpu);
/* Keeps the TSC offset that the host has now. */
void x86_tsc_remember(struct vcpu *vcpu);
/* The TSC section of a vCPU's record. */
struct x86_tsc_state {
    uint64_t guest_tsc; /* when it was saved */
    int64_t offset;
    uint32_t khz;
    uint32_t has_offset;
};
int x86_tsc_get(struct vcpu *vcpu, struct x86_tsc_state *state, struct error *error);
int x86_tsc_check(const struct x86_tsc_state *state, struct error *error);
int x86_tsc_put(struct vcpu *vcpu, const struct x86_tsc_state *state, struct buffer *ignored, struct error *error);
/* The clock section of the VM's record. */
struct x86_clock_state {
    uint64_t clock_ns;
    uint64_t realtime_ns;
    uint64_t host_tsc;
    uint32_t tsc_khz;
    uint32_t from_kvm; /* realtime_ns and host_tsc are KVM_GET_CLOCK's, and of the same moment as clock_ns */
};
int x86_clock_get(struct vm *vm, struct x86_clock_state *state, struct error *error);
int x86_clock_check(const struct x86_clock_state *state, struct error *error);
int x86_clock_put(struct vm *vm, const struct x86_clock_state *state, struct buffer *ignored, struct error *error);

#endif
