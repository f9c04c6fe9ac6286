/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The arcs of all devices of a machine, in the order that peer-to-peer DMA asks for: every device reaches its P2P state
 * before any goes further, on the way down and on the way up (linux/vfio.h, VFIO_DEVICE_STATE_RUNNING_P2P).
 */
#ifndef STOPCOPY_DEVICE_SET_H
#define STOPCOPY_DEVICE_SET_H

#include "vmm/board/machine.h"
#include "vmm/migrate/crew.h"
#include "vmm/report/event_log.h"

/*
 * Whose way a device takes from RESUMING on (docs/orders.md). Ours has it in STOP, which is where it must refuse a bad stream,
 * before anything else is done to it. The others leave it in RESUMING while configuration space and interrupts are set, and
 * go on to RUNNING from there: QEMU begins RESUMING before any RAM comes and ends the session when everything is loaded,
 * cloud-hypervisor begins it with the device's data, ends the session after it, and has no use for RUNNING_P2P.
 */
enum device_order {
    DEVICE_ORDER_STOPCOPY,
    DEVICE_ORDER_QEMU,
    DEVICE_ORDER_CLOUD_HYPERVISOR,
};

struct device_set {
    struct vfio_device *const *device;
    size_t count;
    struct event_log *log;
    enum device_order order;                  /* on the way in */
    uint64_t arc_timeout_ns;                  /* for each change of state */
    uint64_t message_timeout_ns;              /* for everything else */
    bool may_reset;                           /* device_set_recover may, where nothing else helps */
    bool lost;                                /* and has: what the guest had in a device is gone */
    uint64_t flags[BOARD_DEVICES_MAX];        /* VFIO_MIGRATION_* */
    unsigned int state[BOARD_DEVICES_MAX];    /* as last known */
    uint64_t bar_accesses[BOARD_DEVICES_MAX]; /* of the VMM, when the device came to its state */
    /* Called in the middle of device_set_stop_copy and device_set_run: every device is in its P2P state, and none has gone
     * further. NULL: nothing. */
    void (*between)(void *context);
    void *between_context;
    struct crew *crew;   /* the devices' steps; NULL: they go one after the other */
    uint64_t checked_ns; /* when every device was found in its state, 0: never */
};

/* Makes the threads for steps that are taken side by side, before there is a hurry. */
int device_set_open(struct device_set *set, struct error *error);
void device_set_close(struct device_set *set);

/*
 * Can these devices be migrated together? Reads each one's flags and state. Errors name the device and the reason; rule
 * "device/no-migration" or "device/p2p-missing" (several devices, one without P2P, and not no_p2p).
 */
int device_set_probe(struct device_set *set, bool no_p2p, struct error *error);

/*
 * One change of state of one device, timed and logged. On failure the state is read back: rule "device/no-answer",
 * "device/error-state" or "device/arc-failed".
 */
int device_set_arc(struct device_set *set, size_t index, unsigned int to, struct error *error);

/* Is the device where its last arc took it? Rule "device/state-changed". */
int device_set_check(struct device_set *set, size_t index, struct error *error);
/* Is every device? While the guest is stopped a step does not ask: it is asked before, and while the other end works. */
int device_set_check_all(struct device_set *set, struct error *error);
/* Has the VMM accessed a BAR since the device came to its state? Then a finding, "device/bar-access". */
void device_set_check_bars(const struct device_set *set, size_t index);
/* Has the device the PRE_COPY states? */
bool device_set_has_pre_copy(const struct device_set *set, size_t index);
/*
 * The steps below are taken by all devices side by side: what waits costs the longest wait, and not the sum. A step ends when
 * every device has answered; the error is that of the first device that failed, the others' go to the log.
 */
/* RUNNING to RESUMING, and RESUMING to STOP, of every device. */
int device_set_resuming(struct device_set *set, struct error *error);
int device_set_loaded(struct device_set *set, struct error *error);
/* RUNNING to PRE_COPY, of every device that has it. */
int device_set_pre_copy(struct device_set *set, struct error *error);
/* RUNNING or PRE_COPY to STOP_COPY, every device to RUNNING_P2P or PRE_COPY_P2P first (but for a fault on purpose). */
int device_set_stop_copy(struct device_set *set, bool p2p_first, struct error *error);
/* Is every device in RUNNING? Rule "device/not-running" where not. */
int device_set_all_run(struct device_set *set, struct error *error);
/* STOP_COPY to STOP. What fails, and a device that is not in STOP_COPY any more, goes to the log: nobody needs it now. */
void device_set_stop(struct device_set *set);
/*
 * STOP (by another order: RESUMING) to RUNNING, every device to RUNNING_P2P first. *tried: an arc out of STOP was tried on some device; none is where one of
 * them does not answer any more, or is not where its last arc took it, as far as that shows before the first: all are asked,
 * unless device_set_check_all did so within the last millisecond.
 */
int device_set_run(struct device_set *set, bool *tried, struct error *error);
/* Back to RUNNING from wherever a failure left the devices, in the same order. A device in ERROR, or one that cannot go
 * back, fails: only a reset would help, and that loses what the guest had in it. With may_reset it is reset, by a finding
 * "device/state-lost". */
int device_set_recover(struct device_set *set, struct error *error);

#endif
