/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The device of a check at work: a bench and a driver for as long as one rule runs, and the steps that such rules share. */
#ifndef STOPCOPY_CHECK_WORKPLACE_H
#define STOPCOPY_CHECK_WORKPLACE_H

#include "vmm/check/check_context.h"
#include "vmm/check/work.h"

/* A device may be too fast to be stopped with operations in flight so often. */
#define WORKPLACE_STOPS_MAX 50u

struct workplace {
    struct check_context *context;
    struct bench bench;
    struct work *work;
    unsigned int idle_stops; /* in a row, with nothing in flight */
};

/* Sets the device, which is in RUNNING, to work. context->traffic must not be NULL. To be closed also after a failure. */
int workplace_open(struct check_context *context, struct workplace *place, struct error *error);
/* The same beside another device, to which some of the work goes: bench_map_peer(). */
int workplace_open_with_peer(struct check_context *context, struct workplace *place, struct error *error);
/* Keeps the device from memory, and takes memory and interrupts away from it. */
void workplace_close(struct workplace *place);
/* The device is gone, or another one: frees what is this process's, and asks nothing of it. */
void workplace_abandon(struct workplace *place);

/*
 * From RUNNING to state (one of the stopped ones) while the device has operations to do. *in_flight: some of them were
 * not completed when it stopped; false where it was too fast every time. Returns -1 where the state is not reached, or
 * what it did in RUNNING was wrong.
 */
int workplace_stop(struct workplace *place, unsigned int state, bool *in_flight, struct error *error);
/* One try of that. After a few that found it idle it is given heavier work. */
int workplace_stop_once(struct workplace *place, unsigned int state, bool *in_flight, struct error *error);
/* To RUNNING, and all that was submitted is completed and verified; then more of it. */
int workplace_go_on(struct workplace *place, struct error *error);

/*
 * A migration into the same device: from STOP_COPY (or RUNNING, or STOP) the stream is read, the device is reset, loaded
 * and, still in STOP, has its configuration restored and its interrupts bound. Left in STOP. The work is as it was.
 */
int workplace_move(struct workplace *place, struct error *error);

#endif
