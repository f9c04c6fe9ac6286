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
    /* What the server declares there of its streams: */
    bool checksum;   /* every byte is under a checksum */
    bool repeatable; /* two saves of a stopped device are equal */
    bool exact_size; /* MIG_DATA_SIZE of a stopped device is the stream's length */
    int twin_socket; /* -1 where there is none */
};

/* NULL where the device is not served over vfio-user. Lives as long as the device. */
const struct vfio_user_agreement *vfio_user_get_agreement(const struct vfio_device *device);

/*
 * For checks of a server: a session that this side does not end when a state is left, and that sends a write of no bytes
 * as well, so that it is the server that must refuse. To be closed like any other. NULL without memory, or where the device is not served over vfio-user.
 */
struct vfio_data_session *vfio_user_stray_session(struct vfio_device *device, bool saving);
/*
 * For checks of a server: DMA_UNMAP of a range that this side does not know to be mapped, which dma_unmap() would not
 * send. Returns 0 where the server says that it was done; -1 with its refusal. Only for a device served over vfio-user.
 */
int vfio_user_unmap_unchecked(struct vfio_device *device, uint64_t iova, uint64_t size, struct error *error);

#endif
