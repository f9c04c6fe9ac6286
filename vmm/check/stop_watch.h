/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Has a stopped device written to memory? All that it can reach is compared over a time, painted, compared, painted with
 * something else and compared again, so that a write of what is there already shows as well. What was there is put back.
 * Reads cannot be seen, nor what comes after the time.
 */
#ifndef STOPCOPY_CHECK_STOP_WATCH_H
#define STOPCOPY_CHECK_STOP_WATCH_H

#include "vmm/check/bench.h"

struct stop_watch {
    uint64_t bytes; /* that changed, in all of the three looks */
    uint64_t iova;  /* of the first */
    uint8_t expected;
    uint8_t seen;
};

/* Watches for hold_ns in all. Returns 0 with what was found; -1 where there is no memory for it. */
int stop_watch_memory(struct bench *bench, uint64_t hold_ns, struct stop_watch *watch, struct error *error);

/* Waits so long, whatever comes. */
void stop_watch_hold(uint64_t hold_ns);

#endif
