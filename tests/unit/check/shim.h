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

    /* Its own notes. */
    uint64_t bits;
    bool logging;
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
