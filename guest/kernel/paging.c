/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page tables: everything is mapped to its own address. The first 2 MiB in 4 KiB pages (tables.S), all else in 2 MiB
 * pages when it is asked for, so that what nobody asked for faults. 1 GiB pages are not there on every host.
 */
#include "guest/kernel/kernel.h"
#include "guest/kernel/registers.h"

#define PTE_PRESENT 0x1ull
#define PTE_WRITE 0x2ull
#define PTE_USER 0x4ull
#define PTE_UNCACHED 0x18ull /* PCD, PWT */
#define PTE_ACCESSED_DIRTY 0x60ull
#define PTE_LARGE 0x80ull
#define PTE_NX (1ull << 63)
#define PTE_ADDRESS 0x000ffffffffff000ull
#define PTE_TABLE (PTE_PRESENT | PTE_WRITE | PTE_USER | 0x20)

#define LARGE_PAGE_SIZE (2ull << 20)
#define ADDRESS_END (1ull << 47) /* of the half of the address space where an address can be its own */
#define ENTRIES 512
#define TABLES_MAX 48

extern uint64_t kernel_pml4[ENTRIES], kernel_pt[ENTRIES];

struct page_table {
    uint64_t entry[ENTRIES];
} __attribute__((aligned(4096)));

static struct page_table tables[TABLES_MAX] KERNEL_BSS;
static uint32_t tables_used KERNEL_BSS;

void paging_open_first_page(void)
{
    kernel_pt[0] = PTE_PRESENT | PTE_USER | PTE_NX | PTE_ACCESSED_DIRTY;
}

/* The table that entry refers to, a new one where there is none; NULL where there are no more. */
static uint64_t *table_of(uint64_t *entry)
{
    if (!(*entry & PTE_PRESENT)) {
        if (tables_used == TABLES_MAX)
            return NULL;
        *entry = (uint64_t)&tables[tables_used++] | PTE_TABLE;
    }
    return (uint64_t *)(*entry & PTE_ADDRESS);
}

static bool map_large_page(uint64_t address, uint64_t flags)
{
    uint64_t *pdpt = table_of(&kernel_pml4[address >> 39 & 511]);
    uint64_t *pd = pdpt ? table_of(&pdpt[address >> 30 & 511]) : NULL;
    uint64_t *entry;

    if (!pd)
        return false;
    entry = &pd[address >> 21 & 511];
    if (!(*entry & PTE_PRESENT))
        *entry = address | flags;
    return true;
}

bool paging_map(uint64_t start, uint64_t size, enum gate_map kind)
{
    uint64_t flags = PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED_DIRTY | PTE_LARGE | PTE_NX;

    if (kind == GATE_MAP_DEVICE)
        flags |= PTE_UNCACHED;
    if (start >= ADDRESS_END || size > ADDRESS_END - start)
        return false;
    for (uint64_t page = start & -LARGE_PAGE_SIZE; page < start + size; page += LARGE_PAGE_SIZE) {
        if (!map_large_page(page, flags))
            return false;
    }
    return true;
}
