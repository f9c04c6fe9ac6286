/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The dma workload of stopcopy/workload.h: what one queue's operations come to when the device does them right. */
#include <errno.h>
#include <isa-l/crc.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/proof/arithmetic.h"
#include "vmm/proof/model.h"

#define WINDOW_SIZE_MAX (64ull << 20)
#define SLOT_REGION_ALIGNMENT 4096u
#define CRC32C_INIT 0xffffffffu

enum dma_kind {
    DMA_KIND_NOP,
    DMA_KIND_COPY,
    DMA_KIND_FILL,
    DMA_KIND_CRC32C,
    DMA_KIND_DIGEST,
    DMA_KIND_STORE,
    DMA_KIND_LOAD,
};

/* By r & 15. */
static const enum dma_kind kind_of[16] = {
    DMA_KIND_NOP,   DMA_KIND_COPY,   DMA_KIND_COPY,   DMA_KIND_COPY,   DMA_KIND_COPY,   DMA_KIND_FILL,
    DMA_KIND_FILL,  DMA_KIND_CRC32C, DMA_KIND_CRC32C, DMA_KIND_DIGEST, DMA_KIND_DIGEST, DMA_KIND_STORE,
    DMA_KIND_STORE, DMA_KIND_STORE,  DMA_KIND_LOAD,   DMA_KIND_LOAD,
};

static uint64_t span_words(uint64_t window_size, uint64_t slots)
{
    uint64_t words = window_size / 2 / (slots * 2) / 8;

    return words < PROOF_PAGE_WORDS ? words : PROOF_PAGE_WORDS;
}

int dma_model_init(struct dma_model *model, uint64_t seed, uint32_t depth, const struct proof_device *device,
                   const struct proof_device *peer, struct error *error)
{
    uint64_t slots = (uint64_t)device->queues * depth;

    if (!device->queues || !depth)
        return error_set(error, EINVAL, "the dma workload of the device in slot %u: %u queues of depth %u",
                         device->slot, device->queues, depth);
    if (device->window_size > WINDOW_SIZE_MAX)
        return error_set(error, EINVAL, "the window of the device in slot %u has %llu bytes, more than %llu",
                         device->slot, (unsigned long long)device->window_size, WINDOW_SIZE_MAX);
    model->seed = seed;
    model->chain = seed;
    model->depth = depth;
    model->internal_memory = device->memory_size / slots / SLOT_REGION_ALIGNMENT > 0;
    model->window_words = device->window_size / (peer ? 2 : 1) / 8 / device->queues;
    model->span_words = peer ? span_words(peer->window_size, slots) : 0;
    /* Zeroed pages take memory once they are written. */
    if (model->internal_memory && !(model->region = calloc(depth, sizeof(*model->region))))
        goto no_memory;
    if (model->window_words && !(model->window = calloc(model->window_words, sizeof(*model->window))))
        goto no_memory;
    if (model->span_words && !(model->area = calloc(2 * (size_t)depth, sizeof(*model->area))))
        goto no_memory;
    return 0;
no_memory:
    return error_set(error, ENOMEM, "the model of the device in slot %u", device->slot);
}

void dma_model_free(struct dma_model *model)
{
    free(model->region);
    free(model->window);
    free(model->area);
    model->area = NULL;
    model->region = NULL;
    model->window = NULL;
}

static void write_pattern(uint64_t *words, uint64_t base, uint64_t count)
{
    for (uint64_t j = 0; j < count; j++)
        words[j] = base + j * WORKLOAD_GOLDEN;
}

static uint64_t fill_value(uint64_t operand, uint64_t count, uint64_t h)
{
    for (uint64_t j = 0; j < count; j++)
        h = proof_digest_word(h, operand);
    return h;
}

static uint64_t crc32c_value(uint64_t base, uint64_t count)
{
    uint64_t source[PROOF_PAGE_WORDS];

    write_pattern(source, base, count);
    return (uint32_t)~crc32_iscsi((unsigned char *)source, (int)(count * 8), CRC32C_INIT);
}

static enum dma_kind operation_kind(const struct dma_model *model, uint64_t r)
{
    enum dma_kind kind = kind_of[r & 15];

