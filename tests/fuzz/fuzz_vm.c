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
