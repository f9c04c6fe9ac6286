/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stopcopy/guest_abi.h"
#include "vmm/board/board_layout.h"
#include "vmm/board/board_tree.h"
#include "vmm/board/machine.h"
#include "vmm/proof/workload.h"

/* A tree being read; sticky: after the first error nothing more is looked at, and every number read is 0. */
struct reader {
    const void *tree;
    struct error *error;
    bool failed;
};

static void fail(struct reader *reader, const char *node, const char *property, const char *what)
{
    if (!reader->failed)
        error_set(reader->error, EINVAL, "the board's device tree: %s%s%s: %s", node, property ? ", property " : "",
                  property ? property : "", what);
    reader->failed = true;
}

static int find(struct reader *reader, int parent, const char *name)
{
    int node;

    if (reader->failed)
        return -1;
    node = fdt_subnode_offset(reader->tree, parent, name);
    if (node < 0)
        fail(reader, name, NULL, "there is no such node");
    return node;
}

/* The cells of a property, of which there must be between minimum and maximum. */
static const fdt32_t *get_cells(struct reader *reader, int node, const char *where, const char *name, int minimum,
                                int maximum, int *count)
{
    const fdt32_t *cells;
    int size = 0;

    *count = 0;
    if (reader->failed)
        return NULL;
    cells = fdt_getprop(reader->tree, node, name, &size);
    if (!cells) {
        fail(reader, where, name, "it is missing");
        return NULL;
    }
    if (size % 4 || size / 4 < minimum || size / 4 > maximum) {
        fail(reader, where, name, "it has the wrong size");
        return NULL;
    }
    *count = size / 4;
    return cells;
}

static uint32_t cell_u32(const fdt32_t *cells, int at)
{
    return fdt32_ld(cells + at);
}

static uint64_t cell_u64(const fdt32_t *cells, int at)
{
    return (uint64_t)cell_u32(cells, at) << 32 | cell_u32(cells, at + 1);
}

static uint32_t get_u32(struct reader *reader, int node, const char *where, const char *name, uint32_t maximum)
{
    int count;
    const fdt32_t *cells = get_cells(reader, node, where, name, 1, 1, &count);
    uint32_t value = cells ? cell_u32(cells, 0) : 0;

    if (value > maximum)
        fail(reader, where, name, "it is out of range");
    return reader->failed ? 0 : value;
}

static uint64_t get_u64(struct reader *reader, int node, const char *where, const char *name)
{
    int count;
    const fdt32_t *cells = get_cells(reader, node, where, name, 2, 2, &count);

    return cells ? cell_u64(cells, 0) : 0;
}

/* The property must be this string. */
static void want_string(struct reader *reader, int node, const char *where, const char *name, const char *value)
{
    const void *found;
    int size = 0;

    if (reader->failed)
        return;
    found = fdt_getprop(reader->tree, node, name, &size);
    if (!found || (size_t)size != strlen(value) + 1 || memcmp(found, value, (size_t)size) != 0)
        fail(reader, where, name, "it is missing or has a value that this program does not know");
}

static enum vm_irqchip read_irqchip(struct reader *reader)
{
    static const char full[] = "full";
    int size = 0;
    const void *found = reader->failed ? NULL : fdt_getprop(reader->tree, 0, "stopcopy,irqchip", &size);

    if (found && size == sizeof(full) && memcmp(found, full, sizeof(full)) == 0)
        return VM_IRQCHIP_FULL;
    want_string(reader, 0, "/", "stopcopy,irqchip", "split");
    return VM_IRQCHIP_SPLIT;
}

static void read_chosen(struct reader *reader, struct board *board)
{
    int node = find(reader, 0, "chosen"), count;
    const fdt32_t *progress;

    board->wishes.seed = get_u64(reader, node, "chosen", "stopcopy,seed");
    board->wishes.ops = get_u64(reader, node, "chosen", "stopcopy,ops");
    progress = get_cells(reader, node, "chosen", "stopcopy,progress", 4, 4, &count);
    if (!progress)
        return;
    board->progress = cell_u64(progress, 0);
    if (cell_u64(progress, 2) != PROGRESS_SIZE)
        fail(reader, "chosen", "stopcopy,progress", "the progress area has another size");
}

