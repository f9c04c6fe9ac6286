/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/models/dma.h"
#include "lib/io.h"

int dma_window_create(struct dma_device *dma, uint64_t size, bool trapped, struct error *error)
{
    dma->window_fd = -1;
    dma->window_size = size;
    dma->window_trapped = trapped;
    if (!size)
        return 0;
    dma->window_fd = memfd_create("stopcopy-window", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (dma->window_fd < 0)
        return error_set(error, errno, "memfd for the window");
    /* The client has the descriptor too: it must not be able to take pages away from under us. */
    if (ftruncate(dma->window_fd, (off_t)size) < 0 ||
        fcntl(dma->window_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return error_set(error, errno, "%llu bytes for the window", (unsigned long long)size);
    dma->window = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, dma->window_fd, 0);
    if (dma->window == MAP_FAILED) {
        dma->window = NULL;
        return error_set(error, errno, "mapping %llu bytes of window", (unsigned long long)size);
    }
    return 0;
}

void dma_window_destroy(struct dma_device *dma)
{
    if (dma->window)
        munmap(dma->window, dma->window_size);
    dma->window = NULL;
    io_close(&dma->window_fd);
}

void dma_window_clear(struct dma_device *dma)
{
    if (dma->window &&
        fallocate(dma->window_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)dma->window_size) < 0)
        memset(dma->window, 0, dma->window_size);
}

static bool page_is_zero(const uint8_t *page)
{
    return page[0] == 0 && !memcmp(page, page + 1, DMA_MEMORY_PAGE - 1);
}

struct dma_memory_run dma_window_find(const struct dma_device *dma, uint64_t page)
{
    struct dma_memory_run run = {.count = 0};
    off_t at = (off_t)(page * DMA_MEMORY_PAGE);

    /* Holes are skipped without being read: reading one through the mapping would fill it. */
    while (dma->window && (at = lseek(dma->window_fd, at, SEEK_DATA)) >= 0) {
        off_t hole = lseek(dma->window_fd, at, SEEK_HOLE);
        uint64_t end = hole < 0 ? dma->window_size / DMA_MEMORY_PAGE : (uint64_t)hole / DMA_MEMORY_PAGE;

        run.page = (uint64_t)at / DMA_MEMORY_PAGE;
        while (run.page < end && page_is_zero(dma->window + run.page * DMA_MEMORY_PAGE))
            run.page++;
        while (run.count < DMA_MEMORY_RUN_MAX && run.page + run.count < end &&
               !page_is_zero(dma->window + (run.page + run.count) * DMA_MEMORY_PAGE))
            run.count++;
        if (run.count)
            break;
        at = (off_t)(end * DMA_MEMORY_PAGE);
    }
    return run;
}
