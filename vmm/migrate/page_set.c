/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/migrate/page_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t words_of(const struct page_set *set, unsigned int range)
{
    return (set->pages[range] + 63) / 64;
}

int page_set_init(struct page_set *set, struct machine *machine, struct error *error)
{
    const struct board *board = machine_board(machine);

    *set = (struct page_set){0};
    for (unsigned int range = 0; range < board->ram_ranges; range++) {
        set->pages[range] = board->ram[range].size / RAM_PAGE_SIZE;
        set->words[range] = calloc(words_of(set, range), sizeof(uint64_t));
        set->ranges = range + 1;
        if (!set->words[range]) {
            page_set_free(set);
            return error_set(error, ENOMEM, "a set of pages of RAM range %u", range);
        }
    }
    return 0;
}

void page_set_free(struct page_set *set)
{
    for (unsigned int range = 0; range < set->ranges; range++)
        free(set->words[range]);
    *set = (struct page_set){0};
}

void page_set_clear(struct page_set *set)
{
    for (unsigned int range = 0; range < set->ranges; range++)
        memset(set->words[range], 0, words_of(set, range) * sizeof(uint64_t));
}

void page_set_fill(struct page_set *set)
{
    for (unsigned int range = 0; range < set->ranges; range++) {
        uint64_t words = words_of(set, range);

        memset(set->words[range], 0xff, words * sizeof(uint64_t));
        if (set->pages[range] % 64)
            set->words[range][words - 1] = (UINT64_C(1) << set->pages[range] % 64) - 1;
    }
}

uint64_t page_set_count(const struct page_set *set)
{
    uint64_t count = 0;

    for (unsigned int range = 0; range < set->ranges; range++)
        for (uint64_t word = 0; word < words_of(set, range); word++)
            count += (uint64_t)__builtin_popcountll(set->words[range][word]);
    return count;
}
