/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sizes that are nonsense, and an end of PRE_COPY's data that is none. */
#include <errno.h>
#include <string.h>

#include "devices/faults/command.h"

struct size_fault {
    struct device_layer layer;
    uint64_t grown;
};

static uint64_t huge_data_size(struct device *device)
{
    (void)device;
    return UINT64_MAX - 4095;
}

static int huge_precopy_info(struct device *device, bool version2, struct vfio_precopy_info *info)
{
    int failed = device_precopy_info(device->next, version2, info);

    info->initial_bytes = 1ull << 63;
    info->dirty_bytes = 1ull << 63;
    return failed;
}

/* More initial data each time that it is asked, without VFIO_PRECOPY_INFO_REINIT. */
static int grow_precopy_info(struct device *device, bool version2, struct vfio_precopy_info *info)
{
    struct size_fault *fault = (struct size_fault *)device;
    int failed = device_precopy_info(device->next, version2, info);

    info->initial_bytes += fault->grown;
    fault->grown += 65536;
    return failed;
}

/* The end for the time being, ENOMSG, becomes an empty answer: an end. */
static int end_early(struct device *device, struct device_command *command)
{
    struct vfio_user_migration_data head;
    int failed = device_command(device->next, command);

    if (failed != ENOMSG || command->number != VFIO_USER_MIG_DATA_READ)
        return failed;
    memcpy(&head, command->payload, sizeof(head));
    head.size = 0;
    head.argsz = sizeof(head);
    buffer_clear(command->reply);
    buffer_put(command->reply, &head, sizeof(head));
    return 0;
}

static const struct device_ops data_down = {.destroy = fault_layer_destroy, .data_size = huge_data_size};
static const struct device_ops huge_down = {.destroy = fault_layer_destroy, .precopy_info = huge_precopy_info};
static const struct device_ops grow_down = {.destroy = fault_layer_destroy, .precopy_info = grow_precopy_info};
static const struct device_ops end_down = {.destroy = fault_layer_destroy, .command = end_early};
static const struct device_host_ops up = {.dma_read = NULL};

static struct device_layer *create(const struct fault_request *request, struct error *error)
{
    static const struct device_ops *const downs[] = {&data_down, &huge_down, &grow_down, &end_down};
    struct size_fault *fault = fault_layer_new(sizeof(*fault), downs[request->kind->variant], &up, error);

    return fault ? &fault->layer : NULL;
}

const struct fault_kind fault_size_kinds[] = {
    {"data-size-nonsense", create, 0},
    {"precopy-info-nonsense", create, 1},
    {"initial-bytes-grow", create, 2},
    {"pre-copy-end-is-end", create, 3},
    {0},
};
