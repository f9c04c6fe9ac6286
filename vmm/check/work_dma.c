/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work for the reference DMA device. Every operation has a slot of its own in memory, of two pages: what it writes there,
 * and that it writes nothing else, is verified when it completes.
 */
#include <errno.h>
#include <inttypes.h>
#include <isa-l/crc.h>
#include <stdlib.h>
#include <string.h>

#include "guest/drivers/dma_driver.h"
#include "vmm/check/work.h"

#define QUEUES_MAX 4u
/* More than the device works on at a time, so that it has to take descriptors again and again. */
#define DEPTH 256u
#define SLOT_SIZE (2 * BENCH_PAGE)
#define LENGTH_MAX 4096u
#define SOURCE_SIZE (512u << 10)
#define LONG_EVERY 16u     /* one in so many operations is a checksum of all of the source, which takes its time */
#define HEAVY_EVERY 2u     /* of work that is heavy */
#define INTERNAL_SLOTS 16u /* of LENGTH_MAX bytes in internal memory, for each queue */
#define UNTOUCHED 0x5a

struct work_queue {
    struct dma_queue driver;
    uint8_t *slots[2]; /* half of them in one range each */
    uint64_t slots_iova[2];
    struct dma_descriptor submitted[DEPTH];
};

struct dma_work {
    struct work work;
    struct dma_device device;
    uint64_t seed;
    unsigned int queue_count;
    bool internal; /* memory enough for STORE and LOAD */
    uint8_t *source;
    uint64_t source_iova;
    uint32_t source_crc;
    struct work_queue queue[QUEUES_MAX];
};

