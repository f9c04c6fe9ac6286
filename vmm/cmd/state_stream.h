/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A device's stream in a file, as it is, without an envelope. */
#ifndef STOPCOPY_CMD_STATE_STREAM_H
#define STOPCOPY_CMD_STATE_STREAM_H

#include <stdint.h>

#include "lib/error.h"
#include "vmm/vfio/vfio_device.h"

/* Reads the session to its end and writes it to a temporary file beside path, which takes path's place when it is
 * whole. */
int state_stream_save(struct vfio_data_session *session, const char *path, uint64_t *bytes, struct error *error);

/* Writes all of the file at path to the session. */
int state_stream_load(struct vfio_data_session *session, const char *path, uint64_t *bytes, struct error *error);

#endif
