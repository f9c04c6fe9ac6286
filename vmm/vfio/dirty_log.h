/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device's own log of the pages that it wrote by DMA: linux/vfio.h, VFIO_DEVICE_FEATURE_DMA_LOGGING_START, _STOP and
 * _REPORT; and the log that the VMM keeps of the DMA that it did on the device's behalf. Pages are of 4 KiB.
 */
#ifndef STOPCOPY_VFIO_DIRTY_LOG_H
#define STOPCOPY_VFIO_DIRTY_LOG_H

#include "vmm/vfio/vfio_device.h"

#define DEVICE_LOG_PAGE_SIZE 4096u

/* Whose log says what a device wrote. */
enum dirty_log {
    DIRTY_LOG_AUTO,   /* the first that there is of the device's, the IOMMU's own, and all pages */
    DIRTY_LOG_DEVICE, /* VFIO_DEVICE_FEATURE_DMA_LOGGING_START */
    DIRTY_LOG_IOMMU, /* of the page table (IOMMU_HWPT_GET_DIRTY_BITMAP), or of the container (VFIO_IOMMU_DIRTY_PAGES) */
    DIRTY_LOG_ALL_PAGES, /* every page counts as written */
    DIRTY_LOG_NONE,      /* none does: for a device without DMA */
};

/* "auto", "device", "iommu", "all-pages", "none". dirty_log_parse returns 0, or -1 with the names that there are. */
const char *dirty_log_name(enum dirty_log log);
int dirty_log_parse(const char *text, enum dirty_log *log, struct error *error);

/* Which it is to be for this device; never DIRTY_LOG_AUTO. Fails where the one that is wished for is not to be had; the
 * IOMMU's, which only trying tells, when it is started. */
int dirty_log_choose(struct vfio_device *device, enum dirty_log wish, enum dirty_log *chosen, struct error *error);

/* Has the device such a log? Returns 1, 0, or -1 where it cannot be asked. */
int device_log_probe(struct vfio_device *device, struct error *error);

/*
 * Begins to log writes to these ranges of IOVAs (offset is the IOVA). What the device tracks by may be larger than a
 * page: more than what was written is reported then. A log that was started must be stopped, whatever failed since: the
 * device refuses a second start.
 */
int device_log_start(struct vfio_device *device, const struct vfio_area *ranges, size_t count, struct error *error);
/* Does a log run, so that another one cannot be started? */
bool device_log_runs(struct vfio_device *device);
int device_log_stop(struct vfio_device *device, struct error *error);

/* Sets the bit of each page of [iova, iova + size) that the device wrote since the last report, and clears the log there.
 * bitmap has a bit for each page from iova on, in whole 64-bit words. */
int device_log_report(struct vfio_device *device, uint64_t iova, uint64_t size, uint64_t *bitmap, struct error *error);

/* The same of the pages that this process wrote for the device: nothing where the backend does no such thing. */
int device_log_take_own(struct vfio_device *device, uint64_t iova, uint64_t size, uint64_t *bitmap,
                        struct error *error);

#endif
