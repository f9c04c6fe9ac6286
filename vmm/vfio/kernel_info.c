/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a device is: VFIO_DEVICE_GET_INFO, GET_REGION_INFO with its capabilities, GET_IRQ_INFO; and SET_IRQS, RESET. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/vfio/kernel_device.h"

#define INFO_SIZE_MAX 65536u
#define CAPABILITIES_MAX 16u
#define HOT_RESET_GROUPS 1u

static int device_ioctl(struct kernel_device *device, unsigned long request, void *argument)
{
    return device->host->ioctl(device->host, device->fd, request, argument);
}

/* The sparse mmap capability: what may be mapped in place of all. */
static void take_sparse(struct kernel_region *region, const uint8_t *capability, size_t room)
{
    struct vfio_region_info_cap_sparse_mmap head;
    struct vfio_region_sparse_mmap_area area;

    if (room < sizeof(head))
        return;
    memcpy(&head, capability, sizeof(head));
    region->info.area_count = 0;
    for (uint32_t i = 0; i < head.nr_areas && i < VFIO_SPARSE_MAX; i++) {
        if (room < sizeof(head) + (i + 1ul) * sizeof(area))
            return;
        memcpy(&area, capability + sizeof(head) + i * sizeof(area), sizeof(area));
        if (!area.size || area.size > region->info.size || area.offset > region->info.size - area.size)
            continue;
        region->info.area[region->info.area_count++] = (struct vfio_area){.offset = area.offset, .size = area.size};
    }
}

static void take_type(struct kernel_region *region, const uint8_t *capability, size_t room)
{
    struct vfio_region_info_cap_type type;

    if (room < sizeof(type))
        return;
    memcpy(&type, capability, sizeof(type));
    region->type = type.type;
    region->subtype = type.subtype;
}

/* The list of capabilities after the structure; one that leaves it, or goes round, ends it. */
static void take_capabilities(struct kernel_region *region, const uint8_t *info, size_t size, uint32_t offset)
{
    struct vfio_info_cap_header header;

    for (unsigned int i = 0; i < CAPABILITIES_MAX && offset >= sizeof(struct vfio_region_info); i++) {
        if (offset > size || size - offset < sizeof(header))
            return;
        memcpy(&header, info + offset, sizeof(header));
        if (header.id == VFIO_REGION_INFO_CAP_SPARSE_MMAP)
            take_sparse(region, info + offset, size - offset);
        else if (header.id == VFIO_REGION_INFO_CAP_TYPE)
            take_type(region, info + offset, size - offset);
        offset = header.next;
    }
}

/* Asks again with the room that the kernel wants, for the capabilities. */
static void read_capabilities(struct kernel_device *device, uint32_t index, uint32_t size)
{
    struct vfio_region_info *info = size <= INFO_SIZE_MAX ? calloc(1, size) : NULL;

    if (!info)
        return;
    info->argsz = size;
    info->index = index;
    if (device_ioctl(device, VFIO_DEVICE_GET_REGION_INFO, info) == 0 && info->flags & VFIO_REGION_INFO_FLAG_CAPS)
        take_capabilities(&device->region[index], (const uint8_t *)info, size, info->cap_offset);
    free(info);
}

static void read_region(struct kernel_device *device, uint32_t index)
{
    struct kernel_region *region = &device->region[index];
    struct vfio_region_info info = {.argsz = sizeof(info), .index = index};

    *region = (struct kernel_region){.info.mmap_fd = -1};
    if (device_ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info)) {
        region->refused = errno ? errno : EINVAL;
        return;
    }
    if (index == VFIO_PCI_ROM_REGION_INDEX && device->options.no_rom)
        return;
    region->offset = info.offset;
    region->info.flags = info.flags & ~(uint32_t)VFIO_REGION_INFO_FLAG_CAPS;
    region->info.size = info.size;
    region->info.mmap_offset = info.offset;
    if (info.flags & VFIO_REGION_INFO_FLAG_MMAP && info.size) {
        region->info.mmap_fd = device->fd;
        region->info.area_count = 1;
        region->info.area[0] = (struct vfio_area){.offset = 0, .size = info.size};
    }
    if (info.flags & VFIO_REGION_INFO_FLAG_CAPS && info.argsz > sizeof(info))
        read_capabilities(device, index, info.argsz);
    if (device->options.no_mmap || !region->info.area_count) {
        region->info.flags &= ~(uint32_t)VFIO_REGION_INFO_FLAG_MMAP;
        region->info.mmap_fd = -1;
        region->info.area_count = 0;
    }
}

int kernel_read_info(struct kernel_device *device, struct error *error)
{
    struct vfio_device_info info = {.argsz = sizeof(info)};

    if (device_ioctl(device, VFIO_DEVICE_GET_INFO, &info))
        return error_set(error, errno, "VFIO_DEVICE_GET_INFO");
    device->info =
        (struct vfio_device_info_summary){.flags = info.flags, .regions = info.num_regions, .irqs = info.num_irqs};
    for (uint32_t i = 0; i < info.num_regions && i < VFIO_REGIONS_MAX; i++) {
        read_region(device, i);
        if (device->region[i].type == VFIO_REGION_TYPE_MIGRATION_DEPRECATED &&
            device->region[i].subtype == VFIO_REGION_SUBTYPE_MIGRATION_DEPRECATED)
            device->has_v1 = true;
    }
    return 0;
}

