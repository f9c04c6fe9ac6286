/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The way in by the device's own character device and an iommufd (linux/vfio.h, VFIO_DEVICE_BIND_IOMMUFD;
 * linux/iommufd.h). */
#include <errno.h>
#include <string.h>

#include "stopcopy/iommufd_compat.h"
#include "vmm/vfio/kernel_device.h"

static int on_iommufd(struct kernel_space *space, unsigned long request, void *argument)
{
    return space->host->ioctl(space->host, space->fd, request, argument);
}

static int map(struct kernel_space *space, uint64_t iova, uint64_t size, void *host, bool writable)
{
    struct iommu_ioas_map argument = {
        .size = sizeof(argument),
        .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | (writable ? IOMMU_IOAS_MAP_WRITEABLE : 0),
        .ioas_id = space->ioas,
        .user_va = (uintptr_t)host,
        .length = size,
        .iova = iova,
    };

    return on_iommufd(space, IOMMU_IOAS_MAP, &argument);
}

static int unmap(struct kernel_space *space, uint64_t iova, uint64_t size)
{
    struct iommu_ioas_unmap argument = {.size = sizeof(argument), .ioas_id = space->ioas, .iova = iova, .length = size};

    return on_iommufd(space, IOMMU_IOAS_UNMAP, &argument);
}

static int dirty_log(struct kernel_space *space, bool on)
{
    struct iommu_hwpt_set_dirty_tracking argument = {
        .size = sizeof(argument), .flags = on ? IOMMU_HWPT_DIRTY_TRACKING_ENABLE : 0, .hwpt_id = space->hwpt};

    if (!space->hwpt) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return on_iommufd(space, IOMMU_HWPT_SET_DIRTY_TRACKING, &argument);
}

/* The kernel adds bits to those that are there. */
static int report(struct kernel_space *space, uint64_t iova, uint64_t size, uint64_t page_size, uint64_t *bitmap)
{
    struct iommu_hwpt_get_dirty_bitmap argument = {
        .size = sizeof(argument),
        .hwpt_id = space->hwpt,
        .iova = iova,
        .length = size,
        .page_size = page_size,
        .data = (uintptr_t)bitmap,
    };

    if (!space->hwpt) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return on_iommufd(space, IOMMU_HWPT_GET_DIRTY_BITMAP, &argument);
}

static const struct kernel_space_ops ioas_ops = {.map = map, .unmap = unmap, .log = dirty_log, .report = report};

static int open_iommufd(struct kernel_device *device, struct error *error)
{
    struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
    struct kernel_space *space = kernel_space_new(device->host, &ioas_ops, device->place.group);

    if (!space)
        return error_set(error, ENOMEM, "opening an iommufd");
    device->space = space;
    space->fd = kernel_open_node(device->host, "/dev/iommu", "iommufd", error);
    if (space->fd < 0)
        return -1;
    if (on_iommufd(space, IOMMU_IOAS_ALLOC, &alloc))
        return error_set(error, errno, "/dev/iommu: IOMMU_IOAS_ALLOC");
    space->ioas = alloc.out_ioas_id;
    return 0;
}

static int bind_device(struct kernel_device *device, struct error *error)
{
    struct vfio_bind_iommufd_argument bind = {.argsz = VFIO_BIND_IOMMUFD_ARGSZ, .iommufd = device->space->fd};

    if (device->options.has_token) {
        bind.argsz = sizeof(bind);
        bind.flags = VFIO_BIND_IOMMUFD_TOKEN;
        bind.token_uuid_ptr = (uintptr_t)device->options.token;
    }
    if (device->host->ioctl(device->host, device->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind) == 0) {
        device->device_id = bind.out_devid;
        return 0;
    }
    switch (errno) {
    case EBUSY:
    case EPERM:
        return kernel_find_not_viable(device->host, &device->place, error);
    case EACCES:
        return error_set(error, EACCES,
                         "%s is a VF whose PF belongs to VFIO too, and wants the token that the PF's user set: give "
                         ",vf-token=UUID, or --vfio group on kernels before 6.17",
                         device->place.name);
    default:
        return error_set(error, errno, "%s: VFIO_DEVICE_BIND_IOMMUFD", device->place.cdev);
    }
}

/* A page table of our own that keeps a dirty log, where the IOMMU has that. Emulated devices (mdevs) have none. */
static void alloc_page_table(struct kernel_device *device)
{
    struct iommu_hwpt_alloc alloc = {
        .size = sizeof(alloc),
        .flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
        .dev_id = device->device_id,
        .pt_id = device->space->ioas,
    };

    if (on_iommufd(device->space, IOMMU_HWPT_ALLOC, &alloc) == 0)
        device->space->hwpt = alloc.out_hwpt_id;
}

static int attach(struct kernel_device *device, struct error *error)
{
    struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach)};

    attach.pt_id = device->space->hwpt ? device->space->hwpt : device->space->ioas;
    if (device->host->ioctl(device->host, device->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach))
        return error_set(error, errno, "%s: VFIO_DEVICE_ATTACH_IOMMUFD_PT", device->place.cdev);
    return 0;
}

/* What the attached IOMMU can address. */
static void read_ranges(struct kernel_space *space)
{
    struct iommu_iova_range range[KERNEL_IOVA_RANGES_MAX];
    struct iommu_ioas_iova_ranges ranges = {
        .size = sizeof(ranges),
        .ioas_id = space->ioas,
        .num_iovas = KERNEL_IOVA_RANGES_MAX,
        .allowed_iovas = (uintptr_t)range,
    };

    if (on_iommufd(space, IOMMU_IOAS_IOVA_RANGES, &ranges) || ranges.num_iovas > KERNEL_IOVA_RANGES_MAX)
        return;
    space->range_count = ranges.num_iovas;
    for (unsigned int i = 0; i < space->range_count; i++)
        space->range[i] = (struct kernel_iova_range){.start = range[i].start, .last = range[i].last};
    space->page_sizes = ranges.out_iova_alignment;
}

int kernel_cdev_open(struct kernel_device *device, struct kernel_space *shared, struct error *error)
{
    device->space = shared;
    if (!shared && open_iommufd(device, error))
        return -1;
    device->fd = device->options.fd >= 0 ? device->options.fd
                                         : kernel_open_node(device->host, device->place.cdev, "vfio-pci", error);
    if (device->fd < 0 || bind_device(device, error))
        return -1;
    if (!shared)
        alloc_page_table(device);
    if (attach(device, error))
        return -1;
    read_ranges(device->space);
    return 0;
}
