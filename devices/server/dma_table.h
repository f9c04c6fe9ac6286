/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the client mapped for DMA: ranges of IOVA, each with memory behind it or to be reached by messages. */
#ifndef STOPCOPY_DEVICES_SERVER_DMA_TABLE_H
#define STOPCOPY_DEVICES_SERVER_DMA_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DMA_TABLE_PAGE 4096u
#define DMA_TABLE_MAX 16384u /* well below vm.max_map_count */

struct dma_mapping {
    uint64_t address;
    uint64_t size;
    uint32_t flags; /* VFIO_USER_DMA_MAP_READ, _WRITE, VFIO_USER_STOPCOPY_DMA_MAP_PEER */
    uint8_t *base;  /* NULL: by messages */
};

struct dma_table {
    struct dma_mapping *mappings; /* by address */
    size_t count;
    size_t room;
};

/*
 * Adds a range; fd is -1, or what to map it from at offset, and stays the caller's. Returns 0 or an errno: EEXIST where
 * it overlaps, ENOSPC where there are too many, EINVAL for a range that is none, is not aligned, or is past the end of
 * the file, and what mmap says.
 */
int dma_table_map(struct dma_table *table, uint64_t address, uint64_t size, uint32_t flags, int fd, uint64_t offset);
/* Takes away a range exactly as it was mapped. ENOENT where it was not. */
int dma_table_unmap(struct dma_table *table, uint64_t address, uint64_t size);
void dma_table_clear(struct dma_table *table);

/* Was exactly this range mapped? */
bool dma_table_has(const struct dma_table *table, uint64_t address, uint64_t size);
/* The mapping that address is in, or NULL. */
const struct dma_mapping *dma_table_find(const struct dma_table *table, uint64_t address);
/* Does any mapping that meets [address, address + size) belong to another device? size at least 1. */
bool dma_table_has_peer(const struct dma_table *table, uint64_t address, uint64_t size);

#endif
