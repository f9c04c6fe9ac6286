/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The named steps of a migration, in the order in which each end comes to them. A step is reached before anything of it is
 * done, once at most for each migration and end: by then all that its row says is the case, and nothing more is.
 */
#ifndef STOPCOPY_STEP_H
#define STOPCOPY_STEP_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"

enum migration_step {
    STEP_SOURCE_PREPARE,
    STEP_SOURCE_ROUNDS,
    STEP_SOURCE_PAUSE,
    STEP_SOURCE_DEVICES_P2P,
    STEP_SOURCE_DEVICES_STOP_COPY,
    STEP_SOURCE_INTERRUPTS,
    STEP_SOURCE_RAM,
    STEP_SOURCE_VCPUS,
    STEP_SOURCE_DEVICE_DATA,
    STEP_SOURCE_END,
    STEP_SOURCE_READY_WAIT,
    STEP_SOURCE_COMMIT,
    STEP_SOURCE_RUNNING_WAIT,
    STEP_SOURCE_KEEP,
    STEP_SOURCE_FINISH,
    STEP_SOURCE_RESUME,
    STEP_DESTINATION_PREPARE,
    STEP_DESTINATION_ROUNDS,
    STEP_DESTINATION_LOAD,
    STEP_DESTINATION_DEVICES_STOP,
    STEP_DESTINATION_READY,
    STEP_DESTINATION_COMMIT_WAIT,
    STEP_DESTINATION_DIGESTS,
    STEP_DESTINATION_INTERRUPTS,
    STEP_DESTINATION_DEVICES_P2P,
    STEP_DESTINATION_DEVICES_RUN,
    STEP_DESTINATION_VCPUS_RUN,
    STEP_DESTINATION_RUNNING,
    STEP_DESTINATION_VERIFY,
    MIGRATION_STEPS,
};

/* Who has the guest once the process of that end has died at a step. */
enum step_guest {
    STEP_GUEST_NOBODY,         /* it died with the process */
    STEP_GUEST_SOURCE,         /* the source, which resumes it or never paused it: exit status 3 there */
    STEP_GUEST_DESTINATION,    /* the destination, which runs it */
    STEP_GUEST_HELD,           /* nobody runs it; the source holds it paused: exit status 6 there */
    STEP_GUEST_SOURCE_OR_HELD, /* either: the source may have sent COMMIT by then, or not */
};

/* When a step is reached at all. */
enum step_condition {
    STEP_ALWAYS,
    STEP_PRE_COPY,  /* with --mode pre-copy */
    STEP_CONNECTED, /* where the guest goes over a connection, and not to a file */
    STEP_TO_FILE,   /* where it goes to a file */
    STEP_FAILURE,   /* where the source takes the guest back */
};

struct step_row {
    const char *name; /* "source/pause" */
    bool destination;
    enum step_condition condition;
    enum step_guest after_death;
    const char *text; /* what is the case, and what comes next */
};

const struct step_row *step_row(enum migration_step step);
/* "with --mode pre-copy": "" for STEP_ALWAYS. */
const char *step_condition_text(enum step_condition condition);
const char *step_guest_text(enum step_guest guest);

/* Finds "source/pause", or "pause" where only one end has a step of that name. Returns the step, or -1 with error. */
int step_find(const char *name, struct error *error);

/* Who is told of the steps, before their action. */
struct step_watcher {
    void (*reached)(void *context, enum migration_step step, unsigned int leg);
    void *context;
    uint32_t hold_s; /* how long this may keep an end waiting in all: the other end is told, and waits so much longer */
};

/* More an end may not ask for. */
#define STEP_HOLD_MAX_S 3600u

/* One end of one migration. */
struct steps {
    const struct step_watcher *watcher; /* NULL: nobody */
    unsigned int leg;
    uint32_t reached; /* a bit each */
};

/* Tells the watcher, unless this end has been at the step before. */
void step_reach(struct steps *steps, enum migration_step step);

#endif