/* splitmix64 */
static uint64_t mix(uint64_t value)
{
    value += 0x9e3779b97f4a7c15u;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

static uint8_t *slot_of(const struct work_queue *queue, uint64_t number)
{
    uint64_t slot = number % DEPTH;

    return queue->slots[slot % 2] + slot / 2 * SLOT_SIZE;
}

static uint64_t slot_iova(const struct work_queue *queue, uint64_t number)
{
    uint64_t slot = number % DEPTH;

    return queue->slots_iova[slot % 2] + slot / 2 * SLOT_SIZE;
}

/* By turns: a copy, a fill, and data that goes through internal memory and comes back by the next operation; and a
 * checksum in place of some of the copies. */
static struct dma_descriptor make_descriptor(const struct dma_work *dma, const struct work_queue *queue,
                                             uint64_t number)
{
    uint64_t shape = number % 4 == 3 ? number - 1 : number;
    uint64_t random = mix(dma->seed ^ (uint64_t)queue->driver.index << 56 ^ shape);
    uint32_t length = 8 + (uint32_t)(random % (LENGTH_MAX / 8 - 1)) * 8;
    struct dma_descriptor descriptor = {
        .length = length,
        .source = dma->source_iova + (random >> 16) % ((SOURCE_SIZE - LENGTH_MAX) / 8) * 8,
        .destination = slot_iova(queue, number) + (random >> 40) % ((SLOT_SIZE - LENGTH_MAX) / 8) * 8,
    };

    /* Never in place of the second half of a pair, nor of the first. */
    if (number % LONG_EVERY == 0 || (dma->work.heavy && number % 4 < HEAVY_EVERY))
        return (struct dma_descriptor){.opcode = DMA_OP_CRC32C,
                                       .length = SOURCE_SIZE,
                                       .source = dma->source_iova,
                                       .destination = slot_iova(queue, number)};
    if (number % 4 == 0 || (number % 4 != 1 && !dma->internal)) {
        descriptor.opcode = DMA_OP_COPY;
    } else if (number % 4 == 1) {
        descriptor.opcode = DMA_OP_FILL;
        descriptor.operand = mix(random);
    } else {
        descriptor.opcode = number % 4 == 2 ? DMA_OP_STORE : DMA_OP_LOAD;
        descriptor.operand = ((uint64_t)queue->driver.index * INTERNAL_SLOTS + shape / 4 % INTERNAL_SLOTS) * LENGTH_MAX;
    }
    return descriptor;
}

static int submit_queue(struct dma_work *dma, struct work_queue *queue)
{
    int count = 0;

    for (; queue->driver.submitted - queue->driver.taken < DEPTH; count++) {
        uint64_t number = queue->driver.submitted;
        struct dma_descriptor descriptor = make_descriptor(dma, queue, number);

        memset(slot_of(queue, number), UNTOUCHED, SLOT_SIZE);
        queue->submitted[number % DEPTH] = descriptor;
        dma_queue_submit(&queue->driver, &descriptor);
    }
    dma_queue_ring(&queue->driver);
    return count;
}

static int submit(struct work *work, struct error *error)
{
    struct dma_work *dma = (struct dma_work *)work;

    (void)error;
    for (unsigned int q = 0; q < dma->queue_count; q++)
        work->submitted += (uint64_t)submit_queue(dma, &dma->queue[q]);
    return 0;
}

/* The byte that must be at offset of the operation's data. */
static uint8_t expected_byte(const struct dma_work *dma, const struct dma_descriptor *descriptor, uint64_t offset)
{
    if (descriptor->opcode == DMA_OP_FILL)
        return (uint8_t)(descriptor->operand >> offset % 8 * 8);
    return dma->source[descriptor->source - dma->source_iova + offset];
}

static int verify(struct dma_work *dma, struct work_queue *queue, uint64_t number, struct error *error)
{
    const struct dma_descriptor *descriptor = &queue->submitted[number % DEPTH];
    const uint8_t *slot = slot_of(queue, number);
    uint64_t begin = descriptor->destination - slot_iova(queue, number);
    bool writes = descriptor->opcode != DMA_OP_STORE && descriptor->opcode != DMA_OP_CRC32C;
    uint64_t length = writes ? descriptor->length : 0;

    for (uint64_t i = 0; i < SLOT_SIZE; i++) {
        bool inside = i >= begin && i - begin < length;
        uint8_t expected = inside ? expected_byte(dma, descriptor, i - begin) : UNTOUCHED;

        if (slot[i] != expected)
            return error_rule(error, "guest/data", 0,
                              "%s: queue %u, operation %" PRIu64 ": the byte at IOVA 0x%" PRIx64
                              ", %s its data: expected 0x%02x, seen 0x%02x",
                              dma->work.bench->device->name, queue->driver.index, number + 1,
                              slot_iova(queue, number) + i, inside ? "of" : "outside of", expected, slot[i]);
    }
    bench_mark_written(dma->work.bench, descriptor->destination, length);
    return 0;
}

static uint64_t iova_of(struct dma_work *dma, const volatile void *host)
{
    struct bench *bench = dma->work.bench;

    for (unsigned int i = 0; i < bench->range_count; i++)
        if ((const volatile uint8_t *)host >= bench->range[i].host &&
            (const volatile uint8_t *)host < bench->range[i].host + bench->range[i].size)
            return bench->range[i].iova + (uint64_t)((const volatile uint8_t *)host - bench->range[i].host);
    return 0;
}

static int take_completion(struct dma_work *dma, struct work_queue *queue, const struct dma_completion *completion,
                           struct error *error)
{
    uint64_t number = completion->sequence - 1;
    const struct dma_descriptor *descriptor = &queue->submitted[number % DEPTH];
    const volatile struct dma_completion *entry = &queue->driver.completions[number % queue->driver.entries];

    if (completion->opcode != descriptor->opcode)
        return error_rule(error, "guest/driver", 0,
                          "%s: queue %u, operation %" PRIu64 ": the completion's opcode: expected %u, seen %u",
                          dma->work.bench->device->name, queue->driver.index, number + 1, descriptor->opcode,
                          completion->opcode);
    if (descriptor->opcode == DMA_OP_CRC32C && completion->result != dma->source_crc)
        return error_rule(error, "guest/data", 0,
                          "%s: queue %u, operation %" PRIu64 ": the checksum: expected 0x%08x, seen 0x%08" PRIx64,
                          dma->work.bench->device->name, queue->driver.index, number + 1, dma->source_crc,
                          completion->result);
    bench_mark_written(dma->work.bench, iova_of(dma, entry), sizeof(*entry));
    bench_mark_written(dma->work.bench, iova_of(dma, queue->driver.shared), sizeof(*queue->driver.shared));
    dma->work.completed++;
    return verify(dma, queue, number, error);
}

static int step_queue(struct dma_work *dma, struct work_queue *queue, uint64_t now, struct error *error)
{
    struct driver_fault fault;
    struct dma_completion completion;
    uint64_t spurious = queue->driver.spurious;
    int result;

    if (dma_queue_interrupt(&queue->driver, &fault) < 0)
        return work_fault(&dma->work, &fault, error);
    dma->work.spurious += queue->driver.spurious - spurious;
    while ((result = dma_queue_take(&queue->driver, &completion, &fault)) > 0)
        if (take_completion(dma, queue, &completion, error) < 0)
            return -1;
    if (result < 0 || dma_queue_watch(&queue->driver, now, &fault) < 0)
        return work_fault(&dma->work, &fault, error);
    return 0;
}

static int step(struct work *work, uint64_t now, struct error *error)
{
    struct dma_work *dma = (struct dma_work *)work;

    for (unsigned int q = 0; q < dma->queue_count; q++)
        if (step_queue(dma, &dma->queue[q], now, error) < 0)
            return -1;
    return 0;
}

static uint64_t in_flight(const struct work *work)
{
    const struct dma_work *dma = (const struct dma_work *)work;
    uint64_t count = 0;

    for (unsigned int q = 0; q < dma->queue_count; q++) {
        const struct dma_queue *queue = &dma->queue[q].driver;
        uint64_t completed = __atomic_load_n(&queue->shared->completed, __ATOMIC_ACQUIRE);

        if (completed < queue->submitted)
            count += queue->submitted - completed;
    }
    return count;
}

static int check_idle(struct work *work, struct error *error)
{
    struct dma_work *dma = (struct dma_work *)work;
    struct driver_fault fault;

    if (dma_device_check(&dma->device, &fault) < 0)
        return work_fault(work, &fault, error);
    return 0;
}

static int open_queue(struct dma_work *dma, unsigned int index, struct error *error)
{
    struct work_queue *queue = &dma->queue[index];
    struct bench *bench = dma->work.bench;
    struct driver_fault fault;

    if (dma_queue_open(&queue->driver, &dma->device, index, index, DEPTH, &fault) < 0)
        return work_fault(&dma->work, &fault, error);
    /* Every other operation reaches the other device, where there is one. */
    for (unsigned int half = 0; half < 2; half++)
        queue->slots[half] = half && bench->peer.mapped
                                 ? bench_allocate_peer(bench, DEPTH / 2 * SLOT_SIZE, &queue->slots_iova[half])
                                 : bench_allocate(bench, DEPTH / 2 * SLOT_SIZE, &queue->slots_iova[half]);
    if (!queue->slots[0] || !queue->slots[1])
        return error_set(error, ENOMEM, "memory for the work of queue %u", index);
    return 0;
}

static int make_source(struct dma_work *dma, struct error *error)
{
    dma->source = bench_allocate(dma->work.bench, SOURCE_SIZE, &dma->source_iova);
    if (!dma->source)
        return error_set(error, ENOMEM, "memory for the data of the work");
    for (uint64_t i = 0; i < SOURCE_SIZE; i += sizeof(uint64_t)) {
        uint64_t word = mix(dma->seed + i);

        memcpy(dma->source + i, &word, sizeof(word));
    }
    dma->source_crc = ~crc32_iscsi(dma->source, SOURCE_SIZE, ~0u);
    return 0;
}

static int open_queues(struct dma_work *dma, struct error *error)
{
    dma->queue_count = dma->device.queues < QUEUES_MAX ? dma->device.queues : QUEUES_MAX;
    if (dma->queue_count > dma->work.bench->vectors)
        dma->queue_count = dma->work.bench->vectors;
    if (!dma->queue_count)
        return error_set(error, ENODEV, "%s has no interrupt that a queue could use", dma->work.bench->device->name);
    dma->internal = dma->device.memory_size >= (uint64_t)dma->queue_count * INTERNAL_SLOTS * LENGTH_MAX;
    if (make_source(dma, error) < 0)
        return -1;
    for (unsigned int q = 0; q < dma->queue_count; q++)
        if (open_queue(dma, q, error) < 0)
            return -1;
    return 0;
}

static void close_work(struct work *work)
{
    free(work);
}

static struct work *open_work(struct bench *bench, uint64_t seed, struct error *error)
{
    struct dma_work *dma = calloc(1, sizeof(*dma));
    struct driver_fault fault;

    if (!dma) {
        error_set(error, ENOMEM, "the work for a device");
        return NULL;
    }
    dma->work = (struct work){.kind = &work_dma, .bench = bench};
    dma->seed = mix(seed);
    if (dma_device_open(&dma->device, bench_access(bench), &fault) < 0)
        work_fault(&dma->work, &fault, error);
    else if (open_queues(dma, error) == 0)
        return &dma->work;
    bench_check(bench, error);
    free(dma);
    return NULL;
}

const struct work_kind work_dma = {
    .name = "the reference DMA device",
    .vendor = DMA_DEVICE_VENDOR_ID,
    .device = DMA_DEVICE_DEVICE_ID,
    .dma = true,
    .few = 8,
    .many = 64,
    .open = open_work,
    .close = close_work,
    .submit = submit,
    .step = step,
    .in_flight = in_flight,
    .check_idle = check_idle,
};
