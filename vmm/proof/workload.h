/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of the workloads: all in which they differ, but for the options that some have. */
#ifndef STOPCOPY_PROOF_WORKLOAD_H
#define STOPCOPY_PROOF_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stopcopy/workload.h"

struct model_ops;

struct proof_workload {
    enum workload_id id;
    const struct model_ops *model;
    /* Of one that has chains of devices, and not of vCPUs: */
    bool of_device;
    uint16_t vendor, device; /* PCI */
    const char *part;        /* "queue": what of a device has a chain each; NULL: a device has one */
};

/* In the order in which they lead, up to one whose id is 0. */
extern const struct proof_workload proof_workloads[];

/* NULL where there is no such. */
const struct proof_workload *proof_workload_find(uint32_t workload);
const struct proof_workload *proof_workload_named(const char *name);
/* The one that works on these PCI devices, NULL for none. */
const struct proof_workload *proof_workload_of(uint16_t vendor, uint16_t device);

/* Where a chain of it is, for messages: "device in slot 2, queue 0", "vCPU 1". Of a workload that is not known, too. Numbers
 * take `columns` columns at least. Writes at most size bytes with the NUL. */
void proof_workload_place(const struct proof_workload *workload, unsigned int device, unsigned int index, int columns,
                          char *place, size_t size);

#endif
