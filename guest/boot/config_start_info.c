/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PVH's struct hvm_start_info (Xen, public/arch-x86/hvm/start_info.h): memory map and command line. */
#include <string.h>

#include "guest/boot/config.h"
#include "guest/kernel/gate.h"

#define START_INFO_MAGIC 0x336ec578u
#define MEMORY_MAP_RAM 1u
#define MEMORY_MAP_ENTRIES_MAX 128u
#define COMMAND_LINE_MAX 2048u
#define LOW_MEMORY_END 0x200000ull /* mapped from the start */
#define ADDRESS_END (4ull << 30)

struct start_info {
    uint32_t magic;
    uint32_t version;
    uint32_t flags;
    uint32_t modules;
    uint64_t module_list;
    uint64_t command_line;
    uint64_t rsdp;
    uint64_t memory_map; /* from version 1 */
    uint32_t memory_map_entries;
    uint32_t reserved;
};

struct memory_map_entry {
    uint64_t start;
    uint64_t size;
    uint32_t type;
    uint32_t reserved;
};

static const void *reach(uint64_t address, uint64_t size)
{
    if (!address || address >= ADDRESS_END)
        return NULL;
    if (address + size > LOW_MEMORY_END && gate_call(GATE_MAP, address, size, GATE_MAP_RAM))
        return NULL;
    return (const void *)address;
}

static int read_memory_map(struct config *config, struct ram *ram, const struct start_info *info)
{
    uint32_t count = info->memory_map_entries;
    const struct memory_map_entry *map;

    if (info->version < 1 || count > MEMORY_MAP_ENTRIES_MAX)
        return config_fail(config, "PVH: no memory map (version %u, %u entries)", info->version, count);
    map = reach(info->memory_map, count * sizeof(*map));
    if (!map)
        return config_fail(config, "PVH: the memory map at %#lx cannot be reached", info->memory_map);
    for (uint32_t i = 0; i < count; i++) {
        if (map[i].type == MEMORY_MAP_RAM)
            ram_add(ram, map[i].start, map[i].size);
    }
    return 0;
}

int config_from_start_info(struct config *config, struct ram *ram, uint64_t start_info)
{
    const struct start_info *info = reach(start_info, sizeof(*info));
    const char *line;

    config->serial_port = GUEST_SERIAL_PORT;
    config->seed = 1;
    config->vcpus = 1;
    config->dma_depth = CONFIG_DMA_DEPTH_DEFAULT;
    config->memory_size = CONFIG_MEMORY_DEFAULT;
    for (uint32_t i = 0; i < PROGRESS_VCPUS_MAX; i++)
        config->apic_id[i] = i;
    if (!info || info->magic != START_INFO_MAGIC)
        return config_fail(config, "PVH: no start information at %#lx", start_info);
    if (read_memory_map(config, ram, info) < 0)
        return -1;
    line = reach(info->command_line, COMMAND_LINE_MAX);
    if (!line || strnlen(line, COMMAND_LINE_MAX) == COMMAND_LINE_MAX)
        return config_fail(config, "PVH: no command line");
    return config_read_command_line(config, line);
}
