/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The device tree of guest_abi.h. */
#include <libfdt.h>
#include <string.h>

#include "guest/boot/config.h"

#define PCI_BUS_SIZE 0x100000u

static int node_at(struct config *config, const void *tree, const char *path)
{
    int node = fdt_path_offset(tree, path);

    return node < 0 ? config_fail(config, "the device tree has no %s", path) : node;
}

/* The cells of a property, NULL with the error where it is not there with at least so many. */
static const fdt32_t *cells(struct config *config, const void *tree, int node, const char *name, int least, int *count)
{
    int size = 0;
    const fdt32_t *property = fdt_getprop(tree, node, name, &size);

    if (!property || size / 4 < least) {
        config_fail(config, "the device tree has no %s, or a short one, in %s", name, fdt_get_name(tree, node, NULL));
        return NULL;
    }
    if (count)
        *count = size / 4;
    return property;
}

static uint64_t number64(const fdt32_t *cell)
{
    return (uint64_t)fdt32_ld(cell) << 32 | fdt32_ld(cell + 1);
}

static int read64(struct config *config, const void *tree, int node, const char *name, uint64_t *value)
{
    const fdt32_t *cell = cells(config, tree, node, name, 2, NULL);

    if (!cell)
        return -1;
    *value = number64(cell);
    return 0;
}

static int read32(struct config *config, const void *tree, int node, const char *name, uint32_t *value)
{
    const fdt32_t *cell = cells(config, tree, node, name, 1, NULL);

    if (!cell)
        return -1;
    *value = fdt32_ld(cell);
    return 0;
}

static int read_chosen(struct config *config, const void *tree)
{
    int node = node_at(config, tree, "/chosen");
    const fdt32_t *progress;

    if (node < 0 || read64(config, tree, node, "stopcopy,seed", &config->seed) < 0 ||
        read64(config, tree, node, "stopcopy,ops", &config->ops) < 0)
        return -1;
    progress = cells(config, tree, node, "stopcopy,progress", 4, NULL);
    if (!progress)
        return -1;
    config->progress_address = number64(progress);
    if (!config->progress_address || config->progress_address % 64 || number64(progress + 2) < PROGRESS_SIZE)
        return config_fail(config, "the progress area at %#lx is not one", config->progress_address);
    return 0;
}

static int read_memory(struct config *config, struct ram *ram, const void *tree)
{
    int node = node_at(config, tree, "/memory@0"), count;
    const fdt32_t *reg;

    if (node < 0)
        return -1;
    reg = cells(config, tree, node, "reg", 4, &count);
    if (!reg)
        return -1;
    for (int i = 0; i + 4 <= count; i += 4)
        ram_add(ram, number64(reg + i), number64(reg + i + 2));
    return 0;
}

static int read_vcpus(struct config *config, const void *tree, int cpus)
{
    int node;

    fdt_for_each_subnode(node, tree, cpus)
    {
        if (strlen(fdt_get_name(tree, node, NULL)) < 4 || memcmp(fdt_get_name(tree, node, NULL), "cpu@", 4) != 0)
            continue;
        if (config->vcpus == PROGRESS_VCPUS_MAX)
            return config_fail(config, "the device tree has more than %u vCPUs", PROGRESS_VCPUS_MAX);
        if (read32(config, tree, node, "reg", &config->apic_id[config->vcpus]) < 0)
            return -1;
        config->vcpus++;
    }
    return 0;
}

static int read_cpus(struct config *config, const void *tree)
{
    int node = node_at(config, tree, "/cpus");

    if (node < 0 || read64(config, tree, node, "stopcopy,tsc-hz", &config->tsc_hz) < 0 ||
        read64(config, tree, node, "stopcopy,apic-timer-hz", &config->apic_timer_hz) < 0)
        return -1;
    config->avx2 = fdt_stringlist_search(tree, node, "stopcopy,features", "avx2") >= 0;
    config->kvmclock = fdt_stringlist_search(tree, node, "stopcopy,features", "kvmclock") >= 0;
    return read_vcpus(config, tree, node);
}

static int read_pci(struct config *config, const void *tree)
{
    int node = fdt_node_offset_by_compatible(tree, -1, "pci-host-ecam-generic");
    const fdt32_t *reg;

    if (node < 0)
        return config_fail(config, "the device tree has no pci-host-ecam-generic");
    reg = cells(config, tree, node, "reg", 4, NULL);
    if (!reg)
        return -1;
    config->ecam = number64(reg);
    config->ecam_size = number64(reg + 2);
    if (config->ecam_size < PCI_BUS_SIZE)
        return config_fail(config, "the ECAM of %#lx bytes has no room for a bus", config->ecam_size);
    return 0;
}

/* A port, 0 where the tree has no such node. */
static int read_port(struct config *config, const void *tree, const char *compatible, uint16_t *port)
{
    int node = fdt_node_offset_by_compatible(tree, -1, compatible);
    uint32_t value = 0;

    *port = 0;
    if (node < 0)
        return 0;
    if (read32(config, tree, node, "stopcopy,port", &value) < 0)
        return -1;
    *port = (uint16_t)value;
    return 0;
}

static int read_workloads(struct config *config, const void *tree)
{
    int node = node_at(config, tree, "/workloads");
    int dma, memory;
    uint32_t p2p = 0;

    if (node < 0)
        return -1;
    dma = fdt_subnode_offset(tree, node, "dma");
    memory = fdt_subnode_offset(tree, node, "memory");
    for (uint32_t i = 0; i < WORKLOAD_END; i++)
        config->wanted[i] = config_workload_name[i] && fdt_subnode_offset(tree, node, config_workload_name[i]) >= 0;
    if (config->wanted[WORKLOAD_DMA] &&
        (read32(config, tree, dma, "depth", &config->dma_depth) < 0 || read32(config, tree, dma, "p2p", &p2p) < 0))
        return -1;
    config->dma_p2p = p2p != 0;
    if (!config->wanted[WORKLOAD_MEMORY])
        return 0;
    if (read64(config, tree, memory, "size", &config->memory_size) < 0)
        return -1;
    return read64(config, tree, memory, "rate", &config->memory_rate);
}

int config_from_tree(struct config *config, struct ram *ram, const void *tree)
{
    int status = fdt_check_header(tree);

    if (status)
        return config_fail(config, "the device tree at %#lx is none (libfdt error %d)", (uint64_t)tree, status);
    /* The console first, so that it can tell of the rest. */
    if (read_port(config, tree, "ns16550a", &config->serial_port) < 0 ||
        read_port(config, tree, "stopcopy,test-control", &config->test_port) < 0 || read_chosen(config, tree) < 0 ||
        read_memory(config, ram, tree) < 0 || read_cpus(config, tree) < 0 || read_pci(config, tree) < 0 ||
        read_workloads(config, tree) < 0)
        return -1;
    ram_set_aside(ram, (uint64_t)tree, fdt_totalsize(tree));
    ram_set_aside(ram, config->progress_address, PROGRESS_SIZE);
    return 0;
}
