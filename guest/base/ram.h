/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RAM to be had: what the board has, without the first 2 MiB (the image, the trampoline, PVH's tables) and what is set
 * aside. Taken from the start of each range, never given back, mapped as it is taken. vCPU 0 alone, before the others
 * run.
 */
#ifndef GUEST_BASE_RAM_H
#define GUEST_BASE_RAM_H

#include <stddef.h>
#include <stdint.h>

#define RAM_RANGES_MAX 16
#define RAM_PAGE_SIZE 4096u

struct ram_range {
    uint64_t start, end;
    uint64_t mapped; /* up to here */
};

struct ram {
    unsigned int ranges;
    struct ram_range range[RAM_RANGES_MAX];
};

void ram_add(struct ram *ram, uint64_t start, uint64_t size);
/* Takes [start, start + size) away; before the first allocation. */
void ram_set_aside(struct ram *ram, uint64_t start, uint64_t size);
/* Whole pages, contiguous, in one range; NULL where no range has them. The address is its own physical one. */
void *ram_allocate(struct ram *ram, uint64_t size);
void *ram_allocate_zeroed(struct ram *ram, uint64_t size);

#endif