    if (!model->internal_memory && kind == DMA_KIND_STORE)
        return DMA_KIND_COPY;
    if (!model->internal_memory && kind == DMA_KIND_LOAD)
        return DMA_KIND_FILL;
    return kind;
}

static bool reads_memory(enum dma_kind kind)
{
    return kind == DMA_KIND_COPY || kind == DMA_KIND_CRC32C || kind == DMA_KIND_DIGEST || kind == DMA_KIND_STORE;
}

static bool writes_memory(enum dma_kind kind)
{
    return kind == DMA_KIND_COPY || kind == DMA_KIND_FILL || kind == DMA_KIND_LOAD;
}

static bool reads_peer(const struct dma_model *model, uint64_t r)
{
    return model->span_words && reads_memory(operation_kind(model, r)) && (r >> 20 & 3) == 0;
}

static bool writes_peer(const struct dma_model *model, uint64_t r)
{
    return model->span_words && writes_memory(operation_kind(model, r)) && (r >> 22 & 3) == 0;
}

static uint64_t random_of(const struct dma_model *model, uint64_t i)
{
    return proof_mix(model->seed + WORKLOAD_GOLDEN * (i + 1));
}

bool dma_model_reaches_peer(const struct dma_model *model, uint64_t i)
{
    uint64_t r = random_of(model, i);

    return reads_peer(model, r) || writes_peer(model, r);
}

/* v of an operation that aims at the peer, done word by word. */
static uint64_t peer_value(struct dma_model *model, uint64_t i, uint64_t r)
{
    uint64_t slot = i % model->depth, written = r >> 24 & 1;
    uint64_t count = 1 + (r >> 8) % 512;
    uint64_t data[PROOF_PAGE_WORDS];
    enum dma_kind kind = operation_kind(model, r);

    if (count > model->span_words)
        count = model->span_words;
    if (kind == DMA_KIND_LOAD)
        memcpy(data, model->region[slot], count * 8);
    else if (reads_peer(model, r))
        memcpy(data, model->area[2 * slot + 1 - written], count * 8);
    else
        write_pattern(data, proof_mix(r), count);
    for (uint64_t j = 0; kind == DMA_KIND_FILL && j < count; j++)
        data[j] = proof_mix(r ^ 1);
    if (kind == DMA_KIND_STORE) {
        memcpy(model->region[slot], data, count * 8);
        return 0;
    }
    if (kind == DMA_KIND_CRC32C)
        return (uint32_t)~crc32_iscsi((unsigned char *)data, (int)(count * 8), CRC32C_INIT);
    if (kind == DMA_KIND_DIGEST)
        return proof_digest_words(data, count, r);
    if (writes_peer(model, r))
        memcpy(model->area[2 * slot + written], data, count * 8);
    return proof_digest_words(data, count, i);
}

/* v of the operation, without the window. */
static uint64_t operation_value(struct dma_model *model, uint64_t i)
{
    uint64_t r = random_of(model, i);
    uint64_t count = 1 + (r >> 8) % 512;
    uint64_t base = proof_mix(r);

    if (dma_model_reaches_peer(model, i)) {
        model->peer_operations++;
        return peer_value(model, i, r);
    }
    switch (operation_kind(model, r)) {
    case DMA_KIND_NOP:
        return 0;
    case DMA_KIND_COPY:
        return proof_digest_pattern(base, count, i);
    case DMA_KIND_FILL:
        return fill_value(proof_mix(r ^ 1), count, i);
    case DMA_KIND_CRC32C:
        return crc32c_value(base, count);
    case DMA_KIND_DIGEST:
        return proof_digest_pattern(base, count, r);
    case DMA_KIND_STORE:
        write_pattern(model->region[i % model->depth], base, count);
        return 0;
    case DMA_KIND_LOAD:
        return proof_digest_words(model->region[i % model->depth], count, i);
    }
    return 0;
}

void dma_model_step(struct dma_model *model, uint64_t i)
{
    uint64_t value = operation_value(model, i);

    if (model->window_words && (i & 63) == 63) {
        uint64_t *word = &model->window[(i >> 6) % model->window_words];

        value ^= *word;
        *word = proof_mix(model->seed ^ i);
    }
    model->chain = proof_enter(model->chain, value);
}
