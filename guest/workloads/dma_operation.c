/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "guest/guest.h"
#include "guest/workloads/arithmetic.h"
#include "guest/workloads/crc32c.h"
#include "guest/workloads/dma_stream.h"

#define WINDOW_EVERY 64u

/* Operation i, as a function of the chain's seed. */
struct operation {
    uint64_t number;
    enum dma_opcode opcode;
    uint64_t random;
    uint64_t base; /* of the words of the source */
    uint32_t length;
    struct dma_slot *slot;
    bool from_peer, to_peer;                    /* source, destination: an area of the peer's window */
    unsigned int source_area, destination_area; /* which */
};

static enum dma_opcode opcode_of(uint64_t random, bool has_region)
{
    static const uint8_t kinds[16] = {
        DMA_OP_NOP,   DMA_OP_COPY,   DMA_OP_COPY,   DMA_OP_COPY,   DMA_OP_COPY,   DMA_OP_FILL,
        DMA_OP_FILL,  DMA_OP_CRC32C, DMA_OP_CRC32C, DMA_OP_DIGEST, DMA_OP_DIGEST, DMA_OP_STORE,
        DMA_OP_STORE, DMA_OP_STORE,  DMA_OP_LOAD,   DMA_OP_LOAD,
    };
    enum dma_opcode opcode = kinds[random & 15];

    if (has_region)
        return opcode;
    if (opcode == DMA_OP_STORE)
        return DMA_OP_COPY;
    return opcode == DMA_OP_LOAD ? DMA_OP_FILL : opcode;
}

static bool has_source(const struct operation *operation)
{
    return operation->opcode == DMA_OP_COPY || operation->opcode == DMA_OP_CRC32C ||
           operation->opcode == DMA_OP_DIGEST || operation->opcode == DMA_OP_STORE;
}

static bool has_destination(const struct operation *operation)
{
    return operation->opcode == DMA_OP_COPY || operation->opcode == DMA_OP_FILL || operation->opcode == DMA_OP_LOAD;
}

/* Is it the peer's window that it reads or writes? */
static void aim(const struct dma_stream *stream, struct operation *operation)
{
    uint64_t random = operation->random;

    operation->from_peer = stream->peer_span && has_source(operation) && (random >> 20) % 4 == 0;
    operation->to_peer = stream->peer_span && has_destination(operation) && (random >> 22) % 4 == 0;
    operation->destination_area = random >> 24 & 1;
    operation->source_area = 1 - operation->destination_area;
    if ((operation->from_peer || operation->to_peer) && operation->length > stream->peer_span)
        operation->length = stream->peer_span;
}

static struct operation describe(struct dma_stream *stream, uint64_t number)
{
    uint64_t random = workload_mix(stream->chain.seed + WORKLOAD_GOLDEN * (number + 1));
    struct dma_slot *slot = &stream->slot[number % stream->depth];

    struct operation operation = {
        .number = number,
        .opcode = opcode_of(random, slot->stored != NULL),
        .random = random,
        .base = workload_mix(random),
        .length = (uint32_t)(8 * (1 + (random >> 8) % DMA_WORDS)),
        .slot = slot,
    };

    aim(stream, &operation);
    return operation;
}

/* What the destination must hold. */
static struct dma_buffer *expected_of(const struct operation *operation)
{
    return operation->to_peer ? operation->slot->peer_expected[operation->destination_area] : operation->slot->expected;
}

static uint64_t area_offset(const struct dma_stream *stream, const struct operation *operation, unsigned int area)
{
    return stream->peer_start + (operation->number % stream->depth * 2 + area) * stream->peer_span;
}

/* The address that an area has for a device. */
static uint64_t area_address(const struct dma_stream *stream, const struct operation *operation, unsigned int area)
{
    return stream->board->peer->access.device.bar[DMA_BAR_WINDOW].address + area_offset(stream, operation, area);
}

static uint64_t operand_of(const struct operation *operation)
{
    switch (operation->opcode) {
    case DMA_OP_FILL:
        return workload_mix(operation->random ^ 1);
    case DMA_OP_DIGEST:
        return operation->random;
    case DMA_OP_STORE:
    case DMA_OP_LOAD:
        return operation->slot->region;
    default:
        return 0;
    }
}

