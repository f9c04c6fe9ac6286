/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/check/stop_watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAINT_FIRST 0xc3
#define PAINT_SECOND 0x3c
#define LOOKS 3

void stop_watch_hold(uint64_t hold_ns)
{
    uint64_t at = clock_now_ns() + hold_ns;
    struct timespec until = {.tv_sec = (time_t)(at / 1000000000u), .tv_nsec = (long)(at % 1000000000u)};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

/* Compares the range with a copy of it, or with the byte that it was painted with. */
static void compare_range(const struct bench_range *range, const uint8_t *expected, bool painted,
                          struct stop_watch *watch)
{
    if (painted ? range->host[0] == *expected && !memcmp(range->host, range->host + 1, range->size - 1)
                : !memcmp(range->host, expected, range->size))
        return;
    for (uint64_t i = 0; i < range->size; i++) {
        uint8_t wanted = painted ? *expected : expected[i];

        if (range->host[i] == wanted)
            continue;
        if (!watch->bytes++)
            *watch = (struct stop_watch){1, range->iova + i, wanted, range->host[i]};
    }
}

static void compare(struct bench *bench, const uint8_t *expected, bool painted, struct stop_watch *watch)
{
    for (unsigned int i = 0; i < bench->range_count; i++)
        compare_range(&bench->range[i], painted ? expected : expected + bench->range[i].offset, painted, watch);
}

int stop_watch_memory(struct bench *bench, uint64_t hold_ns, struct stop_watch *watch, struct error *error)
{
    static const uint8_t paint[] = {PAINT_FIRST, PAINT_SECOND};
    uint8_t *copy = malloc(bench->memory_size);

    *watch = (struct stop_watch){0};
    if (!copy)
        return error_set(error, ENOMEM, "a copy of %zu bytes", bench->memory_size);
    memcpy(copy, bench->memory, bench->memory_size);
    stop_watch_hold(hold_ns / LOOKS);
    compare(bench, copy, false, watch);
    for (size_t i = 0; i < sizeof(paint); i++) {
        memset(bench->memory, paint[i], bench->memory_size);
        stop_watch_hold(hold_ns / LOOKS);
        compare(bench, &paint[i], true, watch);
    }
    memcpy(bench->memory, copy, bench->memory_size);
    free(copy);
    return 0;
}
