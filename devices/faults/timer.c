/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/faults/timer.h"

#include "lib/deadline.h"

static void apply(const struct fault_timer *timer, struct device_host *above)
{
    uint64_t at_ns = timer->below_ns;

    if (timer->own_ns && (!at_ns || timer->own_ns < at_ns))
        at_ns = timer->own_ns;
    host_set_timer(above, at_ns);
}

void fault_timer_below(struct fault_timer *timer, struct device_host *above, uint64_t at_ns)
{
    timer->below_ns = at_ns;
    apply(timer, above);
}

void fault_timer_own(struct fault_timer *timer, struct device_host *above, uint64_t at_ns)
{
    timer->own_ns = at_ns;
    apply(timer, above);
}

bool fault_timer_rang(struct fault_timer *timer, struct device *device)
{
    uint64_t now = clock_now_ns();
    bool own = timer->own_ns && timer->own_ns <= now;
    bool below = timer->below_ns && timer->below_ns <= now;

    if (own)
        timer->own_ns = 0;
    if (below)
        timer->below_ns = 0;
    if (below)
        device_timer(device->next);
    apply(timer, device->host);
    return own;
}
