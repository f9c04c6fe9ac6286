/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A vfio-user server of one reference device: on a socket in the file system, or on a connected one. */
#ifndef STOPCOPY_DEVICES_SERVER_SERVER_H
#define STOPCOPY_DEVICES_SERVER_SERVER_H

#include <stdbool.h>

#include "devices/faults/fault.h"
#include "devices/model.h"
#include "lib/error.h"

struct server_options {
    const char *path; /* NULL: fd */
    int fd;
    bool once;
    bool no_sandbox; /* else the process is held to the system calls that it needs (lib/sandbox.h), where it can be */
    struct device_options device;
    struct fault_request faults[FAULTS_MAX];
    size_t fault_count;
    /* Told once clients can connect, and why a client was dropped. May be NULL. */
    void (*listening)(const char *path);
    void (*dropped)(const struct error *error);
};

/*
 * Serves until SIGTERM or SIGINT, or the one client of fd or with once has left. Each client has a device of its own,
 * at its power-on state. A client that misbehaves costs its connection and nothing else: only fd's, or with once, is an
 * error then. Blocks SIGTERM and SIGINT and handles SIGBUS in the calling process.
 */
int server_run(const struct server_options *options, struct error *error);

#endif
