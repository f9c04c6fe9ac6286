/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the guest may use, found out by trying. */
#include <cpuid.h>
#include <errno.h>
#include <sys/ioctl.h>

#include "vmm/kvm/x86/x86_private.h"

#define LEAF7_EBX_AVX2 (1u << 5)
#define KVM_FEATURE_CLOCKSOURCE2_BIT (1u << 3)
#define LEAF_KVM_FEATURES 0x40000001u
#define APIC_BUS_HZ_DEFAULT 1000000000u

static int set_xcr0(struct vcpu *vcpu, uint64_t value)
{
    struct kvm_xcrs xcrs = {.nr_xcrs = 1, .xcrs = {{.xcr = 0, .value = value}}};

    return ioctl(vcpu->fd, KVM_SET_XCRS, &xcrs);
}

static int get_xcr0(struct vcpu *vcpu, uint64_t *value)
{
    struct kvm_xcrs xcrs = {.nr_xcrs = 0};

    if (ioctl(vcpu->fd, KVM_GET_XCRS, &xcrs) < 0 || xcrs.nr_xcrs < 1)
        return -1;
    *value = xcrs.xcrs[0].value;
    return 0;
}

/*
 * XCR0 is set for the guest, to what its kernel sets it to where CPUID has XSAVE. There are hosts whose KVM does not hear
 * of the guest's own XSETBV (QEMU's TCG does not intercept it for a nested guest) and would take the vector registers
 * away at the next entry, and hosts whose KVM lists no XSAVE and where a guest at CPL 3 has the registers all the same.
 */
int x86_xcr0_init(struct vcpu *vcpu, struct error *error)
{
    const uint64_t wanted = XCR0_X87 | XCR0_SSE | XCR0_AVX;
    struct vm_arch *arch = vcpu->vm->arch;
    uint64_t value = 0;

    if (!arch->has_xcrs)
        return 0;
    if (vcpu->index > 0 && !arch->xcr0_avx)
        return 0;
    if (set_xcr0(vcpu, wanted) < 0 || get_xcr0(vcpu, &value) < 0 || value != wanted) {
        if (vcpu->index > 0)
            return error_set(error, errno, "KVM_SET_XCRS to %#x, which vCPU 0 allowed", (unsigned int)wanted);
        return 0;
    }
    arch->xcr0_avx = true;
    return 0;
}

static bool processor_has_avx2(void)
{
    unsigned int eax, ebx = 0, ecx, edx;

    return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (ebx & LEAF7_EBX_AVX2);
}

static bool has_kvmclock(struct vm *vm)
{
    const struct kvm_cpuid_entry2 *features = x86_cpuid_find(vm, LEAF_KVM_FEATURES, 0);
    uint64_t value;

    return features && (features->eax & KVM_FEATURE_CLOCKSOURCE2_BIT) &&
           x86_msr_get_one(&vm->vcpu[0], MSR_KVM_SYSTEM_TIME_NEW, &value) == 0;
}

void vm_get_features(struct vm *vm, struct vm_features *features)
{
    const struct kvm_cpuid_entry2 *sizes = x86_cpuid_find(vm, 0x80000008u, 0);
    int bus_ns = vm_extension(vm, KVM_CAP_X86_APIC_BUS_CYCLES_NS);

    *features = (struct vm_features){
        .avx2 = vm->arch->xcr0_avx && processor_has_avx2(),
        .kvmclock = has_kvmclock(vm),
        .tsc_hz = (uint64_t)vm->vcpu[0].arch->tsc_khz * 1000u,
        .apic_timer_hz = bus_ns > 0 ? 1000000000u / (uint64_t)bus_ns : APIC_BUS_HZ_DEFAULT,
        .physical_address_bits = 36,
    };
    if (sizes && (sizes->eax & 0xff)) {
        unsigned int guest_bits = sizes->eax >> 16 & 0xff;

        /* GuestPhysAddrSize: what nested paging reaches, where that is less. */
        features->physical_address_bits = sizes->eax & 0xff;
        if (guest_bits && guest_bits < features->physical_address_bits)
            features->physical_address_bits = guest_bits;
    }
}
