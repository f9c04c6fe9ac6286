/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel backend's own structure, and what its files share. Nothing outside of it includes this but its tests. */
#ifndef STOPCOPY_VFIO_KERNEL_DEVICE_H
#define STOPCOPY_VFIO_KERNEL_DEVICE_H

#include <stdatomic.h>

#include "vmm/vfio/kernel.h"
#include "vmm/vfio/kernel_space.h"

/* What GET_REGION_INFO said once for all. */
struct kernel_region {
    int refused; /* the errno, 0 where it was answered */
    uint64_t offset;
    uint32_t type, subtype; /* the type capability's, 0 without */
    struct vfio_region info;
};

struct kernel_device {
    struct vfio_device device;
    const struct kernel_host *host;
    struct kernel_options options;
    struct kernel_place place;
    int fd;
    struct kernel_space *space;
    uint32_t device_id; /* iommufd's */
    struct vfio_device_info_summary info;
    struct kernel_region region[VFIO_REGIONS_MAX];
    bool has_v1;    /* it has the region of the removed migration protocol */
    int session_fd; /* the data_fd that was not taken yet, -1 */
    int request_fd; /* eventfd: the host wants the device back */
    int error_fd;   /* eventfd: AER */
    int gone_fd;    /* epoll: either of the two */
    _Atomic uint64_t timeout_ns;
    atomic_bool stuck; /* a call did not return: the kernel is not asked any more */
};

static inline struct kernel_device *kernel_of(struct vfio_device *device)
{
    return (struct kernel_device *)device;
}

/* The ways in: each opens the device's descriptor and the address space, and names the ops. On failure what was opened
 * stays in *device, whose owner closes it. */
int kernel_group_open(struct kernel_device *device, struct kernel_space *shared, struct error *error);
int kernel_cdev_open(struct kernel_device *device, struct kernel_space *shared, struct error *error);
extern const struct vfio_device_ops kernel_group_ops;
extern const struct vfio_device_ops kernel_cdev_ops;

/* Opens a file of /dev/vfio. Errors say what to do. */
int kernel_open_node(const struct kernel_host *host, const char *path, const char *module, struct error *error);

/* What the device is: fills in info, region and has_v1. The kernel wants GET_INFO before anything else of some devices. */
int kernel_read_info(struct kernel_device *device, struct error *error);

/*
 * An ioctl on the device that may take as long as the timeout, in a thread of its own. Returns what the ioctl does, with
 * errno; or -1 with ETIMEDOUT and *error set where it did not return: then the thread is left behind, with a copy of the
 * argument, and the device is stuck.
 */
int kernel_call(struct kernel_device *device, unsigned long request, void *argument, size_t size, const char *what,
                struct error *error);
/* Fails where a call has not returned. */
int kernel_check_stuck(struct kernel_device *device, struct error *error);

int kernel_get_info(struct vfio_device *device, struct vfio_device_info_summary *info, struct error *error);
int kernel_get_region(struct vfio_device *device, uint32_t index, struct vfio_region *region, struct error *error);
int kernel_get_irq(struct vfio_device *device, uint32_t index, struct vfio_irq *irq, struct error *error);
int kernel_set_irqs(struct vfio_device *device, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
                    const void *data, size_t data_size, struct error *error);
int kernel_reset(struct vfio_device *device, struct error *error);
int kernel_feature(struct vfio_device *device, uint32_t flags, void *data, size_t size, struct error *error);
struct vfio_data_session *kernel_take_session(struct vfio_device *device);
enum vfio_data_result kernel_session_read(struct vfio_data_session *session, void *data, size_t size, size_t *count,
                                          struct error *error);
ssize_t kernel_session_write(struct vfio_data_session *session, const void *data, size_t size, struct error *error);
int kernel_session_precopy_info(struct vfio_data_session *session, struct vfio_precopy_info *info, struct error *error);
void kernel_session_close(struct vfio_data_session *session);
int kernel_session_descriptor(const struct vfio_data_session *session);

/* The eventfds of the error and the request interrupts, where the device has these. */
int kernel_watch_device(struct kernel_device *device, struct error *error);

#endif
