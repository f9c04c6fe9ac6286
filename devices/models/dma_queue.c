/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <endian.h>
#include <stddef.h>
#include <string.h>

#include "devices/models/dma.h"
#include "lib/deadline.h"

/* How often a queue is filled up again before others get their turn. */
#define ROUNDS_MAX 4

static uint64_t head_of(const struct dma_queue *queue)
{
    return queue->completed + queue->in_flight;
}

static bool works(const struct dma_queue *queue)
{
    return queue->enabled && queue->error == DMA_QUEUE_ERROR_NONE;
}

static bool range_valid(uint64_t address, uint64_t size)
{
    return address % 8 == 0 && address <= UINT64_MAX - size;
}

/* In a P2P state: are its own structures with another device? */
static bool is_held(const struct dma_device *dma, const struct dma_queue *queue)
{
    struct device_host *host = dma->device.host;

    return dma->peers_held &&
           (host_dma_reaches_peer(host, queue->ring, queue->entries * sizeof(struct dma_descriptor)) ||
            host_dma_reaches_peer(host, queue->completions, queue->entries * sizeof(struct dma_completion)) ||
            host_dma_reaches_peer(host, queue->shared, sizeof(struct dma_queue_shared)));
}

/* In a P2P state: must the first operation wait? Those behind it wait with it, because they complete in order. */
static bool first_is_held(const struct dma_device *dma, const struct dma_queue *queue)
{
    return dma->peers_held && dma_operation_reaches_peer(dma, &queue->operation[queue->first].descriptor);
}

bool dma_queue_configuration_valid(const struct dma_device *dma, const struct dma_queue *queue)
{
    uint64_t entries = queue->entries;

    return entries >= 2 && entries <= DMA_RING_ENTRIES_MAX && (entries & (entries - 1)) == 0 &&
           queue->vector < dma->vectors && range_valid(queue->ring, entries * sizeof(struct dma_descriptor)) &&
           range_valid(queue->completions, entries * sizeof(struct dma_completion)) &&
           range_valid(queue->shared, sizeof(struct dma_queue_shared));
}

uint32_t dma_queue_register_read(const struct dma_device *dma, unsigned int number, uint32_t offset)
{
    const struct dma_queue *queue = &dma->state->queue[number];

    switch (offset) {
    case DMA_QUEUE_REG_RING_LOW:
        return (uint32_t)queue->ring;
    case DMA_QUEUE_REG_RING_HIGH:
        return (uint32_t)(queue->ring >> 32);
    case DMA_QUEUE_REG_COMPLETIONS_LOW:
        return (uint32_t)queue->completions;
    case DMA_QUEUE_REG_COMPLETIONS_HIGH:
        return (uint32_t)(queue->completions >> 32);
    case DMA_QUEUE_REG_SHARED_LOW:
        return (uint32_t)queue->shared;
    case DMA_QUEUE_REG_SHARED_HIGH:
        return (uint32_t)(queue->shared >> 32);
    case DMA_QUEUE_REG_ENTRIES:
        return queue->entries;
    case DMA_QUEUE_REG_VECTOR:
        return queue->vector;
    case DMA_QUEUE_REG_ENABLE:
        return queue->enabled;
    case DMA_QUEUE_REG_ERROR:
        return queue->error;
    default:
        return 0;
    }
}

static void set_low(uint64_t *number, uint32_t value)
{
    *number = (*number & ~0xffffffffull) | value;
}

static void set_high(uint64_t *number, uint32_t value)
{
    *number = (*number & 0xffffffffull) | (uint64_t)value << 32;
}

static void enable(struct dma_device *dma, unsigned int number, uint32_t value)
{
    struct dma_queue *queue = &dma->state->queue[number];

    if ((value & 1) == queue->enabled)
        return;
    for (unsigned int vector = 0; vector < dma->vectors; vector++)
        dma->state->vector[vector].pending_queues &= ~(1u << number);
    queue->enabled = value & 1;
    queue->error = DMA_QUEUE_ERROR_NONE;
    queue->tail = 0;
    queue->completed = 0;
    queue->in_flight = 0;
    if (queue->enabled && !dma_queue_configuration_valid(dma, queue))
        queue->error = DMA_QUEUE_ERROR_CONFIGURATION;
}

