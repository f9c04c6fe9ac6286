/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A queue's stream of operations: what dma.c, which drives it, and dma_operation.c, which knows the operations, share.
 */
#ifndef GUEST_WORKLOADS_DMA_STREAM_H
#define GUEST_WORKLOADS_DMA_STREAM_H

#include "guest/drivers/dma_driver.h"
#include "guest/workloads/device_work.h"

#define DMA_WORDS (WORKLOAD_DMA_BUFFER_SIZE / 8)

struct dma_buffer {
    uint64_t word[DMA_WORDS];
};

struct dma_slot {
    struct dma_buffer *source, *destination; /* the device's side of the operation */
    struct dma_buffer *expected;             /* what the whole of destination must hold */
    struct dma_buffer *stored;               /* what the slot's region of internal memory holds; NULL without one */
    struct dma_buffer *peer_expected[2];     /* what its two areas of the peer's window must hold; NULL without them */
    uint64_t region;                         /* where that is */
};

struct dma_board_device {
    struct dma_board_device *next; /* in order of slots */
    struct dma_board_device *peer; /* whose window its operations aim at, NULL: none */
    struct pci_access access;
    struct dma_device device;
};

struct dma_stream {
    struct device_work work; /* first */
    struct dma_board_device *board;
    struct dma_queue queue;
    struct chain chain;
    uint32_t depth;
    struct dma_slot *slot;
    uint64_t window_start; /* offset of the queue's part of the window */
    uint64_t window_words; /* 0: none */
    uint64_t peer_start;   /* offset of the queue's part of the peer's window */
    uint32_t peer_span;    /* bytes of an area of it, 0: none */
};

/* Takes memory for the slots; returns -1 where there is none left. */
int dma_slots_open(struct dma_stream *stream, struct ram *ram, uint32_t index);
/* Writes the source of operation number `operation` and describes it; addresses are physical. */
struct dma_descriptor dma_operation_begin(struct dma_stream *stream, uint64_t operation);
/* Checks all that the operation should have done and returns its value for the chain. Does not return from a failure.
 */
uint64_t dma_operation_check(struct dma_stream *stream, uint64_t operation, const struct dma_completion *completion);

#endif
