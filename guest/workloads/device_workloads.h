/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each workload on devices: what they do is in stopcopy/workload.h. */
#ifndef GUEST_WORKLOADS_DEVICE_WORKLOADS_H
#define GUEST_WORKLOADS_DEVICE_WORKLOADS_H

#include "guest/workloads/device_work.h"

extern const struct device_workload dma_workload;   /* a stream of operations for each queue of reference DMA devices */
extern const struct device_workload uart_workload;  /* transfers on the ports of each dual 16550 card, in turn */
extern const struct device_workload edu_workload;   /* pairs of transfers, and factorials, on each edu */
extern const struct device_workload tally_workload; /* sums that reach a threshold, on each tally */

#endif
