/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stream back into a device. Registers, queues, vectors and configuration are put aside and taken over only when all
 * of it came and is right; memory goes to its place at once, which holds nothing any more since RESUMING was entered.
 * Each number is checked as if an enemy had written it: the CRC keeps out accidents, not enemies.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/models/dma.h"
#include "lib/deadline.h"

#define SECTIONS_ALL                                                                                                   \
    (1u << DMA_SECTION_IDENTITY | 1u << DMA_SECTION_REGISTERS | 1u << DMA_SECTION_VECTORS | 1u << DMA_SECTION_CONFIG)

static int take_identity(struct dma_device *dma, struct cursor *payload)
{
    bool same = cursor_get_u32(payload) == DMA_STREAM_MODEL;

    same = cursor_get_u32(payload) == dma->queues && same;
    same = cursor_get_u32(payload) == dma->vectors && same;
    same = cursor_get_u32(payload) == 0 && same;
    same = cursor_get_u64(payload) == dma->memory.size && same;
    same = cursor_get_u64(payload) == dma->scratch.size && same;
    same = cursor_get_u64(payload) == dma->window_size && same;
    same = cursor_get_u64(payload) == dma->migration_flags && same;
    return same && cursor_at_end(payload) ? 0 : EINVAL;
}

static int take_pages(struct dma_memory *memory, uint64_t offset, struct cursor *payload)
{
    size_t size = payload->left;

    if (!dma_memory_has(memory, offset, size))
        return EINVAL;
    dma_memory_write(memory, offset, cursor_take(payload, size), size);
    return 0;
}

static int take_memory(struct dma_device *dma, struct cursor *payload)
{
    uint32_t area = cursor_get_u32(payload);
    uint32_t reserved = cursor_get_u32(payload);
    uint64_t offset = cursor_get_u64(payload);

    if (payload->failed || reserved || !payload->left || payload->left % DMA_MEMORY_PAGE || offset % DMA_MEMORY_PAGE ||
        dma->load.sections != 1u << DMA_SECTION_IDENTITY)
        return EINVAL;
    if (area == DMA_AREA_MEMORY)
        return take_pages(&dma->memory, offset, payload);
    if (area == DMA_AREA_SCRATCH)
        return take_pages(&dma->scratch, offset, payload);
    if (area != DMA_AREA_WINDOW || offset > dma->window_size || payload->left > dma->window_size - offset)
        return EINVAL;
    cursor_get(payload, dma->window + offset, payload->left);
    return 0;
}

static int take_clear(struct dma_device *dma, struct cursor *payload)
{
    if (!cursor_at_end(payload) || dma->load.sections != 1u << DMA_SECTION_IDENTITY)
        return EINVAL;
    dma_memory_clear(&dma->memory);
    dma_memory_clear(&dma->scratch);
    return 0;
}

static int take_registers(struct dma_device *dma, struct cursor *payload)
{
    struct dma_state *state = dma->load.state;

    state->scratch = cursor_get_u32(payload);
    state->acknowledge_errors = cursor_get_u32(payload);
    state->dirtier_position = cursor_get_u64(payload);
    return cursor_at_end(payload) && state->dirtier_position % DMA_MEMORY_PAGE == 0 ? 0 : EINVAL;
}

static void take_operation(struct dma_operation *operation, struct cursor *payload)
{
    operation->due_ns = cursor_get_u64(payload);
    operation->descriptor.opcode = cursor_get_u32(payload);
    operation->descriptor.length = cursor_get_u32(payload);
    operation->descriptor.sequence = cursor_get_u64(payload);
    operation->descriptor.source = cursor_get_u64(payload);
    operation->descriptor.destination = cursor_get_u64(payload);
    operation->descriptor.operand = cursor_get_u64(payload);
}

/* Is it a queue that this device could have got into? */
static bool queue_valid(const struct dma_device *dma, const struct dma_queue *queue)
{
    if (queue->enabled > 1 || queue->error > DMA_QUEUE_ERROR_DMA)
        return false;
    if (!queue->enabled || queue->error == DMA_QUEUE_ERROR_CONFIGURATION)
        return !queue->in_flight && !queue->tail && !queue->completed;
    return dma_queue_configuration_valid(dma, queue) && queue->tail - queue->completed <= queue->entries &&
           queue->tail - queue->completed >= queue->in_flight;
}

