/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first entry of a vCPU is the slowest, by what KVM and its thread then make for it. It is taken before anybody waits for
 * it, in a page of its own: the guest's memory, which may be another VM's still, is not touched.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "vmm/kvm/vm_private.h"

#define WARM_PAGE_SIZE 4096u
#define WARM_TIMEOUT_MS 1000u

void vcpu_warm(struct vcpu *vcpu)
{
    /* Whatever comes of it: a vCPU that cannot be warmed is a cold one. */
    ioctl(vcpu->fd, KVM_RUN, 0);
    /* The access that it ended with is completed by entering again. */
    __atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    ioctl(vcpu->fd, KVM_RUN, 0);
    __atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
}

static int warm_all(struct vm *vm, struct error *error)
{
    int result = 0, ended = 0;
    unsigned int begun = 0;

    while (result == 0 && begun < vm->vcpu_count)
        result = arch_warm_begin(&vm->vcpu[begun++], error);
    if (result == 0)
        result = vcpu_run_phase(vm, VCPU_WARMING, deadline_in_ms(WARM_TIMEOUT_MS), error);
    for (unsigned int i = 0; i < begun; i++)
        if (arch_warm_end(&vm->vcpu[i], ended ? NULL : error) < 0)
            ended = -1;
    return result < 0 ? result : ended;
}

static int warm(struct vm *vm, struct error *error)
{
    void *page = mmap(NULL, WARM_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t gpa;
    int slot, result;

    if (page == MAP_FAILED)
        return error_set(error, errno, "a page for the first entry");
    arch_warm_code(page, &gpa);
    slot = vm_map_memory(vm, gpa, WARM_PAGE_SIZE, page, false, error);
    result = slot < 0 ? -1 : warm_all(vm, error);
    if (slot >= 0 && vm_unmap_memory(vm, slot, result < 0 ? NULL : error) < 0)
        result = -1;
    munmap(page, WARM_PAGE_SIZE);
    return result;
}

int vm_expect_state(struct vm *vm, struct error *error)
{
    if (vm_check_paused(vm, error) < 0)
        return -1;
    if (warm(vm, error) < 0)
        return error_prefix(error, "a first entry of the vCPUs");
    return arch_expect_state(vm, error);
}
