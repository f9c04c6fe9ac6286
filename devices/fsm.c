/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/fsm.h"

#include "stopcopy/vfio_compat.h"

#define ERROR VFIO_DEVICE_STATE_ERROR
#define STOP VFIO_DEVICE_STATE_STOP
#define RUNNING VFIO_DEVICE_STATE_RUNNING
#define STOP_COPY VFIO_DEVICE_STATE_STOP_COPY
#define RESUMING VFIO_DEVICE_STATE_RESUMING
#define RUNNING_P2P VFIO_DEVICE_STATE_RUNNING_P2P
#define PRE_COPY VFIO_DEVICE_STATE_PRE_COPY
#define PRE_COPY_P2P VFIO_DEVICE_STATE_PRE_COPY_P2P

/* What migration flags a state needs. */
static const uint64_t needs[MIGRATION_STATES] = {
    [STOP] = VFIO_MIGRATION_STOP_COPY,
    [STOP_COPY] = VFIO_MIGRATION_STOP_COPY,
    [RESUMING] = VFIO_MIGRATION_STOP_COPY,
    [RUNNING_P2P] = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P,
    [PRE_COPY] = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_PRE_COPY,
    [PRE_COPY_P2P] = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY,
};

/* table[from][to] is the next state on the way; ERROR is a refusal. */
/* clang-format off */
static const uint8_t table[MIGRATION_STATES][MIGRATION_STATES] = {
    [ERROR] = {ERROR},
    [STOP] = {
        [STOP] = STOP, [RUNNING] = RUNNING_P2P, [STOP_COPY] = STOP_COPY, [RESUMING] = RESUMING,
        [RUNNING_P2P] = RUNNING_P2P, [PRE_COPY] = RUNNING_P2P, [PRE_COPY_P2P] = RUNNING_P2P,
    },
    [RUNNING] = {
        [STOP] = RUNNING_P2P, [RUNNING] = RUNNING, [STOP_COPY] = RUNNING_P2P, [RESUMING] = RUNNING_P2P,
        [RUNNING_P2P] = RUNNING_P2P, [PRE_COPY] = PRE_COPY, [PRE_COPY_P2P] = RUNNING_P2P,
    },
    [STOP_COPY] = {
        [STOP] = STOP, [RUNNING] = STOP, [STOP_COPY] = STOP_COPY, [RESUMING] = STOP,
        [RUNNING_P2P] = STOP, [PRE_COPY] = ERROR, [PRE_COPY_P2P] = ERROR,
    },
    [RESUMING] = {
        [STOP] = STOP, [RUNNING] = STOP, [STOP_COPY] = STOP, [RESUMING] = RESUMING,
        [RUNNING_P2P] = STOP, [PRE_COPY] = STOP, [PRE_COPY_P2P] = STOP,
    },
    [RUNNING_P2P] = {
        [STOP] = STOP, [RUNNING] = RUNNING, [STOP_COPY] = STOP, [RESUMING] = STOP,
        [RUNNING_P2P] = RUNNING_P2P, [PRE_COPY] = RUNNING, [PRE_COPY_P2P] = PRE_COPY_P2P,
    },
    [PRE_COPY] = {
        [STOP] = RUNNING, [RUNNING] = RUNNING, [STOP_COPY] = PRE_COPY_P2P, [RESUMING] = RUNNING,
        [RUNNING_P2P] = RUNNING, [PRE_COPY] = PRE_COPY, [PRE_COPY_P2P] = PRE_COPY_P2P,
    },
    [PRE_COPY_P2P] = {
        [STOP] = RUNNING_P2P, [RUNNING] = RUNNING_P2P, [STOP_COPY] = STOP_COPY, [RESUMING] = RUNNING_P2P,
        [RUNNING_P2P] = RUNNING_P2P, [PRE_COPY] = PRE_COPY, [PRE_COPY_P2P] = PRE_COPY_P2P,
    },
};
/* clang-format on */

bool fsm_offers(uint64_t flags, unsigned int state)
{
    return state < MIGRATION_STATES && (needs[state] & ~flags) == 0;
}

int fsm_next(uint64_t flags, unsigned int from, unsigned int to)
{
    unsigned int next;

    if (!fsm_offers(flags, from) || !fsm_offers(flags, to))
        return -1;
    next = table[from][to];
    while (next != ERROR && !fsm_offers(flags, next))
        next = table[next][to];
    return next == ERROR ? -1 : (int)next;
}

bool fsm_is_saving(unsigned int state)
{
    return state == PRE_COPY || state == PRE_COPY_P2P || state == STOP_COPY;
}
