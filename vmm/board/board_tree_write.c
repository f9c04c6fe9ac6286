/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <libfdt.h>
#include <stdio.h>
#include <string.h>

#include "stopcopy/guest_abi.h"
#include "vmm/board/board_tree.h"
#include "vmm/board/machine.h"
#include "vmm/proof/workload.h"

/* A tree in the making; sticky, as struct buffer is. */
struct writer {
    void *tree;
    int status; /* 0 or a libfdt error */
};

static void begin(struct writer *writer, const char *name)
{
    if (!writer->status)
        writer->status = fdt_begin_node(writer->tree, name);
}

static void end(struct writer *writer)
{
    if (!writer->status)
        writer->status = fdt_end_node(writer->tree);
}

static void put(struct writer *writer, const char *name, const void *data, size_t size)
{
    if (!writer->status)
        writer->status = fdt_property(writer->tree, name, data, (int)size);
}

static void put_string(struct writer *writer, const char *name, const char *value)
{
    put(writer, name, value, strlen(value) + 1);
}

static void put_u32(struct writer *writer, const char *name, uint32_t value)
{
    fdt32_t cell = cpu_to_fdt32(value);

    put(writer, name, &cell, sizeof(cell));
}

static void put_u64(struct writer *writer, const char *name, uint64_t value)
{
    fdt64_t cells = cpu_to_fdt64(value);

    put(writer, name, &cells, sizeof(cells));
}

#define CELLS_MAX 64

/* A list of cells to make one property of. */
struct cells {
    size_t count;
    fdt32_t cell[CELLS_MAX];
};

static void add_u32(struct cells *cells, uint32_t value)
{
    cells->cell[cells->count++] = cpu_to_fdt32(value);
}

static void add_u64(struct cells *cells, uint64_t value)
{
    add_u32(cells, (uint32_t)(value >> 32));
    add_u32(cells, (uint32_t)value);
}

static void put_cells(struct writer *writer, const char *name, const struct cells *cells)
{
    put(writer, name, cells->cell, cells->count * sizeof(cells->cell[0]));
}

static void write_chosen(struct writer *writer, const struct board *board)
{
    struct cells progress = {0};

    add_u64(&progress, board->progress);
    add_u64(&progress, PROGRESS_SIZE);
    begin(writer, "chosen");
    put_u64(writer, "stopcopy,seed", board->wishes.seed);
    put_u64(writer, "stopcopy,ops", board->wishes.ops);
    put_cells(writer, "stopcopy,progress", &progress);
    end(writer);
}

/* The guest's memory ends before the reserved end of low RAM. */
static void write_memory(struct writer *writer, const struct board *board)
{
    struct cells reg = {0};

    for (unsigned int i = 0; i < board->ram_ranges; i++) {
        add_u64(&reg, board->ram[i].start);
        add_u64(&reg, board->ram[i].size - (i == 0 ? BOARD_RESERVED_SIZE : 0));
    }
    begin(writer, "memory@0");
    put_string(writer, "device_type", "memory");
    put_cells(writer, "reg", &reg);
    end(writer);
}

static void write_features(struct writer *writer, const struct vm_features *features)
{
    char list[32];
    size_t size = 0;

    if (features->avx2)
        size += (size_t)sprintf(list + size, "avx2") + 1;
    if (features->kvmclock)
        size += (size_t)sprintf(list + size, "kvmclock") + 1;
    put(writer, "stopcopy,features", list, size);
}

static void write_cpus(struct writer *writer, const struct board *board)
{
    begin(writer, "cpus");
    put_u32(writer, "#address-cells", 1);
    put_u32(writer, "#size-cells", 0);
    put_u64(writer, "stopcopy,tsc-hz", board->features.tsc_hz);
    put_u64(writer, "stopcopy,apic-timer-hz", board->features.apic_timer_hz);
    write_features(writer, &board->features);
    for (unsigned int i = 0; i < board->vcpus; i++) {
        char name[16];

        snprintf(name, sizeof(name), "cpu@%x", i);
        begin(writer, name);
        put_string(writer, "device_type", "cpu");
        put_u32(writer, "reg", i);
        end(writer);
    }
    end(writer);
}

