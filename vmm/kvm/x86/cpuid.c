/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPUID: what KVM supports, with each vCPU's APIC id and one flat package of cores. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/kvm/x86/x86_private.h"

#define LEAF1_EBX_APIC_ID_SHIFT 24
#define LEAF1_EBX_COUNT_SHIFT 16
#define LEAF1_ECX_X2APIC (1u << 21)
#define LEAF1_ECX_TSC_DEADLINE (1u << 24)
#define LEAF1_ECX_HYPERVISOR (1u << 31)
#define LEAF1_EDX_HTT (1u << 28)
#define LEAF4_EAX_CORES_SHIFT 26
#define LEAF0B_SMT 1u
#define LEAF0B_CORE 2u
#define LEAF_80000008_ECX_APIC_ID_SIZE_SHIFT 12

#define LEAF_KVM_SIGNATURE 0x40000000u
#define LEAF_KVM_FEATURES 0x40000001u

const struct kvm_cpuid_entry2 *x86_cpuid_find(const struct vm *vm, uint32_t function, uint32_t index)
{
    const struct x86_cpuid *cpuid = &vm->arch->supported;

    for (uint32_t i = 0; i < cpuid->header.nent; i++)
        if (cpuid->entries[i].function == function && cpuid->entries[i].index == index)
            return &cpuid->entries[i];
    return NULL;
}

int x86_cpuid_init(struct vm *vm, struct error *error)
{
    struct x86_cpuid *cpuid = &vm->arch->supported;

    cpuid->header.nent = X86_CPUID_MAX;
    if (ioctl(vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0)
        return error_set(error, errno, "KVM_GET_SUPPORTED_CPUID");
    if (cpuid->header.nent > X86_CPUID_MAX - 4)
        return error_set(error, E2BIG, "KVM_GET_SUPPORTED_CPUID has %u entries", cpuid->header.nent);
    if (!x86_cpuid_find(vm, 0, 0) || !x86_cpuid_find(vm, 1, 0))
        return error_set(error, EOPNOTSUPP, "KVM_GET_SUPPORTED_CPUID lacks leaf 0 or 1");
    return 0;
}

/* Bits that an APIC id of this many vCPUs takes. */
static uint32_t apic_id_bits(uint32_t vcpus)
{
    uint32_t bits = 0;

    while ((1u << bits) < vcpus)
        bits++;
    return bits;
}

static void set_leaf1(const struct vcpu *vcpu, struct kvm_cpuid_entry2 *entry)
{
    uint32_t vcpus = vcpu->vm->config.vcpus;

    entry->ebx &= 0xffffu;
    entry->ebx |= vcpu->index << LEAF1_EBX_APIC_ID_SHIFT | vcpus << LEAF1_EBX_COUNT_SHIFT;
    /* KVM's local APIC has an x2APIC mode whatever the processor has; not every KVM lists it. */
    entry->ecx |= LEAF1_ECX_HYPERVISOR | LEAF1_ECX_X2APIC;
    if (vcpu->vm->arch->has_tsc_deadline)
        entry->ecx |= LEAF1_ECX_TSC_DEADLINE;
    entry->edx &= ~LEAF1_EDX_HTT;
    if (vcpus > 1)
        entry->edx |= LEAF1_EDX_HTT;
}

static void set_topology(const struct vcpu *vcpu, struct kvm_cpuid_entry2 *entry)
{
    uint32_t vcpus = vcpu->vm->config.vcpus;

    switch (entry->function) {
    case 0:
        if (entry->eax < 0xb)
            entry->eax = 0xb;
        break;
    case 1:
        set_leaf1(vcpu, entry);
        break;
    case 4:
        /* No cache is shared, so that nothing of the host's topology shows. */
        if (entry->eax & 0x1f)
            entry->eax = (entry->eax & 0x3fffu) | (vcpus - 1) << LEAF4_EAX_CORES_SHIFT;
        break;
    case LEAF_KVM_SIGNATURE:
        if (entry->eax < LEAF_KVM_FEATURES)
            entry->eax = LEAF_KVM_FEATURES;
        break;
    case 0x80000008u:
        if (entry->ecx)
            entry->ecx = (vcpus - 1) | apic_id_bits(vcpus) << LEAF_80000008_ECX_APIC_ID_SIZE_SHIFT;
        break;
    case 0x8000001eu:
        entry->eax = vcpu->index;
        entry->ebx = vcpu->index;
        entry->ecx = 0;
        break;
    default:
        break;
    }
}

/* Leaf 0xb: one thread in a core, all cores in a package. */
static void add_leaf_0b(const struct vcpu *vcpu, struct x86_cpuid *cpuid)
{
    uint32_t vcpus = vcpu->vm->config.vcpus;
    const struct kvm_cpuid_entry2 levels[] = {
        {.index = 0, .eax = 0, .ebx = 1, .ecx = LEAF0B_SMT << 8},
        {.index = 1, .eax = apic_id_bits(vcpus), .ebx = vcpus, .ecx = LEAF0B_CORE << 8 | 1},
        {.index = 2, .ecx = 2},
    };

    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        struct kvm_cpuid_entry2 *entry = &cpuid->entries[cpuid->header.nent++];

        *entry = levels[i];
        entry->function = 0xb;
        entry->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
        entry->edx = vcpu->index;
    }
}

int x86_cpuid_set(struct vcpu *vcpu, struct error *error)
{
    const struct x86_cpuid *supported = &vcpu->vm->arch->supported;
    struct x86_cpuid cpuid = {.header.nent = 0};

    for (uint32_t i = 0; i < supported->header.nent; i++) {
        struct kvm_cpuid_entry2 *entry = &cpuid.entries[cpuid.header.nent];

        /* 0x1f is 0xb again, with levels that this package does not have. */
        if (supported->entries[i].function == 0xb || supported->entries[i].function == 0x1f)
            continue;
        *entry = supported->entries[i];
        set_topology(vcpu, entry);
        cpuid.header.nent++;
    }
    add_leaf_0b(vcpu, &cpuid);
    if (ioctl(vcpu->fd, KVM_SET_CPUID2, &cpuid) < 0)
        return error_set(error, errno, "KVM_SET_CPUID2 of %u entries", cpuid.header.nent);
    return 0;
}
