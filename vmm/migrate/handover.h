/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two halves of a migration, and how the guest is handed over: READY (destination: everything is loaded and
 * checked), COMMIT (source: the point of no return), RUNNING (destination). NOT_STARTED may be answered only where no
 * arc out of STOP was tried on any device and no vCPU entered; then the source resumes. After the first such arc every
 * failure is the destination's. A connection lost after COMMIT leaves the source paused, outcome unknown: never two
 * guests.
 */
#ifndef STOPCOPY_HANDOVER_H
#define STOPCOPY_HANDOVER_H

#include "vmm/board/machine.h"
#include "vmm/migrate/channel_file.h"
#include "vmm/migrate/device_set.h"
#include "vmm/migrate/fault.h"
#include "vmm/migrate/precopy.h"
#include "vmm/migrate/ram.h"
#include "vmm/migrate/step.h"
#include "vmm/migrate/stream.h"
#include "vmm/migrate/verification.h"
#include "vmm/report/event_log.h"

#define BOOT_ID_SIZE 16

/* Where the guest is after an attempt. */
enum handover_outcome {
    HANDOVER_DONE,      /* on the destination, running */
    HANDOVER_ON_SOURCE, /* on the source, running: resumed, or never paused */
    HANDOVER_WITH_LOSS, /* on the source, running; a device was reset, and lost what the guest had in it */
    HANDOVER_ENDED,     /* on the source, where it came to its end before it was stopped: nothing failed */
    HANDOVER_LOST,      /* nowhere: a device or a vCPU cannot go on */
    HANDOVER_UNKNOWN,   /* the source holds it paused and cannot know whether the destination runs it */
};

/* HELLO, both ways. */
struct handover_hello {
    uint32_t version;
    bool sends;                        /* true: the source */
    bool digests;                      /* destination: it wants the source's digests */
    uint32_t hold_s;                   /* so much longer the other end has to wait at most */
    uint64_t clock_ns;                 /* CLOCK_MONOTONIC at sending */
    uint64_t wall_ns;                  /* CLOCK_REALTIME then */
    uint64_t guest_tsc;                /* source: the guest's TSC */
    uint8_t binding[TLS_BINDING_SIZE]; /* of the connection: a stream that is not of this one is refused */
    uint8_t boot_id[BOOT_ID_SIZE];     /* which host, since when: the same at both ends where they share their clocks */
};

/* The kernel's random identity of this boot: all zero where it cannot be read, which equals no other. */
void handover_read_boot_id(uint8_t id[BOOT_ID_SIZE]);
/* What this end knows of itself. boot_id: NULL where it is to be read. */
void handover_hello_fill(struct handover_hello *hello, const uint8_t *boot_id);
/* Are both of the same host, since the same boot, so that their clocks are one? */
bool handover_hello_same_boot(const struct handover_hello *a, const struct handover_hello *b);
int handover_hello_send(struct stream *stream, bool sends, bool digests, uint64_t guest_tsc, struct deadline deadline,
                        struct error *error);
int handover_hello_receive(struct stream *stream, bool sends, struct handover_hello *hello, struct deadline deadline,
                           struct error *error);

