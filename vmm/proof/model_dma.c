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
#define PAGE_WORDS (WORKLOAD_DMA_BUFFER_SIZE / 8)

struct dma_model {
    struct model model; /* first */
    uint32_t depth;
    bool internal_memory;           /* each slot has a region of the device's */
    uint64_t (*region)[PAGE_WORDS]; /* of each slot */
    uint64_t window_words;          /* of this queue */
    uint64_t *window;
    uint64_t span_words;          /* of an area in the peer's window, 0: none */
    uint64_t (*area)[PAGE_WORDS]; /* two of each slot */
    uint64_t peer_operations;     /* so far */
};

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

    return words < PAGE_WORDS ? words : PAGE_WORDS;
}

/* The next device with a window in the ring of those that have one, NULL where it is the only one. */
static const struct proof_device *find_peer(const struct proof_plan *plan, const struct proof_device *device)
{
    size_t at = (size_t)(device - plan->device);

    if (!plan->dma_p2p || !device->window_size)
        return NULL;
    for (size_t step = 1; step < plan->device_count; step++) {
        const struct proof_device *next = &plan->device[(at + step) % plan->device_count];

        if (next->workload == WORKLOAD_DMA && next->window_size)
            return next;
    }
    return NULL;
}

static int init(struct model *begun, const struct model_start *start, struct error *error)
{
    struct dma_model *model = (struct dma_model *)begun;
    const struct proof_device *device = start->device, *peer = find_peer(start->plan, device);
    uint32_t depth = start->chain->parameter;
    uint64_t slots = (uint64_t)device->chains * depth;

    if (!depth)
        return error_set(error, EINVAL, "the dma workload of the device in slot %u: queues of depth 0", device->slot);
    if (device->window_size > WINDOW_SIZE_MAX)
        return error_set(error, EINVAL, "the window of the device in slot %u has %llu bytes, more than %llu",
                         device->slot, (unsigned long long)device->window_size, WINDOW_SIZE_MAX);
    model->depth = depth;
    model->internal_memory = device->memory_size / slots / SLOT_REGION_ALIGNMENT > 0;
    model->window_words = device->window_size / (peer ? 2 : 1) / 8 / device->chains;
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

static void release(struct model *model)
{
    struct dma_model *dma = (struct dma_model *)model;

    free(dma->region);
    free(dma->window);
    free(dma->area);
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
    uint64_t source[PAGE_WORDS];

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
    return proof_mix(model->model.seed + WORKLOAD_GOLDEN * (i + 1));
}

bool dma_model_reaches_peer(const struct model *model, uint64_t i)
{
    const struct dma_model *dma = (const struct dma_model *)model;
    uint64_t r = random_of(dma, i);

    return reads_peer(dma, r) || writes_peer(dma, r);
}

/* v of an operation that aims at the peer, done word by word. */
static uint64_t peer_value(struct dma_model *model, uint64_t i, uint64_t r)
{
    uint64_t slot = i % model->depth, written = r >> 24 & 1;
    uint64_t count = 1 + (r >> 8) % 512;
    uint64_t data[PAGE_WORDS];
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

    if (dma_model_reaches_peer(&model->model, i)) {
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

static void step(struct model *begun, uint64_t i)
{
    struct dma_model *model = (struct dma_model *)begun;
    uint64_t value = operation_value(model, i);

    if (model->window_words && (i & 63) == 63) {
        uint64_t *word = &model->window[(i >> 6) % model->window_words];

        value ^= *word;
        *word = proof_mix(model->model.seed ^ i);
    }
    model->model.chain = proof_enter(model->model.chain, value);
}

uint64_t dma_model_peer_operations(const struct model *model)
{
    return ((const struct dma_model *)model)->peer_operations;
}

const struct model_ops dma_model_ops = {.size = sizeof(struct dma_model), .init = init, .step = step, .free = release};
