/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is in a migration's stream that was saved in a file (docs/stream.md), without a machine and without belief in it. */
#ifndef STOPCOPY_CMD_INSPECT_STREAM_H
#define STOPCOPY_CMD_INSPECT_STREAM_H

#include <jansson.h>
#include <stdbool.h>

#include "lib/error.h"

/*
 * Reads it up to its end or the first record that is wrong, from the beginning of fd. Returns {format, records, hello, board,
 * ram, vcpus, devices, ..., wrong: [{at, record, text}]}; NULL with error where nothing can be said at all. folder (-1: none):
 * an open folder that the devices' streams and the states are written to, as new files.
 */
json_t *inspect_stream(int fd, const char *name, bool list_records, int folder, struct error *error);

#endif
