/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/drivers/dma_driver.h"

static uint32_t device_read(struct dma_device *device, uint32_t offset)
{
    return device->access.ops->read32(device->access.context, DMA_BAR_REGISTERS, offset);
}

static void device_write(struct dma_device *device, uint32_t offset, uint32_t value)
{
    device->access.ops->write32(device->access.context, DMA_BAR_REGISTERS, offset, value);
}

int dma_device_open(struct dma_device *device, struct device_access access, struct driver_fault *fault)
{
    uint32_t value;

    *device = (struct dma_device){.access = access};
    value = device_read(device, DMA_REG_MAGIC);
    if (value != DMA_MAGIC)
        return driver_fault(fault, "guest/driver", "the register MAGIC", DMA_MAGIC, value);
    value = device_read(device, DMA_REG_VERSION);
    if (value != DMA_VERSION)
        return driver_fault(fault, "guest/driver", "the register VERSION", DMA_VERSION, value);
    device_write(device, DMA_REG_CONTROL, DMA_CONTROL_RESET);
    device->queues = device_read(device, DMA_REG_QUEUES);
    device->vectors = device_read(device, DMA_REG_VECTORS);
    device->memory_size = device_read(device, DMA_REG_MEMORY_SIZE_LOW);
    device->memory_size |= (uint64_t)device_read(device, DMA_REG_MEMORY_SIZE_HIGH) << 32;
    device->window_size = device_read(device, DMA_REG_WINDOW_SIZE);
    if (device->queues < 1 || device->queues > DMA_QUEUES_MAX)
        return driver_fault(fault, "guest/driver", "the register QUEUES is out of range", DMA_QUEUES_MAX,
                            device->queues);
    if (device->vectors < device->queues || device->vectors > DMA_VECTORS_MAX)
        return driver_fault(fault, "guest/driver", "the register VECTORS: a queue needs one of its own", device->queues,
                            device->vectors);
    return 0;
}

int dma_device_check(struct dma_device *device, struct driver_fault *fault)
{
    uint32_t errors = device_read(device, DMA_REG_ACKNOWLEDGE_ERRORS), status = device_read(device, DMA_REG_STATUS);

    if (errors != 0)
        return driver_fault(fault, "guest/interrupt-sequence",
                            "the device counted acknowledgements of interrupts that were not outstanding", 0, errors);
    if (status != 0)
        return driver_fault(fault, "guest/driver", "the register STATUS", 0, status);
    return 0;
}

static uint32_t queue_read(struct dma_queue *queue, uint32_t offset)
{
    return device_read(queue->device, DMA_REG_QUEUE(queue->index) + offset);
}

static void queue_write(struct dma_queue *queue, uint32_t offset, uint32_t value)
{
    device_write(queue->device, DMA_REG_QUEUE(queue->index) + offset, value);
}

static void *allocate(struct dma_queue *queue, size_t size, uint32_t address_register)
{
    struct device_access *access = &queue->device->access;
    uint64_t address = 0;
    void *memory = access->ops->allocate(access->context, size, &address);

    queue_write(queue, address_register, (uint32_t)address);
    queue_write(queue, address_register + 4, (uint32_t)(address >> 32));
    return memory;
}

int dma_queue_open(struct dma_queue *queue, struct dma_device *device, uint32_t index, uint32_t vector, uint32_t depth,
                   struct driver_fault *fault)
{
    uint32_t error;

    *queue = (struct dma_queue){.device = device, .index = index, .vector = vector, .entries = 2};
    while (queue->entries < depth && queue->entries < DMA_RING_ENTRIES_MAX)
        queue->entries *= 2;
    queue->ring = allocate(queue, queue->entries * sizeof(*queue->ring), DMA_QUEUE_REG_RING_LOW);
    queue->completions = allocate(queue, queue->entries * sizeof(*queue->completions), DMA_QUEUE_REG_COMPLETIONS_LOW);
    queue->shared = allocate(queue, sizeof(*queue->shared), DMA_QUEUE_REG_SHARED_LOW);
    if (!queue->ring || !queue->completions || !queue->shared)
        return driver_fault(fault, "guest/boot", "no memory for a queue of so many entries", 0, queue->entries);
    queue->interrupts = device->access.ops->interrupts(device->access.context, vector);
    queue_write(queue, DMA_QUEUE_REG_ENTRIES, queue->entries);
    queue_write(queue, DMA_QUEUE_REG_VECTOR, vector);
    queue_write(queue, DMA_QUEUE_REG_ENABLE, 1);
    error = queue_read(queue, DMA_QUEUE_REG_ERROR);
    if (error != DMA_QUEUE_ERROR_NONE)
        return driver_fault(fault, "guest/driver", "the queue does not start: its ERROR register", 0, error);
    return 0;
}

void dma_queue_close(struct dma_queue *queue)
{
    queue_write(queue, DMA_QUEUE_REG_ENABLE, 0);
}

void dma_queue_submit(struct dma_queue *queue, const struct dma_descriptor *descriptor)
{
    struct dma_descriptor *entry = &queue->ring[queue->submitted % queue->entries];

    *entry = *descriptor;
    entry->sequence = ++queue->submitted;
}

