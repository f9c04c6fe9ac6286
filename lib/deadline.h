/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Time: the monotonic clock, and points on it by which a wait must have ended. */
#ifndef STOPCOPY_DEADLINE_H
#define STOPCOPY_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

struct deadline {
    uint64_t at_ns;
};

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t clock_now_ns(void);

struct deadline deadline_in_ns(uint64_t ns);
struct deadline deadline_in_ms(uint64_t ms);
bool deadline_expired(struct deadline deadline);

/* Milliseconds left, rounded up, for poll(2): 0 when it has passed, at most INT_MAX. */
int deadline_poll_ms(struct deadline deadline);

#endif
