/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices of the kernel's VFIO behind struct vfio_device (linux/vfio.h), by either way in: the device's IOMMU group with a
 * type1v2 container ("vfio-group"), or its own character device with an iommufd ("vfio-cdev").
 */
#ifndef STOPCOPY_VFIO_KERNEL_H
#define STOPCOPY_VFIO_KERNEL_H

#include "vmm/vfio/kernel_find.h"
#include "vmm/vfio/vfio_device.h"

enum kernel_way {
    KERNEL_WAY_AUTO, /* cdev where it can be had and nothing speaks against it, else the group */
    KERNEL_WAY_GROUP,
    KERNEL_WAY_CDEV,
};

enum kernel_reset {
    KERNEL_RESET_DEFAULT, /* VFIO_DEVICE_RESET, by the kernel's choice of method */
    KERNEL_RESET_FLR,     /* the same, refused where the function has no FLR */
    KERNEL_RESET_HOT,     /* VFIO_DEVICE_PCI_HOT_RESET: the bus */
    KERNEL_RESET_NONE,
};

struct kernel_options {
    enum kernel_way way;
    enum kernel_reset reset;
    bool no_mmap; /* regions are read and written by system calls alone */
    bool no_rom;  /* as if it had no expansion ROM */
    bool has_token;
    uint8_t token[16]; /* of a VF whose PF is VFIO's too (VFIO_DEVICE_FEATURE_PCI_VF_TOKEN) */
    int fd;            /* an open cdev or group to use in place of opening one, which is then ours; -1 */
    bool peers_reach;  /* other devices are to reach its BARs by DMA, which an IOAS cannot map */
};

/*
 * Finds and opens the device. name is what the user called it, word what comes after "vfio:". peers are the devices that
 * are open already: one of the same IOMMU group shares its group and address space. timeout_ns bounds changes of state
 * and resets. Errors are one line that says what to do; EBUSY, EACCES, ... where the kernel said so.
 */
struct vfio_device *kernel_open(const struct kernel_host *host, const char *name, const char *word,
                                const struct kernel_options *options, struct vfio_device *const *peers,
                                size_t peer_count, uint64_t timeout_ns, struct error *error);

/* Where it is. NULL where the device is not the kernel's. Lives as long as the device. */
const struct kernel_place *kernel_get_place(const struct vfio_device *device);
/* The host that it was opened on. NULL as above. */
const struct kernel_host *kernel_get_host(const struct vfio_device *device);

#endif
