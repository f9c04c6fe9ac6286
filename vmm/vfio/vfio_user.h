/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a connection to a vfio-user server is like, for who wants to tell the user. */
#ifndef STOPCOPY_VFIO_VFIO_USER_H
#define STOPCOPY_VFIO_VFIO_USER_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/vfio/vfio_device.h"

/* What was agreed on in VERSION. */
struct vfio_user_agreement {
    uint16_t major; /* the server's */
    uint16_t minor;
    uint32_t max_msg_fds;        /* that the server takes in one message */
    uint32_t max_data_xfer_size; /* the smaller of the server's and ours */
    uint32_t max_dma_maps;
    uint64_t pgsizes;
    bool write_multiple;
    bool stopcopy;      /* VFIO_USER_CAPABILITY_STOPCOPY, of our version */
    bool peer_mappings; /* of it: mappings of another device's BARs are marked */
    int twin_socket;    /* -1 where there is none */
};

/* NULL where the device is not served over vfio-user. Lives as long as the device. */
const struct vfio_user_agreement *vfio_user_get_agreement(const struct vfio_device *device);

#endif
