/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work that is lost where the device is loaded: completions that are never posted, doorbells that are not looked at,
 * data at the wrong address. All of it on queue 0, from the load until the queue is set up anew.
 */
#include <endian.h>
#include <string.h>

#include "devices/faults/fault.h"
#include "stopcopy/dma_device.h"

#define WRONG_BY 64u

enum what {
    COMPLETIONS_LOST,
    DOORBELLS_LOST,
    ADDRESS_WRONG,
};

struct completion_fault {
    struct device_layer layer;
    enum what what;
    bool loaded;
    uint64_t completions; /* where queue 0 has its ring, and how long it is */
    uint64_t size;
    uint64_t shared;
};

static uint64_t read_registers(struct device *device, uint32_t low)
{
    uint32_t words[2] = {0, 0};

    for (unsigned int i = 0; i < 2; i++)
        device_region_read(device, VFIO_PCI_BAR0_REGION_INDEX + DMA_BAR_REGISTERS, low + 4 * i, &words[i],
                           sizeof(words[i]));
    return le32toh(words[0]) | (uint64_t)le32toh(words[1]) << 32;
}

static void find_queue(struct completion_fault *fault)
{
    struct device *below = fault->layer.device.next;

    fault->completions = read_registers(below, DMA_REG_QUEUE(0) + DMA_QUEUE_REG_COMPLETIONS_LOW);
    fault->shared = read_registers(below, DMA_REG_QUEUE(0) + DMA_QUEUE_REG_SHARED_LOW);
    fault->size =
        (uint32_t)read_registers(below, DMA_REG_QUEUE(0) + DMA_QUEUE_REG_ENTRIES) * sizeof(struct dma_completion);
}

static int arc(struct device *device, unsigned int from, unsigned int to)
{
    struct completion_fault *fault = (struct completion_fault *)device;
    int failed = device_arc(device->next, from, to);

    if (!failed && fault_arc_loads(from)) {
        find_queue(fault);
        fault->loaded = true;
    }
    return failed;
}

static void reset(struct device *device)
{
    ((struct completion_fault *)device)->loaded = false;
    device_reset(device->next);
}

static bool inside(uint64_t iova, uint64_t start, uint64_t size)
{
    return iova >= start && iova - start < size;
}

static int dma_write(struct device_host *host, enum device_dma_purpose purpose, uint64_t iova, const void *data,
                     size_t size)
{
    struct completion_fault *fault = (struct completion_fault *)fault_layer_of(host);
    bool lost = fault->loaded && fault->what == COMPLETIONS_LOST;

    if (lost && purpose == DEVICE_DMA_COMPLETION && inside(iova, fault->completions, fault->size))
        return 0;
    if (lost && purpose == DEVICE_DMA_NOTICE && inside(iova, fault->shared, sizeof(struct dma_queue_shared)))
        return 0;
    if (fault->loaded && fault->what == ADDRESS_WRONG && purpose == DEVICE_DMA_DATA)
        iova += WRONG_BY;
    return host_dma_write(fault->layer.device.host, purpose, iova, data, size);
}

/* The doorbell's number where the guest's write did not come as an event. */
static bool is_doorbell(unsigned int index, uint64_t offset)
{
    return index == VFIO_PCI_BAR0_REGION_INDEX + DMA_BAR_REGISTERS && offset == DMA_PAGE_DOORBELLS;
}

static void doorbell(struct device *device, size_t number)
{
    const struct completion_fault *fault = (const struct completion_fault *)device;

    if (!fault->loaded || fault->what != DOORBELLS_LOST || number)
        device_doorbell(device->next, number);
}

static int region_write(struct device *device, unsigned int index, uint64_t offset, const void *data, size_t count)
{
    const struct completion_fault *fault = (const struct completion_fault *)device;

    if (fault->loaded && fault->what == DOORBELLS_LOST && is_doorbell(index, offset))
        return 0;
    return device_region_write(device->next, index, offset, data, count);
}

static const struct device_ops down = {
    .destroy = fault_layer_destroy,
    .reset = reset,
    .region_write = region_write,
    .doorbell = doorbell,
    .arc = arc,
};
static const struct device_host_ops up = {.dma_write = dma_write};

static struct device_layer *create(const struct fault_request *request, struct error *error)
{
    struct completion_fault *fault = fault_layer_new(sizeof(*fault), &down, &up, error);

    if (!fault)
        return NULL;
    fault->what = (enum what)request->kind->variant;
    return &fault->layer;
}

const struct fault_kind fault_completion_kinds[] = {
    {"completions-lost", create, COMPLETIONS_LOST},
    {"doorbells-lost", create, DOORBELLS_LOST},
    {"dma-address-wrong", create, ADDRESS_WRONG},
    {0},
};