static int take_queue(struct dma_device *dma, struct cursor *payload)
{
    uint32_t number = cursor_get_u32(payload);
    struct dma_queue *queue;

    if (number >= dma->queues || dma->load.queues >> number & 1)
        return EINVAL;
    dma->load.queues |= 1u << number;
    queue = &dma->load.state->queue[number];
    queue->enabled = cursor_get_u32(payload);
    queue->error = cursor_get_u32(payload);
    queue->vector = cursor_get_u32(payload);
    queue->entries = cursor_get_u32(payload);
    queue->in_flight = cursor_get_u32(payload);
    queue->ring = cursor_get_u64(payload);
    queue->completions = cursor_get_u64(payload);
    queue->shared = cursor_get_u64(payload);
    queue->tail = cursor_get_u64(payload);
    queue->completed = cursor_get_u64(payload);
    if (queue->in_flight > DMA_QUEUE_IN_FLIGHT_MAX)
        return EINVAL;
    for (uint32_t i = 0; i < queue->in_flight; i++) {
        take_operation(&queue->operation[i], payload);
        if (queue->operation[i].due_ns > DMA_LATENCY_MAX_NS)
            return EINVAL;
    }
    return cursor_at_end(payload) && queue_valid(dma, queue) ? 0 : EINVAL;
}

static int take_vectors(struct dma_device *dma, struct cursor *payload)
{
    for (unsigned int i = 0; i < dma->vectors; i++) {
        struct dma_vector *vector = &dma->load.state->vector[i];
        uint32_t flags;

        vector->sequence = cursor_get_u64(payload);
        vector->pending_queues = cursor_get_u32(payload);
        flags = cursor_get_u32(payload);
        vector->outstanding = flags & DMA_VECTOR_FLAG_OUTSTANDING;
        vector->undelivered = flags & DMA_VECTOR_FLAG_UNDELIVERED;
        cursor_get(payload, dma->load.state->msix_table + i * DMA_MSIX_ENTRY_SIZE, DMA_MSIX_ENTRY_SIZE);
        if (vector->pending_queues >> dma->queues ||
            flags & ~(DMA_VECTOR_FLAG_OUTSTANDING | DMA_VECTOR_FLAG_UNDELIVERED) ||
            (vector->undelivered && !vector->outstanding))
            return EINVAL;
    }
    return cursor_at_end(payload) ? 0 : EINVAL;
}

static int take_config(struct dma_device *dma, struct cursor *payload)
{
    cursor_get(payload, dma->load.config, PCI_CONFIG_SIZE);
    return cursor_at_end(payload) ? 0 : EINVAL;
}

static int take_section(void *context, uint32_t type, struct cursor *payload)
{
    static int (*const takers[])(struct dma_device * dma, struct cursor * payload) = {
        [DMA_SECTION_IDENTITY] = take_identity, [DMA_SECTION_MEMORY] = take_memory,
        [DMA_SECTION_CLEAR] = take_clear,       [DMA_SECTION_REGISTERS] = take_registers,
        [DMA_SECTION_QUEUE] = take_queue,       [DMA_SECTION_VECTORS] = take_vectors,
        [DMA_SECTION_CONFIG] = take_config,
    };
    struct dma_device *dma = context;
    struct dma_load *load = &dma->load;
    bool repeatable = type == DMA_SECTION_MEMORY || type == DMA_SECTION_CLEAR || type == DMA_SECTION_QUEUE;
    int failed;

    if (type >= sizeof(takers) / sizeof(takers[0]) || !takers[type])
        return EINVAL;
    if ((type == DMA_SECTION_IDENTITY) != (load->sections == 0) || (!repeatable && load->sections >> type & 1))
        return EINVAL;
    failed = takers[type](dma, payload);
    /* Memory leaves no mark, so that it is known to come before all the rest. */
    if (!failed && type != DMA_SECTION_MEMORY && type != DMA_SECTION_CLEAR)
        load->sections |= 1u << type;
    return failed;
}

int dma_load_start(struct dma_device *dma)
{
    struct dma_load *load = &dma->load;

    load->state = calloc(1, sizeof(*load->state));
    load->config = calloc(1, PCI_CONFIG_SIZE);
    if (!load->state || !load->config) {
        dma_load_stop(dma);
        return ENOMEM;
    }
    load->active = true;
    load->sections = 0;
    load->queues = 0;
    stream_reader_start(&load->reader, take_section, dma);
    dma_reset_registers(dma);
    return 0;
}

int dma_load_finish(struct dma_device *dma)
{
    struct dma_load *load = &dma->load;

    if (!stream_reader_complete(&load->reader) || (load->sections & SECTIONS_ALL) != SECTIONS_ALL ||
        load->queues != (1u << dma->queues) - 1 || !pci_config_load(&dma->config, load->config))
        return EINVAL;
    free(dma->state);
    dma->state = load->state;
    load->state = NULL;
    dma_load_stop(dma);
    return 0;
}

void dma_load_stop(struct dma_device *dma)
{
    struct dma_load *load = &dma->load;

    free(load->state);
    free(load->config);
    stream_reader_free(&load->reader);
    *load = (struct dma_load){.active = false};
}

int dma_data_write(struct device *device, const void *data, size_t size)
{
    struct dma_device *dma = dma_device_of(device);

    return dma->load.active ? stream_reader_feed(&dma->load.reader, data, size) : EINVAL;
}
