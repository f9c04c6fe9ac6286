/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <endian.h>
#include <isa-l/crc.h>
#include <string.h>

#include "devices/models/dma.h"
#include "stopcopy/workload.h"

static uint32_t read_source(struct dma_device *dma, const struct dma_descriptor *descriptor)
{
    if (host_dma_read(dma->device.host, DEVICE_DMA_DATA, descriptor->source, dma->bounce, descriptor->length))
        return DMA_STATUS_DMA_FAULT;
    return DMA_STATUS_OK;
}

static uint32_t write_destination(struct dma_device *dma, const struct dma_descriptor *descriptor, const void *data)
{
    if (host_dma_write(dma->device.host, DEVICE_DMA_DATA, descriptor->destination, data, descriptor->length))
        return DMA_STATUS_DMA_FAULT;
    return DMA_STATUS_OK;
}

static uint64_t digest(const uint8_t *data, size_t size, uint64_t h)
{
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word;

        memcpy(&word, data + i, sizeof(word));
        h = (h ^ le64toh(word)) * WORKLOAD_DIGEST_MULTIPLIER;
        h ^= h >> 32;
    }
    return h;
}

static uint32_t nop(struct dma_device *dma, const struct dma_descriptor *descriptor, uint64_t *result)
{
    (void)dma, (void)descriptor, (void)result;
    return DMA_STATUS_OK;
}

static uint32_t copy(struct dma_device *dma, const struct dma_descriptor *descriptor, uint64_t *result)
{
    uint32_t status = read_source(dma, descriptor);

    (void)result;
    return status == DMA_STATUS_OK ? write_destination(dma, descriptor, dma->bounce) : status;
}

static uint32_t fill(struct dma_device *dma, const struct dma_descriptor *descriptor, uint64_t *result)
{
    uint64_t word = htole64(descriptor->operand);

    (void)result;
    for (size_t i = 0; i < descriptor->length; i += sizeof(word))
        memcpy(dma->bounce + i, &word, sizeof(word));
    return write_destination(dma, descriptor, dma->bounce);
}

static uint32_t crc32c(struct dma_device *dma, const struct dma_descriptor *descriptor, uint64_t *result)
{
    uint32_t status = read_source(dma, descriptor);

    if (status == DMA_STATUS_OK)
        *result = ~crc32_iscsi(dma->bounce, (int)descriptor->length, ~0u);
    return status;
}

static uint32_t digest_source(struct dma_device *dma, const struct dma_descriptor *descriptor, uint64_t *result)
{
    uint32_t status = read_source(dma, descriptor);

    if (status == DMA_STATUS_OK)
        *result = digest(dma->bounce, descriptor->length, descriptor->operand);
    return status;
}

static uint32_t store(struct dma_device *dma, const struct dma_descriptor *descriptor, uint64_t *result)
{
    uint32_t status = read_source(dma, descriptor);

    (void)result;
    if (status == DMA_STATUS_OK)
        dma_memory_write(&dma->memory, descriptor->operand, dma->bounce, descriptor->length);
    return status;
}

static uint32_t load(struct dma_device *dma, const struct dma_descriptor *descriptor, uint64_t *result)
{
    (void)result;
    if (!descriptor->length)
        return DMA_STATUS_OK;
    return write_destination(dma, descriptor, dma->memory.base + descriptor->operand);
}

static const struct {
    uint32_t (*run)(struct dma_device *dma, const struct dma_descriptor *descriptor, uint64_t *result);
    bool reads, writes; /* memory that the host maps: source, destination */
    bool has_length;
    bool by_words;
    bool internal;
} operations[] = {
    [DMA_OP_NOP] = {.run = nop},
    [DMA_OP_COPY] = {.run = copy, .reads = true, .writes = true, .has_length = true},
    [DMA_OP_FILL] = {.run = fill, .writes = true, .has_length = true, .by_words = true},
    [DMA_OP_CRC32C] = {.run = crc32c, .reads = true, .has_length = true},
    [DMA_OP_DIGEST] = {.run = digest_source, .reads = true, .has_length = true, .by_words = true},
    [DMA_OP_STORE] = {.run = store, .reads = true, .has_length = true, .internal = true},
    [DMA_OP_LOAD] = {.run = load, .writes = true, .has_length = true, .internal = true},
};

bool dma_operation_reaches_peer(const struct dma_device *dma, const struct dma_descriptor *descriptor)
{
    struct device_host *host = dma->device.host;
    uint32_t opcode = descriptor->opcode, length = descriptor->length;

    /* What is refused for its opcode or its length moves nothing. */
    if (opcode >= sizeof(operations) / sizeof(operations[0]) || !length || length > DMA_OPERATION_LENGTH_MAX)
        return false;
    return (operations[opcode].reads && host_dma_reaches_peer(host, descriptor->source, length)) ||
           (operations[opcode].writes && host_dma_reaches_peer(host, descriptor->destination, length));
}

uint32_t dma_operation_run(struct dma_device *dma, const struct dma_descriptor *descriptor, uint64_t *result)
{
    uint32_t opcode = descriptor->opcode;

    *result = 0;
    if (opcode >= sizeof(operations) / sizeof(operations[0]))
        return DMA_STATUS_BAD_OPCODE;
    if (operations[opcode].has_length && descriptor->length > DMA_OPERATION_LENGTH_MAX)
        return DMA_STATUS_BAD_LENGTH;
    if (operations[opcode].by_words && descriptor->length % 8)
        return DMA_STATUS_BAD_LENGTH;
    if (operations[opcode].internal && !dma_memory_has(&dma->memory, descriptor->operand, descriptor->length))
        return DMA_STATUS_BAD_RANGE;
    return operations[opcode].run(dma, descriptor, result);
}
