/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/check/log_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RANGES_MAX 8u

int log_start_raw(struct vfio_device *device, const struct vfio_area *ranges, uint32_t count, uint64_t *page_size,
                  struct error *error)
{
    struct vfio_device_feature_dma_logging_range list[RANGES_MAX];
    struct vfio_device_feature_dma_logging_control control = {
        .page_size = *page_size, .num_ranges = count, .ranges = (uintptr_t)list};

    if (count > RANGES_MAX)
        return error_set(error, E2BIG, "%u ranges", count);
    for (uint32_t i = 0; i < count; i++)
        list[i] = (struct vfio_device_feature_dma_logging_range){ranges[i].offset, ranges[i].size};
    if (device->ops->feature(device, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START, &control,
                             sizeof(control), error) < 0)
        return -1;
    *page_size = control.page_size;
    return 0;
}

int log_report_raw(struct vfio_device *device, uint64_t iova, uint64_t size, uint64_t page_size, uint64_t *bitmap,
                   struct error *error)
{
    struct vfio_device_feature_dma_logging_report report = {
        .iova = iova, .length = size, .page_size = page_size, .bitmap = (uintptr_t)bitmap};

    return device->ops->feature(device, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, &report,
                                sizeof(report), error);
}

/* The range in whole pages of a size. */
static struct vfio_area widen(const struct bench_range *range, uint64_t page_size)
{
    uint64_t first = range->iova & ~(page_size - 1);
    uint64_t end = (range->iova + range->size + page_size - 1) & ~(page_size - 1);

    return (struct vfio_area){first, end - first};
}

void log_reader_begin(struct log_reader *reader)
{
    memset(reader->reported, 0, sizeof(reader->reported));
    reader->units = 0;
    reader->units_dirty = 0;
    bench_clear_written(reader->bench);
}

static int start(struct log_reader *reader, uint64_t page_size, struct error *error)
{
    struct vfio_area list[BENCH_RANGES_MAX];

    for (unsigned int i = reader->first; i < reader->ranges; i++)
        list[i - reader->first] = widen(&reader->bench->range[i], page_size);
    log_reader_begin(reader);
    return log_start_raw(reader->bench->device, list, reader->ranges - reader->first, &page_size, error);
}

int log_reader_start(struct log_reader *reader, struct bench *bench, unsigned int ranges, uint64_t page_size,
                     struct error *error)
{
    *reader = (struct log_reader){.bench = bench, .page_size = page_size};
    reader->ranges = ranges < bench->range_count ? ranges : bench->range_count;
    return start(reader, page_size, error);
}

int log_reader_start_one(struct log_reader *reader, struct bench *bench, unsigned int index, uint64_t page_size,
                         struct error *error)
{
    *reader = (struct log_reader){.bench = bench, .page_size = page_size, .first = index, .ranges = index + 1};
    return start(reader, page_size, error);
}

/* The pages of 4 KiB of the range that a dirty unit has. */
static void note_unit(struct log_reader *reader, unsigned int index, uint64_t iova)
{
    const struct bench_range *range = &reader->bench->range[index];

    for (uint64_t at = iova; at < iova + reader->page_size; at += BENCH_PAGE) {
        uint64_t page = (at - range->iova) / BENCH_PAGE;

        if (at >= range->iova && page < range->size / BENCH_PAGE)
            reader->reported[index][page / 64] |= UINT64_C(1) << page % 64;
    }
}

static int read_piece(struct log_reader *reader, unsigned int index, uint64_t iova, uint64_t pages, uint64_t *bitmap,
                      struct error *error)
{
    struct vfio_device *device = reader->bench->device;
    uint64_t size = pages * reader->page_size;

    memset(bitmap, 0, (pages + 63) / 64 * sizeof(*bitmap));
    if (log_report_raw(device, iova, size, reader->page_size, bitmap, error) < 0)
        return -1;
    for (uint64_t i = 0; i < pages; i++) {
        bool dirty = bitmap[i / 64] >> i % 64 & 1;

        reader->units++;
        reader->units_dirty += dirty;
        if (dirty)
            note_unit(reader, index, iova + i * reader->page_size);
    }
    return 0;
}

/* DMA that this process did on the device's behalf is in no log of the device's. */
static int read_own(struct log_reader *reader, unsigned int index, struct error *error)
{
    const struct bench_range *range = &reader->bench->range[index];
    struct vfio_device *device = reader->bench->device;

    if (!device->ops->take_own_dirty)
        return 0;
    return device->ops->take_own_dirty(device, range->iova, range->size, BENCH_PAGE, reader->reported[index], error);
}

static int read_range(struct log_reader *reader, unsigned int index, uint64_t piece, uint64_t *bitmap,
                      struct error *error)
{
    struct vfio_area area = widen(&reader->bench->range[index], reader->page_size);
    uint64_t pages = area.size / reader->page_size;

    for (uint64_t done = 0, count; done < pages; done += count) {
        count = piece && piece < pages - done ? piece : pages - done;
        if (read_piece(reader, index, area.offset + done * reader->page_size, count, bitmap, error) < 0)
            return -1;
    }
    return read_own(reader, index, error);
}

int log_reader_read(struct log_reader *reader, uint64_t piece, struct error *error)
{
    uint64_t *bitmap = calloc(BENCH_RANGE_SIZE / BENCH_PAGE / 64 + 1, sizeof(*bitmap));
    int status = bitmap ? 0 : error_set(error, ENOMEM, "a bitmap");

    for (unsigned int i = reader->first; i < reader->ranges && status == 0; i++)
        status = read_range(reader, i, piece, bitmap, error);
    free(bitmap);
    return status;
}

bool log_reader_is_full(const struct log_reader *reader)
{
    return reader->units && reader->units_dirty == reader->units;
}

uint64_t log_reader_missing(const struct log_reader *reader, uint64_t *iova)
{
    uint64_t count = 0;

    for (unsigned int i = reader->first; i < reader->ranges; i++) {
        const struct bench_range *range = &reader->bench->range[i];

        for (uint64_t page = 0; page < range->size / BENCH_PAGE; page++)
            if (range->written[page / 64] >> page % 64 & 1 && !(reader->reported[i][page / 64] >> page % 64 & 1) &&
                !count++)
                *iova = range->iova + page * BENCH_PAGE;
    }
    return count;
}

uint64_t log_reader_written(const struct log_reader *reader)
{
    uint64_t count = 0;

    for (unsigned int i = reader->first; i < reader->ranges; i++)
        for (size_t word = 0; word < BENCH_RANGE_SIZE / BENCH_PAGE / 64; word++)
            count += (uint64_t)__builtin_popcountll(reader->bench->range[i].written[word]);
    return count;
}
