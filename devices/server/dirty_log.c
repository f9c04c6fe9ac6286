/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/server/dirty_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGES_IN_CHUNK (DIRTY_LOG_CHUNK / DIRTY_LOG_PAGE)
#define ROOM_MIN 64u

static uint64_t choose_unit(uint64_t hint)
{
    uint64_t unit = DIRTY_LOG_PAGE;

    while (unit < DIRTY_LOG_CHUNK && unit * 2 <= hint)
        unit *= 2;
    return unit;
}

static int by_iova(const void *a, const void *b)
{
    const struct dirty_range *left = a, *right = b;

    return (left->iova > right->iova) - (left->iova < right->iova);
}

static int check_ranges(const struct dirty_range *ranges, size_t count, uint64_t unit)
{
    for (size_t i = 0; i < count; i++) {
        if (ranges[i].iova % unit || ranges[i].length % unit)
            return EINVAL;
        if (!ranges[i].length || ranges[i].length - 1 > UINT64_MAX - ranges[i].iova)
            return EINVAL;
        if (i && ranges[i - 1].iova + (ranges[i - 1].length - 1) >= ranges[i].iova)
            return EINVAL;
    }
    return 0;
}

int dirty_log_start(struct dirty_log *log, uint64_t *page_size, const struct dirty_range *ranges, size_t count)
{
    if (log->active)
        return EINVAL;
    if (count > DIRTY_LOG_RANGES_MAX)
        return E2BIG;
    log->chunk_room = ROOM_MIN;
    log->chunks = calloc(log->chunk_room, sizeof(*log->chunks));
    log->ranges = calloc(count + 1, sizeof(*log->ranges));
    if (!log->chunks || !log->ranges) {
        dirty_log_free(log);
        return ENOMEM;
    }
    if (count)
        memcpy(log->ranges, ranges, count * sizeof(*ranges));
    qsort(log->ranges, count, sizeof(*log->ranges), by_iova);
    log->range_count = count;
    if (check_ranges(log->ranges, count, choose_unit(*page_size))) {
        dirty_log_free(log);
        return EINVAL;
    }
    log->unit = choose_unit(*page_size);
    *page_size = log->unit;
    log->active = true;
    return 0;
}

int dirty_log_stop(struct dirty_log *log)
{
    if (!log->active)
        return EINVAL;
    dirty_log_free(log);
    return 0;
}

void dirty_log_free(struct dirty_log *log)
{
    free(log->chunks);
    free(log->ranges);
    *log = (struct dirty_log){.active = false};
}

/* The entry of a chunk, or the free one where it belongs. */
static struct dirty_chunk *slot_of(struct dirty_chunk *chunks, size_t room, uint64_t number)
{
    size_t slot = (size_t)(number * 0x9e3779b97f4a7c15ull >> 32) & (room - 1);

    while (chunks[slot].used && chunks[slot].number != number)
        slot = (slot + 1) & (room - 1);
    return &chunks[slot];
}

static int grow(struct dirty_log *log)
{
    size_t room = log->chunk_room * 2;
    struct dirty_chunk *chunks = calloc(room, sizeof(*chunks));

    if (!chunks)
        return ENOMEM;
    for (size_t i = 0; i < log->chunk_room; i++)
        if (log->chunks[i].used)
            *slot_of(chunks, room, log->chunks[i].number) = log->chunks[i];
    free(log->chunks);
    log->chunks = chunks;
    log->chunk_room = room;
    return 0;
}

static void mark_page(struct dirty_log *log, uint64_t page)
{
    uint64_t number = page / PAGES_IN_CHUNK;
    struct dirty_chunk *chunk;

    if (log->chunk_count * 2 >= log->chunk_room && grow(log)) {
        log->failed = true;
        return;
    }
    chunk = slot_of(log->chunks, log->chunk_room, number);
    if (!chunk->used) {
        chunk->used = true;
        chunk->number = number;
        log->chunk_count++;
    }
    chunk->bits[page % PAGES_IN_CHUNK / 64] |= 1ull << page % 64;
}

