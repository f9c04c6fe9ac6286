/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The driver of the reference DMA device (stopcopy/dma_device.h).
 *
 * Completions are taken only after the queue's interrupt announced them, so that an interrupt that is lost shows. All
 * calls of one queue come from one thread at a time; queues do not depend on each other. Functions that take a fault
 * return -1 with it where the device broke its contract.
 */
#ifndef GUEST_DRIVERS_DMA_DRIVER_H
#define GUEST_DRIVERS_DMA_DRIVER_H

#include <stdbool.h>

#include "guest/drivers/driver.h"
#include "stopcopy/dma_device.h"

/* Time limits of dma_queue_watch(), in nanoseconds. */
#define DMA_INTERRUPT_LOST_NS 6000000000ull
#define DMA_OPERATION_STUCK_NS 10000000000ull

struct dma_device {
    struct device_access access;
    uint32_t queues;
    uint32_t vectors;
    uint64_t memory_size; /* of the internal memory */
    uint64_t window_size; /* of BAR2, 0: none */
};

struct dma_queue {
    struct dma_device *device;
    uint32_t index;
    uint32_t vector;
    uint32_t entries;
    struct dma_descriptor *ring;
    volatile struct dma_completion *completions;
    volatile struct dma_queue_shared *shared;
    uint64_t submitted;          /* descriptors written */
    uint64_t rung;               /* of those, told to the device */
    uint64_t announced;          /* completions that an interrupt announced */
    uint64_t taken;              /* of those, taken */
    uint64_t interrupt_sequence; /* last one acknowledged */
    uint64_t interrupts;         /* counted so far */
    uint64_t spurious;           /* of those, with no new sequence number */
    uint64_t unannounced_since;  /* time at which completions, or a sequence number, had come without an interrupt */
    uint64_t watched;            /* taken at the last dma_queue_watch() */
    uint64_t progress_at;        /* time at which that last changed, or the queue was last empty */
    bool unannounced;
};

/* Identifies the device, resets it and reads what it has. */
int dma_device_open(struct dma_device *device, struct device_access access, struct driver_fault *fault);
/* The device has nothing to complain about; once all queues are drained. */
int dma_device_check(struct dma_device *device, struct driver_fault *fault);

/* Starts queue index with a ring for depth operations at a time, at most DMA_RING_ENTRIES_MAX, and its interrupt on
 * vector, which no other queue has. */
int dma_queue_open(struct dma_queue *queue, struct dma_device *device, uint32_t index, uint32_t vector, uint32_t depth,
                   struct driver_fault *fault);
/* Stops the queue, which must be drained. */
void dma_queue_close(struct dma_queue *queue);

/* Writes a descriptor, whose sequence is filled in: 1 for the first, and so on. The caller keeps to the depth. */
void dma_queue_submit(struct dma_queue *queue, const struct dma_descriptor *descriptor);
/* Tells the device of all that was submitted. */
void dma_queue_ring(struct dma_queue *queue);
/* Handles an interrupt that came since the last call. Returns 1 where there was one, else 0. */
int dma_queue_interrupt(struct dma_queue *queue, struct driver_fault *fault);
/* Takes the next completion that was announced. Returns 1 with it, 0 where there is none. */
int dma_queue_take(struct dma_queue *queue, struct dma_completion *completion, struct driver_fault *fault);
/* Interrupts that do not come and operations that do not end. now: nanoseconds in which the guest ran. */
int dma_queue_watch(struct dma_queue *queue, uint64_t now, struct driver_fault *fault);

#endif
