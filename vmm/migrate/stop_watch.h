/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is stopped stays stopped: once the destination runs the guest, the source's RAM, interrupts and guest are watched
 * over a time, in which nothing may happen to them. linux/vfio.h, VFIO_DEVICE_STATE_STOP and _STOP_COPY: "the device
 * must not ... initiate DMA or interrupts".
 */
#ifndef STOPCOPY_STOP_WATCH_H
#define STOPCOPY_STOP_WATCH_H

#include "vmm/migrate/device_set.h"
#include "vmm/migrate/ram.h"

struct stop_watch {
    struct machine *machine;
    struct event_log *log;
    uint64_t operations; /* of the guest, at the beginning */
    uint64_t start_ns;
};

/* Begins: every vCPU is paused, every device in STOP_COPY or STOP, and interrupts are unbound. */
void stop_watch_begin(struct stop_watch *watch, struct machine *machine, struct event_log *log);
/*
 * Waits until hold_ns after the beginning, then compares RAM with digests that were taken at it; NULL where RAM is shared
 * with the destination, which writes to it: then interrupts are looked at alone. Findings:
 * "handover/both-run" (the guest went on here as well), else "stop/dma-after-stop" and "stop/interrupt-after-stop".
 */
int stop_watch_end(struct stop_watch *watch, uint64_t hold_ns, const struct ram_digests *digests, struct error *error);

#endif
