/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The data transfer session at a byte: reads and writes that fail, stall, are short, or carry another byte. */
#include <errno.h>

#include "devices/faults/command.h"

/* Behind the header of a stream of ours, and before the end of any. */
#define DEFAULT_BYTE 40u

enum what {
    READ_FAILS,
    READ_UNANSWERED,
    READ_SHORT,
    READ_CHANGED,
    WRITE_FAILS,
    WRITE_UNANSWERED,
    BAR_CORRUPTS, /* as READ_CHANGED, once BAR0 was accessed in STOP_COPY */
};

struct stream_fault {
    struct device_layer layer;
    enum what what;
    uint64_t byte;
    int number;
    uint64_t done; /* of the session's stream */
    bool short_done;
    bool stopped;
    bool touched; /* while it was stopped */
};

static int arc(struct device *device, unsigned int from, unsigned int to)
{
    struct stream_fault *fault = (struct stream_fault *)device;
    int failed;
    bool begins = to == VFIO_DEVICE_STATE_RESUMING || to == VFIO_DEVICE_STATE_PRE_COPY ||
                  (to == VFIO_DEVICE_STATE_STOP_COPY && from == VFIO_DEVICE_STATE_STOP);

    if (begins && from != VFIO_DEVICE_STATE_PRE_COPY_P2P) {
        fault->done = 0;
        fault->short_done = false;
    }
    failed = device_arc(device->next, from, to);
    fault->stopped = fault_state_is_stopped(failed ? from : to);
    fault->touched &= fault->stopped;
    return failed;
}

static int region_write(struct device *device, unsigned int index, uint64_t offset, const void *data, size_t count)
{
    struct stream_fault *fault = (struct stream_fault *)device;

    fault->touched |= fault->stopped && index == VFIO_PCI_BAR0_REGION_INDEX;
    return device_region_write(device->next, index, offset, data, count);
}

static bool reaches(const struct stream_fault *fault, size_t count)
{
    return fault->byte >= fault->done && fault->byte - fault->done < count;
}

static enum device_data data_read(struct device *device, void *data, size_t size, size_t *count)
{
    struct stream_fault *fault = (struct stream_fault *)device;
    enum device_data result;

    if (fault->what == READ_SHORT && !fault->short_done && reaches(fault, size) && fault->byte > fault->done) {
        fault->short_done = true;
        size = (size_t)(fault->byte - fault->done);
    }
    result = device_data_read(device->next, data, size, count);
    if (result == DEVICE_DATA_FAILED || !reaches(fault, *count)) {
        fault->done += *count;
        return result;
    }
    if (fault->what == READ_FAILS)
        return DEVICE_DATA_FAILED;
    if (fault->what == READ_CHANGED || (fault->what == BAR_CORRUPTS && fault->touched))
        ((uint8_t *)data)[fault->byte - fault->done] ^= 0x01;
    fault->done += *count;
    return result;
}

static int data_write(struct device *device, const void *data, size_t size)
{
    struct stream_fault *fault = (struct stream_fault *)device;
    bool here = reaches(fault, size);

    fault->done += size;
    return here && fault->what == WRITE_FAILS ? fault->number : device_data_write(device->next, data, size);
}

static int command(struct device *device, struct device_command *command)
{
    struct stream_fault *fault = (struct stream_fault *)device;
    uint64_t before = fault->done;
    int failed = device_command(device->next, command);
    bool passed = before <= fault->byte && fault->byte < fault->done;

    command->unanswered |= (command->number == VFIO_USER_MIG_DATA_READ && fault->what == READ_UNANSWERED && passed) ||
                           (command->number == VFIO_USER_MIG_DATA_WRITE && fault->what == WRITE_UNANSWERED && passed);
    return failed;
}

static const struct device_ops down = {
    .destroy = fault_layer_destroy,
    .region_write = region_write,
    .arc = arc,
    .data_read = data_read,
    .data_write = data_write,
    .command = command,
};
static const struct device_host_ops up = {.dma_read = NULL};

static struct device_layer *create(const struct fault_request *request, struct error *error)
{
    struct stream_fault *fault = fault_layer_new(sizeof(*fault), &down, &up, error);

    if (!fault)
        return NULL;
    fault->what = (enum what)request->kind->variant;
    fault->byte = request->has_byte ? request->byte : DEFAULT_BYTE;
    fault->number = request->number ? request->number : EIO;
    return &fault->layer;
}

const struct fault_kind fault_stream_kinds[] = {
    {"read-fails", create, READ_FAILS},
    {"read-unanswered", create, READ_UNANSWERED},
    {"read-short", create, READ_SHORT},
    {"saved-byte-changed", create, READ_CHANGED},
    {"write-fails", create, WRITE_FAILS},
    {"write-unanswered", create, WRITE_UNANSWERED},
    {"bar-access-corrupts", create, BAR_CORRUPTS},
    {0},
};
