/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who wrote to the guest's RAM: the logs of all who can, joined. vCPUs and KVM itself are in KVM's log; a device's DMA is in
 * the device's own, and where the VMM did it on the device's behalf, in the VMM's. Outside of these nothing of the VMM
 * writes to the RAM of a guest that runs.
 */
#ifndef STOPCOPY_DIRTY_TRACKING_H
#define STOPCOPY_DIRTY_TRACKING_H

#include "vmm/migrate/device_set.h"
#include "vmm/migrate/page_set.h"
#include "vmm/vfio/dirty_log.h"

struct dirty_tracking {
    struct machine *machine;
    struct device_set *set;
    bool ignore_devices; /* a fault put in on purpose: what the devices' logs have is not asked for */
    enum dirty_log wish; /* for every device */
    bool chosen;         /* what served each device */
    enum dirty_log served[BOARD_DEVICES_MAX];
    uint64_t named[BOARD_DEVICES_MAX]; /* pages that the device's log named since the start, each taking by itself */
    struct page_set by_device[BOARD_DEVICES_MAX]; /* those that were not sent since */
    uint64_t changed[BOARD_DEVICES_MAX];          /* of the pages named, those that were not as they were sent before */
    bool incomplete;     /* a device has no log: everything that it can reach counts as written */
    unsigned int ranges; /* of RAM whose log was started in KVM */
    bool started[BOARD_DEVICES_MAX];
};

/* Finds out whose log is to serve each device; starting does so where it was not done. */
int dirty_tracking_choose(struct dirty_tracking *tracking, struct error *error);

/*
 * Starts all logs. A device without one is said in a note, and then no log is started: all RAM counts as written at every
 * taking. On failure what was started is stopped.
 */
int dirty_tracking_start(struct dirty_tracking *tracking, struct error *error);

/* Adds the pages written since the last taking; the first one adds every page. */
int dirty_tracking_take(struct dirty_tracking *tracking, struct page_set *pages, struct error *error);

/* A page is sent that is not as it was sent last: it counts for each device whose log named it. */
void dirty_tracking_note_changed(struct dirty_tracking *tracking, unsigned int range, uint64_t page);
/* What was taken is sent. */
void dirty_tracking_note_sent(struct dirty_tracking *tracking);

/* Stops all that were started, so that another migration can start them again; what cannot be stopped is a note. May be
 * called at any time, and again. */
void dirty_tracking_stop(struct dirty_tracking *tracking);

#endif