static void add_window(struct cells *ranges, uint32_t space, uint64_t start, uint64_t size)
{
    add_u32(ranges, space);
    add_u64(ranges, start);
    add_u64(ranges, start);
    add_u64(ranges, size);
}

static void write_bars(struct writer *writer, const struct board_device *device)
{
    struct cells bars = {0};

    for (uint32_t i = 0; i < BOARD_BARS; i++) {
        const struct board_bar *bar = &device->bar[i];

        if (!bar->size)
            continue;
        add_u32(&bars, i);
        add_u32(&bars, (bar->io ? BOARD_TREE_BAR_IO : 0) | (bar->wide ? BOARD_TREE_BAR_WIDE : 0) |
                           (bar->prefetchable ? BOARD_TREE_BAR_PREFETCHABLE : 0));
        add_u64(&bars, bar->address);
        add_u64(&bars, bar->size);
    }
    put_cells(writer, "stopcopy,bars", &bars);
}

static void write_msix(struct writer *writer, const struct board_device *device)
{
    const struct board_msix *msix = &device->msix;
    struct cells cells = {0};

    if (!device->msix_vectors)
        return;
    add_u32(&cells, device->msix_vectors);
    add_u32(&cells, msix->capability);
    add_u32(&cells, msix->table_bar);
    add_u32(&cells, msix->table_offset);
    add_u32(&cells, msix->pba_bar);
    add_u32(&cells, msix->pba_offset);
    put_cells(writer, "stopcopy,msix", &cells);
}

static void write_msi(struct writer *writer, const struct board_device *device)
{
    struct cells cells = {0};

    if (!device->msi.capability)
        return;
    add_u32(&cells, device->msi.capability);
    add_u32(&cells, device->msi.wide);
    put_cells(writer, "stopcopy,msi", &cells);
}

static void write_express(struct writer *writer, const struct board_device *device)
{
    const struct board_express *express = &device->express;
    struct cells cells = {0};

    if (!express->capability)
        return;
    add_u32(&cells, express->capability);
    add_u32(&cells, express->version);
    add_u32(&cells, express->device_capabilities);
    put_cells(writer, "stopcopy,express", &cells);
}

static void write_device(struct writer *writer, const struct board_device *device)
{
    struct cells reg = {0};
    char name[16];

    snprintf(name, sizeof(name), "device@%x", device->slot);
    add_u32(&reg, (uint32_t)device->slot << 11);
    add_u64(&reg, 0);
    add_u64(&reg, 0);
    begin(writer, name);
    put_cells(writer, "reg", &reg);
    put_u32(writer, "vendor-id", device->vendor);
    put_u32(writer, "device-id", device->device);
    put_u32(writer, "subsystem-vendor-id", device->subsystem_vendor);
    put_u32(writer, "subsystem-id", device->subsystem);
    put_u32(writer, "class-revision", device->class_revision);
    write_bars(writer, device);
    write_msix(writer, device);
    write_msi(writer, device);
    if (device->intx_pin)
        put_u32(writer, "stopcopy,intx", device->intx_pin);
    write_express(writer, device);
    end(writer);
}