void dma_queue_register_write(struct dma_device *dma, unsigned int number, uint32_t offset, uint32_t value)
{
    struct dma_queue *queue = &dma->state->queue[number];

    if (offset == DMA_QUEUE_REG_ENABLE)
        enable(dma, number, value);
    if (queue->enabled)
        return;
    switch (offset) {
    case DMA_QUEUE_REG_RING_LOW:
        set_low(&queue->ring, value);
        break;
    case DMA_QUEUE_REG_RING_HIGH:
        set_high(&queue->ring, value);
        break;
    case DMA_QUEUE_REG_COMPLETIONS_LOW:
        set_low(&queue->completions, value);
        break;
    case DMA_QUEUE_REG_COMPLETIONS_HIGH:
        set_high(&queue->completions, value);
        break;
    case DMA_QUEUE_REG_SHARED_LOW:
        set_low(&queue->shared, value);
        break;
    case DMA_QUEUE_REG_SHARED_HIGH:
        set_high(&queue->shared, value);
        break;
    case DMA_QUEUE_REG_ENTRIES:
        queue->entries = value;
        break;
    case DMA_QUEUE_REG_VECTOR:
        queue->vector = value;
        break;
    default:
        break;
    }
}

static void look_at_tail(struct dma_device *dma, struct dma_queue *queue)
{
    uint64_t tail;

    if (host_dma_read(dma->device.host, DEVICE_DMA_DESCRIPTOR, queue->shared + offsetof(struct dma_queue_shared, tail),
                      &tail, sizeof(tail))) {
        queue->error = DMA_QUEUE_ERROR_DMA;
        return;
    }
    tail = le64toh(tail);
    /* The difference is of unsigned numbers, so a tail that went back is too far ahead as well. */
    if (tail - queue->completed > queue->entries || tail - queue->completed < queue->in_flight)
        queue->error = DMA_QUEUE_ERROR_TAIL;
    else
        queue->tail = tail;
}

static struct dma_descriptor descriptor_to_host(const struct dma_descriptor *raw)
{
    return (struct dma_descriptor){
        .opcode = le32toh(raw->opcode),
        .length = le32toh(raw->length),
        .sequence = le64toh(raw->sequence),
        .source = le64toh(raw->source),
        .destination = le64toh(raw->destination),
        .operand = le64toh(raw->operand),
    };
}

/* Takes what was submitted, as far as there is room. */
static void take_descriptors(struct dma_device *dma, struct dma_queue *queue, uint64_t now)
{
    while (works(queue) && queue->in_flight < DMA_QUEUE_IN_FLIGHT_MAX && head_of(queue) != queue->tail) {
        uint64_t slot = head_of(queue) % queue->entries;
        struct dma_operation *operation =
            &queue->operation[(queue->first + queue->in_flight) % DMA_QUEUE_IN_FLIGHT_MAX];
        struct dma_descriptor raw;

        if (host_dma_read(dma->device.host, DEVICE_DMA_DESCRIPTOR, queue->ring + slot * sizeof(raw), &raw,
                          sizeof(raw))) {
            queue->error = DMA_QUEUE_ERROR_DMA;
            return;
        }
        operation->descriptor = descriptor_to_host(&raw);
        operation->due_ns = now + dma->latency_ns;
        queue->in_flight++;
    }
}

/* The completion, its sequence number last, then the count of them. */
static int write_completion(struct dma_device *dma, struct dma_queue *queue, const struct dma_completion *completion)
{
    struct device_host *host = dma->device.host;
    uint64_t at = queue->completions + queue->completed % queue->entries * sizeof(*completion);
    uint64_t completed = htole64(queue->completed + 1);
    int failed;

    failed = host_dma_write(host, DEVICE_DMA_COMPLETION, at + sizeof(completion->sequence),
                            (const uint8_t *)completion + sizeof(completion->sequence),
                            sizeof(*completion) - sizeof(completion->sequence));
    if (!failed)
        failed = host_dma_write(host, DEVICE_DMA_COMPLETION, at, &completion->sequence, sizeof(completion->sequence));
    if (!failed)
        failed = host_dma_write(host, DEVICE_DMA_NOTICE, queue->shared + offsetof(struct dma_queue_shared, completed),
                                &completed, sizeof(completed));
    return failed;
}

