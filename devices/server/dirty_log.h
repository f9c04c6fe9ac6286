/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log of what the device wrote by DMA. linux/vfio.h, VFIO_DEVICE_FEATURE_DMA_LOGGING_START, _STOP and _REPORT.
 *
 * Kept by pages of 4 KiB in bitmaps of 2 MiB that exist where something was written, so its size follows the writes and
 * not the ranges. A coarser tracking size marks all pages of its unit.
 */
#ifndef STOPCOPY_DEVICES_SERVER_DIRTY_LOG_H
#define STOPCOPY_DEVICES_SERVER_DIRTY_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIRTY_LOG_PAGE 4096u
#define DIRTY_LOG_CHUNK (512ull * DIRTY_LOG_PAGE)
#define DIRTY_LOG_RANGES_MAX 4096u
#define DIRTY_LOG_BITMAP_MAX (1u << 20) /* bytes of one report */

struct dirty_range {
    uint64_t iova;
    uint64_t length;
};

struct dirty_chunk {
    uint64_t number; /* IOVA divided by DIRTY_LOG_CHUNK */
    bool used;
    uint64_t bits[512 / 64];
};

struct dirty_log {
    bool active;
    bool failed; /* memory ran out: the log is not whole */
    uint64_t unit;
    struct dirty_range *ranges; /* by iova; none: everything */
    size_t range_count;
    struct dirty_chunk *chunks; /* a hash table of room entries, a power of two */
    size_t chunk_count;
    size_t chunk_room;
};

/*
 * Starts. *page_size is a hint, and then what was chosen: the hint where it is a power of two from 4 KiB to 2 MiB, else
 * the nearest of these below, and at least 4 KiB. No ranges: all writes. EINVAL where it runs already or a range is
 * empty, wraps around, overlaps, or is not of whole pages of what was chosen; E2BIG for too many.
 */
int dirty_log_start(struct dirty_log *log, uint64_t *page_size, const struct dirty_range *ranges, size_t count);
/* EINVAL where it does not run. */
int dirty_log_stop(struct dirty_log *log);
void dirty_log_free(struct dirty_log *log);

/* The device wrote size bytes at iova. */
void dirty_log_mark(struct dirty_log *log, uint64_t iova, uint64_t size);

/* The bytes that a report's bitmap takes: whole u64s. 0 where the question is none, or its bitmap is over the limit. */
size_t dirty_log_bitmap_size(uint64_t iova, uint64_t length, uint64_t page_size);
/*
 * Sets a bit of the bitmap (of dirty_log_bitmap_size bytes) for each page_size of [iova, iova + length) that was
 * written, and clears the log there: but a page of the log that is only partly in the range stays, so that the rest of
 * it is not forgotten. EINVAL where it does not run or page_size is not a power of two; ENOMEM where the log is not
 * whole.
 */
int dirty_log_report(struct dirty_log *log, uint64_t iova, uint64_t length, uint64_t page_size, uint8_t *bitmap);

#endif
