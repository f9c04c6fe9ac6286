/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/server/dma_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "stopcopy/vfio_user.h"

/* The number of mappings that end at or before address: the place of one that begins there. */
static size_t place_of(const struct dma_table *table, uint64_t address)
{
    size_t low = 0, high = table->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct dma_mapping *mapping = &table->mappings[middle];

        if (mapping->address + (mapping->size - 1) < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct dma_mapping *dma_table_find(const struct dma_table *table, uint64_t address)
{
    size_t place = place_of(table, address);

    if (place == table->count || table->mappings[place].address > address)
        return NULL;
    return &table->mappings[place];
}

bool dma_table_has_peer(const struct dma_table *table, uint64_t address, uint64_t size)
{
    uint64_t last = size - 1 > UINT64_MAX - address ? UINT64_MAX : address + (size - 1);

    for (size_t i = place_of(table, address); i < table->count && table->mappings[i].address <= last; i++)
        if (table->mappings[i].flags & VFIO_USER_STOPCOPY_DMA_MAP_PEER)
            return true;
    return false;
}

bool dma_table_has(const struct dma_table *table, uint64_t address, uint64_t size)
{
    const struct dma_mapping *mapping = dma_table_find(table, address);

    return mapping && mapping->address == address && mapping->size == size;
}

static int map_memory(struct dma_mapping *mapping, int fd, uint64_t offset)
{
    int protection = (mapping->flags & VFIO_USER_DMA_MAP_READ ? PROT_READ : 0) |
                     (mapping->flags & VFIO_USER_DMA_MAP_WRITE ? PROT_WRITE : 0);
    struct stat status;
    void *base;

    if (offset % DMA_TABLE_PAGE || offset > INT64_MAX || mapping->size > INT64_MAX - offset)
        return EINVAL;
    if (fstat(fd, &status) < 0)
        return errno;
    if (S_ISREG(status.st_mode) && offset + mapping->size > (uint64_t)status.st_size)
        return EINVAL;
    base = mmap(NULL, mapping->size, protection, MAP_SHARED, fd, (off_t)offset);
    if (base == MAP_FAILED)
        return errno;
    mapping->base = base;
    return 0;
}

static void unmap_memory(struct dma_mapping *mapping)
{
    if (mapping->base)
        munmap(mapping->base, mapping->size);
    mapping->base = NULL;
}

static int make_room(struct dma_table *table)
{
    size_t room = table->room ? table->room * 2 : 16;
    struct dma_mapping *mappings;

    if (table->count == DMA_TABLE_MAX)
        return ENOSPC;
    if (table->count < table->room)
        return 0;
    mappings = realloc(table->mappings, room * sizeof(*mappings));
    if (!mappings)
        return ENOMEM;
    table->mappings = mappings;
    table->room = room;
    return 0;
}

int dma_table_map(struct dma_table *table, uint64_t address, uint64_t size, uint32_t flags, int fd, uint64_t offset)
{
    struct dma_mapping mapping = {.address = address, .size = size, .flags = flags};
    size_t place;
    int failed;

    if (!size || size - 1 > UINT64_MAX - address || address % DMA_TABLE_PAGE || size % DMA_TABLE_PAGE)
        return EINVAL;
    place = place_of(table, address);
    if (place < table->count && table->mappings[place].address <= address + (size - 1))
        return EEXIST;
    failed = make_room(table);
    if (!failed && fd >= 0)
        failed = map_memory(&mapping, fd, offset);
    if (failed)
        return failed;
    memmove(table->mappings + place + 1, table->mappings + place, (table->count - place) * sizeof(*table->mappings));
    table->mappings[place] = mapping;
    table->count++;
    return 0;
}

int dma_table_unmap(struct dma_table *table, uint64_t address, uint64_t size)
{
    size_t place = place_of(table, address);

    if (!dma_table_has(table, address, size))
        return ENOENT;
    unmap_memory(&table->mappings[place]);
    table->count--;
    memmove(table->mappings + place, table->mappings + place + 1, (table->count - place) * sizeof(*table->mappings));
    return 0;
}

void dma_table_clear(struct dma_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        unmap_memory(&table->mappings[i]);
    free(table->mappings);
    *table = (struct dma_table){.count = 0};
}
