/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads that stand ready for work that waits: made when there is time, so that making them costs nothing when there is
 * none.
 */
#ifndef STOPCOPY_CREW_H
#define STOPCOPY_CREW_H

#include <stddef.h>

#include "lib/error.h"

struct crew;

/* So many threads. 0 is a crew, too: whoever has work does it himself. */
struct crew *crew_new(size_t threads, struct error *error);
void crew_free(struct crew *crew);

/*
 * Calls work with each of count items of a size, which lie one after the other: side by side, as far as there are threads,
 * the caller's among them. Returns when all are done. One caller at a time. A NULL crew has no threads.
 */
void crew_do(struct crew *crew, void (*work)(void *item), void *items, size_t size, size_t count);

#endif
