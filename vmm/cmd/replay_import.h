/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What another VMM did to a device, from QEMU's trace events and from strace, as the log that replay takes
 * (docs/capture-qemu.md). Both are hostile. */
#ifndef STOPCOPY_CMD_REPLAY_IMPORT_H
#define STOPCOPY_CMD_REPLAY_IMPORT_H

#include <stddef.h>
#include <stdio.h>

#include "lib/error.h"

#define REPLAY_IMPORTS_MAX 16

/* Reads the files, and writes the calls in the order of their times, a line of JSON each. name: of the device, as QEMU has it;
 * NULL for the first that a trace event names. What is left out is counted on standard error. */
int replay_import(const char *const *files, size_t count, const char *name, FILE *out, struct error *error);

#endif
