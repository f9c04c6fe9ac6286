/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the devices have done of their work, by what the guest publishes of it, for the event log. */
#ifndef STOPCOPY_DEVICE_WORK_H
#define STOPCOPY_DEVICE_WORK_H

#include <stdbool.h>

#include "vmm/board/board_layout.h"
#include "vmm/proof/proof.h"
#include "vmm/report/event_log.h"
#include "vmm/vfio/vfio_device.h"

enum device_work {
    DEVICE_WORK_BEFORE, /* the stop */
    DEVICE_WORK_AFTER,
};

/* Writes to the log what each device has done between two instants. from NULL: since it began. devices: by their names. */
void device_work_log(struct event_log *log, unsigned int leg, const struct board *board,
                     struct vfio_device *const *devices, enum device_work when, const struct proof_snapshot *from,
                     const struct proof_snapshot *to);

/* Writes to the log how many operations each device had been given and not done at the stop. */
void device_work_in_flight(struct event_log *log, unsigned int leg, const struct board *board,
                           const struct proof_snapshot *stop);

/* Does every device that has done something have an operation in flight? */
bool device_work_everywhere(const struct board *board, const struct proof_snapshot *now);

#endif
