/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Dirty logs of memory slots: KVM_GET_DIRTY_LOG, and KVM_CLEAR_DIRTY_LOG where KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 is. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/kvm/vm_private.h"

#define LOG_PAGE_SIZE 4096u
/* 64 MiB: vCPUs that write meanwhile wait for KVM's lock no longer than it takes to clear as much. A multiple of 64. */
#define CLEAR_PAGES 16384u

static uint64_t pages_of(const struct vm_slot *slot)
{
    return slot->size / LOG_PAGE_SIZE;
}

/* With slots_lock held. The number of the slot that begins at gpa, or -1. */
static int find_slot(struct vm *vm, uint64_t gpa, struct error *error)
{
    for (int slot = 0; slot < VM_SLOTS_MAX; slot++)
        if (vm->slot[slot].size && vm->slot[slot].gpa == gpa)
            return slot;
    return error_set(error, EINVAL, "no memory slot begins at guest address %#" PRIx64, gpa);
}

/*
 * Once, before the first log: clearing is a step of its own, so that it can be done in chunks, and the pages of a new log
 * are taken for dirty, so that none needs to be protected before it was sent once. Without it all of a slot is protected
 * when the log starts and at each taking.
 */
static void prepare(struct vm *vm)
{
    int offered = vm_extension(vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2);
    struct kvm_enable_cap enable = {
        .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
        .args = {(uint32_t)offered & (KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET)},
    };

    if (vm->log_prepared)
        return;
    vm->log_prepared = true;
    vm->log_cleared_apart =
        offered & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE && ioctl(vm->fd, KVM_ENABLE_CAP, &enable) == 0;
}

static int set_flags(struct vm *vm, int slot, uint32_t flags)
{
    struct vm_slot *s = &vm->slot[slot];

    if (vm_set_region(vm, slot, flags, s->gpa, s->size, s->host) < 0)
        return -1;
    s->flags = flags;
    return 0;
}

static int start(struct vm *vm, uint64_t gpa, struct error *error)
{
    int slot = find_slot(vm, gpa, error);

    if (slot < 0)
        return -1;
    if (vm->slot[slot].flags & KVM_MEM_LOG_DIRTY_PAGES)
        return error_set(error, EBUSY, "the dirty log of the memory at guest address %#" PRIx64 " runs already", gpa);
    if (set_flags(vm, slot, vm->slot[slot].flags | KVM_MEM_LOG_DIRTY_PAGES) < 0)
        return error_set(error, errno, "starting the dirty log of the memory at guest address %#" PRIx64, gpa);
    vm->slot[slot].log_untaken = true;
    return 0;
}

static int stop(struct vm *vm, uint64_t gpa, struct error *error)
{
    int slot = find_slot(vm, gpa, error);

    if (slot < 0)
        return -1;
    if (set_flags(vm, slot, vm->slot[slot].flags & ~(uint32_t)KVM_MEM_LOG_DIRTY_PAGES) < 0)
        return error_set(error, errno, "stopping the dirty log of the memory at guest address %#" PRIx64, gpa);
    return 0;
}

int vm_dirty_log_start(struct vm *vm, uint64_t gpa, struct error *error)
{
    int result;

    pthread_mutex_lock(&vm->slots_lock);
    prepare(vm);
    result = start(vm, gpa, error);
    pthread_mutex_unlock(&vm->slots_lock);
    return result;
}

int vm_dirty_log_stop(struct vm *vm, uint64_t gpa, struct error *error)
{
    int result;

    pthread_mutex_lock(&vm->slots_lock);
    result = stop(vm, gpa, error);
    pthread_mutex_unlock(&vm->slots_lock);
    return result;
}

/* Clears what the bitmap has, chunk by chunk; chunks without a dirty page cost nothing. */
static int clear(struct vm *vm, int slot, uint64_t pages, uint64_t *bitmap, struct error *error)
{
    for (uint64_t first = 0; first < pages; first += CLEAR_PAGES) {
        uint64_t count = pages - first < CLEAR_PAGES ? pages - first : CLEAR_PAGES;
        uint64_t *words = bitmap + first / 64;
        struct kvm_clear_dirty_log log = {
            .slot = (uint32_t)slot, .num_pages = (uint32_t)count, .first_page = first, .dirty_bitmap = words};
        bool any = false;

        for (uint64_t word = 0; word < (count + 63) / 64 && !any; word++)
            any = words[word] != 0;
        if (any && ioctl(vm->fd, KVM_CLEAR_DIRTY_LOG, &log) < 0)
            return error_set(error, errno, "KVM_CLEAR_DIRTY_LOG of %" PRIu64 " pages from %" PRIu64 " of slot %d",
                             count, first, slot);
    }
    return 0;
}

static int take(struct vm *vm, int slot, uint64_t pages, bool all, uint64_t *bitmap, struct error *error)
{
    uint64_t words = (pages + 63) / 64;
    uint64_t *logged = calloc(words, sizeof(*logged));
    struct kvm_dirty_log log = {.slot = (uint32_t)slot, .dirty_bitmap = logged};
    int result = -1;

    if (!logged)
        return error_set(error, ENOMEM, "a dirty log of %" PRIu64 " pages", pages);
    if (ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log) < 0)
        error_set(error, errno, "KVM_GET_DIRTY_LOG of slot %d", slot);
    else
        result = vm->log_cleared_apart ? clear(vm, slot, pages, logged, error) : 0;
    for (uint64_t word = 0; word < words; word++)
        bitmap[word] |= all ? UINT64_MAX : logged[word];
    if (all && pages % 64)
        bitmap[words - 1] &= (UINT64_C(1) << pages % 64) - 1;
    free(logged);
    return result;
}

int vm_dirty_log_take(struct vm *vm, uint64_t gpa, uint64_t *bitmap, struct error *error)
{
    bool all = false;
    uint64_t pages = 0;
    int slot;

    pthread_mutex_lock(&vm->slots_lock);
    slot = find_slot(vm, gpa, error);
    if (slot >= 0 && !(vm->slot[slot].flags & KVM_MEM_LOG_DIRTY_PAGES))
        slot = error_set(error, EINVAL, "the memory at guest address %#" PRIx64 " has no dirty log", gpa);
    if (slot >= 0) {
        all = vm->slot[slot].log_untaken;
        pages = pages_of(&vm->slot[slot]);
        vm->slot[slot].log_untaken = false;
    }
    pthread_mutex_unlock(&vm->slots_lock);
    /* KVM has a lock of its own; slots come and go beside this one meanwhile. */
    return slot < 0 ? -1 : take(vm, slot, pages, all, bitmap, error);
}
