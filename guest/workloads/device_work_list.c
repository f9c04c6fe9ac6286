/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/workloads/device_workloads.h"

const struct device_workload *const device_workloads[] = {
    &dma_workload, &uart_workload, &edu_workload, &tally_workload, NULL,
};
