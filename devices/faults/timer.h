/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The device's one timer, shared between a layer and what is below it. Times are of clock_now_ns(), 0 for never. */
#ifndef STOPCOPY_DEVICES_FAULTS_TIMER_H
#define STOPCOPY_DEVICES_FAULTS_TIMER_H

#include "devices/faults/fault.h"

struct fault_timer {
    uint64_t below_ns; /* what the device below asked for */
    uint64_t own_ns;
};

/* The device below asks for a time: for the layer's set_timer. */
void fault_timer_below(struct fault_timer *timer, struct device_host *above, uint64_t at_ns);
/* The layer asks for one. */
void fault_timer_own(struct fault_timer *timer, struct device_host *above, uint64_t at_ns);
/* The timer rang: passes it on where it is the one of the device below. Returns true where it is the layer's. */
bool fault_timer_rang(struct fault_timer *timer, struct device *device);

#endif
