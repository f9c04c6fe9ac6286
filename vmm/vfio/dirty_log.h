/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device's own log of the pages that it wrote by DMA: linux/vfio.h, VFIO_DEVICE_FEATURE_DMA_LOGGING_START, _STOP and
 * _REPORT; and the log that the VMM keeps of the DMA that it did on the device's behalf. Pages are of 4 KiB.
 */
#ifndef STOPCOPY_VFIO_DIRTY_LOG_H
#define STOPCOPY_VFIO_DIRTY_LOG_H

#include "vmm/vfio/vfio_device.h"

#define DEVICE_LOG_PAGE_SIZE 4096u

/* Has the device such a log? Returns 1, 0, or -1 where it cannot be asked. */
int device_log_probe(struct vfio_device *device, struct error *error);

/*
 * Begins to log writes to these ranges of IOVAs (offset is the IOVA). What the device tracks by may be larger than a
 * page: more than what was written is reported then. A log that was started must be stopped, whatever failed since: the
 * device refuses a second start.
 */
int device_log_start(struct vfio_device *device, const struct vfio_area *ranges, size_t count, struct error *error);
int device_log_stop(struct vfio_device *device, struct error *error);

/* Sets the bit of each page of [iova, iova + size) that the device wrote since the last report, and clears the log there.
 * bitmap has a bit for each page from iova on, in whole 64-bit words. */
int device_log_report(struct vfio_device *device, uint64_t iova, uint64_t size, uint64_t *bitmap, struct error *error);

/* The same of the pages that this process wrote for the device: nothing where the backend does no such thing. */
int device_log_take_own(struct vfio_device *device, uint64_t iova, uint64_t size, uint64_t *bitmap,
                        struct error *error);

#endif