/* Both ends included, so that the end of the address space is no special case. */
static void mark_span(struct dirty_log *log, uint64_t first, uint64_t last)
{
    first = (first & ~(log->unit - 1)) / DIRTY_LOG_PAGE;
    last = (last | (log->unit - 1)) / DIRTY_LOG_PAGE;
    for (uint64_t page = first; page <= last; page++)
        mark_page(log, page);
}

void dirty_log_mark(struct dirty_log *log, uint64_t iova, uint64_t size)
{
    uint64_t last = iova + (size - 1);
    size_t low = 0, high = log->range_count;

    if (!log->active || !size)
        return;
    if (!log->range_count) {
        mark_span(log, iova, last);
        return;
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (log->ranges[middle].iova + (log->ranges[middle].length - 1) < iova)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < log->range_count && log->ranges[low].iova <= last; low++) {
        uint64_t range_last = log->ranges[low].iova + (log->ranges[low].length - 1);

        mark_span(log, log->ranges[low].iova > iova ? log->ranges[low].iova : iova,
                  range_last < last ? range_last : last);
    }
}

size_t dirty_log_bitmap_size(uint64_t iova, uint64_t length, uint64_t page_size)
{
    uint64_t bits;

    if (!length || length - 1 > UINT64_MAX - iova || !page_size || page_size & (page_size - 1))
        return 0;
    bits = (length - 1) / page_size + 1;
    return bits > 8ull * DIRTY_LOG_BITMAP_MAX ? 0 : (size_t)((bits - 1) / 64 + 1) * 8;
}

struct report {
    uint64_t first;
    uint64_t last;
    uint64_t page_size;
    uint8_t *bitmap;
};

static void report_page(const struct report *report, uint64_t first, uint64_t last)
{
    uint64_t from = ((first > report->first ? first : report->first) - report->first) / report->page_size;
    uint64_t to = ((last < report->last ? last : report->last) - report->first) / report->page_size;

    for (uint64_t bit = from; bit <= to; bit++)
        report->bitmap[bit / 8] |= (uint8_t)(1u << bit % 8);
}

static void report_chunk(struct dirty_chunk *chunk, const struct report *report)
{
    for (uint64_t page = 0; page < PAGES_IN_CHUNK; page++) {
        uint64_t first = chunk->number * DIRTY_LOG_CHUNK + page * DIRTY_LOG_PAGE;
        uint64_t last = first + (DIRTY_LOG_PAGE - 1);

        if (!(chunk->bits[page / 64] >> page % 64 & 1) || first > report->last || last < report->first)
            continue;
        report_page(report, first, last);
        if (first >= report->first && last <= report->last)
            chunk->bits[page / 64] &= ~(1ull << page % 64);
    }
}

int dirty_log_report(struct dirty_log *log, uint64_t iova, uint64_t length, uint64_t page_size, uint8_t *bitmap)
{
    struct report report = {.first = iova, .last = iova + (length - 1), .page_size = page_size, .bitmap = bitmap};
    uint64_t first_chunk = report.first / DIRTY_LOG_CHUNK, last_chunk = report.last / DIRTY_LOG_CHUNK;

    if (!log->active || !dirty_log_bitmap_size(iova, length, page_size))
        return EINVAL;
    if (log->failed)
        return ENOMEM;
    /* Whichever is less: the chunks of the range, or those there are. */
    if (last_chunk - first_chunk < log->chunk_room) {
        for (uint64_t number = first_chunk; number <= last_chunk; number++) {
            struct dirty_chunk *chunk = slot_of(log->chunks, log->chunk_room, number);

            if (chunk->used)
                report_chunk(chunk, &report);
        }
        return 0;
    }
    for (size_t i = 0; i < log->chunk_room; i++)
        if (log->chunks[i].used && log->chunks[i].number >= first_chunk && log->chunks[i].number <= last_chunk)
            report_chunk(&log->chunks[i], &report);
    return 0;
}