struct source_config {
    struct machine *machine;
    struct vfio_device *const *devices;
    size_t device_count;
    struct event_log *log;
    unsigned int leg;                  /* which migration this is, from 0 */
    int fd;                            /* connected, or the file's; the migration closes it */
    const char *peer;                  /* how to name the destination */
    const struct tls_credentials *tls; /* NULL: the stream is plain. Lives as long as the source */
    const uint8_t *boot_id;            /* of this host; NULL: it is read. Lives as long */
    struct channel_file *file;      /* the guest is saved there, and nobody answers; NULL: a destination is connected */
    bool may_reset;                 /* a device that is in ERROR where the guest is to go on here */
    bool share_ram;                 /* hand RAM over as it is (ram_share.h) */
    struct proof_snapshot *stopped; /* filled in with the guest's progress at the stop; may be NULL */
    bool pre_copy;                  /* send RAM and devices' states while the guest works, too */
    struct precopy_limits limits;   /* of that */
    int (*attend)(void *context, struct error *error); /* as in struct precopy_config */
    void *attend_context;
    /*
     * Asked with the vCPUs paused, before any device is stopped: is this the instant to stop at? false: the guest works on
     * for a moment, and is paused again, a few times at most. NULL: any instant is.
     */
    bool (*stop_here)(void *context);
    void *stop_here_context;
    void (*progress)(void *context, const struct precopy_progress *progress); /* as in struct precopy_config */
    void *progress_context;
    const bool *guest_ended; /* attend sets it, where it fails because the guest came to its end. NULL: it does not */
    uint64_t timeout_ns;     /* each wait for the destination */
    uint64_t message_timeout_ns;
    uint64_t arc_timeout_ns;
    uint64_t stop_hold_ns;            /* how long what was stopped is watched, 0: not at all */
    uint64_t limit_downtime_ns;       /* a longer downtime is a finding, 0: none is */
    const struct fault_plan *faults;  /* NULL: none */
    const struct step_watcher *steps; /* NULL: nobody is told */
};

struct source;

/* The sending half. config's members must live as long. The descriptor is taken over. */
struct source *source_new(const struct source_config *config, struct error *error);
void source_free(struct source *source);

/* Everything before the pause: the destination builds the same machine, or refuses, while the guest works. */
int source_prepare(struct source *source, struct error *error);
/* Tells the destination that the guest still works; to be called from time to time until source_migrate. */
int source_keep_alive(struct source *source, struct error *error);

/*
 * Nothing is to be migrated any more: the guest has come to its end. The destination hears it, and that nothing failed.
 */
void source_give_up(struct source *source, const char *text);

/*
 * Sends the running guest. HANDOVER_ON_SOURCE and the others leave the reason in error. The machine is paused afterwards, but
 * for HANDOVER_ON_SOURCE and HANDOVER_ENDED.
 */
enum handover_outcome source_migrate(struct source *source, struct error *error);

struct destination_config {
    struct event_log *log;
    int fd; /* connected, or a file's; the migration closes it */
    const char *peer;
    const struct tls_credentials *tls; /* as in struct source_config */
    const uint8_t *boot_id;            /* of this host; NULL: it is read. Lives as long */
    bool saved;                        /* fd is a saved file's, which stream_check_saved has found to be whole */
    struct vfio_device *const *devices;
    size_t device_count;
    int kvm_fd; /* as in struct vm_config */
    enum verify_mode verify;
    enum device_order order;
    bool no_p2p;      /* refuse a guest whose devices reach each other */
    bool merge_log;   /* take over the source's events */
    unsigned int leg; /* which migration this is, from 0: the only one of which the source's events are taken */
    uint64_t timeout_ns;
    uint64_t message_timeout_ns;
    uint64_t arc_timeout_ns;
    const struct fault_plan *faults;
    const struct step_watcher *steps;
};

struct destination;

/*
 * Receives a guest up to RUNNING. On HANDOVER_DONE *machine runs and is the caller's, paused has the guest's progress as it
 * was at the stop, and destination_finish is to be called. HANDOVER_ON_SOURCE: nothing was started here.
 */
enum handover_outcome destination_receive(struct destination *destination, struct machine **machine,
                                          struct proof_snapshot *paused, struct error *error);
/* What comes from the source once the guest runs here: digests, compared, and its log. Findings go to the log. -1 where not
 * all of it came, with the rule "stream/invalid" where what came is not what is due. */
int destination_finish(struct destination *destination, struct error *error);

struct destination *destination_new(const struct destination_config *config, struct error *error);
void destination_free(struct destination *destination);

/* In place of destination_receive, where this end cannot even begin: tells the source why. */
void destination_refuse(struct destination *destination, const struct error *error);

#endif