void dma_queue_ring(struct dma_queue *queue)
{
    if (queue->rung == queue->submitted)
        return;
    queue->rung = queue->submitted;
    __atomic_store_n(&queue->shared->tail, queue->submitted, __ATOMIC_RELEASE);
    device_write(queue->device, DMA_PAGE_DOORBELLS + 4 * queue->index, 1);
}

/* Completions that the device says it has written. They are believed only up to what was submitted. */
static int read_completed(struct dma_queue *queue, uint64_t *completed, struct driver_fault *fault)
{
    *completed = __atomic_load_n(&queue->shared->completed, __ATOMIC_ACQUIRE);
    if (*completed > queue->rung)
        return driver_fault(fault, "guest/completion-sequence", "more completions than operations: the shared record",
                            queue->rung, *completed);
    if (*completed < queue->announced)
        return driver_fault(fault, "guest/completion-sequence", "the shared record's count of completions went back",
                            queue->announced, *completed);
    return 0;
}

/* Read before it is acknowledged: for what is completed later the device raises another interrupt. */
static int acknowledge(struct dma_queue *queue, uint64_t sequence, struct driver_fault *fault)
{
    if (sequence != queue->interrupt_sequence + 1)
        return driver_fault(fault, "guest/interrupt-sequence", "the shared record's interrupt sequence number",
                            queue->interrupt_sequence + 1, sequence);
    if (read_completed(queue, &queue->announced, fault) < 0)
        return -1;
    queue->interrupt_sequence = sequence;
    queue->unannounced = false;
    device_write(queue->device, DMA_PAGE_ACKNOWLEDGE + 4 * queue->vector, (uint32_t)sequence);
    return 0;
}

int dma_queue_interrupt(struct dma_queue *queue, struct driver_fault *fault)
{
    struct device_access *access = &queue->device->access;
    uint64_t count = access->ops->interrupts(access->context, queue->vector), sequence;

    if (count == queue->interrupts)
        return 0;
    sequence = __atomic_load_n(&queue->shared->interrupt_sequence, __ATOMIC_ACQUIRE);
    if (sequence == queue->interrupt_sequence) {
        queue->spurious += count - queue->interrupts;
        queue->interrupts = count;
        return 1;
    }
    queue->spurious += count - queue->interrupts - 1;
    queue->interrupts = count;
    return acknowledge(queue, sequence, fault) < 0 ? -1 : 1;
}

int dma_queue_take(struct dma_queue *queue, struct dma_completion *completion, struct driver_fault *fault)
{
    volatile struct dma_completion *entry = &queue->completions[queue->taken % queue->entries];

    if (queue->taken == queue->announced)
        return 0;
    completion->sequence = __atomic_load_n(&entry->sequence, __ATOMIC_ACQUIRE);
    completion->status = entry->status;
    completion->opcode = entry->opcode;
    completion->result = entry->result;
    completion->reserved = 0;
    if (completion->sequence != queue->taken + 1)
        return driver_fault(fault, "guest/completion-sequence", "the completion's sequence number", queue->taken + 1,
                            completion->sequence);
    if (completion->status != DMA_STATUS_OK)
        return driver_fault(fault, "guest/completion-status", "the completion's status", DMA_STATUS_OK,
                            completion->status);
    queue->taken++;
    return 1;
}

static int watch_interrupts(struct dma_queue *queue, uint64_t now, struct driver_fault *fault)
{
    uint64_t completed, sequence = __atomic_load_n(&queue->shared->interrupt_sequence, __ATOMIC_ACQUIRE);

    if (read_completed(queue, &completed, fault) < 0)
        return -1;
    if (completed == queue->announced && sequence == queue->interrupt_sequence) {
        queue->unannounced = false;
        return 0;
    }
    if (!queue->unannounced) {
        queue->unannounced = true;
        queue->unannounced_since = now;
    }
    if (now - queue->unannounced_since < DMA_INTERRUPT_LOST_NS)
        return 0;
    if (sequence != queue->interrupt_sequence)
        return driver_fault(fault, "guest/interrupt-lost",
                            "the device raised an interrupt 6 s ago and it did not come: its sequence number",
                            queue->interrupt_sequence, sequence);
    return driver_fault(fault, "guest/interrupt-lost", "completions are there for 6 s and no interrupt: completions",
                        queue->announced, completed);
}

int dma_queue_watch(struct dma_queue *queue, uint64_t now, struct driver_fault *fault)
{
    if (queue->taken == queue->submitted || queue->taken != queue->watched) {
        queue->watched = queue->taken;
        queue->progress_at = now;
    }
    if (watch_interrupts(queue, now, fault) < 0)
        return -1;
    if (now - queue->progress_at < DMA_OPERATION_STUCK_NS)
        return 0;
    return driver_fault(fault, "guest/operation-stuck", "no operation completed for 10 s: the queue's ERROR register",
                        DMA_QUEUE_ERROR_NONE, queue_read(queue, DMA_QUEUE_REG_ERROR));
}
