/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device's own activity, which dirties the scratch memory while the device is not stopped: page after page from the
 * first, over and over, a word at the start of each. No operation reaches the scratch memory, so no workload sees it;
 * the state carries it like the rest.
 */
#include <endian.h>
#include <string.h>

#include "devices/models/dma.h"

#define TICK_MIN_NS 1000000ull
#define TURN_PAGES 4096u /* 16 MiB: the server answers nobody while a turn lasts */
#define SECOND_NS 1000000000ull

static uint64_t tick_ns(const struct dma_device *dma)
{
    uint64_t tick = DMA_MEMORY_PAGE * SECOND_NS / dma->dirty_rate;

    return tick > TICK_MIN_NS ? tick : TICK_MIN_NS;
}

static uint64_t pages_in_tick(const struct dma_device *dma)
{
    uint64_t pages = dma->dirty_rate / DMA_MEMORY_PAGE * tick_ns(dma) / SECOND_NS;

    return pages ? pages : 1;
}

void dma_dirtier_hold(struct dma_device *dma, uint64_t now)
{
    if (!dma->dirtier_next_ns)
        return;
    dma->dirtier_left_ns = dma->dirtier_next_ns > now ? dma->dirtier_next_ns - now : 0;
    dma->dirtier_next_ns = 0;
}

void dma_dirtier_release(struct dma_device *dma, uint64_t now)
{
    if (dma->dirty_rate && !dma->dirtier_next_ns)
        dma->dirtier_next_ns = now + dma->dirtier_left_ns;
}

static void dirty_next_page(struct dma_device *dma)
{
    uint64_t page = dma->state->dirtier_position / DMA_MEMORY_PAGE;
    uint64_t word = htole64(page + 1);

    dma_memory_write(&dma->scratch, page % dma->scratch.pages * DMA_MEMORY_PAGE, &word, sizeof(word));
    dma->state->dirtier_position += DMA_MEMORY_PAGE;
}

void dma_dirtier_work(struct dma_device *dma, uint64_t now)
{
    uint64_t ticks, pages;

    if (!dma->dirtier_next_ns || dma->dirtier_next_ns > now)
        return;
    ticks = (now - dma->dirtier_next_ns) / tick_ns(dma) + 1;
    dma->dirtier_next_ns += ticks * tick_ns(dma);
    pages = pages_in_tick(dma);
    /* What was missed is made up for as far as a turn goes; a rate that the machine does not give is not reached. */
    pages = ticks > TURN_PAGES / pages ? TURN_PAGES : ticks * pages;
    for (uint64_t i = 0; i < pages; i++)
        dirty_next_page(dma);
}
