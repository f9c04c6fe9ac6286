/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Does to a device what a log (--uapi-log) says was done to another, and compares the answers. */
#ifndef STOPCOPY_CMD_REPLAY_DEVICE_H
#define STOPCOPY_CMD_REPLAY_DEVICE_H

#include <jansson.h>

#include "vmm/vfio/vfio_device.h"

#define REPLAY_MAPPINGS_MAX 64

struct replay {
    struct vfio_device *device;
    struct vfio_data_session *session;
    struct {
        void *host;
        size_t size;
    } mapping[REPLAY_MAPPINGS_MAX];
    unsigned int mappings;
    uint64_t done, left_out, different;
};

/* One line of the log. Prints where the answer is another one. */
void replay_line(struct replay *replay, unsigned int number, const json_t *line);
/* Gives back what the lines took. The device stays the caller's. */
void replay_end(struct replay *replay);

#endif
