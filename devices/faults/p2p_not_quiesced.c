/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device does not know of its P2P states: in them it goes on with what reaches another device. The first such write
 * is still on its way when the device is stopped, or, where there is none, the last one of before: it arrives once its
 * own state was read to the end, too late for the state of a device that was read before it.
 */
#include <string.h>
#include <time.h>

#include "devices/faults/fault.h"
#include "lib/deadline.h"

/* How long the stop waits for a write to be late with. */
#define LINGER_MS 200u
#define LINGER_PERIOD_NS 1000000L

#define WRITE_MAX 4096u

struct peer_write {
    uint64_t iova;
    size_t size; /* 0: none */
    uint8_t data[WRITE_MAX];
};

struct p2p_not_quiesced {
    struct device_layer layer;
    bool quiet;               /* in a P2P state */
    bool armed;               /* no write of this stop was kept yet */
    struct peer_write late;   /* the write that is on its way */
    struct peer_write last;   /* the last one that arrived */
    uint8_t under[WRITE_MAX]; /* what was in its place before */
};

static bool is_p2p(unsigned int state)
{
    return state == VFIO_DEVICE_STATE_RUNNING_P2P || state == VFIO_DEVICE_STATE_PRE_COPY_P2P;
}

static bool dma_reaches_peer(struct device_host *host, uint64_t iova, uint64_t size)
{
    (void)host, (void)iova, (void)size;
    return false;
}

static int dma_write(struct device_host *host, enum device_dma_purpose purpose, uint64_t iova, const void *data,
                     size_t size)
{
    struct p2p_not_quiesced *fault = (struct p2p_not_quiesced *)fault_layer_of(host);
    struct device_host *above = fault->layer.device.host;
    struct peer_write *kept = fault->quiet && fault->armed ? &fault->late : &fault->last;

    if (!size || size > WRITE_MAX || !host_dma_reaches_peer(above, iova, size) ||
        host_dma_read(above, purpose, iova, fault->under, size))
        return host_dma_write(above, purpose, iova, data, size);
    kept->iova = iova;
    kept->size = size;
    memcpy(kept->data, data, size);
    if (kept == &fault->last)
        return host_dma_write(above, purpose, iova, data, size);
    fault->armed = false;
    return 0;
}

static void arrive(struct p2p_not_quiesced *fault)
{
    if (fault->late.size)
        host_dma_write(fault->layer.device.host, DEVICE_DMA_DATA, fault->late.iova, fault->late.data, fault->late.size);
    fault->late.size = fault->last.size = 0;
}

/* Nothing was left to do: then the last write has not arrived yet. */
static void take_back_last(struct p2p_not_quiesced *fault)
{
    if (!fault->last.size)
        return;
    fault->late = fault->last;
    host_dma_write(fault->layer.device.host, DEVICE_DMA_DATA, fault->late.iova, fault->under, fault->late.size);
}

static void linger(struct p2p_not_quiesced *fault)
{
    struct deadline deadline = deadline_in_ms(LINGER_MS);

    while (fault->armed && !deadline_expired(deadline)) {
        const struct timespec period = {.tv_nsec = LINGER_PERIOD_NS};

        device_timer(fault->layer.device.next);
        nanosleep(&period, NULL);
    }
    if (fault->armed)
        take_back_last(fault);
    fault->armed = false;
}

static int arc(struct device *device, unsigned int from, unsigned int to)
{
    struct p2p_not_quiesced *fault = (struct p2p_not_quiesced *)device;
    bool stops = is_p2p(from) && (to == VFIO_DEVICE_STATE_STOP || to == VFIO_DEVICE_STATE_STOP_COPY);
    bool begins = is_p2p(to) && (from == VFIO_DEVICE_STATE_RUNNING || from == VFIO_DEVICE_STATE_PRE_COPY);
    int failed;

    if (begins)
        fault->quiet = fault->armed = true;
    if (stops)
        linger(fault);
    failed = device_arc(device->next, from, to);
    if (failed)
        return failed;
    fault->quiet = is_p2p(to) && (begins || fault->quiet);
    if (to == VFIO_DEVICE_STATE_RUNNING)
        arrive(fault);
    return 0;
}

static enum device_data data_read(struct device *device, void *data, size_t size, size_t *count)
{
    enum device_data result = device_data_read(device->next, data, size, count);

    if (result == DEVICE_DATA_END)
        arrive((struct p2p_not_quiesced *)device);
    return result;
}

static void forget(struct p2p_not_quiesced *fault)
{
    fault->late.size = fault->last.size = 0;
    fault->quiet = fault->armed = false;
}

static void reset(struct device *device)
{
    forget((struct p2p_not_quiesced *)device);
    device_reset(device->next);
}

static const struct device_ops down = {
    .destroy = fault_layer_destroy, .reset = reset, .arc = arc, .data_read = data_read};
static const struct device_host_ops up = {.dma_write = dma_write, .dma_reaches_peer = dma_reaches_peer};

static struct device_layer *create(const struct fault_request *request, struct error *error)
{
    struct p2p_not_quiesced *fault = fault_layer_new(sizeof(*fault), &down, &up, error);

    (void)request;
    return fault ? &fault->layer : NULL;
}

const struct fault_kind fault_p2p_kinds[] = {{"p2p-not-quiesced", create, 0}, {0}};
