/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The DMA log against a plain bitmap of pages, and its edges. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/server/dirty_log.h"

static uint64_t page_size = DIRTY_LOG_PAGE;

static bool bit(const uint8_t *bitmap, uint64_t n)
{
    return bitmap[n / 8] >> n % 8 & 1;
}

Test(dirty_log, start_and_stop)
{
    struct dirty_log log = {.active = false};
    struct dirty_range overlap[] = {{0x10000, 0x2000}, {0x11000, 0x1000}};
    struct dirty_range empty = {0x1000, 0};
    struct dirty_range wraps = {UINT64_MAX - 4095, 8192};
    struct dirty_range begins_inside = {0x10800, 0x2000};
    struct dirty_range ends_inside = {0x10000, 0x2800};
    uint8_t bitmap[8] = {0};

    cr_expect_eq(dirty_log_stop(&log), EINVAL);
    cr_expect_eq(dirty_log_report(&log, 0, 4096, 4096, bitmap), EINVAL);
    cr_expect_eq(dirty_log_start(&log, &page_size, overlap, 2), EINVAL);
    cr_expect_eq(dirty_log_start(&log, &page_size, &empty, 1), EINVAL);
    cr_expect_eq(dirty_log_start(&log, &page_size, &wraps, 1), EINVAL);
    cr_expect_eq(dirty_log_start(&log, &page_size, &begins_inside, 1), EINVAL);
    cr_expect_eq(dirty_log_start(&log, &page_size, &ends_inside, 1), EINVAL);
    cr_expect_eq(dirty_log_start(&log, &page_size, overlap, DIRTY_LOG_RANGES_MAX + 1), E2BIG);
    cr_expect_eq(dirty_log_start(&log, &page_size, overlap, 1), 0);
    cr_expect_eq(dirty_log_start(&log, &page_size, overlap, 1), EINVAL);
    cr_expect_eq(dirty_log_stop(&log), 0);
    cr_expect_eq(dirty_log_start(&log, &page_size, NULL, 0), 0);
    dirty_log_free(&log);
}

Test(dirty_log, page_size_is_a_hint)
{
    static const uint64_t cases[][2] = {
        {512, 4096}, {4096, 4096}, {65536, 65536}, {2u << 20, 2u << 20}, {1ull << 30, 2u << 20}};

    for (size_t i = 0; i < 5; i++) {
        struct dirty_log log = {.active = false};
        uint64_t size = cases[i][0];

        cr_assert_eq(dirty_log_start(&log, &size, NULL, 0), 0);
        cr_expect_eq(size, cases[i][1]);
        dirty_log_free(&log);
    }
}

Test(dirty_log, reports_once_what_was_written)
{
    struct dirty_log log = {.active = false};
    uint8_t bitmap[16] = {0};

    cr_assert_eq(dirty_log_start(&log, &page_size, NULL, 0), 0);
    dirty_log_mark(&log, 0x3fff, 2);
    dirty_log_mark(&log, 0x20000000000ull, 1);
    cr_assert_eq(dirty_log_report(&log, 0x1000, 0x10000, 4096, bitmap), 0);
    cr_expect_eq(bitmap[0], 0x0c);
    memset(bitmap, 0, sizeof(bitmap));
    cr_assert_eq(dirty_log_report(&log, 0x1000, 0x10000, 4096, bitmap), 0);
    cr_expect_eq(bitmap[0], 0);
    cr_assert_eq(dirty_log_report(&log, 0x20000000000ull, 4096, 4096, bitmap), 0);
    cr_expect_eq(bitmap[0], 1);
    dirty_log_free(&log);
}

/* Bits are set and never cleared in what the caller gave. */
Test(dirty_log, only_sets_bits)
{
    struct dirty_log log = {.active = false};
    uint8_t bitmap[8] = {0x80};

    cr_assert_eq(dirty_log_start(&log, &page_size, NULL, 0), 0);
    dirty_log_mark(&log, 0, 1);
    cr_assert_eq(dirty_log_report(&log, 0, 0x8000, 4096, bitmap), 0);
    cr_expect_eq(bitmap[0], 0x81);
    dirty_log_free(&log);
}

/* A question whose page size differs from the log's: replicated or merged. */
Test(dirty_log, other_page_sizes)
{
    struct dirty_log log = {.active = false};
    uint8_t bitmap[64] = {0};

    cr_assert_eq(dirty_log_start(&log, &page_size, NULL, 0), 0);
    dirty_log_mark(&log, 0x5000, 1);
    cr_assert_eq(dirty_log_report(&log, 0x4000, 0x4000, 1024, bitmap), 0);
    cr_expect_eq(bitmap[0], 0xf0);
    cr_expect_eq(bitmap[1], 0);
    dirty_log_mark(&log, 0x15000, 1);
    memset(bitmap, 0, sizeof(bitmap));
    cr_assert_eq(dirty_log_report(&log, 0, 0x40000, 0x10000, bitmap), 0);
    cr_expect_eq(bitmap[0], 0x2);
    dirty_log_free(&log);
}