static void read_memory(struct reader *reader, struct board *board)
{
    int node = find(reader, 0, "memory@0"), count;
    const fdt32_t *reg = get_cells(reader, node, "memory@0", "reg", 4, 4 * BOARD_RAM_RANGES_MAX, &count);

    if (!reg)
        return;
    if (count % 4) {
        fail(reader, "memory@0", "reg", "it has the wrong size");
        return;
    }
    board->ram_ranges = (unsigned int)count / 4;
    for (int i = 0; i < count / 4; i++) {
        struct board_ram *ram = &board->ram[i];
        uint64_t reserved = i == 0 ? BOARD_RESERVED_SIZE : 0;

        ram->start = cell_u64(reg, 4 * i);
        ram->size = cell_u64(reg, 4 * i + 2);
        if (ram->size > 1ull << 52) {
            fail(reader, "memory@0", "reg", "it is out of range");
            return;
        }
        ram->size += reserved;
        board->wishes.memory_size += ram->size;
    }
}

static void read_features(struct reader *reader, int cpus, struct vm_features *features)
{
    int count;

    if (reader->failed)
        return;
    count = fdt_stringlist_count(reader->tree, cpus, "stopcopy,features");
    if (count < 0) {
        fail(reader, "cpus", "stopcopy,features", fdt_strerror(count));
        return;
    }
    for (int i = 0; i < count; i++) {
        const char *name = fdt_stringlist_get(reader->tree, cpus, "stopcopy,features", i, NULL);

        if (name && strcmp(name, "avx2") == 0)
            features->avx2 = true;
        else if (name && strcmp(name, "kvmclock") == 0)
            features->kvmclock = true;
        else
            fail(reader, "cpus", "stopcopy,features", "it names a feature that this program does not know");
    }
}

static void read_cpus(struct reader *reader, struct board *board)
{
    int cpus = find(reader, 0, "cpus"), node;

    board->features.tsc_hz = get_u64(reader, cpus, "cpus", "stopcopy,tsc-hz");
    board->features.apic_timer_hz = get_u64(reader, cpus, "cpus", "stopcopy,apic-timer-hz");
    read_features(reader, cpus, &board->features);
    if (reader->failed)
        return;
    fdt_for_each_subnode(node, reader->tree, cpus)
    {
        if (board->vcpus == VM_VCPUS_MAX) {
            fail(reader, "cpus", NULL, "it has more vCPUs than this program can have");
            return;
        }
        if (get_u32(reader, node, "cpus/cpu", "reg", VM_VCPUS_MAX) != board->vcpus)
            fail(reader, "cpus/cpu", "reg", "vCPUs are not numbered from 0");
        board->vcpus++;
    }
    board->wishes.vcpus = board->vcpus;
}

static void read_bars(struct reader *reader, int node, const char *where, struct board_device *device)
{
    int count;
    const fdt32_t *cells = get_cells(reader, node, where, "stopcopy,bars", 0, 6 * BOARD_BARS, &count);

    for (int i = 0; cells && i + 6 <= count; i += 6) {
        uint32_t index = cell_u32(cells, i), flags = cell_u32(cells, i + 1);

        if (index >= BOARD_BARS || device->bar[index].size ||
            flags & ~(BOARD_TREE_BAR_IO | BOARD_TREE_BAR_WIDE | BOARD_TREE_BAR_PREFETCHABLE)) {
            fail(reader, where, "stopcopy,bars", "it has a BAR that cannot be");
            return;
        }
        device->bar[index] = (struct board_bar){
            .address = cell_u64(cells, i + 2),
            .size = cell_u64(cells, i + 4),
            .io = flags & BOARD_TREE_BAR_IO,
            .wide = flags & BOARD_TREE_BAR_WIDE,
            .prefetchable = flags & BOARD_TREE_BAR_PREFETCHABLE,
        };
    }
    if (count % 6)
        fail(reader, where, "stopcopy,bars", "it has the wrong size");
}

static void read_msix(struct reader *reader, int node, const char *where, struct board_device *device)
{
    const fdt32_t *cells;
    int count;

    if (reader->failed || !fdt_getprop(reader->tree, node, "stopcopy,msix", NULL))
        return;
    cells = get_cells(reader, node, where, "stopcopy,msix", 6, 6, &count);
    if (!cells)
        return;
    if (cell_u32(cells, 0) < 1 || cell_u32(cells, 0) > 2048 || cell_u32(cells, 1) > 0xff ||
        cell_u32(cells, 2) >= BOARD_BARS || cell_u32(cells, 4) >= BOARD_BARS) {
        fail(reader, where, "stopcopy,msix", "it is out of range");
        return;
    }
    device->msix_vectors = (uint16_t)cell_u32(cells, 0);
    device->msix = (struct board_msix){
        .capability = (uint8_t)cell_u32(cells, 1),
        .table_bar = (uint8_t)cell_u32(cells, 2),
        .table_offset = cell_u32(cells, 3),
        .pba_bar = (uint8_t)cell_u32(cells, 4),
        .pba_offset = cell_u32(cells, 5),
    };
}

