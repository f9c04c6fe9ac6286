/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A device that is not still in STOP, STOP_COPY and RESUMING. */
#include <string.h>

#include "devices/faults/timer.h"
#include "lib/deadline.h"

#define PERIOD_NS 1000000u

enum what {
    DMA,        /* every millisecond */
    INTERRUPT,  /* every millisecond */
    LATE_WRITE, /* once, where the saved device leaves STOP_COPY */
};

struct quiesce_fault {
    struct device_layer layer;
    enum what what;
    bool stopped;
    unsigned int vector; /* that was raised last */
    unsigned int index;
    bool has_vector;
    bool level;
    uint64_t iova; /* that was written last, as data */
    bool has_iova;
    struct fault_timer timer;
    uint64_t delay_ns;
};

/* Another value each time, so that a write cannot be missed for being what was there. */
static void write_again(struct quiesce_fault *fault)
{
    struct device_host *above = fault->layer.device.host;
    uint8_t byte;

    if (!fault->has_iova || host_dma_read(above, DEVICE_DMA_DATA, fault->iova, &byte, sizeof(byte)))
        return;
    byte++;
    host_dma_write(above, DEVICE_DMA_DATA, fault->iova, &byte, sizeof(byte));
}

static void interrupt_again(struct quiesce_fault *fault)
{
    struct device_host *above = fault->layer.device.host;

    if (fault->has_vector) {
        host_irq_raise(above, fault->index, fault->vector);
        return;
    }
    fault->level = !fault->level;
    host_irq_level(above, fault->level);
}

static int arc(struct device *device, unsigned int from, unsigned int to)
{
    struct quiesce_fault *fault = (struct quiesce_fault *)device;
    int failed = device_arc(device->next, from, to);

    if (failed)
        return failed;
    if (fault->what == LATE_WRITE) {
        if (from == VFIO_DEVICE_STATE_STOP_COPY)
            write_again(fault);
        return 0;
    }
    if (fault_state_is_stopped(to) && !fault->stopped)
        fault_timer_own(&fault->timer, device->host, clock_now_ns() + fault->delay_ns + 1);
    if (!fault_state_is_stopped(to))
        fault_timer_own(&fault->timer, device->host, 0);
    fault->stopped = fault_state_is_stopped(to);
    return 0;
}

static void timer(struct device *device)
{
    struct quiesce_fault *fault = (struct quiesce_fault *)device;

    if (!fault_timer_rang(&fault->timer, device) || !fault->stopped)
        return;
    if (fault->what == DMA)
        write_again(fault);
    else
        interrupt_again(fault);
    fault_timer_own(&fault->timer, device->host, clock_now_ns() + PERIOD_NS);
}

static void reset(struct device *device)
{
    struct quiesce_fault *fault = (struct quiesce_fault *)device;

    fault->stopped = false;
    fault_timer_own(&fault->timer, device->host, 0);
    device_reset(device->next);
}

static void set_timer(struct device_host *host, uint64_t at_ns)
{
    struct quiesce_fault *fault = (struct quiesce_fault *)fault_layer_of(host);

    fault_timer_below(&fault->timer, fault->layer.device.host, at_ns);
}

static int dma_write(struct device_host *host, enum device_dma_purpose purpose, uint64_t iova, const void *data,
                     size_t size)
{
    struct quiesce_fault *fault = (struct quiesce_fault *)fault_layer_of(host);

    if (purpose == DEVICE_DMA_DATA) {
        fault->iova = iova;
        fault->has_iova = true;
    }
    return host_dma_write(fault->layer.device.host, purpose, iova, data, size);
}

static bool irq_raise(struct device_host *host, unsigned int index, unsigned int vector)
{
    struct quiesce_fault *fault = (struct quiesce_fault *)fault_layer_of(host);

    fault->has_vector = true;
    fault->index = index;
    fault->vector = vector;
    return host_irq_raise(fault->layer.device.host, index, vector);
}

static const struct device_ops down = {.destroy = fault_layer_destroy, .reset = reset, .arc = arc, .timer = timer};
static const struct device_host_ops up = {.set_timer = set_timer, .dma_write = dma_write, .irq_raise = irq_raise};

static struct device_layer *create(const struct fault_request *request, struct error *error)
{
    struct quiesce_fault *fault = fault_layer_new(sizeof(*fault), &down, &up, error);

    if (!fault)
        return NULL;
    fault->what = (enum what)request->kind->variant;
    /* at=N: milliseconds after the stop. */
    fault->delay_ns = request->has_at ? request->at * PERIOD_NS : 0;
    return &fault->layer;
}

const struct fault_kind fault_quiesce_kinds[] = {
    {"dma-after-stop", create, DMA},
    {"interrupt-after-stop", create, INTERRUPT},
    {"write-after-save", create, LATE_WRITE},
    {0},
};
