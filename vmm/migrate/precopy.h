/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pre-copy: what can be sent of a guest while it works. Round after round RAM goes, first everything that holds data, then
 * what was written since; beside it goes the state of the devices that have PRE_COPY. When what is left would take less time
 * than the downtime may, the guest is stopped, and the rest goes.
 */
#ifndef STOPCOPY_PRECOPY_H
#define STOPCOPY_PRECOPY_H

#include "vmm/migrate/device_set.h"
#include "vmm/migrate/fault.h"
#include "vmm/migrate/ram.h"
#include "vmm/migrate/stream.h"
#include "vmm/vfio/dirty_log.h"

#define PRECOPY_ROUNDS_MAX 10000u

struct precopy_limits {
    uint64_t max_downtime_ns; /* of the estimate at which the guest is stopped */
    unsigned int max_rounds;  /* after so many it does not converge */
    enum dirty_log dirty_log; /* whose log says what a device wrote */
    unsigned int throttle;    /* percent of their time that the vCPUs may be held where the rounds do not get shorter */
    bool give_up;             /* then the migration is cancelled; else the guest is stopped all the same */
};

/* How far the rounds have come. */
struct precopy_progress {
    unsigned int round; /* from 1; 0: the rounds are over */
    uint64_t sent;      /* bytes, in all rounds */
    uint64_t left;      /* bytes that this round began with, or that the last one left */
    double bandwidth;   /* bytes a second, as measured */
};

struct precopy_config {
    struct machine *machine;
    struct device_set *set;
    struct stream *stream;
    struct ram_sender *ram; /* NULL: RAM is shared, and only devices' states go in the rounds */
    struct precopy_limits limits;
    uint64_t timeout_ns;             /* of each record */
    const struct fault_plan *faults; /* NULL: none */
    /* Between rounds: looks after the guest that works. -1 with the reason: the rounds end there. NULL: nobody does. */
    int (*attend)(void *context, struct error *error);
    void *attend_context;
    /* Told several times a second how far it is. NULL: nobody is. */
    void (*progress)(void *context, const struct precopy_progress *progress);
    void *progress_context;
};

struct precopy;

struct precopy *precopy_new(const struct precopy_config *config, struct error *error);
/* Closes sessions that were not taken and stops the logs. */
void precopy_free(struct precopy *precopy);

/*
 * Starts the logs, takes the devices to PRE_COPY (linux/vfio.h, VFIO_DEVICE_STATE_PRE_COPY), and does rounds until the guest
 * can be stopped. A phase "round N" of each goes to the event log, and the facts of docs/report.md. Fails, the guest at
 * work and devices in PRE_COPY, where something fails or, with limits.give_up, after the last round.
 */
int precopy_run(struct precopy *precopy, struct error *error);
/* The guest goes on: every device to RUNNING, all logs stopped. Fails where a device cannot go there. */
int precopy_cancel(struct precopy *precopy, struct error *error);

/* Once every device is in STOP_COPY: sends the pages written since they were sent last. */
int precopy_send_rest(struct precopy *precopy, struct error *error);
/* The device's session, which goes on in STOP_COPY, taken over, with the bytes sent of it before; NULL where it had none. */
struct vfio_data_session *precopy_take_session(struct precopy *precopy, unsigned int index, uint64_t *bytes);
/* The guest goes on here after it was stopped: its vCPUs are held back no more. */
void precopy_end_throttling(struct precopy *precopy);
/* Closes those that were not taken. */
void precopy_end_sessions(struct precopy *precopy);
void precopy_stop_tracking(struct precopy *precopy);

#endif