static void read_interrupt(struct reader *reader, int node, const char *where, struct board_device *device)
{
    const fdt32_t *cells;
    int count;

    if (!reader->failed && fdt_getprop(reader->tree, node, "stopcopy,intx", NULL))
        device->intx_pin = (uint8_t)get_u32(reader, node, where, "stopcopy,intx", UINT8_MAX);
    if (reader->failed || !fdt_getprop(reader->tree, node, "stopcopy,msi", NULL))
        return;
    cells = get_cells(reader, node, where, "stopcopy,msi", 2, 2, &count);
    if (!cells)
        return;
    if (cell_u32(cells, 0) > 0xff || cell_u32(cells, 1) > 1) {
        fail(reader, where, "stopcopy,msi", "it is out of range");
        return;
    }
    device->msi = (struct board_msi){.capability = (uint8_t)cell_u32(cells, 0), .wide = cell_u32(cells, 1)};
}

static void read_express(struct reader *reader, int node, const char *where, struct board_device *device)
{
    const fdt32_t *cells;
    int count;

    if (reader->failed || !fdt_getprop(reader->tree, node, "stopcopy,express", NULL))
        return;
    cells = get_cells(reader, node, where, "stopcopy,express", 3, 3, &count);
    if (!cells)
        return;
    if (cell_u32(cells, 0) < 0x40 || cell_u32(cells, 0) > 0xff || cell_u32(cells, 1) > 15) {
        fail(reader, where, "stopcopy,express", "it is out of range");
        return;
    }
    device->express = (struct board_express){
        .capability = (uint8_t)cell_u32(cells, 0),
        .version = (uint8_t)cell_u32(cells, 1),
        .device_capabilities = cell_u32(cells, 2),
    };
}

static void read_device(struct reader *reader, int node, unsigned int number, struct board_device *device)
{
    const fdt32_t *reg;
    char where[32];
    int count;

    snprintf(where, sizeof(where), "device %u", number);
    reg = get_cells(reader, node, where, "reg", 5, 5, &count);
    if (!reg)
        return;
    if (cell_u32(reg, 0) != (number + 1) << 11) {
        fail(reader, where, "reg", "devices are not in slots from 1");
        return;
    }
    device->slot = (uint16_t)(number + 1);
    device->vendor = (uint16_t)get_u32(reader, node, where, "vendor-id", UINT16_MAX);
    device->device = (uint16_t)get_u32(reader, node, where, "device-id", UINT16_MAX);
    device->subsystem_vendor = (uint16_t)get_u32(reader, node, where, "subsystem-vendor-id", UINT16_MAX);
    device->subsystem = (uint16_t)get_u32(reader, node, where, "subsystem-id", UINT16_MAX);
    device->class_revision = get_u32(reader, node, where, "class-revision", UINT32_MAX);
    read_bars(reader, node, where, device);
    read_msix(reader, node, where, device);
    read_interrupt(reader, node, where, device);
    read_express(reader, node, where, device);
}

/* One window of the ranges property: where it is must be where this program has it, but for the 64-bit one. */
static void read_window(struct reader *reader, const fdt32_t *cells, int at, struct board *board)
{
    uint64_t start = cell_u64(cells, at + 1), size = cell_u64(cells, at + 5);
    bool known = cell_u64(cells, at + 3) == start;

    switch (cell_u32(cells, at)) {
    case BOARD_TREE_SPACE_IO:
        known = known && start == BOARD_IO_WINDOW_START && size == BOARD_IO_WINDOW_END - BOARD_IO_WINDOW_START;
        break;
    case BOARD_TREE_SPACE_32:
        known = known && start == BOARD_WINDOW32_START && size == BOARD_WINDOW32_END - BOARD_WINDOW32_START;
        break;
    case BOARD_TREE_SPACE_64:
        known = known && size != 0 && !board->window64.size;
        board->window64 = (struct board_ram){.start = start, .size = size};
        break;
    default:
        known = false;
    }
    if (!known)
        fail(reader, BOARD_TREE_PCIE, "ranges", "it has a window that this program does not have");
}

