/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/deadline.h"

#include <limits.h>
#include <time.h>

uint64_t clock_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct deadline deadline_in_ns(uint64_t ns)
{
    uint64_t now = clock_now_ns();

    return (struct deadline){.at_ns = ns > UINT64_MAX - now ? UINT64_MAX : now + ns};
}

struct deadline deadline_in_ms(uint64_t ms)
{
    return deadline_in_ns(ms > UINT64_MAX / 1000000u ? UINT64_MAX : ms * 1000000u);
}

bool deadline_expired(struct deadline deadline)
{
    return clock_now_ns() >= deadline.at_ns;
}

int deadline_poll_ms(struct deadline deadline)
{
    uint64_t now = clock_now_ns();
    uint64_t left;

    if (now >= deadline.at_ns)
        return 0;
    left = (deadline.at_ns - now) / 1000000u + ((deadline.at_ns - now) % 1000000u != 0);
    return left > INT_MAX ? INT_MAX : (int)left;
}
