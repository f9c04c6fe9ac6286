/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/models/dma_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define WORD_BITS 64u

static size_t bitmap_words(const struct dma_memory *memory)
{
    return (size_t)((memory->pages + WORD_BITS - 1) / WORD_BITS);
}

static void set_bit(uint64_t *bitmap, uint64_t bit)
{
    bitmap[bit / WORD_BITS] |= 1ull << bit % WORD_BITS;
}

static void clear_bit(uint64_t *bitmap, uint64_t bit)
{
    bitmap[bit / WORD_BITS] &= ~(1ull << bit % WORD_BITS);
}

static bool test_bit(const uint64_t *bitmap, uint64_t bit)
{
    return bitmap[bit / WORD_BITS] >> bit % WORD_BITS & 1;
}

int dma_memory_create(struct dma_memory *memory, uint64_t size, struct error *error)
{
    *memory = (struct dma_memory){.size = size, .pages = size / DMA_MEMORY_PAGE};
    if (!size)
        return 0;
    memory->touched = calloc(bitmap_words(memory), sizeof(uint64_t));
    memory->initial = calloc(bitmap_words(memory), sizeof(uint64_t));
    memory->dirty = calloc(bitmap_words(memory), sizeof(uint64_t));
    memory->base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory->base == MAP_FAILED)
        memory->base = NULL;
    if (!memory->base || !memory->touched || !memory->initial || !memory->dirty) {
        dma_memory_destroy(memory);
        return error_set(error, ENOMEM, "%llu bytes of device memory", (unsigned long long)size);
    }
    return 0;
}

void dma_memory_destroy(struct dma_memory *memory)
{
    if (memory->base)
        munmap(memory->base, memory->size);
    free(memory->touched);
    free(memory->initial);
    free(memory->dirty);
    *memory = (struct dma_memory){.base = NULL};
}

static void clear_bitmap(struct dma_memory *memory, uint64_t *bitmap)
{
    memset(bitmap, 0, bitmap_words(memory) * sizeof(uint64_t));
}

void dma_memory_clear(struct dma_memory *memory)
{
    if (!memory->size)
        return;
    madvise(memory->base, memory->size, MADV_DONTNEED);
    clear_bitmap(memory, memory->touched);
    clear_bitmap(memory, memory->initial);
    clear_bitmap(memory, memory->dirty);
}

bool dma_memory_has(const struct dma_memory *memory, uint64_t offset, uint64_t size)
{
    return offset <= memory->size && size <= memory->size - offset;
}

void dma_memory_write(struct dma_memory *memory, uint64_t offset, const void *data, size_t size)
{
    if (!size)
        return;
    memcpy(memory->base + offset, data, size);
    for (uint64_t page = offset / DMA_MEMORY_PAGE; page <= (offset + size - 1) / DMA_MEMORY_PAGE; page++) {
        set_bit(memory->touched, page);
        if (memory->tracking && !test_bit(memory->initial, page))
            set_bit(memory->dirty, page);
    }
}

void dma_memory_track(struct dma_memory *memory)
{
    if (!memory->size)
        return;
    memcpy(memory->initial, memory->touched, bitmap_words(memory) * sizeof(uint64_t));
    clear_bitmap(memory, memory->dirty);
    memory->tracking = true;
    memory->initial_from = 0;
    memory->dirty_from = 0;
}

void dma_memory_untrack(struct dma_memory *memory)
{
    if (!memory->size)
        return;
    clear_bitmap(memory, memory->initial);
    clear_bitmap(memory, memory->dirty);
    memory->tracking = false;
}

/* The first run at or after page from. */
static struct dma_memory_run find_run(const struct dma_memory *memory, const uint64_t *bitmap, uint64_t from)
{
    struct dma_memory_run run = {.page = from};

    while (run.page < memory->pages && !test_bit(bitmap, run.page)) {
        uint64_t rest = bitmap[run.page / WORD_BITS] >> run.page % WORD_BITS;

        run.page += rest ? (uint64_t)__builtin_ctzll(rest) : WORD_BITS - run.page % WORD_BITS;
    }
    while (run.count < DMA_MEMORY_RUN_MAX && run.page + run.count < memory->pages &&
           test_bit(bitmap, run.page + run.count))
        run.count++;
    return run;
}

static struct dma_memory_run take_run(const struct dma_memory *memory, uint64_t *bitmap, uint64_t from)
{
    struct dma_memory_run run = find_run(memory, bitmap, from);

    for (uint64_t i = 0; i < run.count; i++)
        clear_bit(bitmap, run.page + i);
    return run;
}

struct dma_memory_run dma_memory_take_initial(struct dma_memory *memory)
{
    struct dma_memory_run run = take_run(memory, memory->initial, memory->initial_from);

    memory->initial_from = run.page + run.count;
    return run;
}

struct dma_memory_run dma_memory_take_dirty(struct dma_memory *memory)
{
    struct dma_memory_run run = take_run(memory, memory->dirty, memory->dirty_from);

    /* Onwards from where the last one was, so that a page that is written all the time does not starve the others. */
    if (!run.count)
        run = take_run(memory, memory->dirty, 0);
    memory->dirty_from = run.page + run.count;
    return run;
}

uint64_t dma_memory_bytes(const struct dma_memory *memory, const uint64_t *bitmap, uint64_t overhead)
{
    uint64_t bytes = 0;
    struct dma_memory_run run = {.count = 0};

    while (memory->size && (run = find_run(memory, bitmap, run.page + run.count)).count)
        bytes += run.count * DMA_MEMORY_PAGE + overhead;
    return bytes;
}
