/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The way in by the IOMMU group and a type1v2 container (linux/vfio.h, "API for Type1 VFIO IOMMU"). */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/vfio/kernel_device.h"

#define IOMMU_INFO_MAX 65536u
#define CAPABILITIES_MAX 16u
/* The bitmap of one report, in bytes, where the kernel names no other limit. */
#define REPORT_BITMAP_MAX (256ull << 20)

static int on_container(struct kernel_space *space, unsigned long request, void *argument)
{
    return space->host->ioctl(space->host, space->fd, request, argument);
}

static int map(struct kernel_space *space, uint64_t iova, uint64_t size, void *host, bool writable)
{
    struct vfio_iommu_type1_dma_map argument = {
        .argsz = sizeof(argument),
        .flags = VFIO_DMA_MAP_FLAG_READ | (writable ? VFIO_DMA_MAP_FLAG_WRITE : 0),
        .vaddr = (uintptr_t)host,
        .iova = iova,
        .size = size,
    };

    return on_container(space, VFIO_IOMMU_MAP_DMA, &argument);
}

static int unmap(struct kernel_space *space, uint64_t iova, uint64_t size)
{
    struct vfio_iommu_type1_dma_unmap argument = {.argsz = sizeof(argument), .iova = iova, .size = size};

    if (on_container(space, VFIO_IOMMU_UNMAP_DMA, &argument))
        return -1;
    if (argument.size == size)
        return 0;
    errno = ENOENT;
    return -1;
}

static int dirty_log(struct kernel_space *space, bool on)
{
    struct vfio_iommu_type1_dirty_bitmap argument = {
        .argsz = sizeof(argument),
        .flags = on ? VFIO_IOMMU_DIRTY_PAGES_FLAG_START : VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP,
    };

    return on_container(space, VFIO_IOMMU_DIRTY_PAGES, &argument);
}

/* The kernel wants a range to be what was mapped, or whole mappings; and it sets the bits of a clean bitmap. */
static int report(struct kernel_space *space, uint64_t iova, uint64_t size, uint64_t page_size, uint64_t *bitmap)
{
    uint64_t words = (size / page_size + 63) / 64;
    struct {
        struct vfio_iommu_type1_dirty_bitmap head;
        struct vfio_iommu_type1_dirty_bitmap_get get;
    } argument = {.head = {.argsz = sizeof(argument), .flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP},
                  .get = {.iova = iova, .size = size, .bitmap = {.pgsize = page_size, .size = words * 8}}};
    uint64_t *dirty;
    int status;

    if (words * 8 > REPORT_BITMAP_MAX) {
        errno = E2BIG;
        return -1;
    }
    dirty = calloc(words, sizeof(*dirty));
    if (!dirty)
        return -1;
    argument.get.bitmap.data = (__u64 *)dirty;
    status = on_container(space, VFIO_IOMMU_DIRTY_PAGES, &argument);
    for (uint64_t i = 0; !status && i < words; i++)
        bitmap[i] |= dirty[i];
    free(dirty);
    return status;
}

static const struct kernel_space_ops container_ops = {.map = map, .unmap = unmap, .log = dirty_log, .report = report};

static void take_ranges(struct kernel_space *space, const uint8_t *capability, size_t room)
{
    struct vfio_iommu_type1_info_cap_iova_range head;
    struct vfio_iova_range range;

    if (room < sizeof(head))
        return;
    memcpy(&head, capability, sizeof(head));
    for (uint32_t i = 0; i < head.nr_iovas && space->range_count < KERNEL_IOVA_RANGES_MAX; i++) {
        if (room < sizeof(head) + (i + 1ul) * sizeof(range))
            return;
        memcpy(&range, capability + sizeof(head) + i * sizeof(range), sizeof(range));
        space->range[space->range_count++] = (struct kernel_iova_range){.start = range.start, .last = range.end};
    }
}

static void take_capabilities(struct kernel_space *space, const uint8_t *info, size_t size, uint32_t offset)
{
    struct vfio_info_cap_header header;

    for (unsigned int i = 0; i < CAPABILITIES_MAX && offset >= sizeof(struct vfio_iommu_type1_info); i++) {
        if (offset > size || size - offset < sizeof(header))
            return;
        memcpy(&header, info + offset, sizeof(header));
        if (header.id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE)
            take_ranges(space, info + offset, size - offset);
        offset = header.next;
    }
}

