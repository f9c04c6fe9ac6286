/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --keep-on-fail FILE.tar: what a run that fails leaves for someone else to look into. It is gathered in a folder as the run goes
 * on, and becomes a tar at the end where the verdict is a FAIL; docs/by-hand.md says what is in it.
 */
#ifndef STOPCOPY_CMD_KEEP_H
#define STOPCOPY_CMD_KEEP_H

#include <jansson.h>
#include <stdbool.h>

#include "lib/error.h"
#include "vmm/report/kernel_log.h"

#define KEEP_FOLDER_MAX 2048

struct keep {
    const char *file; /* NULL: nothing is kept */
    char folder[KEEP_FOLDER_MAX];
    int folder_fd;
};

/* Makes the folder, and has the kernel's log copied there. Does nothing where nothing is to be kept. */
int keep_open(struct keep *keep, struct kernel_log *kernel_log, struct error *error);
/* The file of the log of the devices' calls, to be written to by all processes; -1 with error. */
int keep_uapi_log(const struct keep *keep, struct error *error);
/* Says in the report where what is kept will be, and writes the tar, with the report itself. */
int keep_save(const struct keep *keep, json_t *report, json_t *events, struct error *error);
/* Removes the folder. */
void keep_close(struct keep *keep, struct kernel_log *kernel_log);

#endif