static void complete_first(struct dma_device *dma, unsigned int number)
{
    struct dma_queue *queue = &dma->state->queue[number];
    const struct dma_descriptor *descriptor = &queue->operation[queue->first].descriptor;
    uint64_t result;
    uint32_t status = dma_operation_run(dma, descriptor, &result);
    struct dma_completion completion = {
        .sequence = htole64(descriptor->sequence),
        .status = htole32(status),
        .opcode = htole32(descriptor->opcode),
        .result = htole64(result),
    };

    if (write_completion(dma, queue, &completion)) {
        queue->error = DMA_QUEUE_ERROR_DMA;
        return;
    }
    queue->first = (queue->first + 1) % DMA_QUEUE_IN_FLIGHT_MAX;
    queue->in_flight--;
    queue->completed++;
    if (dma_interrupt_signal(dma, number))
        queue->error = DMA_QUEUE_ERROR_DMA;
}

static unsigned int complete_due(struct dma_device *dma, unsigned int number, uint64_t now)
{
    struct dma_queue *queue = &dma->state->queue[number];
    unsigned int count = 0;

    for (; works(queue) && queue->in_flight && queue->operation[queue->first].due_ns <= now; count++) {
        if (first_is_held(dma, queue))
            break;
        complete_first(dma, number);
    }
    return count;
}

static void advance(struct dma_device *dma, unsigned int number, bool look)
{
    struct dma_queue *queue = &dma->state->queue[number];
    uint64_t now = clock_now_ns();

    if (!dma_may_transfer(dma) || !works(queue) || is_held(dma, queue))
        return;
    if (look)
        look_at_tail(dma, queue);
    take_descriptors(dma, queue, now);
    for (int round = 0; round < ROUNDS_MAX && complete_due(dma, number, now); round++)
        take_descriptors(dma, queue, now);
}

void dma_queue_work(struct dma_device *dma, unsigned int queue)
{
    advance(dma, queue, true);
}

void dma_queues_work(struct dma_device *dma)
{
    for (unsigned int queue = 0; queue < dma->queues; queue++)
        advance(dma, queue, false);
}

void dma_queues_hold(struct dma_device *dma, uint64_t now)
{
    for (unsigned int q = 0; q < dma->queues; q++) {
        struct dma_queue *queue = &dma->state->queue[q];

        for (unsigned int i = 0; i < queue->in_flight; i++) {
            struct dma_operation *operation = &queue->operation[(queue->first + i) % DMA_QUEUE_IN_FLIGHT_MAX];

            operation->due_ns = operation->due_ns > now ? operation->due_ns - now : 0;
        }
    }
}

void dma_queues_release(struct dma_device *dma, uint64_t now)
{
    for (unsigned int q = 0; q < dma->queues; q++) {
        struct dma_queue *queue = &dma->state->queue[q];

        for (unsigned int i = 0; i < queue->in_flight; i++)
            queue->operation[(queue->first + i) % DMA_QUEUE_IN_FLIGHT_MAX].due_ns += now;
    }
}

void dma_queues_resume(struct dma_device *dma)
{
    for (unsigned int queue = 0; queue < dma->queues; queue++)
        advance(dma, queue, true);
}

uint64_t dma_queues_next_due(const struct dma_device *dma)
{
    uint64_t next = UINT64_MAX;

    if (!dma_may_transfer(dma))
        return next;
    for (unsigned int q = 0; q < dma->queues; q++) {
        const struct dma_queue *queue = &dma->state->queue[q];

        if (works(queue) && queue->in_flight && queue->operation[queue->first].due_ns < next && !is_held(dma, queue) &&
            !first_is_held(dma, queue))
            next = queue->operation[queue->first].due_ns;
    }
    return next;
}
