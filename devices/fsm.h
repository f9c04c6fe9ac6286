/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The migration state machine of a reference device, as one table. linux/vfio.h, enum vfio_device_mig_state.
 *
 * The table holds the way of a device that has every optional state. Where a device does not offer a state, the way
 * goes straight through it: the device takes the arcs on both sides of it as one.
 */
#ifndef STOPCOPY_DEVICES_FSM_H
#define STOPCOPY_DEVICES_FSM_H

#include <stdbool.h>
#include <stdint.h>

/* Is state one that a device with these VFIO_MIGRATION_* flags has? */
bool fsm_offers(uint64_t flags, unsigned int state);

/*
 * The state that a device with these flags goes to next on its way from from to to: to itself on the last arc, and
 * where from is to. Returns -1 where the way is refused: out of or into ERROR, from STOP_COPY back to PRE_COPY or
 * PRE_COPY_P2P, or where either end is a state that the device does not offer, or is none.
 */
int fsm_next(uint64_t flags, unsigned int from, unsigned int to);

/* PRE_COPY, PRE_COPY_P2P and STOP_COPY, which share one data transfer session. */
bool fsm_is_saving(unsigned int state);

#endif
