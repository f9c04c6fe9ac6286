/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reference DMA device as its driver sees it: identity, registers, descriptors. All fields are little endian.
 *
 * A queue is three structures in guest memory: a ring of descriptors (the driver writes, the device reads), a ring of
 * completions of as many entries (the device writes) and one shared record (either end writes its own fields). The
 * driver writes descriptors, then `tail` in the shared record, then rings the doorbell, whose value means nothing: a
 * doorbell may be an eventfd. The device takes descriptors in order, works on up to DMA_QUEUE_IN_FLIGHT_MAX of one
 * queue at a time, each for the latency it is configured with, and completes them in order: it moves the data, writes
 * the completion, advances `completed`, and then signals the queue's vector.
 *
 * A vector has at most one interrupt outstanding. To signal, where none is outstanding, the device adds one to the
 * vector's sequence number, writes it to `interrupt_sequence` of the queue's shared record, and raises the interrupt.
 * The driver writes the sequence number that it saw to the vector's acknowledge register; where completions were
 * written since the interrupt was raised, the device raises the next at once. An acknowledgement of a number that is
 * not the outstanding one changes nothing and is counted in DMA_REG_ACKNOWLEDGE_ERRORS.
 */
#ifndef STOPCOPY_DMA_DEVICE_H
#define STOPCOPY_DMA_DEVICE_H

#include <stdint.h>

#define DMA_DEVICE_VENDOR_ID 0x5343
#define DMA_DEVICE_DEVICE_ID 0x0001
#define DMA_DEVICE_REVISION 0x01
#define DMA_DEVICE_CLASS 0x088000 /* base system peripheral, other */

/* BAR0: 16 KiB, 32-bit memory. Registers are accessed by aligned 4 bytes; 64-bit ones as low half, then high half. */
#define DMA_BAR_REGISTERS 0
#define DMA_BAR_REGISTERS_SIZE 0x4000u
#define DMA_PAGE_REGISTERS 0x0000u
#define DMA_PAGE_DOORBELLS 0x1000u   /* + 4 * queue */
#define DMA_PAGE_ACKNOWLEDGE 0x2000u /* + 4 * vector */

/* BAR2: the window, 64-bit prefetchable memory: plain memory of the device, 0 (no BAR2) or 4 KiB to 64 MiB. */
#define DMA_BAR_WINDOW 2
/* BAR4: 64 KiB, 32-bit memory: the MSI-X table at 0 and the PBA at 0x8000. */
#define DMA_BAR_MSIX 4
#define DMA_BAR_MSIX_SIZE 0x10000u
#define DMA_MSIX_TABLE_OFFSET 0x0000u
#define DMA_MSIX_PBA_OFFSET 0x8000u

#define DMA_QUEUES_MAX 16u
#define DMA_VECTORS_MAX 2048u
#define DMA_RING_ENTRIES_MAX 1024u
#define DMA_QUEUE_IN_FLIGHT_MAX 64u
#define DMA_OPERATION_LENGTH_MAX 0x100000u

/* Registers of the device. RO: read only. */
#define DMA_REG_MAGIC 0x00u   /* RO, DMA_MAGIC */
#define DMA_MAGIC 0x414d4453u /* "SDMA" */
#define DMA_REG_VERSION 0x04u /* RO, 1 */
#define DMA_VERSION 1u
#define DMA_REG_QUEUES 0x08u             /* RO, number of queues */
#define DMA_REG_VECTORS 0x0cu            /* RO, number of MSI-X vectors */
#define DMA_REG_MEMORY_SIZE_LOW 0x10u    /* RO, bytes of internal memory */
#define DMA_REG_MEMORY_SIZE_HIGH 0x14u   /* RO */
#define DMA_REG_WINDOW_SIZE 0x18u        /* RO, bytes of BAR2, 0 where there is none */
#define DMA_REG_STATUS 0x1cu             /* RO */
#define DMA_STATUS_QUEUE_ERROR (1u << 0) /* some queue stopped: see its error register */
#define DMA_REG_CONTROL 0x20u            /* write 1 to DMA_CONTROL_RESET: as after power-on; reads 0 */
#define DMA_CONTROL_RESET (1u << 0)
#define DMA_REG_ACKNOWLEDGE_ERRORS 0x24u /* RO, acknowledgements of a number that was not outstanding */
#define DMA_REG_SCRATCH 0x28u            /* RW, carried in the state */

