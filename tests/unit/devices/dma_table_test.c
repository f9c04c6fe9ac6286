/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/server/dma_table.h"
#include "devices/server/guard.h"

#define RW 3u

static int file_of(off_t size)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    cr_assert_geq(fd, 0);
    cr_assert_eq(ftruncate(fd, size), 0);
    return fd;
}

Test(dma_table, ranges_that_are_none)
{
    struct dma_table table = {.count = 0};
    int fd = file_of(8192);

    cr_expect_eq(dma_table_map(&table, 0, 0, RW, -1, 0), EINVAL);
    cr_expect_eq(dma_table_map(&table, 1, 4096, RW, -1, 0), EINVAL);
    cr_expect_eq(dma_table_map(&table, 0, 4095, RW, -1, 0), EINVAL);
    cr_expect_eq(dma_table_map(&table, UINT64_MAX - 4095, 8192, RW, -1, 0), EINVAL);
    cr_expect_eq(dma_table_map(&table, 0, 12288, RW, fd, 0), EINVAL, "past the end of the file");
    cr_expect_eq(dma_table_map(&table, 0, 4096, RW, fd, 8192), EINVAL);
    cr_expect_eq(dma_table_map(&table, 0, 4096, RW, fd, 100), EINVAL);
    cr_expect_eq(dma_table_map(&table, 0, 4096, RW, fd, UINT64_MAX - 4095), EINVAL);
    cr_expect_eq(table.count, 0);
    cr_expect_eq(dma_table_map(&table, UINT64_MAX - 4095, 4096, RW, fd, 4096), 0);
    cr_expect_not_null(dma_table_find(&table, UINT64_MAX));
    dma_table_clear(&table);
    close(fd);
}

Test(dma_table, overlaps_and_gaps)
{
    struct dma_table table = {.count = 0};

    cr_assert_eq(dma_table_map(&table, 0x10000, 0x4000, RW, -1, 0), 0);
    cr_expect_eq(dma_table_map(&table, 0x10000, 0x4000, RW, -1, 0), EEXIST);
    cr_expect_eq(dma_table_map(&table, 0xf000, 0x2000, RW, -1, 0), EEXIST);
    cr_expect_eq(dma_table_map(&table, 0x13000, 0x1000, RW, -1, 0), EEXIST);
    cr_expect_eq(dma_table_map(&table, 0, 0x100000, RW, -1, 0), EEXIST);
    cr_expect_eq(dma_table_map(&table, 0x14000, 0x1000, RW, -1, 0), 0);
    cr_expect_eq(dma_table_map(&table, 0xf000, 0x1000, RW, -1, 0), 0);
    cr_expect_null(dma_table_find(&table, 0xefff));
    cr_expect_eq(dma_table_find(&table, 0xffff)->address, 0xf000);
    cr_expect_eq(dma_table_find(&table, 0x13fff)->address, 0x10000);
    cr_expect_null(dma_table_find(&table, 0x15000));
    cr_expect_eq(dma_table_unmap(&table, 0x10000, 0x1000), ENOENT);
    cr_expect_eq(dma_table_unmap(&table, 0x11000, 0x3000), ENOENT);
    cr_expect_eq(dma_table_unmap(&table, 0x10000, 0x4000), 0);
    cr_expect_eq(dma_table_unmap(&table, 0x10000, 0x4000), ENOENT);
    cr_expect_eq(table.count, 2);
    dma_table_clear(&table);
}

Test(dma_table, has_a_limit)
{
    struct dma_table table = {.count = 0};

    for (uint64_t i = 0; i < DMA_TABLE_MAX; i++)
        cr_assert_eq(dma_table_map(&table, (i ^ 5) * 4096, 4096, RW, -1, 0), 0);
    cr_expect_eq(dma_table_map(&table, DMA_TABLE_MAX * 4096ull, 4096, RW, -1, 0), ENOSPC);
    dma_table_clear(&table);
}

Test(dma_table, memory_that_goes_away)
{
    struct dma_table table = {.count = 0};
    int fd = file_of(8192);
    uint64_t word = 1;

    guard_install();
    cr_assert_eq(dma_table_map(&table, 0, 8192, RW, fd, 0), 0);
    cr_expect_eq(guard_copy(table.mappings[0].base + 4096, &word, 8), 0);
    cr_assert_eq(ftruncate(fd, 4096), 0);
    cr_expect_eq(guard_copy(&word, table.mappings[0].base + 4096, 8), EFAULT);
    cr_expect_eq(guard_copy(table.mappings[0].base + 4090, &word, 7), EFAULT);
    cr_expect_eq(guard_copy(table.mappings[0].base, &word, 8), 0);
    dma_table_clear(&table);
    close(fd);
}
