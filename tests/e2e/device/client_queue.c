/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <criterion/criterion.h>
#include <string.h>

#include "client.h"
#include "lib/deadline.h"

/* Where the structures of a queue lie in the client's memory. */
#define QUEUE_STRIDE 0x80000u
#define RING_OFFSET 0x0u
#define COMPLETIONS_OFFSET 0x10000u
#define SHARED_OFFSET 0x18000u
#define BUFFERS_OFFSET 0x20000u
#define BUFFER_SIZE 4096u
#define BUFFER_SLOTS 32u

struct dma_queue_shared *client_queue_shared(const struct client_queue *queue)
{
    return (struct dma_queue_shared *)(queue->client->memory + queue->base + SHARED_OFFSET);
}

static void write_address(const struct client_queue *queue, uint32_t reg, uint64_t address)
{
    client_write32(queue->client, 0, DMA_REG_QUEUE(queue->number) + reg, (uint32_t)address);
    client_write32(queue->client, 0, DMA_REG_QUEUE(queue->number) + reg + 4, (uint32_t)(address >> 32));
}

void client_queue_start(struct client_queue *queue, struct client *client, unsigned int number, uint32_t entries,
                        uint32_t vector)
{
    *queue = (struct client_queue){.client = client,
                                   .number = number,
                                   .entries = entries,
                                   .vector = vector,
                                   .base = (uint64_t)number * QUEUE_STRIDE};
    memset(client_queue_shared(queue), 0, sizeof(struct dma_queue_shared));
    write_address(queue, DMA_QUEUE_REG_RING_LOW, CLIENT_MEMORY_IOVA + queue->base + RING_OFFSET);
    write_address(queue, DMA_QUEUE_REG_COMPLETIONS_LOW, CLIENT_MEMORY_IOVA + queue->base + COMPLETIONS_OFFSET);
    write_address(queue, DMA_QUEUE_REG_SHARED_LOW, CLIENT_MEMORY_IOVA + queue->base + SHARED_OFFSET);
    client_write32(client, 0, DMA_REG_QUEUE(number) + DMA_QUEUE_REG_ENTRIES, entries);
    client_write32(client, 0, DMA_REG_QUEUE(number) + DMA_QUEUE_REG_VECTOR, vector);
    client_write32(client, 0, DMA_REG_QUEUE(number) + DMA_QUEUE_REG_ENABLE, 1);
}

static uint64_t buffer_offset(const struct client_queue *queue, uint64_t operation)
{
    return queue->base + BUFFERS_OFFSET + operation % BUFFER_SLOTS * 2 * BUFFER_SIZE;
}

uint8_t *client_source(const struct client_queue *queue, uint64_t operation)
{
    return queue->client->memory + buffer_offset(queue, operation);
}

uint8_t *client_destination(const struct client_queue *queue, uint64_t operation)
{
    return client_source(queue, operation) + BUFFER_SIZE;
}

uint64_t client_source_iova(const struct client_queue *queue, uint64_t operation)
{
    return CLIENT_MEMORY_IOVA + buffer_offset(queue, operation);
}

uint64_t client_destination_iova(const struct client_queue *queue, uint64_t operation)
{
    return client_source_iova(queue, operation) + BUFFER_SIZE;
}

void client_submit(struct client_queue *queue, struct dma_descriptor descriptor)
{
    struct dma_descriptor *ring = (struct dma_descriptor *)(queue->client->memory + queue->base + RING_OFFSET);

    if (!descriptor.sequence)
        descriptor.sequence = queue->submitted + 1;
    if (!descriptor.source)
        descriptor.source = client_source_iova(queue, queue->submitted);
    if (!descriptor.destination)
        descriptor.destination = client_destination_iova(queue, queue->submitted);
    ring[queue->submitted % queue->entries] = descriptor;
    queue->submitted++;
    __atomic_store_n(&client_queue_shared(queue)->tail, queue->submitted, __ATOMIC_RELEASE);
}

void client_ring(struct client_queue *queue)
{
    client_write32(queue->client, 0, DMA_PAGE_DOORBELLS + 4 * queue->number, 1);
}

struct dma_completion client_complete(struct client_queue *queue)
{
    struct deadline deadline = deadline_in_ms(CLIENT_TIMEOUT_MS);
    const struct dma_completion *ring =
        (const struct dma_completion *)(queue->client->memory + queue->base + COMPLETIONS_OFFSET);
    struct dma_completion completion;

    while (__atomic_load_n(&client_queue_shared(queue)->completed, __ATOMIC_ACQUIRE) <= queue->checked) {
        cr_assert(!deadline_expired(deadline), "operation %llu does not complete",
                  (unsigned long long)queue->checked + 1);
        client_serve_dma(queue->client, 1);
    }
    completion = ring[queue->checked % queue->entries];
    queue->checked++;
    cr_assert_eq(completion.sequence, queue->checked, "completion %llu has sequence number %llu",
                 (unsigned long long)queue->checked, (unsigned long long)completion.sequence);
    return completion;
}

struct dma_completion client_run(struct client_queue *queue, struct dma_descriptor descriptor)
{
    client_submit(queue, descriptor);
    client_ring(queue);
    return client_complete(queue);
}
