/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device between a test and the real one that does one thing wrong, as it is told to. What it does not falsify goes to
 * the real one, which is a stopcopy-device in a process of its own.
 */
#ifndef TESTS_UNIT_CHECK_SHIM_H
#define TESTS_UNIT_CHECK_SHIM_H

#include <pthread.h>
#include <stdatomic.h>

#include "vmm/cmd/device_spec.h"

struct shim {
    struct vfio_device device; /* first */
    struct opened_device real;
    unsigned int state; /* as last set with success */
    uint8_t *memory;    /* the last byte of what was mapped first */
    int trigger;        /* of vector 0 */

    /* What it does wrong. */
    bool write_in_stop;     /* memory changes again and again while it is stopped */
    bool interrupt_in_stop; /* vector 0 is signalled again and again while it is stopped */
    bool config_in_stop;    /* configuration space cannot be read in STOP */
    bool config_changes;    /* its first BAR reads differently in STOP */
    bool set_irqs_in_stop;  /* is refused in STOP */
    bool loses_work;        /* RUNNING drops what was in flight in queue 0 */
    uint64_t report_drops;  /* every nth bit that is set in reports is not; 0: none */
    bool report_full;       /* every bit is set */
    bool report_keeps;      /* the first page is reported each time */
    bool report_unstarted;  /* a report without a start succeeds */
    bool start_twice;       /* a second start succeeds */
    bool start_anything;    /* and any other, which starts nothing */
    bool stop_unstarted;    /* a stop without a start succeeds */
    bool outside_clears;    /* a report outside of the first range that is logged is one of that range */
    bool runs_on;           /* STOP is only said, and RUNNING goes on */
    bool writes_to_peer;    /* memory of another device changes again and again in RUNNING_P2P */
    bool needs_driver;      /* cannot be saved before a register was written */
    bool needs_decoding;    /* nor while its BARs are not decoded */
    bool needs_master;      /* nor while it is not the bus's master */
    bool needs_d0;          /* nor in a state of low power; it has a capability for that */
    bool unmask_forgotten;  /* an interrupt that was masked stays so */
    bool flr_stops;         /* a function level reset leaves it in STOP */
    bool reset_stops;       /* a reset in another state than RUNNING leads to STOP */
    bool reset_breaks;      /* one by another thread leads to an ERROR that nothing but a close ends */
    bool close_forgotten;   /* closed in another state than RUNNING it is in STOP when it is opened again */
    bool descriptor_kept;   /* the descriptor of a session has data for ever */
    bool session_breaks;    /* a session that is left while another thread uses it leads to an ERROR, as reset_breaks */
    bool session_closed;    /* a session that was not read to its end cannot be closed without an ERROR */
    bool like_the_kernel;   /* takes requests of several threads, and no server can go away */

    /* Its own notes. */
    uint64_t bits;
    bool logging;
    struct vfio_device_feature_dma_logging_range logged; /* the first range */
    uint8_t *peer;                                       /* the first byte of what was mapped as another device's */
    bool driven;                                         /* a register was written since it was opened, or reset */
    uint16_t command;                                    /* PCI_COMMAND */
    uint8_t power;                                       /* PCI_PM_CTRL_STATE_MASK */
    bool ended;                                          /* the session was read to its end */
    bool descriptor_given;                               /* the session's, to somebody */
    pthread_t owner;                                     /* who opened it */
    bool broken;                                         /* in ERROR for ever */
    pthread_mutex_t lock;                                /* of all that several threads may ask for */
    bool late_runs;
    atomic_bool end_late;
    pthread_t late;
};

/* Opens the device of a specification ("test:...") behind a shim. Asserts. */
void shim_open(struct shim *shim, const char *spec);
void shim_close(struct shim *shim);
/* The same device in a new process, or connection. */
void shim_reopen(struct shim *shim);

#endif