int kernel_get_info(struct vfio_device *device, struct vfio_device_info_summary *info, struct error *error)
{
    (void)error;
    *info = kernel_of(device)->info;
    return 0;
}

int kernel_get_region(struct vfio_device *device, uint32_t index, struct vfio_region *region, struct error *error)
{
    const struct kernel_device *kernel = kernel_of(device);

    if (index >= VFIO_REGIONS_MAX || index >= kernel->info.regions)
        return error_set(error, EINVAL, "%s: it has no region %u", device->name, index);
    if (kernel->region[index].refused)
        return error_set(error, kernel->region[index].refused, "%s: VFIO_DEVICE_GET_REGION_INFO of region %u",
                         device->name, index);
    *region = kernel->region[index].info;
    return 0;
}

int kernel_get_irq(struct vfio_device *device, uint32_t index, struct vfio_irq *irq, struct error *error)
{
    struct vfio_irq_info info = {.argsz = sizeof(info), .index = index};

    if (device_ioctl(kernel_of(device), VFIO_DEVICE_GET_IRQ_INFO, &info))
        return error_set(error, errno, "%s: VFIO_DEVICE_GET_IRQ_INFO of index %u", device->name, index);
    *irq = (struct vfio_irq){.flags = info.flags, .count = info.count};
    return 0;
}

int kernel_set_irqs(struct vfio_device *device, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
                    const void *data, size_t data_size, struct error *error)
{
    struct vfio_irq_set *set = malloc(sizeof(*set) + data_size);
    int result;

    if (!set)
        return error_set(error, ENOMEM, "%s: VFIO_DEVICE_SET_IRQS", device->name);
    *set = (struct vfio_irq_set){
        .argsz = (uint32_t)(sizeof(*set) + data_size), .flags = flags, .index = index, .start = start, .count = count};
    if (data_size)
        memcpy(set->data, data, data_size);
    result = device_ioctl(kernel_of(device), VFIO_DEVICE_SET_IRQS, set);
    free(set);
    if (result < 0)
        return error_set(error, errno, "%s: VFIO_DEVICE_SET_IRQS of index %u, %u from %u, flags 0x%x", device->name,
                         index, count, start, flags);
    if (result > 0)
        return error_set(error, ENOSPC, "%s: VFIO_DEVICE_SET_IRQS: the host has %d interrupt vectors for it, not %u",
                         device->name, result, start + count);
    return 0;
}

/* Function level reset, by the PCI Express capability or that of advanced features. */
static bool has_flr(struct kernel_device *device)
{
    uint8_t config[PCI_CFG_SPACE_SIZE];
    unsigned int at;

    if (device->device.ops->region_read(&device->device, VFIO_PCI_CONFIG_REGION_INDEX, 0, config, sizeof(config), NULL))
        return false;
    at = config[PCI_CAPABILITY_LIST] & ~3u;
    for (unsigned int i = 0; i < 48 && at >= PCI_STD_HEADER_SIZEOF && at <= sizeof(config) - 8; i++) {
        if (config[at] == PCI_CAP_ID_EXP && config[at + PCI_EXP_DEVCAP + 3] & PCI_EXP_DEVCAP_FLR >> 24)
            return true;
        if (config[at] == PCI_CAP_ID_AF && config[at + PCI_AF_CAP] & PCI_AF_CAP_FLR)
            return true;
        at = config[at + PCI_CAP_LIST_NEXT] & ~3u;
    }
    return false;
}

/* All functions that the bus's reset reaches must be ours: of one group here, or by the cdevs' iommufd. */
static int hot_reset(struct kernel_device *device, struct error *error)
{
    struct {
        struct vfio_pci_hot_reset head;
        int32_t group[HOT_RESET_GROUPS];
    } reset = {.group = {device->space->group_fd}};
    bool by_group = device->space->group_fd >= 0;

    reset.head.argsz = by_group ? sizeof(reset) : sizeof(reset.head);
    reset.head.count = by_group ? HOT_RESET_GROUPS : 0;
    if (kernel_call(device, VFIO_DEVICE_PCI_HOT_RESET, &reset, sizeof(reset), "VFIO_DEVICE_PCI_HOT_RESET", error) == 0)
        return 0;
    if (errno == ETIMEDOUT)
        return -1;
    return error_set(error, errno,
                     "%s: VFIO_DEVICE_PCI_HOT_RESET (every function on its bus must be in its IOMMU group)",
                     device->device.name);
}

int kernel_reset(struct vfio_device *device, struct error *error)
{
    struct kernel_device *kernel = kernel_of(device);

    switch (kernel->options.reset) {
    case KERNEL_RESET_NONE:
        return error_set(error, EOPNOTSUPP, "%s: its reset was forbidden by reset=none", device->name);
    case KERNEL_RESET_HOT:
        return hot_reset(kernel, error);
    case KERNEL_RESET_FLR:
        if (!has_flr(kernel))
            return error_set(error, EOPNOTSUPP, "%s: it has no function level reset, and reset=flr was given",
                             device->name);
        break;
    case KERNEL_RESET_DEFAULT:
        break;
    }
    if (kernel_call(kernel, VFIO_DEVICE_RESET, NULL, 0, "VFIO_DEVICE_RESET", error) == 0)
        return 0;
    return errno == ETIMEDOUT ? -1 : error_set(error, errno, "%s: VFIO_DEVICE_RESET", device->name);
}
