/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/vfio/vfio_device.h"

void vfio_device_close(struct vfio_device *device)
{
    if (device)
        device->ops->close(device);
}
