/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The edu workload (stopcopy/workload.h): pairs of transfers, and factorials, on each edu device. */
#ifndef GUEST_WORKLOADS_EDU_H
#define GUEST_WORKLOADS_EDU_H

#include <stdbool.h>

struct guest;
struct vcpu;
struct edu_board;

/* Finds the devices, and gives them to the vCPUs in turn; on vCPU 0, at boot. */
void edu_open(struct guest *guest);
/* Goes on where an interrupt has come, and begins the next operation. Returns whether there was something to do. */
bool edu_step(struct vcpu *vcpu, struct edu_board *board);
bool edu_is_drained(const struct edu_board *board);
/* Looks once more at what the device wrote last; when it is drained. */
void edu_finish(struct edu_board *board);
/* Tells of interrupts with nothing new, and of repeated pairs. */
void edu_print_counts(struct guest *guest);
/* The next device of the same vCPU. */
struct edu_board *edu_next(const struct edu_board *board);

#endif
