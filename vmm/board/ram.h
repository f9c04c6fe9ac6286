/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's RAM: one memfd for each range, sealed against shrinking, mapped shared. Holes stay holes. */
#ifndef STOPCOPY_RAM_H
#define STOPCOPY_RAM_H

#include "vmm/board/machine.h"

struct ram_range {
    uint64_t start;
    uint64_t size;
    void *host; /* NULL: none */
    int fd;
};

struct ram {
    unsigned int count;
    struct ram_range range[BOARD_RAM_RANGES_MAX];
};

/* fds: the memfds to use, taken over even on failure; NULL for new ones. On failure nothing is left to be freed. */
int ram_init(struct ram *ram, const struct board *board, const int *fds, struct error *error);
void ram_destroy(struct ram *ram);

/* Host address of [address, address + size), NULL where it is not wholly inside of one range. */
void *ram_at(const struct ram *ram, uint64_t address, uint64_t size);

#endif