/* What the IOMMU can address, and by which pages. A kernel that does not say is believed to take everything. */
static void read_iommu_info(struct kernel_space *space)
{
    struct vfio_iommu_type1_info info = {.argsz = sizeof(info)};
    struct vfio_iommu_type1_info *whole;

    if (on_container(space, VFIO_IOMMU_GET_INFO, &info))
        return;
    if (info.flags & VFIO_IOMMU_INFO_PGSIZES)
        space->page_sizes = info.iova_pgsizes;
    if (!(info.flags & VFIO_IOMMU_INFO_CAPS) || info.argsz <= sizeof(info) || info.argsz > IOMMU_INFO_MAX)
        return;
    whole = calloc(1, info.argsz);
    if (!whole)
        return;
    whole->argsz = info.argsz;
    if (on_container(space, VFIO_IOMMU_GET_INFO, whole) == 0 && whole->flags & VFIO_IOMMU_INFO_CAPS)
        take_capabilities(space, (const uint8_t *)whole, info.argsz, whole->cap_offset);
    free(whole);
}

static int open_group(struct kernel_device *device, struct error *error)
{
    struct kernel_space *space = device->space;
    struct vfio_group_status status = {.argsz = sizeof(status)};
    char path[64];

    snprintf(path, sizeof(path), "/dev/vfio/%d", device->place.group);
    space->group_fd =
        device->options.fd >= 0 ? device->options.fd : kernel_open_node(device->host, path, "vfio-pci", error);
    if (space->group_fd < 0)
        return -1;
    if (device->host->ioctl(device->host, space->group_fd, VFIO_GROUP_GET_STATUS, &status))
        return error_set(error, errno, "%s: VFIO_GROUP_GET_STATUS", path);
    if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
        return kernel_find_not_viable(device->host, &device->place, error);
    return 0;
}

static int set_container(struct kernel_device *device, struct error *error)
{
    struct kernel_space *space = device->space;
    const struct kernel_host *host = device->host;

    if (host->ioctl(host, space->fd, VFIO_CHECK_EXTENSION, (void *)VFIO_TYPE1v2_IOMMU) <= 0)
        return error_set(error, 0, "the host's VFIO has no type1v2 IOMMU: modprobe vfio_iommu_type1");
    if (host->ioctl(host, space->group_fd, VFIO_GROUP_SET_CONTAINER, &space->fd))
        return error_set(error, errno, "VFIO_GROUP_SET_CONTAINER of the IOMMU group %d", space->group);
    if (on_container(space, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU))
        return error_set(
            error, errno,
            "VFIO_SET_IOMMU of the IOMMU group %d (EPERM: the host cannot remap interrupts; dmesg says so)",
            space->group);
    read_iommu_info(space);
    return 0;
}

static int open_space(struct kernel_device *device, struct error *error)
{
    device->space = kernel_space_new(device->host, &container_ops, device->place.group);
    if (!device->space)
        return error_set(error, ENOMEM, "opening a container");
    if (open_group(device, error))
        return -1;
    device->space->fd = kernel_open_node(device->host, "/dev/vfio/vfio", "vfio_iommu_type1", error);
    return device->space->fd < 0 ? -1 : set_container(device, error);
}

/* A VF whose PF is VFIO's too wants to hear the token that the PF's user set. */
static void say_device(const struct kernel_device *device, char *text, size_t size)
{
    const uint8_t *t = device->options.token;

    if (!device->options.has_token)
        snprintf(text, size, "%s", device->place.name);
    else
        snprintf(text, size, "%s vf_token=%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                 device->place.name, t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9], t[10], t[11], t[12],
                 t[13], t[14], t[15]);
}

int kernel_group_open(struct kernel_device *device, struct kernel_space *shared, struct error *error)
{
    char name[2 * KERNEL_NAME_MAX];

    device->space = shared;
    if (!shared && open_space(device, error))
        return -1;
    say_device(device, name, sizeof(name));
    device->fd = device->host->ioctl(device->host, device->space->group_fd, VFIO_GROUP_GET_DEVICE_FD, name);
    if (device->fd >= 0)
        return 0;
    if (errno == EACCES)
        return error_set(error, EACCES,
                         "%s is a VF whose PF belongs to VFIO too, and wants the token that the PF's user set: give "
                         ",vf-token=UUID",
                         device->place.name);
    return error_set(error, errno, "VFIO_GROUP_GET_DEVICE_FD of %s", device->place.name);
}
