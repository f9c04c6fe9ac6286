/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A completion is posted twice: its ring has the same one in two places, and the count is one more than it should be
 * from then on. As with a device that completes again what it had completed before it was saved.
 */
#include <endian.h>
#include <string.h>

#include "devices/faults/fault.h"
#include "stopcopy/dma_device.h"

/* How many completions after a load or a resume, where nothing is said. */
#define DEFAULT_AT 5u
#define HEAD_SIZE sizeof(uint64_t) /* the sequence number, which is written last */

struct queue_place {
    uint64_t completions;
    uint64_t shared;
    uint32_t entries;
};

struct completion_repeated {
    struct device_layer layer;
    bool has_at;
    uint64_t at;
    bool armed;
    uint64_t count;                                          /* completions since it was armed */
    uint64_t extra[DMA_QUEUES_MAX];                          /* how many too many a queue has */
    uint8_t rest[sizeof(struct dma_completion) - HEAD_SIZE]; /* what was last written behind a sequence number */
};

static uint32_t read_register(struct device *device, uint32_t offset)
{
    uint32_t value = 0;

    device_region_read(device, VFIO_PCI_BAR0_REGION_INDEX + DMA_BAR_REGISTERS, offset, &value, sizeof(value));
    return le32toh(value);
}

static struct queue_place find_place(struct device *device, unsigned int queue)
{
    uint32_t base = DMA_REG_QUEUE(queue);

    return (struct queue_place){
        .completions = read_register(device, base + DMA_QUEUE_REG_COMPLETIONS_LOW) |
                       (uint64_t)read_register(device, base + DMA_QUEUE_REG_COMPLETIONS_HIGH) << 32,
        .shared = read_register(device, base + DMA_QUEUE_REG_SHARED_LOW) |
                  (uint64_t)read_register(device, base + DMA_QUEUE_REG_SHARED_HIGH) << 32,
        .entries = read_register(device, base + DMA_QUEUE_REG_ENTRIES),
    };
}

static bool in_ring(const struct queue_place *place, uint64_t iova)
{
    return iova >= place->completions && iova - place->completions < place->entries * sizeof(struct dma_completion);
}

static uint64_t moved(const struct queue_place *place, uint64_t iova, uint64_t by)
{
    uint64_t offset = iova - place->completions;
    uint64_t slot = (offset / sizeof(struct dma_completion) + by) % place->entries;

    return place->completions + slot * sizeof(struct dma_completion) + offset % sizeof(struct dma_completion);
}

static int write_completion(struct completion_repeated *fault, const struct queue_place *place, unsigned int queue,
                            uint64_t iova, const void *data, size_t size)
{
    struct device_host *host = fault->layer.device.host;
    uint64_t at = moved(place, iova, fault->extra[queue]);
    int failed;

    if (size == sizeof(fault->rest))
        memcpy(fault->rest, data, size);
    failed = host_dma_write(host, DEVICE_DMA_COMPLETION, at, data, size);
    if (failed || size != HEAD_SIZE || !fault->armed || ++fault->count != fault->at)
        return failed;
    fault->armed = false;
    fault->extra[queue]++;
    at = moved(place, iova, fault->extra[queue]);
    failed = host_dma_write(host, DEVICE_DMA_COMPLETION, at + HEAD_SIZE, fault->rest, sizeof(fault->rest));
    return failed ? failed : host_dma_write(host, DEVICE_DMA_COMPLETION, at, data, size);
}

static int write_count(struct completion_repeated *fault, unsigned int queue, uint64_t iova, const void *data,
                       size_t size)
{
    uint64_t count;

    memcpy(&count, data, sizeof(count));
    count = htole64(le64toh(count) + fault->extra[queue]);
    return host_dma_write(fault->layer.device.host, DEVICE_DMA_NOTICE, iova, &count, size);
}

static int dma_write(struct device_host *host, enum device_dma_purpose purpose, uint64_t iova, const void *data,
                     size_t size)
{
    struct completion_repeated *fault = (struct completion_repeated *)fault_layer_of(host);
    struct device *below = fault->layer.device.next;
    uint32_t queues =
        purpose == DEVICE_DMA_COMPLETION || purpose == DEVICE_DMA_NOTICE ? read_register(below, DMA_REG_QUEUES) : 0;

    for (unsigned int queue = 0; queue < queues; queue++) {
        struct queue_place place = find_place(below, queue);

        if (purpose == DEVICE_DMA_COMPLETION && in_ring(&place, iova))
            return write_completion(fault, &place, queue, iova, data, size);
        if (purpose == DEVICE_DMA_NOTICE && size == sizeof(uint64_t) &&
            iova == place.shared + offsetof(struct dma_queue_shared, completed))
            return write_count(fault, queue, iova, data, size);
    }
    return host_dma_write(fault->layer.device.host, purpose, iova, data, size);
}

static void arm(struct completion_repeated *fault)
{
    fault->armed = true;
    fault->count = 0;
}

static int arc(struct device *device, unsigned int from, unsigned int to)
{
    struct completion_repeated *fault = (struct completion_repeated *)device;
    int failed = device_arc(device->next, from, to);
    bool loaded = from == VFIO_DEVICE_STATE_RESUMING;
    bool resumed =
        from == VFIO_DEVICE_STATE_STOP && to != VFIO_DEVICE_STATE_STOP_COPY && to != VFIO_DEVICE_STATE_RESUMING;

    if (!failed && loaded)
        memset(fault->extra, 0, sizeof(fault->extra));
    if (!failed && (loaded || (resumed && !fault->has_at)))
        arm(fault);
    return failed;
}

static int region_write(struct device *device, unsigned int index, uint64_t offset, const void *data, size_t count)
{
    struct completion_repeated *fault = (struct completion_repeated *)device;

    /* A queue that is set up anew counts anew. */
    if (index == VFIO_PCI_BAR0_REGION_INDEX + DMA_BAR_REGISTERS && offset == DMA_REG_CONTROL)
        memset(fault->extra, 0, sizeof(fault->extra));
    for (unsigned int queue = 0; queue < DMA_QUEUES_MAX; queue++)
        if (index == VFIO_PCI_BAR0_REGION_INDEX + DMA_BAR_REGISTERS &&
            offset == DMA_REG_QUEUE(queue) + DMA_QUEUE_REG_ENABLE)
            fault->extra[queue] = 0;
    return device_region_write(device->next, index, offset, data, count);
}

static void reset(struct device *device)
{
    struct completion_repeated *fault = (struct completion_repeated *)device;

    memset(fault->extra, 0, sizeof(fault->extra));
    device_reset(device->next);
}

static const struct device_ops down = {
    .destroy = fault_layer_destroy,
    .reset = reset,
    .region_write = region_write,
    .arc = arc,
};
static const struct device_host_ops up = {.dma_write = dma_write};

static struct device_layer *create(const struct fault_request *request, struct error *error)
{
    struct completion_repeated *fault = fault_layer_new(sizeof(*fault), &down, &up, error);

    if (!fault)
        return NULL;
    fault->has_at = request->has_at;
    fault->at = request->has_at ? request->at : DEFAULT_AT;
    if (request->has_at)
        arm(fault);
    return &fault->layer;
}

const struct fault_kind fault_repeated_kinds[] = {{"completion-repeated", create, 0}, {0}};
