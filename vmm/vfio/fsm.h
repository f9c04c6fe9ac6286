/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a device must do when it is asked for a state: a search over the rules as the uAPI states them. It shares no
 * logic with the reference devices' table, so that an error in one shows in the other.
 */
#ifndef STOPCOPY_VFIO_FSM_H
#define STOPCOPY_VFIO_FSM_H

#include <stdbool.h>
#include <stdint.h>

#define FSM_PATH_MAX 8

struct fsm_path {
    bool allowed;
    unsigned int length; /* states passed through, the last one included; 0: from == to */
    unsigned int state[FSM_PATH_MAX];
    bool opens_session; /* a data_fd comes with it */
};

/* Is this one of the sets of flags that the uAPI defines: STOP_COPY, with P2P, with PRE_COPY, with both? */
bool fsm_flags_defined(uint64_t flags);
/* Does a device with these flags have this state at all? */
bool fsm_state_offered(uint64_t flags, unsigned int state);
/* The path from from to to. Numbers past the last state are never allowed. */
struct fsm_path fsm_find_path(uint64_t flags, unsigned int from, unsigned int to);

#endif
