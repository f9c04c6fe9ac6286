/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The MSRs that a guest can have changed. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/kvm/x86/x86_private.h"

#define MSR_MTRR_CAP 0xfe
#define MSR_MTRR_PHYS_BASE0 0x200
#define MSR_MTRR_VARIABLE_MAX 16
#define LEAF1_EDX_MTRR (1u << 12)
#define MSR_INDEX_LIST_MAX 1024

/*
 * IA32_TSC is not here: the TSC goes by its offset. Neither is MSR_KVM_WALL_CLOCK: writing it makes KVM write the time
 * of day into guest memory once, and leaves nothing behind.
 */
static const uint32_t saved_msrs[] = {
    0x0000003a, /* IA32_FEATURE_CONTROL */
    0x0000003b, /* IA32_TSC_ADJUST */
    0x00000048, /* IA32_SPEC_CTRL */
    0x00000122, /* IA32_TSX_CTRL */
    0x00000140, /* MISC_FEATURES_ENABLES */
    0x00000174, /* IA32_SYSENTER_CS */
    0x00000175, /* IA32_SYSENTER_ESP */
    0x00000176, /* IA32_SYSENTER_EIP */
    0x0000017a, /* IA32_MCG_STATUS */
    0x0000017b, /* IA32_MCG_CTL */
    0x000001a0, /* IA32_MISC_ENABLE */
    0x000001d9, /* IA32_DEBUGCTL */
    0x00000277, /* IA32_PAT */
    0x00000da0, /* IA32_XSS */
    0x00000d90, /* IA32_BNDCFGS */
    0xc0000081, /* STAR */
    0xc0000082, /* LSTAR */
    0xc0000083, /* CSTAR */
    0xc0000084, /* SFMASK */
    0xc0000102, /* KERNEL_GS_BASE */
    0xc0000103, /* TSC_AUX */
    0xc0010015, /* HWCR */
    0xc001011f, /* VIRT_SPEC_CTRL */
    0x4b564d05, /* MSR_KVM_POLL_CONTROL */
    0x4b564d06, /* MSR_KVM_ASYNC_PF_INT, before what it is for */
    0x4b564d01, /* MSR_KVM_SYSTEM_TIME_NEW */
    0x4b564d02, /* MSR_KVM_ASYNC_PF_EN */
    0x4b564d03, /* MSR_KVM_STEAL_TIME */
    0x4b564d04, /* MSR_KVM_PV_EOI_EN */
    0x000006e0, /* IA32_TSC_DEADLINE */
};

static const uint32_t mtrr_msrs[] = {0x2ff, 0x250, 0x258, 0x259, 0x268, 0x269,
                                     0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f};

_Static_assert(sizeof(saved_msrs) / sizeof(saved_msrs[0]) + sizeof(mtrr_msrs) / sizeof(mtrr_msrs[0]) +
                       2 * MSR_MTRR_VARIABLE_MAX <=
                   X86_MSRS_MAX,
               "every MSR that is saved has room");

/* An MSR whose value names guest memory: bit 0 enables it. */
struct naming_msr {
    uint32_t index;
    uint64_t flags; /* the bits that are not the address's */
    uint64_t size;
};

static const struct naming_msr naming_msrs[] = {
    {0x4b564d01, 0x1, 32},
    {0x4b564d02, 0x3f, 64},
    {0x4b564d03, 0x3f, 64},
    {0x4b564d04, 0x3, 1},
};

static void add(struct x86_msrs *msrs, uint32_t index, uint64_t value)
{
    if (msrs->header.nmsrs < X86_MSRS_MAX)
        msrs->entries[msrs->header.nmsrs++] = (struct kvm_msr_entry){.index = index, .data = value};
}

static struct kvm_msr_entry *find(struct x86_msrs *msrs, uint32_t index)
{
    for (uint32_t i = 0; i < msrs->header.nmsrs; i++)
        if (msrs->entries[i].index == index)
            return &msrs->entries[i];
    return NULL;
}

