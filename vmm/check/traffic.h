/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A device at work while it is checked: the guest's own drivers, driven by this process. */
#ifndef STOPCOPY_CHECK_TRAFFIC_H
#define STOPCOPY_CHECK_TRAFFIC_H

#include "vmm/check/check_context.h"
#include "vmm/check/work.h"

/* What is known of the device's work outside of a rule: a rule sets up a workplace of its own. */
struct check_traffic {
    const struct work_kind *kind;
};

/*
 * After the device was opened: finds the driver that knows it. NULL where there is none (*why says so, a constant text)
 * or it could not be made. The device is not touched but for a look at its configuration space.
 */
struct check_traffic *check_traffic_open(struct check_context *context, const char **why);
/* Before the device is closed; NULL is allowed. The device may not answer any more. */
void check_traffic_close(struct check_traffic *traffic);

#endif