/* A question that begins or ends inside of a page gets it, and does not take it from who asks for the rest. */
Test(dirty_log, unaligned_questions)
{
    struct dirty_log log = {.active = false};
    uint8_t bitmap[8] = {0};

    cr_assert_eq(dirty_log_start(&log, &page_size, NULL, 0), 0);
    dirty_log_mark(&log, 0x1f00, 1);
    cr_assert_eq(dirty_log_report(&log, 0x1800, 0x1000, 4096, bitmap), 0);
    cr_expect_eq(bitmap[0], 1);
    memset(bitmap, 0, sizeof(bitmap));
    cr_assert_eq(dirty_log_report(&log, 0x1000, 0x800, 2048, bitmap), 0);
    cr_expect_eq(bitmap[0], 1);
    dirty_log_free(&log);
}

Test(dirty_log, keeps_to_its_ranges)
{
    struct dirty_log log = {.active = false};
    struct dirty_range ranges[] = {{0x40000, 0x2000}, {0x10000, 0x1000}, {0x20000, 0x1000}};
    uint8_t bitmap[16] = {0};

    cr_assert_eq(dirty_log_start(&log, &page_size, ranges, 3), 0);
    dirty_log_mark(&log, 0, 0x100000);
    cr_assert_eq(dirty_log_report(&log, 0, 0x80000, 4096, bitmap), 0);
    for (uint64_t page = 0; page < 128; page++)
        cr_expect_eq(bit(bitmap, page), page == 0x10 || page == 0x20 || page == 0x40 || page == 0x41, "page %llu",
                     (unsigned long long)page);
    dirty_log_free(&log);
}

Test(dirty_log, a_coarse_log_marks_all_of_its_unit)
{
    struct dirty_log log = {.active = false};
    uint64_t size = 16384;
    uint8_t bitmap[8] = {0};

    cr_assert_eq(dirty_log_start(&log, &size, NULL, 0), 0);
    dirty_log_mark(&log, 0x5000, 1);
    cr_assert_eq(dirty_log_report(&log, 0, 0x10000, 4096, bitmap), 0);
    cr_expect_eq(bitmap[0], 0xf0);
    dirty_log_free(&log);
}

Test(dirty_log, questions_that_are_none)
{
    cr_expect_eq(dirty_log_bitmap_size(0, 0, 4096), 0);
    cr_expect_eq(dirty_log_bitmap_size(0, 4096, 0), 0);
    cr_expect_eq(dirty_log_bitmap_size(0, 4096, 4097), 0);
    cr_expect_eq(dirty_log_bitmap_size(UINT64_MAX, 2, 4096), 0);
    cr_expect_eq(dirty_log_bitmap_size(0, UINT64_MAX, 1), 0);
    cr_expect_eq(dirty_log_bitmap_size(0, 4096, 4096), 8);
    cr_expect_eq(dirty_log_bitmap_size(0, 65 * 4096, 4096), 16);
    cr_expect_eq(dirty_log_bitmap_size(UINT64_MAX - 4095, 4096, 4096), 8);
}

/* Many writes all over a large space, against a list of them. */
Test(dirty_log, against_a_model)
{
    struct dirty_log log = {.active = false};
    const uint64_t pages = 1u << 20;
    uint8_t *model = calloc(1, pages / 8), *bitmap = calloc(1, pages / 8);
    uint64_t random = 12345;

    cr_assert_eq(dirty_log_start(&log, &page_size, NULL, 0), 0);
    for (unsigned int i = 0; i < 20000; i++) {
        uint64_t at, length;

        random = random * 6364136223846793005ull + 1442695040888963407ull;
        at = (random >> 20) % (pages * 4096 - 0x10000);
        length = 1 + (random >> 8) % 0x4000;
        dirty_log_mark(&log, at, length);
        for (uint64_t page = at / 4096; page <= (at + length - 1) / 4096; page++)
            model[page / 8] |= (uint8_t)(1u << page % 8);
    }
    for (uint64_t at = 0; at < pages * 4096; at += 64u << 20)
        cr_assert_eq(dirty_log_report(&log, at, 64u << 20, 4096, bitmap + at / 4096 / 8), 0);
    cr_expect_arr_eq(bitmap, model, pages / 8);
    dirty_log_free(&log);
    free(model);
    free(bitmap);
}