int x86_msr_get_one(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
    struct x86_msrs msrs = {.header.nmsrs = 0};

    add(&msrs, index, 0);
    if (ioctl(vcpu->fd, KVM_GET_MSRS, &msrs) != 1)
        return -1;
    *value = msrs.entries[0].data;
    return 0;
}

int x86_msr_set_one(struct vcpu *vcpu, uint32_t index, uint64_t value, struct error *error)
{
    struct x86_msrs msrs = {.header.nmsrs = 0};

    add(&msrs, index, value);
    return x86_msrs_set(vcpu, &msrs, error);
}

/* KVM_GET_MSRS stops at the first MSR that it cannot read: such are taken out. */
static int keep_readable(struct vcpu *vcpu, struct x86_msrs *msrs, struct error *error)
{
    for (;;) {
        struct x86_msrs values = *msrs;
        int count = ioctl(vcpu->fd, KVM_GET_MSRS, &values);

        if (count < 0)
            return error_set(error, errno, "KVM_GET_MSRS");
        if ((uint32_t)count >= msrs->header.nmsrs)
            return 0;
        msrs->header.nmsrs--;
        memmove(&msrs->entries[count], &msrs->entries[count + 1],
                (msrs->header.nmsrs - (uint32_t)count) * sizeof(msrs->entries[0]));
    }
}

/* KVM_GET_MSR_INDEX_LIST does not list MTRRs. */
static void add_mtrrs(struct vcpu *vcpu, struct x86_msrs *msrs)
{
    const struct kvm_cpuid_entry2 *leaf1 = x86_cpuid_find(vcpu->vm, 1, 0);
    uint64_t capabilities;
    uint32_t count;

    if (!(leaf1->edx & LEAF1_EDX_MTRR) || x86_msr_get_one(vcpu, MSR_MTRR_CAP, &capabilities) < 0)
        return;
    count = capabilities & 0xff;
    if (count > MSR_MTRR_VARIABLE_MAX)
        count = MSR_MTRR_VARIABLE_MAX;
    for (size_t i = 0; i < sizeof(mtrr_msrs) / sizeof(mtrr_msrs[0]); i++)
        add(msrs, mtrr_msrs[i], 0);
    for (uint32_t i = 0; i < 2 * count; i++)
        add(msrs, MSR_MTRR_PHYS_BASE0 + i, 0);
}

static bool listed(const struct kvm_msr_list *list, uint32_t index)
{
    for (uint32_t i = 0; i < list->nmsrs; i++)
        if (list->indices[i] == index)
            return true;
    return false;
}

int x86_msrs_init(struct vm *vm, struct vcpu *vcpu, struct error *error)
{
    struct kvm_msr_list *list = calloc(1, sizeof(*list) + MSR_INDEX_LIST_MAX * sizeof(list->indices[0]));
    struct x86_msrs *msrs = &vm->arch->msrs;
    int result = 0;

    if (!list)
        return error_set(error, ENOMEM, "a list of MSRs");
    list->nmsrs = MSR_INDEX_LIST_MAX;
    if (ioctl(vm->kvm_fd, KVM_GET_MSR_INDEX_LIST, list) < 0) {
        result = error_set(error, errno, "KVM_GET_MSR_INDEX_LIST");
    } else {
        for (size_t i = 0; i < sizeof(saved_msrs) / sizeof(saved_msrs[0]); i++)
            if (listed(list, saved_msrs[i]))
                add(msrs, saved_msrs[i], 0);
        add_mtrrs(vcpu, msrs);
        result = keep_readable(vcpu, msrs, error);
    }
    free(list);
    return result;
}

