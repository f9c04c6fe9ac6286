/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One VMM process: a guest that boots here or comes from a source, runs, and finishes here or goes to a destination.
 * run, source, dest and each process of migrate are this with other ends.
 */
#ifndef STOPCOPY_VMM_PROCESS_H
#define STOPCOPY_VMM_PROCESS_H

#include "vmm/cmd/cmd.h"
#include "vmm/cmd/options.h"
#include "vmm/report/event_log.h"

/* The guest's progress at each stop and at the end, for the proof. index: how many came before. */
struct snapshot_sink {
    int (*put)(void *context, unsigned int index, bool end, const struct proof_snapshot *snapshot, struct error *error);
    void *context;
};

struct vmm_process_config {
    const struct options *options;
    struct event_log *log;
    struct snapshot_sink sink;
    int from; /* a connected socket to receive from, taken over; -1: the guest boots here */
    const char *from_name;
    const struct tls_credentials *from_tls, *to_tls; /* NULL: the stream is plain */
    bool from_saved;                                 /* it is a file's */
    int to; /* a connected socket to send to, taken over; -1: the guest finishes here */
    const char *to_name;
    struct channel_file *to_file; /* where the guest is to be saved, NULL: to is a socket */
    unsigned int leg;             /* of the first migration that this process has a part in */
    bool other_side;              /* of DEVICE,to=OTHER take OTHER */
    int alive;                    /* an empty line goes there about once a second while the guest works; -1: nowhere */
    bool merge_log;               /* the source's events come by the stream */
    bool source_faults;           /* devices get those of --fault that belong to the way out */
    bool faults;                  /* those of --fault that belong to the way in (or to a guest that never moves) */
    struct step_process *processes; /* STEP_PROCESSES of them, which this process adds itself to */
    struct proof_plan *plan;        /* filled in once the devices are known; may be NULL */
};

/*
 * Runs it to its end and returns the exit status as far as this process can know it: the proof is the caller's. Events go
 * to the log, the last of them an outcome; error has what went wrong where the status is not STATUS_INTACT.
 */
enum status vmm_process_run(const struct vmm_process_config *config, struct error *error);

#endif
