/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KVM_DEV_TYPE_VFIO (Documentation/virt/kvm/devices/vfio.rst). */
#include <errno.h>
#include <stdint.h>
#include <sys/ioctl.h>

#include "vmm/kvm/vm_private.h"

/* KVM_DEV_VFIO_FILE and KVM_DEV_VFIO_FILE_ADD of newer headers are these. */
#define VFIO_FILE_ATTRIBUTES KVM_DEV_VFIO_GROUP
#define VFIO_FILE_ADD KVM_DEV_VFIO_GROUP_ADD

int vm_add_vfio_file(struct vm *vm, int fd, struct error *error)
{
    int32_t argument = fd;
    struct kvm_device_attr attribute = {
        .group = VFIO_FILE_ATTRIBUTES, .attr = VFIO_FILE_ADD, .addr = (uintptr_t)&argument};

    if (vm->vfio_fd < 0) {
        struct kvm_create_device create = {.type = KVM_DEV_TYPE_VFIO};

        if (ioctl(vm->fd, KVM_CREATE_DEVICE, &create))
            return errno == ENODEV || errno == EINVAL ? 0 : error_set(error, errno, "KVM_CREATE_DEVICE of VFIO");
        vm->vfio_fd = (int)create.fd;
    }
    if (ioctl(vm->vfio_fd, KVM_SET_DEVICE_ATTR, &attribute) && errno != EEXIST)
        return error_set(error, errno, "telling KVM of the VFIO device");
    return 0;
}