int x86_msrs_get(struct vcpu *vcpu, struct error *error)
{
    struct x86_msrs *msrs = &vcpu->arch->msrs;
    int count;

    *msrs = vcpu->vm->arch->msrs;
    count = ioctl(vcpu->fd, KVM_GET_MSRS, msrs);
    if (count < 0)
        return error_set(error, errno, "KVM_GET_MSRS");
    if ((uint32_t)count < msrs->header.nmsrs)
        return error_set(error, EIO, "KVM_GET_MSRS refused MSR %#" PRIx32, msrs->entries[count].index);
    /* What was put and waits for the first run is the vCPU's state just as well. */
    for (uint32_t i = 0; i < vcpu->arch->deferred.header.nmsrs; i++) {
        struct kvm_msr_entry *entry = find(msrs, vcpu->arch->deferred.entries[i].index);

        if (entry)
            entry->data = vcpu->arch->deferred.entries[i].data;
    }
    return 0;
}

int x86_msrs_set(struct vcpu *vcpu, struct x86_msrs *msrs, struct error *error)
{
    int count;

    if (!msrs->header.nmsrs)
        return 0;
    count = ioctl(vcpu->fd, KVM_SET_MSRS, msrs);
    if (count < 0)
        return error_set(error, errno, "KVM_SET_MSRS");
    if ((uint32_t)count < msrs->header.nmsrs)
        return error_set(error, EINVAL, "this host refuses the value %#" PRIx64 " for MSR %#" PRIx32,
                         (uint64_t)msrs->entries[count].data, msrs->entries[count].index);
    return 0;
}

void x86_msrs_leave_out(struct x86_msrs *msrs, const struct x86_msrs *known)
{
    uint32_t left = 0;

    for (uint32_t i = 0; i < msrs->header.nmsrs; i++) {
        const struct kvm_msr_entry *entry = &msrs->entries[i];
        bool same = false;

        for (uint32_t j = 0; j < known->header.nmsrs && !same; j++)
            same = known->entries[j].index == entry->index && known->entries[j].data == entry->data;
        if (!same)
            msrs->entries[left++] = *entry;
    }
    msrs->header.nmsrs = left;
}

static const struct naming_msr *naming(const struct kvm_msr_entry *entry)
{
    for (size_t i = 0; i < sizeof(naming_msrs) / sizeof(naming_msrs[0]); i++)
        if (naming_msrs[i].index == entry->index && (entry->data & 1))
            return &naming_msrs[i];
    return NULL;
}

int x86_msrs_check(struct vcpu *vcpu, const struct kvm_msr_entry *entries, size_t count, struct x86_msrs *pending,
                   uint64_t *tsc_deadline, struct error *error)
{
    struct x86_msrs *now = &vcpu->arch->msrs;
    struct x86_msrs unseen = vcpu->vm->arch->msrs;

    now->header.nmsrs = 0;
    pending->header.nmsrs = 0;
    *tsc_deadline = 0;
    for (size_t i = 0; i < count; i++) {
        const struct naming_msr *names = naming(&entries[i]);
        struct kvm_msr_entry *known = find(&unseen, entries[i].index);

        if (!known && find(&vcpu->vm->arch->msrs, entries[i].index))
            return error_set(error, EINVAL, "MSR %#" PRIx32 " is given twice", entries[i].index);
        if (!known && entries[i].data)
            return error_set(error, EINVAL, "MSR %#" PRIx32 " has the value %#" PRIx64 ", and there is none here",
                             entries[i].index, (uint64_t)entries[i].data);
        if (!known)
            continue;
        *known = unseen.entries[--unseen.header.nmsrs];
        if (names && !vm_memory_contains(vcpu->vm, entries[i].data & ~names->flags, names->size))
            return error_set(error, EINVAL, "MSR %#" PRIx32 " names memory that the guest does not have: %#" PRIx64,
                             entries[i].index, (uint64_t)entries[i].data);
        if (entries[i].index == MSR_IA32_TSC_DEADLINE)
            *tsc_deadline = entries[i].data;
        else
            add(names ? pending : now, entries[i].index, entries[i].data);
    }
    return 0;
}
