/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a vfio-user server may reach of our memory by DMA_READ and DMA_WRITE: the mappings that it was given, and a log
 * of the pages that were written this way. Every function may be called by any thread.
 */
#ifndef STOPCOPY_VFIO_USER_DMA_H
#define STOPCOPY_VFIO_USER_DMA_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "vmm/vfio/vfio_user_channel.h"

#define VFIO_USER_DMA_LOG_PAGE 4096u

struct vfio_user_mapping {
    uint64_t iova;
    uint64_t size;
    uint8_t *host;
    bool writable;
    uint64_t *written; /* a bit for each page that DMA_WRITE touched since the log was taken */
};

struct vfio_user_dma {
    pthread_mutex_t lock;
    struct vfio_user_mapping *mappings; /* in order of iova, without overlaps */
    size_t count;
    size_t room;
    uint64_t access_max; /* count of one DMA_READ or DMA_WRITE */
};

int vfio_user_dma_init(struct vfio_user_dma *dma, uint64_t access_max, struct error *error);
void vfio_user_dma_free(struct vfio_user_dma *dma);

/* EEXIST where it overlaps a mapping, EINVAL where it wraps or is empty, ENOSPC past maximum mappings. */
int vfio_user_dma_add(struct vfio_user_dma *dma, uint64_t iova, uint64_t size, void *host, bool writable,
                      size_t maximum, struct error *error);
/* Is there this very mapping? */
bool vfio_user_dma_has(struct vfio_user_dma *dma, uint64_t iova, uint64_t size);
/* When it returns, nothing accesses the memory any more. */
void vfio_user_dma_remove(struct vfio_user_dma *dma, uint64_t iova, uint64_t size);

/* Sets the bit of each page_size (a power of two) of [iova, iova + length) that DMA_WRITE touched, and clears the log
 * there. A log page that is only partly in the range stays logged for the rest. */
void vfio_user_dma_take_log(struct vfio_user_dma *dma, uint64_t iova, uint64_t length, uint64_t page_size,
                            uint64_t *bitmap);

/* When it returns, the memory is seen as the DMA_WRITEs left it that were answered before: they are another thread's, and what
 * came after them in the server is known by another way only. */
void vfio_user_dma_settle(struct vfio_user_dma *dma);

/* A vfio_user_serve: context is the struct vfio_user_dma. */
void vfio_user_dma_serve(void *context, const struct vfio_user_command_in *command, struct buffer *answers);

#endif