static void read_pcie(struct reader *reader, struct board *board)
{
    int pcie = find(reader, 0, BOARD_TREE_PCIE), node, count;
    const fdt32_t *cells;

    want_string(reader, pcie, BOARD_TREE_PCIE, "compatible", "pci-host-ecam-generic");
    cells = get_cells(reader, pcie, BOARD_TREE_PCIE, "reg", 4, 4, &count);
    if (cells && (cell_u64(cells, 0) != BOARD_ECAM_START || cell_u64(cells, 2) != BOARD_ECAM_SIZE))
        fail(reader, BOARD_TREE_PCIE, "reg", "ECAM is not where this program has it");
    cells = get_cells(reader, pcie, BOARD_TREE_PCIE, "ranges", 14, 21, &count);
    if (cells && count % 7)
        fail(reader, BOARD_TREE_PCIE, "ranges", "it has the wrong size");
    for (int i = 0; cells && i + 7 <= count; i += 7)
        read_window(reader, cells, i, board);
    if (reader->failed)
        return;
    board->wishes.peers = fdt_getprop(reader->tree, pcie, BOARD_TREE_PEERS, NULL) != NULL;
    fdt_for_each_subnode(node, reader->tree, pcie)
    {
        if (board->device_count == BOARD_DEVICES_MAX) {
            fail(reader, BOARD_TREE_PCIE, NULL, "it has more devices than there are slots");
            return;
        }
        read_device(reader, node, (unsigned int)board->device_count, &board->device[board->device_count]);
        board->device_count++;
    }
}

static void read_workload(struct reader *reader, int node, struct board_wishes *wishes)
{
    const char *name = fdt_get_name(reader->tree, node, NULL);
    const struct proof_workload *workload = name ? proof_workload_named(name) : NULL;

    if (!workload) {
        fail(reader, "workloads", NULL, "it has a workload that this program does not know");
        return;
    }
    wishes->wanted[workload->id] = true;
    if (workload->id == WORKLOAD_DMA) {
        wishes->dma_depth = get_u32(reader, node, "workloads/dma", "depth", UINT32_MAX);
        wishes->dma_p2p = get_u32(reader, node, "workloads/dma", "p2p", BOARD_P2P_REQUIRED);
    } else if (workload->id == WORKLOAD_MEMORY) {
        wishes->workload_memory_size = get_u64(reader, node, "workloads/memory", "size");
        wishes->workload_memory_rate = get_u64(reader, node, "workloads/memory", "rate");
    }
}

static void read_workloads(struct reader *reader, struct board_wishes *wishes)
{
    int workloads = find(reader, 0, "workloads"), node;

    if (reader->failed)
        return;
    fdt_for_each_subnode(node, reader->tree, workloads) read_workload(reader, node, wishes);
}

static void read_port(struct reader *reader, const char *name, const char *compatible, uint32_t port)
{
    int node = find(reader, 0, name);

    want_string(reader, node, name, "compatible", compatible);
    if (get_u32(reader, node, name, "stopcopy,port", UINT16_MAX) != port)
        fail(reader, name, "stopcopy,port", "it is not where this program has it");
}

static int read_tree(const void *tree, size_t size, struct board *board, struct error *error)
{
    struct reader reader = {.tree = tree, .error = error};
    int status = fdt_check_full(tree, size);

    if (status || fdt_totalsize(tree) != size)
        return error_set(error, EINVAL, "the board's device tree is malformed: %s",
                         status ? fdt_strerror(status) : "its size is not what was given");

    want_string(&reader, 0, "/", "compatible", BOARD_TREE_COMPATIBLE);
    board->irqchip = read_irqchip(&reader);
    board->features.physical_address_bits = get_u32(&reader, 0, "/", "stopcopy,physical-address-bits", 64);
    read_chosen(&reader, board);
    read_memory(&reader, board);
    read_cpus(&reader, board);
    read_pcie(&reader, board);
    read_port(&reader, "serial@3f8", "ns16550a", GUEST_SERIAL_PORT);
    read_port(&reader, "test-control@600", "stopcopy,test-control", GUEST_TEST_PORT);
    read_workloads(&reader, &board->wishes);
    if (reader.failed)
        return -1;
    if (board_check(board, error))
        return error_prefix(error, "the board's device tree");
    return 0;
}

int board_from_tree(const void *tree, size_t size, struct board *board, struct error *error)
{
    void *copy;
    int status;

    memset(board, 0, sizeof(*board));
    if (size > BOARD_TREE_SIZE_MAX)
        return error_set(error, EINVAL, "the board's device tree has %zu bytes, more than %u", size,
                         BOARD_TREE_SIZE_MAX);
    /* libfdt wants it aligned to 8 bytes, which a record of a stream is not. */
    copy = malloc(size ? size : 1);
    if (!copy)
        return error_set(error, ENOMEM, "reading the board's device tree");
    memcpy(copy, tree, size);
    status = read_tree(copy, size, board, error);
    free(copy);
    return status;
}
