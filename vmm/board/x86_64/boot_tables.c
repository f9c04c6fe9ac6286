/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/board/x86_64/boot_tables.h"

#include <string.h>

#define PRESENT_WRITABLE 0x3ull
#define LARGE 0x80ull
#define TABLE_SIZE 0x1000u
#define ENTRIES 512u
#define DIRECTORIES 4u
#define LARGE_PAGE_SIZE (2ull << 20)

void boot_tables_write(void *tables, uint64_t address)
{
    uint64_t *pml4 = tables, *pointers = pml4 + ENTRIES, *directories = pointers + ENTRIES;

    memset(tables, 0, BOOT_TABLES_SIZE);
    pml4[0] = (address + TABLE_SIZE) | PRESENT_WRITABLE;
    for (uint64_t i = 0; i < DIRECTORIES; i++)
        pointers[i] = (address + (2 + i) * TABLE_SIZE) | PRESENT_WRITABLE;
    for (uint64_t i = 0; i < DIRECTORIES * ENTRIES; i++)
        directories[i] = i * LARGE_PAGE_SIZE | PRESENT_WRITABLE | LARGE;
}