static void write_pcie(struct writer *writer, const struct board *board)
{
    struct cells reg = {0}, ranges = {0}, buses = {0};

    add_u64(&reg, BOARD_ECAM_START);
    add_u64(&reg, BOARD_ECAM_SIZE);
    add_u32(&buses, 0);
    add_u32(&buses, 0);
    add_window(&ranges, BOARD_TREE_SPACE_IO, BOARD_IO_WINDOW_START, BOARD_IO_WINDOW_END - BOARD_IO_WINDOW_START);
    add_window(&ranges, BOARD_TREE_SPACE_32, BOARD_WINDOW32_START, BOARD_WINDOW32_END - BOARD_WINDOW32_START);
    if (board->window64.size)
        add_window(&ranges, BOARD_TREE_SPACE_64, board->window64.start, board->window64.size);

    begin(writer, BOARD_TREE_PCIE);
    put_string(writer, "compatible", "pci-host-ecam-generic");
    put_string(writer, "device_type", "pci");
    put_u32(writer, "#address-cells", 3);
    put_u32(writer, "#size-cells", 2);
    put_cells(writer, "reg", &reg);
    put_cells(writer, "ranges", &ranges);
    put_cells(writer, "bus-range", &buses);
    if (board->wishes.peers)
        put(writer, BOARD_TREE_PEERS, NULL, 0);
    for (size_t i = 0; i < board->device_count; i++)
        write_device(writer, &board->device[i]);
    end(writer);
}

static void write_port(struct writer *writer, const char *name, const char *compatible, uint32_t port)
{
    begin(writer, name);
    put_string(writer, "compatible", compatible);
    put_u32(writer, "stopcopy,port", port);
    end(writer);
}

static void write_workload(struct writer *writer, const struct board_wishes *wishes, enum workload_id workload)
{
    begin(writer, proof_workload_name(workload));
    if (workload == WORKLOAD_DMA) {
        put_u32(writer, "depth", wishes->dma_depth);
        put_u32(writer, "p2p", wishes->dma_p2p);
    } else if (workload == WORKLOAD_MEMORY) {
        put_u64(writer, "size", wishes->workload_memory_size);
        put_u64(writer, "rate", wishes->workload_memory_rate);
    }
    end(writer);
}

static void write_workloads(struct writer *writer, const struct board_wishes *wishes)
{
    begin(writer, "workloads");
    for (const struct proof_workload *workload = proof_workloads; workload->id; workload++) {
        if (wishes->wanted[workload->id])
            write_workload(writer, wishes, workload->id);
    }
    end(writer);
}

static void write_root(struct writer *writer, const struct board *board)
{
    begin(writer, "");
    put_u32(writer, "#address-cells", 2);
    put_u32(writer, "#size-cells", 2);
    put_string(writer, "compatible", BOARD_TREE_COMPATIBLE);
    put_string(writer, "stopcopy,irqchip", board->irqchip == VM_IRQCHIP_FULL ? "full" : "split");
    put_u32(writer, "stopcopy,physical-address-bits", board->features.physical_address_bits);
    write_chosen(writer, board);
    write_memory(writer, board);
    write_cpus(writer, board);
    write_pcie(writer, board);
    write_port(writer, "serial@3f8", "ns16550a", GUEST_SERIAL_PORT);
    write_port(writer, "test-control@600", "stopcopy,test-control", GUEST_TEST_PORT);
    write_workloads(writer, &board->wishes);
    end(writer);
}

int board_to_tree(const struct board *board, struct buffer *tree, struct error *error)
{
    struct writer writer = {0};

    buffer_clear(tree);
    writer.tree = buffer_extend(tree, BOARD_TREE_SIZE_MAX);
    if (!writer.tree)
        return error_set(error, ENOMEM, "writing the board's device tree");
    memset(writer.tree, 0, BOARD_TREE_SIZE_MAX);
    writer.status = fdt_create(writer.tree, BOARD_TREE_SIZE_MAX);
    if (!writer.status)
        writer.status = fdt_finish_reservemap(writer.tree);
    write_root(&writer, board);
    if (!writer.status)
        writer.status = fdt_finish(writer.tree);
    if (writer.status)
        return error_set(error, 0, "writing the board's device tree: %s", fdt_strerror(writer.status));
    tree->size = fdt_totalsize(writer.tree);
    return 0;
}
