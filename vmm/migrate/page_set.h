/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A set of pages of a machine's RAM: a bit for each page of RAM_PAGE_SIZE, in 64-bit words, as dirty logs have them. */
#ifndef STOPCOPY_PAGE_SET_H
#define STOPCOPY_PAGE_SET_H

#include "vmm/board/machine.h"

#define RAM_PAGE_SIZE 4096u

struct page_set {
    unsigned int ranges;
    uint64_t pages[BOARD_RAM_RANGES_MAX]; /* of each range */
    uint64_t *words[BOARD_RAM_RANGES_MAX];
};

/* An empty set over all RAM of the machine. On failure there is nothing to be freed. */
int page_set_init(struct page_set *set, struct machine *machine, struct error *error);
void page_set_free(struct page_set *set);

void page_set_clear(struct page_set *set);
/* Every page of RAM. */
void page_set_fill(struct page_set *set);
/* How many pages it has. */
uint64_t page_set_count(const struct page_set *set);

static inline bool page_set_has(const struct page_set *set, unsigned int range, uint64_t page)
{
    return set->words[range][page / 64] >> page % 64 & 1;
}

static inline void page_set_add(struct page_set *set, unsigned int range, uint64_t page)
{
    set->words[range][page / 64] |= UINT64_C(1) << page % 64;
}

static inline void page_set_remove(struct page_set *set, unsigned int range, uint64_t page)
{
    set->words[range][page / 64] &= ~(UINT64_C(1) << page % 64);
}

#endif
