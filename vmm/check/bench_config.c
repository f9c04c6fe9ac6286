/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The device's configuration as firmware and a driver leave it: PCI Local Bus 3.0, sections 6.2.2 and 6.2.5. */
#include <errno.h>
#include <string.h>

#include "vmm/check/bench.h"

#define IO_BASE 0xc000u
#define MEMORY_BASE UINT64_C(0xc0000000)
#define MEMORY_END UINT64_C(0xfec00000)
#define MEMORY64_BASE UINT64_C(0x4000000000)
#define BAR_SIZE_MAX (UINT64_C(1) << 38)
#define CAPABILITIES_MAX 48u
#define COMMAND_WANTED (PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER)

int bench_config_read(struct bench *bench, unsigned int offset, void *data, size_t size, struct error *error)
{
    return bench->device->ops->region_read(bench->device, VFIO_PCI_CONFIG_REGION_INDEX, offset, data, size, error);
}

int bench_config_read_all(struct bench *bench, uint8_t config[static BENCH_CONFIG_SIZE], struct error *error)
{
    struct vfio_region region;
    size_t size;

    if (bench->device->ops->get_region(bench->device, VFIO_PCI_CONFIG_REGION_INDEX, &region, error) < 0)
        return -1;
    size = region.size < BENCH_CONFIG_SIZE ? (size_t)region.size : BENCH_CONFIG_SIZE;
    memset(config + size, 0, BENCH_CONFIG_SIZE - size);
    return bench_config_read(bench, 0, config, size, error);
}

int bench_config_write(struct bench *bench, unsigned int offset, const void *data, size_t size, struct error *error)
{
    return bench->device->ops->region_write(bench->device, VFIO_PCI_CONFIG_REGION_INDEX, offset, data, size, error);
}

int bench_set_command(struct bench *bench, uint16_t clear, uint16_t set, struct error *error)
{
    uint16_t command;

    if (bench_config_read(bench, PCI_COMMAND, &command, sizeof(command), error) < 0)
        return -1;
    command = (uint16_t)((command & ~clear) | set);
    return bench_config_write(bench, PCI_COMMAND, &command, sizeof(command), error);
}

unsigned int bench_find_capability(const struct bench *bench, uint8_t id)
{
    unsigned int offset = bench->config[PCI_CAPABILITY_LIST] & ~3u;

    if (!(bench->config[PCI_STATUS] & PCI_STATUS_CAP_LIST))
        return 0;
    for (unsigned int i = 0; i < CAPABILITIES_MAX && offset >= PCI_STD_HEADER_SIZEOF; i++) {
        if (bench->config[offset + PCI_CAP_LIST_ID] == id)
            return offset;
        offset = bench->config[offset + PCI_CAP_LIST_NEXT] & ~3u;
    }
    return 0;
}

/* Where the next BAR of each kind goes. */
struct places {
    uint64_t io;
    uint64_t memory;
    uint64_t memory64;
};

static uint64_t place(uint64_t *next, uint64_t size)
{
    uint64_t address = (*next + size - 1) & ~(size - 1);

    *next = address + size;
    return address;
}

static int program_bar(struct bench *bench, unsigned int index, struct places *places, struct error *error)
{
    struct bench_bar *bar = &bench->bar[index];
    unsigned int offset = PCI_BASE_ADDRESS_0 + 4 * index;
    uint32_t low, high;

    if (bar->size & (bar->size - 1) || bar->size > BAR_SIZE_MAX)
        return error_set(error, EINVAL, "%s: BAR %u: %llu bytes cannot be a BAR", bench->device->name, index,
                         (unsigned long long)bar->size);
    if (bench_config_read(bench, offset, &low, sizeof(low), error) < 0)
        return -1;
    bar->is_io = low & PCI_BASE_ADDRESS_SPACE_IO;
    bar->is_64bit = !bar->is_io && (low & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64;
    if (bar->is_io)
        bar->address = place(&places->io, bar->size);
    else if (bar->is_64bit)
        bar->address = place(&places->memory64, bar->size);
    else
        bar->address = place(&places->memory, bar->size);
    if (!bar->is_io && !bar->is_64bit && places->memory > MEMORY_END)
        return error_set(error, ENOSPC, "%s: its 32-bit BARs do not fit below 4 GiB", bench->device->name);
    low = (uint32_t)bar->address;
    high = (uint32_t)(bar->address >> 32);
    if (bench_config_write(bench, offset, &low, sizeof(low), error) < 0)
        return -1;
    return bar->is_64bit ? bench_config_write(bench, offset + 4, &high, sizeof(high), error) : 0;
}

/* The uAPI leaves the enable bits of MSI-X and MSI to SET_IRQS, but a device may look at its own. */
static int enable_messages(struct bench *bench, struct error *error)
{
    unsigned int msix = bench_find_capability(bench, PCI_CAP_ID_MSIX);
    uint16_t flags;

    if (!msix)
        return 0;
    if (bench_config_read(bench, msix + PCI_MSIX_FLAGS, &flags, sizeof(flags), error) < 0)
        return -1;
    flags = (uint16_t)((flags & ~PCI_MSIX_FLAGS_MASKALL) | PCI_MSIX_FLAGS_ENABLE);
    return bench_config_write(bench, msix + PCI_MSIX_FLAGS, &flags, sizeof(flags), error);
}

int bench_program(struct bench *bench, struct error *error)
{
    struct places places = {IO_BASE, MEMORY_BASE, MEMORY64_BASE};

    for (unsigned int i = 0; i < BENCH_BARS; i++) {
        struct vfio_region region;

        if (bench->device->ops->get_region(bench->device, VFIO_PCI_BAR0_REGION_INDEX + i, &region, error) < 0)
            return -1;
        bench->bar[i].size = region.size;
        if (region.size && program_bar(bench, i, &places, error) < 0)
            return -1;
    }
    if (bench_config_read_all(bench, bench->config, error) < 0 || enable_messages(bench, error) < 0 ||
        bench_set_command(bench, 0, COMMAND_WANTED, error) < 0)
        return -1;
    return bench_config_read_all(bench, bench->config, error);
}

static int restore(struct bench *bench, unsigned int offset, size_t size, struct error *error)
{
    return bench_config_write(bench, offset, bench->config + offset, size, error);
}

/* The command register last: nothing decodes before it has its address. */
int bench_restore_config(struct bench *bench, struct error *error)
{
    for (unsigned int i = 0; i < BENCH_BARS; i++)
        if (restore(bench, PCI_BASE_ADDRESS_0 + 4 * i, 4, error) < 0)
            return -1;
    if (enable_messages(bench, error) < 0)
        return -1;
    return restore(bench, PCI_COMMAND, 2, error);
}
