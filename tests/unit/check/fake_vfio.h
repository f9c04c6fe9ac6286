/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device of this process that keeps every rule but, where one is asked for, a single defect. Its stream has 76 bytes: a
 * magic number, a length, 64 bytes of state, and a checksum.
 */
#ifndef FAKE_VFIO_H
#define FAKE_VFIO_H

#include "vmm/check/check_context.h"

enum defect {
    DEFECT_NONE,
    /* discovery */
    DEFECT_PROBE_FAILS,
    DEFECT_PROBE_WANTS_DATA,
    DEFECT_PROBE_OF_ALL,
    DEFECT_UNKNOWN_FEATURE,
    DEFECT_GET_AND_SET,
    DEFECT_NO_METHOD,
    DEFECT_SET_OF_FLAGS,
    DEFECT_UNKNOWN_FLAGS,
    DEFECT_ARGSZ,
    DEFECT_STATE_KEPT,
    DEFECT_RESET_UNSAID,
    /* the state machine */
    DEFECT_NO_WAY_BACK,
    DEFECT_STATE_LATE,
    DEFECT_SAME_STATE_REFUSED,
    DEFECT_SESSION_AGAIN,
    DEFECT_TIRES,
    DEFECT_BACK_TO_PRE_COPY,
    DEFECT_ERROR_TAKEN,
    DEFECT_PAST_LAST_TAKEN,
    DEFECT_OPTIONAL_TAKEN,
    DEFECT_REFUSAL_MOVES,
    DEFECT_ASYNCHRONOUS,
    /* data */
    DEFECT_DATA_AFTER_END,
    DEFECT_ENOMSG_IN_STOP_COPY,
    DEFECT_LOADS_ONCE,
    DEFECT_LOAD_LOSES_BYTE,
    DEFECT_READ_DROPS,
    DEFECT_WRITE_WANTS_HEADER,
    DEFECT_OLD_SESSION,
    DEFECT_COUNTER_IN_STREAM,
    DEFECT_SIZE_ZERO,
    /* PRE_COPY */
    DEFECT_EARLY_DROPS,
    DEFECT_CANCEL_GOES_ON,
    DEFECT_NO_INFO,
    DEFECT_INFO_ANYWHERE,
    DEFECT_INITIAL_ZERO,
    DEFECT_DIRTY_AT_FIRST,
    DEFECT_END_IN_PRE_COPY,
    DEFECT_ALWAYS_LEFT,
    /* reset */
    DEFECT_RESET_STAYS,
    DEFECT_RESET_KEEPS_SESSION,
    DEFECT_RESET_HURTS,
    DEFECT_LEAK,
    /* bad streams */
    DEFECT_REST_KEPT,
    DEFECT_REFUSED_IN_STOP,
    DEFECT_REFUSAL_FORGOTTEN,
    DEFECT_ERROR_LEFT,
    DEFECT_EMPTY_TAKEN,
    DEFECT_TRUNCATED_TAKEN,
    DEFECT_EXTENDED_TAKEN,
    DEFECT_FOREIGN_TAKEN,
    DEFECT_CHANGED_TAKEN,
    DEFECT_CHANGED_HANGS,
    DEFECT_DIES,
    /* one role after the other, and servers */
    DEFECT_SAVED_NO_LOAD,
    DEFECT_LOADED_NO_SAVE,
    DEFECT_EMPTY_WRITE,
};

/* Where it is opened from: outlives the device. */
struct fake_source {
    enum defect defect;
    uint64_t flags; /* VFIO_MIGRATION_* */
    unsigned int kept_state;
    unsigned int opened; /* times */
};

struct check_opener fake_opener(struct fake_source *source);

#endif
