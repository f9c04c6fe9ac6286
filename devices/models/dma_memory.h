/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory inside a device: zero at first, sparse, with a record of the pages that were ever written and, while a state
 * is being saved, of those that still have to be sent.
 */
#ifndef STOPCOPY_DEVICES_MODELS_DMA_MEMORY_H
#define STOPCOPY_DEVICES_MODELS_DMA_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

#define DMA_MEMORY_PAGE 4096u
#define DMA_MEMORY_RUN_MAX 256u /* pages */

struct dma_memory {
    uint8_t *base;
    uint64_t size;
    uint64_t pages;
    /* Bitmaps, a bit for each page. */
    uint64_t *touched; /* written since the memory was zero */
    uint64_t *initial; /* while tracking: still to be sent, and never sent before */
    uint64_t *dirty;   /* while tracking: changed after it was sent */
    bool tracking;
    uint64_t initial_from; /* no initial page is before this one */
    uint64_t dirty_from;   /* the next dirty page is looked for from here, then from 0 */
};

struct dma_memory_run {
    uint64_t page;
    uint64_t count; /* 0: there is none */
};

/* size: a multiple of DMA_MEMORY_PAGE, or 0. */
int dma_memory_create(struct dma_memory *memory, uint64_t size, struct error *error);
void dma_memory_destroy(struct dma_memory *memory);
/* All zero again. What is tracked to be sent is forgotten. */
void dma_memory_clear(struct dma_memory *memory);

bool dma_memory_has(const struct dma_memory *memory, uint64_t offset, uint64_t size);
/* The range must be inside. */
void dma_memory_write(struct dma_memory *memory, uint64_t offset, const void *data, size_t size);

/* From now on: every page that was written is to be sent, and every page written later again. */
void dma_memory_track(struct dma_memory *memory);
void dma_memory_untrack(struct dma_memory *memory);
/* The next run of pages to be sent, taken off the record: of the initial ones, or of the dirty ones. */
struct dma_memory_run dma_memory_take_initial(struct dma_memory *memory);
struct dma_memory_run dma_memory_take_dirty(struct dma_memory *memory);

/* Bytes that the pages of a bitmap take where each run costs overhead besides. */
uint64_t dma_memory_bytes(const struct dma_memory *memory, const uint64_t *bitmap, uint64_t overhead);

#endif
