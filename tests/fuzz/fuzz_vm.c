/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of vmm/kvm/vm.h a destination needs beyond tests/unit/board/fake_vm.c. */
#include <errno.h>

#include "tests/unit/board/fake_vm.h"

uint64_t vm_guest_tsc(struct vm *vm)
{
    (void)vm;
    return 1000;
}

bool vm_honours_tsc_offset(struct vm *vm)
{
    (void)vm;
    return true;
}

int vm_add_vfio_file(struct vm *vm, int fd, struct error *error)
{
    (void)vm;
    return error_set(error, ENODEV, "file %d", fd);
}

int vm_dirty_log_start(struct vm *vm, uint64_t gpa, struct error *error)
{
    (void)vm;
    return error_set(error, ENOTTY, "a log of %llx", (unsigned long long)gpa);
}

int vm_dirty_log_take(struct vm *vm, uint64_t gpa, uint64_t *bitmap, struct error *error)
{
    (void)bitmap;
    return vm_dirty_log_start(vm, gpa, error);
}

int vm_dirty_log_stop(struct vm *vm, uint64_t gpa, struct error *error)
{
    return vm_dirty_log_start(vm, gpa, error);
}

uint64_t vm_entered_ns(struct vm *vm, struct deadline deadline)
{
    (void)vm;
    return deadline.at_ns;
}

int vm_expect_state(struct vm *vm, struct error *error)
{
    (void)vm, (void)error;
    return 0;
}

void vm_throttle(struct vm *vm, unsigned int percent)
{
    (void)vm, (void)percent;
}