static void write_words(struct dma_buffer *buffer, uint32_t length, uint64_t base)
{
    for (uint32_t i = 0; i < length / 8; i++, base += WORKLOAD_GOLDEN)
        buffer->word[i] = base;
}

int dma_slots_open(struct dma_stream *stream, struct ram *ram, uint32_t index)
{
    const struct dma_device *device = &stream->board->device;
    uint64_t regions = (uint64_t)device->queues * stream->depth;
    uint64_t stride = device->memory_size / regions / WORKLOAD_DMA_BUFFER_SIZE * WORKLOAD_DMA_BUFFER_SIZE;
    unsigned int peer = stride ? 4 : 3;
    unsigned int buffers = peer + (stream->peer_span ? 2 : 0);

    stream->slot = ram_allocate_zeroed(ram, stream->depth * sizeof(*stream->slot));
    for (uint32_t i = 0; i < stream->depth && stream->slot; i++) {
        struct dma_buffer *buffer = ram_allocate_zeroed(ram, buffers * sizeof(*buffer));

        if (!buffer)
            return -1;
        stream->slot[i] = (struct dma_slot){
            .source = &buffer[0],
            .destination = &buffer[1],
            .expected = &buffer[2],
            .stored = stride ? &buffer[3] : NULL,
            .region = ((uint64_t)index * stream->depth + i) * stride,
            .peer_expected = {stream->peer_span ? &buffer[peer] : NULL, stream->peer_span ? &buffer[peer + 1] : NULL},
        };
    }
    return stream->slot ? 0 : -1;
}

struct dma_descriptor dma_operation_begin(struct dma_stream *stream, uint64_t number)
{
    struct operation operation = describe(stream, number);

    if (has_source(&operation) && !operation.from_peer)
        write_words(operation.slot->source, operation.length, operation.base);
    return (struct dma_descriptor){
        .opcode = operation.opcode,
        .length = operation.length,
        .source = operation.from_peer ? area_address(stream, &operation, operation.source_area)
                                      : (uint64_t)operation.slot->source,
        .destination = operation.to_peer ? area_address(stream, &operation, operation.destination_area)
                                         : (uint64_t)operation.slot->destination,
        .operand = operand_of(&operation),
    };
}

static const char *opcode_name(enum dma_opcode opcode)
{
    static const char *const names[] = {"nop", "copy", "fill", "crc32c", "digest", "store", "load"};

    return names[opcode];
}

static _Noreturn void fail(struct dma_stream *stream, const struct operation *operation, const char *rule,
                           const char *what, uint64_t at, uint64_t expected, uint64_t seen)
{
    guest_fail(stream->chain.guest, rule, expected, seen, "device %u queue %u operation %lu (%s of %u bytes): %s %lu",
               stream->board->access.device.slot, stream->queue.index, operation->number,
               opcode_name(operation->opcode), operation->length, what, at);
}

/* The words that the source must hold. */
static void write_source(struct dma_buffer *buffer, const struct operation *operation)
{
    if (operation->from_peer)
        memcpy(buffer, operation->slot->peer_expected[operation->source_area], operation->length);
    else
        write_words(buffer, operation->length, operation->base);
}

/* What destination and internal memory must hold from now on. */
static void expect(const struct operation *operation)
{
    const struct dma_slot *slot = operation->slot;
    struct dma_buffer *expected = expected_of(operation);

    switch (operation->opcode) {
    case DMA_OP_COPY:
        write_source(expected, operation);
        break;
    case DMA_OP_STORE:
        write_source(slot->stored, operation);
        break;
    case DMA_OP_LOAD:
        memcpy(expected, slot->stored, operation->length);
        break;
    case DMA_OP_FILL:
        for (uint32_t i = 0; i < operation->length / 8; i++)
            expected->word[i] = operand_of(operation);
        break;
    default:
        break;
    }
}

/* All of an area of the peer's window. */
static void check_area(struct dma_stream *stream, const struct operation *operation, unsigned int area)
{
    struct device_access *access = &stream->board->peer->device.access;
    const uint64_t *expected = operation->slot->peer_expected[area]->word;
    uint64_t offset = area_offset(stream, operation, area);

    for (uint32_t i = 0; i < stream->peer_span / 8; i++) {
        uint64_t word = access->ops->read64(access->context, DMA_BAR_WINDOW, offset + i * 8);

        if (word != expected[i])
            fail(stream, operation, "guest/peer-window", "the other device's window at", offset + i * 8, expected[i],
                 word);
    }
}

