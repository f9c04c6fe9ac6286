/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A device's dirty log held against what the device is known to have written to a bench's memory. */
#ifndef STOPCOPY_CHECK_LOG_READER_H
#define STOPCOPY_CHECK_LOG_READER_H

#include "vmm/check/bench.h"

/* The page sizes that are tried: of the hint and of the reports. */
#define LOG_PAGE_MAX (2u << 20)

struct log_reader {
    struct bench *bench;
    uint64_t page_size;  /* of the reports */
    unsigned int first;  /* of the bench's ranges that are logged */
    unsigned int ranges; /* where they end */
    /* A bit for each page of 4 KiB of a range that was reported since log_reader_begin(). */
    uint64_t reported[BENCH_RANGES_MAX][BENCH_RANGE_SIZE / BENCH_PAGE / 64];
    uint64_t units;       /* bits that reports had room for, all in all */
    uint64_t units_dirty; /* and that were set */
};

/* Forgets what was reported and what the device is known to have written. */
void log_reader_begin(struct log_reader *reader);

/*
 * VFIO_DEVICE_FEATURE_DMA_LOGGING_START over the bench's first ranges, widened to whole pages of the size that is hinted
 * at. The log is to be stopped by device_log_stop().
 */
int log_reader_start(struct log_reader *reader, struct bench *bench, unsigned int ranges, uint64_t page_size,
                     struct error *error);

/* The same, over one of the bench's ranges alone. */
int log_reader_start_one(struct log_reader *reader, struct bench *bench, unsigned int index, uint64_t page_size,
                         struct error *error);

/* Reads the log of every range that is logged, in reports of at most piece pages (0: of all of it), and the backend's own log. */
int log_reader_read(struct log_reader *reader, uint64_t piece, struct error *error);

/* Was every bit set in every report? Such a log proves nothing. */
bool log_reader_is_full(const struct log_reader *reader);

/* A page that the device wrote and that was not reported: how many, and the first. */
uint64_t log_reader_missing(const struct log_reader *reader, uint64_t *iova);
/* Pages of what is logged that the device wrote. */
uint64_t log_reader_written(const struct log_reader *reader);

/* One START as it is given: any ranges, any page size. Returns 0 or -1 with the device's errno. */
int log_start_raw(struct vfio_device *device, const struct vfio_area *ranges, uint32_t count, uint64_t *page_size,
                  struct error *error);
/* One REPORT: bitmap has a bit for each page, in whole words. */
int log_report_raw(struct vfio_device *device, uint64_t iova, uint64_t size, uint64_t page_size, uint64_t *bitmap,
                   struct error *error);

#endif
