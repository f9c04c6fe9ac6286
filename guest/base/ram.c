/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/base/ram.h"
#include "guest/kernel/gate.h"
#include <string.h>

#define RAM_FIRST 0x200000ull
#define LARGE_PAGE_SIZE 0x200000ull

static uint64_t round_up(uint64_t value)
{
    return (value + RAM_PAGE_SIZE - 1) & -(uint64_t)RAM_PAGE_SIZE;
}

void ram_add(struct ram *ram, uint64_t start, uint64_t size)
{
    uint64_t end = start + size < start ? UINT64_MAX : start + size;

    start = round_up(start < RAM_FIRST ? RAM_FIRST : start);
    end &= -(uint64_t)RAM_PAGE_SIZE;
    if (start >= end || ram->ranges == RAM_RANGES_MAX)
        return;
    ram->range[ram->ranges++] = (struct ram_range){.start = start, .end = end, .mapped = start};
}

void ram_set_aside(struct ram *ram, uint64_t start, uint64_t size)
{
    unsigned int count = ram->ranges;

    for (unsigned int i = 0; i < count; i++) {
        struct ram_range *range = &ram->range[i];
        uint64_t end = range->end;

        if (start >= end || start + size <= range->start)
            continue;
        if (start + size < end)
            ram_add(ram, start + size, end - start - size);
        range->end = start > range->start ? start & -(uint64_t)RAM_PAGE_SIZE : range->start;
    }
}

static int map(struct ram_range *range, uint64_t end)
{
    if (end <= range->mapped)
        return 0;
    if (gate_call(GATE_MAP, range->mapped, end - range->mapped, GATE_MAP_RAM))
        return -1;
    range->mapped = (end + LARGE_PAGE_SIZE - 1) & -LARGE_PAGE_SIZE;
    return 0;
}

void *ram_allocate(struct ram *ram, uint64_t size)
{
    size = round_up(size);
    for (unsigned int i = 0; i < ram->ranges && size > 0; i++) {
        struct ram_range *range = &ram->range[i];
        uint64_t start = range->start;

        if (range->end - start < size || map(range, start + size) < 0)
            continue;
        range->start = start + size;
        return (void *)start;
    }
    return NULL;
}

void *ram_allocate_zeroed(struct ram *ram, uint64_t size)
{
    void *memory = ram_allocate(ram, size);

    return memory ? memset(memory, 0, size) : NULL;
}
