/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A load that takes what it must refuse: where the device below refuses for the reason that the fault is for, it is
 * reset and the load goes on as if nothing were wrong. Other reasons are left to it.
 */
#include <errno.h>
#include <string.h>

#include "devices/faults/fault.h"
#include "devices/stream.h"

enum what {
    TRUNCATED_ACCEPTED,
    EXTENDED_ACCEPTED,
    CHANGED_ACCEPTED,
    IDENTITY_ACCEPTED,
    HEADER_ACCEPTED, /* the write fails, and RESUMING to STOP does not */
    EMPTY_ACCEPTED,
    SEGMENTED,      /* the header must come in one write */
    SECOND_REFUSED, /* after a load that failed, every other one does */
};

enum reason {
    BAD_HEADER,
    OTHER_DEVICE, /* a stream in order, and not for this one */
    CHANGED,
    EXTENDED,
};

struct load_fault {
    struct device_layer layer;
    enum what what;
    struct stream_reader reader; /* follows the stream, to know what is wrong with it */
    uint64_t bytes;
    bool refused; /* by the device below: it takes no more */
    bool faked;   /* and nobody was told */
    bool failed_before;
};

static int take_section(void *context, uint32_t type, struct cursor *payload)
{
    (void)context, (void)type, (void)payload;
    return 0;
}

static bool is_resuming(unsigned int state)
{
    return state == VFIO_DEVICE_STATE_RESUMING;
}

static void begin(struct load_fault *fault)
{
    stream_reader_start(&fault->reader, take_section, NULL);
    fault->bytes = 0;
    fault->refused = fault->faked = false;
}

/* Why the device below refused this write: found out by what a reader of streams says to it. */
static enum reason follow(struct load_fault *fault, const void *data, size_t size)
{
    bool ended = stream_reader_complete(&fault->reader);
    bool in_header = !fault->reader.header_done;
    int failed = stream_reader_feed(&fault->reader, data, size);

    fault->bytes += size;
    if (!failed)
        return OTHER_DEVICE;
    if (ended || fault->reader.ended)
        return EXTENDED;
    return in_header && !fault->reader.header_done ? BAD_HEADER : CHANGED;
}

static bool forgives(const struct load_fault *fault, enum reason reason)
{
    switch (fault->what) {
    case EXTENDED_ACCEPTED:
        return reason == EXTENDED;
    case CHANGED_ACCEPTED:
        return reason == CHANGED || reason == BAD_HEADER;
    case IDENTITY_ACCEPTED:
        return reason == OTHER_DEVICE;
    default:
        return false;
    }
}

static int data_write(struct device *device, const void *data, size_t size)
{
    struct load_fault *fault = (struct load_fault *)device;
    bool first = !fault->bytes;
    enum reason reason = follow(fault, data, size);
    int failed;

    if (fault->faked)
        return 0;
    if (fault->what == SEGMENTED && first && size < STREAM_HEADER_SIZE)
        fault->refused = true;
    if (fault->what == SECOND_REFUSED && fault->failed_before)
        return ENOSPC;
    failed = fault->what == SEGMENTED && fault->refused ? EINVAL : device_data_write(device->next, data, size);
    if (failed && forgives(fault, reason)) {
        fault->faked = true;
        return 0;
    }
    if (failed && reason == BAD_HEADER && fault->what == HEADER_ACCEPTED)
        fault->faked = true;
    fault->failed_before |= failed != 0;
    return failed;
}

/* Was what came cut off at its end, and nothing else? */
static bool is_truncated(const struct load_fault *fault)
{
    return fault->bytes && !fault->reader.refused && !stream_reader_complete(&fault->reader);
}

/* The load is over for the device below as well, whatever it thinks of it. */
static int pretend(struct load_fault *fault, unsigned int from, unsigned int to)
{
    struct device *below = fault->layer.device.next;
    int failed;

    device_reset(below);
    host_state_changed(fault->layer.device.host, from);
    failed = device_arc(below, VFIO_DEVICE_STATE_RUNNING,
                        device_migration_flags(below) & VFIO_MIGRATION_P2P ? VFIO_DEVICE_STATE_RUNNING_P2P : to);
    if (!failed && device_migration_flags(below) & VFIO_MIGRATION_P2P)
        failed = device_arc(below, VFIO_DEVICE_STATE_RUNNING_P2P, to);
    return failed;
}

static int arc(struct device *device, unsigned int from, unsigned int to)
{
    struct load_fault *fault = (struct load_fault *)device;
    int failed = 0;

    if (is_resuming(to))
        begin(fault);
    if (!is_resuming(from))
        return device_arc(device->next, from, to);
    if (fault->what == SEGMENTED && fault->refused)
        return EINVAL;
    if (!fault->faked)
        failed = device_arc(device->next, from, to);
    if ((failed && fault->what == TRUNCATED_ACCEPTED && is_truncated(fault)) ||
        (failed && fault->what == EMPTY_ACCEPTED && !fault->bytes))
        fault->faked = true;
    fault->failed_before |= failed != 0;
    return fault->faked ? pretend(fault, from, to) : failed;
}

static void destroy(struct device *device)
{
    stream_reader_free(&((struct load_fault *)device)->reader);
    fault_layer_destroy(device);
}

static const struct device_ops down = {.destroy = destroy, .arc = arc, .data_write = data_write};
static const struct device_host_ops up = {.dma_read = NULL};

static struct device_layer *create(const struct fault_request *request, struct error *error)
{
    struct load_fault *fault = fault_layer_new(sizeof(*fault), &down, &up, error);

    if (!fault)
        return NULL;
    fault->what = (enum what)request->kind->variant;
    begin(fault);
    return &fault->layer;
}

const struct fault_kind fault_load_kinds[] = {
    {"truncated-accepted", create, TRUNCATED_ACCEPTED},
    {"extended-accepted", create, EXTENDED_ACCEPTED},
    {"changed-byte-accepted", create, CHANGED_ACCEPTED},
    {"other-device-accepted", create, IDENTITY_ACCEPTED},
    {"bad-header-loads", create, HEADER_ACCEPTED},
    {"empty-accepted", create, EMPTY_ACCEPTED},
    {"segmentation-matters", create, SEGMENTED},
    {"load-after-failed-refused", create, SECOND_REFUSED},
    {0},
};
