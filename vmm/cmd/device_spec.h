/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A DEVICE of the command line: what it names, and opening it.
 *
 *   test[:KEY=VALUE,...]         our reference device, in a process of its own, started here
 *   vfio-user:SOCKET[,dma=HOW]   any vfio-user server
 *   vfio:WHICH[,KEY=VALUE...]    a device of the kernel's VFIO: a PCI address, an mdev's UUID, /dev/vfio/devices/vfioN, or
 *                                /dev/vfio/GROUP,DEVICE; vf-token=UUID, fd=N, no-mmap, rom=off, reset=flr|hot|none
 *   any of them ,to=DEVICE       the destination's
 */
#ifndef STOPCOPY_CMD_DEVICE_SPEC_H
#define STOPCOPY_CMD_DEVICE_SPEC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/error.h"
#include "vmm/vfio/kernel.h"
#include "vmm/vfio/uapi_log.h"
#include "vmm/vfio/vfio_device.h"

/* How long one message may take where the user says nothing else. */
#define DEVICE_TIMEOUT_NS 20000000000u

#define DEVICE_FAULTS_MAX 8

enum device_kind {
    DEVICE_TEST,
    DEVICE_VFIO_USER,
    DEVICE_VFIO,
};

/* A number that was given, or the server's own default. */
struct device_option {
    bool given;
    uint64_t value;
};

struct device_spec {
    enum device_kind kind;
    char name[128];   /* as the user gave it, without ,to=DEVICE; cut off with "..." where it is longer */
    char target[128]; /* vfio-user: the socket's path; vfio: what follows the colon */

    /* test */
    char model[16];              /* "dma", "tally" or "uart" */
    struct device_option memory; /* bytes */
    struct device_option window; /* bytes */
    bool window_trapped;         /* "window=SIZE:trapped": it cannot be mapped */
    struct device_option queues;
    struct device_option vectors;
    struct device_option latency;        /* ns */
    struct device_option dirty_rate;     /* bytes a second */
    struct device_option features;       /* VFIO_MIGRATION_* */
    char faults[DEVICE_FAULTS_MAX][128]; /* "NAME[,KEY=VALUE...]" */
    unsigned int fault_count;

    bool no_sandbox;     /* test: its server is not held to the system calls that it needs */
    bool dma_by_message; /* test, vfio-user */

    struct kernel_options kernel; /* vfio */

    struct device_spec *to; /* NULL where none was given */

    /* --uapi-log */
    bool logged;
    int log_fd;
    const char *log_side;
    unsigned int log_index;
    bool keeps_streams; /* --keep-on-fail */
    int keep_fd;        /* the folder for them */
};

/* Errors name the option that is wrong and those that there are. *spec is to be freed only after success. */
int device_spec_parse(const char *text, struct device_spec *spec, struct error *error);
void device_spec_free(struct device_spec *spec);

/* The file of --uapi-log, made anew. Returns its descriptor, or -1. */
int device_log_open(const char *path, struct error *error);

/* "group" or "cdev", for --vfio. */
int device_spec_parse_way(const char *text, enum kernel_way *way, struct error *error);

struct opened_device {
    struct vfio_device *device;
    pid_t server; /* of the process that was started for it, 0 where there is none */
};

/*
 * Opens it. For test, the program stopcopy-device is started: program (--device-program) where not NULL, else the
 * environment's STOPCOPY_DEVICE, else the one beside this program, else the one in PATH. The process dies with the
 * calling thread, which therefore must live as long as the device.
 */
int device_open(const struct device_spec *spec, const char *program, uint64_t timeout_ns, struct opened_device *opened,
                struct error *error);

/* As device_open, beside those that are open already: of the kernel's devices, those of one IOMMU group share it. */
int device_open_beside(const struct device_spec *spec, const char *program, uint64_t timeout_ns,
                       struct vfio_device *const *peers, size_t peer_count, struct opened_device *opened,
                       struct error *error);

/* Closes the device and waits for the end of its server's process, which is killed where it does not come. Returns -1
 * where that process was killed or did not end with status 0; it is gone in any case. */
int device_close(struct opened_device *opened, struct error *error);

#endif