/* Registers of queue q, at DMA_REG_QUEUE(q). The addresses may only be written while the queue is disabled. */
#define DMA_REG_QUEUE(q) (0x400u + 0x40u * (q))
#define DMA_QUEUE_REG_RING_LOW 0x00u
#define DMA_QUEUE_REG_RING_HIGH 0x04u
#define DMA_QUEUE_REG_COMPLETIONS_LOW 0x08u
#define DMA_QUEUE_REG_COMPLETIONS_HIGH 0x0cu
#define DMA_QUEUE_REG_SHARED_LOW 0x10u
#define DMA_QUEUE_REG_SHARED_HIGH 0x14u
#define DMA_QUEUE_REG_ENTRIES 0x18u /* a power of two, 2 to DMA_RING_ENTRIES_MAX */
#define DMA_QUEUE_REG_VECTOR 0x1cu
#define DMA_QUEUE_REG_ENABLE 0x20u /* 1 starts the queue with head and tail 0; 0 drops what is in flight */
#define DMA_QUEUE_REG_ERROR 0x24u  /* RO, enum dma_queue_error of what stopped the queue */

enum dma_queue_error {
    DMA_QUEUE_ERROR_NONE = 0,
    DMA_QUEUE_ERROR_CONFIGURATION = 1, /* enabled with a bad address, size or vector */
    DMA_QUEUE_ERROR_TAIL = 2,          /* more descriptors than the ring has entries */
    DMA_QUEUE_ERROR_DMA = 3,           /* a ring or the shared record cannot be reached */
};

enum dma_opcode {
    DMA_OP_NOP = 0,
    DMA_OP_COPY = 1,   /* length bytes from source to destination */
    DMA_OP_FILL = 2,   /* length bytes at destination with the 8 bytes of operand, repeated */
    DMA_OP_CRC32C = 3, /* result: CRC32C (Castagnoli, as in iSCSI: initial and final inversion) of the source */
    DMA_OP_DIGEST = 4, /* result: the digest of workload.h over the source's 8-byte words, begun with operand */
    DMA_OP_STORE = 5,  /* length bytes from source to internal memory at operand */
    DMA_OP_LOAD = 6,   /* length bytes from internal memory at operand to destination */
};

enum dma_status {
    DMA_STATUS_OK = 0,
    DMA_STATUS_BAD_OPCODE = 1,
    DMA_STATUS_BAD_LENGTH = 2, /* over DMA_OPERATION_LENGTH_MAX; not a multiple of 8 where words are worked on */
    DMA_STATUS_BAD_RANGE = 3,  /* outside of the internal memory */
    DMA_STATUS_DMA_FAULT = 4,  /* an address that is not mapped */
};

struct dma_descriptor {
    uint32_t opcode;
    uint32_t length;
    uint64_t sequence; /* echoed in the completion */
    uint64_t source;
    uint64_t destination;
    uint64_t operand;
    uint64_t reserved[3];
};

struct dma_completion {
    uint64_t sequence; /* written last */
    uint32_t status;
    uint32_t opcode;
    uint64_t result;
    uint64_t reserved;
};

struct dma_queue_shared {
    uint64_t tail; /* descriptors ever submitted: the driver writes */
    uint64_t reserved_driver[7];
    uint64_t interrupt_sequence; /* of the last interrupt raised: the device writes */
    uint64_t completed;          /* completions ever written: the device writes */
    uint64_t reserved_device[6];
};

#endif