/* All of the destination, so that a byte written too far shows as well. The buffer is not written where the destination
 * is another device's window. */
static void check_destination(struct dma_stream *stream, const struct operation *operation)
{
    const uint64_t *expected = operation->slot->expected->word;
    const volatile uint64_t *seen = operation->slot->destination->word;

    for (uint32_t i = 0; i < DMA_WORDS; i++) {
        uint64_t word = seen[i];

        if (word != expected[i])
            fail(stream, operation, "guest/data", "word of the destination", i, expected[i], word);
    }
    if (operation->to_peer)
        check_area(stream, operation, operation->destination_area);
}

/* The result that the completion must have, 0 where the kind has none. */
static uint64_t expected_result(const struct operation *operation)
{
    const struct dma_slot *slot = operation->slot;
    const uint64_t *peer = operation->from_peer ? slot->peer_expected[operation->source_area]->word : NULL;
    uint64_t digest = operand_of(operation), base = operation->base;

    if (operation->opcode == DMA_OP_CRC32C)
        return crc32c(peer ? peer : slot->source->word, operation->length / 8);
    if (peer)
        return workload_digest(peer, operation->length / 8, digest);
    for (uint32_t i = 0; i < operation->length / 8; i++, base += WORKLOAD_GOLDEN)
        digest = workload_digest_word(base, digest);
    return digest;
}

static void check_source(struct dma_stream *stream, const struct operation *operation)
{
    const volatile uint64_t *seen = operation->slot->source->word;
    uint64_t expected = operation->base;

    if (operation->from_peer) {
        check_area(stream, operation, operation->source_area);
        return;
    }
    for (uint32_t i = 0; i < operation->length / 8; i++, expected += WORKLOAD_GOLDEN) {
        uint64_t word = seen[i];

        if (word != expected)
            fail(stream, operation, "guest/data", "word of the source", i, expected, word);
    }
}

static uint64_t value_of(struct dma_stream *stream, const struct operation *operation,
                         const struct dma_completion *completion)
{
    switch (operation->opcode) {
    case DMA_OP_COPY:
    case DMA_OP_FILL:
    case DMA_OP_LOAD:
        return workload_digest(expected_of(operation)->word, operation->length / 8, operation->number);
    case DMA_OP_CRC32C:
    case DMA_OP_DIGEST:
        if (completion->result != expected_result(operation))
            fail(stream, operation, "guest/data", "result of completion", completion->sequence,
                 expected_result(operation), completion->result);
        return completion->result;
    default:
        return 0;
    }
}

/* Every 64th operation reads what was written to a word of the window a round ago and writes the next. */
static uint64_t check_window(struct dma_stream *stream, const struct operation *operation)
{
    struct device_access *access = &stream->board->device.access;
    uint64_t number = operation->number, round = WINDOW_EVERY * stream->window_words;
    uint64_t offset = stream->window_start + number / WINDOW_EVERY % stream->window_words * 8;
    uint64_t expected = number >= round ? workload_mix(stream->chain.seed ^ (number - round)) : 0;
    uint64_t seen = access->ops->read64(access->context, DMA_BAR_WINDOW, offset);

    if (seen != expected)
        fail(stream, operation, "guest/window", "the window at", offset, expected, seen);
    access->ops->write64(access->context, DMA_BAR_WINDOW, offset, workload_mix(stream->chain.seed ^ number));
    return seen;
}

uint64_t dma_operation_check(struct dma_stream *stream, uint64_t number, const struct dma_completion *completion)
{
    struct operation operation = describe(stream, number);
    uint64_t value;

    if (completion->opcode != operation.opcode)
        fail(stream, &operation, "guest/data", "opcode of completion", completion->sequence, operation.opcode,
             completion->opcode);
    expect(&operation);
    check_destination(stream, &operation);
    if (has_source(&operation))
        check_source(stream, &operation);
    value = value_of(stream, &operation, completion);
    if (stream->window_words && number % WINDOW_EVERY == WINDOW_EVERY - 1)
        value ^= check_window(stream, &operation);
    return value;
}
