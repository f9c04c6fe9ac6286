/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory slots: KVM_SET_USER_MEMORY_REGION. */
#include <errno.h>
#include <inttypes.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vmm/kvm/vm_private.h"

int vm_set_region(struct vm *vm, int slot, uint32_t flags, uint64_t gpa, uint64_t size, void *host)
{
    struct kvm_userspace_memory_region region = {
        .slot = (uint32_t)slot,
        .flags = flags,
        .guest_phys_addr = gpa,
        .memory_size = size,
        .userspace_addr = (uintptr_t)host,
    };

    return ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region);
}

static int free_slot(struct vm *vm)
{
    for (int slot = 0; slot < VM_SLOTS_MAX; slot++)
        if (!vm->slot[slot].size)
            return slot;
    return -1;
}

int vm_map_memory(struct vm *vm, uint64_t gpa, uint64_t size, void *host, bool readonly, struct error *error)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint32_t flags = readonly ? KVM_MEM_READONLY : 0;
    int slot;

    if (!size || gpa + size < gpa || ((gpa | size | (uintptr_t)host) & (page - 1)))
        return error_set(error, EINVAL, "memory of %" PRIu64 " bytes at guest address %#" PRIx64 ", host address %p",
                         size, gpa, host);
    pthread_mutex_lock(&vm->slots_lock);
    slot = free_slot(vm);
    if (slot < 0) {
        error_set(error, ENOSPC, "all %d memory slots are taken", VM_SLOTS_MAX);
    } else if (vm_set_region(vm, slot, flags, gpa, size, host) < 0) {
        slot = error_set(error, errno, "KVM_SET_USER_MEMORY_REGION of %" PRIu64 " bytes at guest address %#" PRIx64,
                         size, gpa);
    } else {
        vm->slot[slot] = (struct vm_slot){.gpa = gpa, .size = size, .host = host, .flags = flags};
    }
    pthread_mutex_unlock(&vm->slots_lock);
    return slot;
}

int vm_unmap_memory(struct vm *vm, int slot, struct error *error)
{
    int result = 0;

    if (slot < 0 || slot >= VM_SLOTS_MAX)
        return error_set(error, EINVAL, "memory slot %d", slot);
    pthread_mutex_lock(&vm->slots_lock);
    if (!vm->slot[slot].size)
        result = error_set(error, EINVAL, "memory slot %d is not in use", slot);
    else if (vm_set_region(vm, slot, 0, vm->slot[slot].gpa, 0, NULL) < 0)
        result = error_set(error, errno, "KVM_SET_USER_MEMORY_REGION to remove the slot at guest address %#" PRIx64,
                           vm->slot[slot].gpa);
    else
        vm->slot[slot].size = 0;
    pthread_mutex_unlock(&vm->slots_lock);
    return result;
}

bool vm_memory_contains(struct vm *vm, uint64_t gpa, uint64_t size)
{
    bool found = false;

    pthread_mutex_lock(&vm->slots_lock);
    for (int slot = 0; slot < VM_SLOTS_MAX && !found; slot++) {
        const struct vm_slot *s = &vm->slot[slot];

        found = s->size >= size && gpa >= s->gpa && gpa - s->gpa <= s->size - size;
    }
    pthread_mutex_unlock(&vm->slots_lock);
    return found;
}
