/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/vfio/vfio_device.h"

#include <stdio.h>

void vfio_device_close(struct vfio_device *device)
{
    if (device)
        device->ops->close(device);
}

const char *vfio_feature_operation(uint32_t flags)
{
    if (flags & VFIO_DEVICE_FEATURE_PROBE)
        return "PROBE";
    return flags & VFIO_DEVICE_FEATURE_SET ? "SET" : "GET";
}

const char *vfio_feature_name(uint32_t flags, const void *data, size_t data_size)
{
    switch (flags & VFIO_DEVICE_FEATURE_MASK) {
    case VFIO_DEVICE_FEATURE_MIGRATION:
        return "MIGRATION";
    case VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE:
        if (flags & VFIO_DEVICE_FEATURE_SET && data_size >= sizeof(uint32_t) && !(flags & VFIO_DEVICE_FEATURE_PROBE))
            return *(const uint32_t *)data < MIGRATION_STATES ? migration_state_name(*(const uint32_t *)data)
                                                              : "a state past the last";
        return "MIG_DEVICE_STATE";
    case VFIO_DEVICE_FEATURE_DMA_LOGGING_START:
        return "DMA_LOGGING_START";
    case VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP:
        return "DMA_LOGGING_STOP";
    case VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT:
        return "DMA_LOGGING_REPORT";
    case VFIO_DEVICE_FEATURE_MIG_DATA_SIZE:
        return "MIG_DATA_SIZE";
    case VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2:
        return "MIG_PRECOPY_INFOv2";
    default:
        return "of another index";
    }
}

void vfio_feature_say(uint32_t flags, const void *data, size_t data_size, char *text, size_t size)
{
    snprintf(text, size, "DEVICE_FEATURE %s %s", vfio_feature_operation(flags),
             vfio_feature_name(flags, data, data_size));
}
