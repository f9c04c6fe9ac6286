/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is in a device's own stream, as far as it is one of the reference devices' (docs/device.md): its sections. Of any other
 * the size and the digest. Nothing of it is believed: every length is checked, and no more than one section is held.
 */
#ifndef STOPCOPY_CMD_INSPECT_DEVICE_H
#define STOPCOPY_CMD_INSPECT_DEVICE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <xxhash.h>

#include "lib/buffer.h"

struct inspect_device {
    bool begun;
    uint64_t bytes;
    XXH3_state_t *digest;
    struct buffer part; /* of the header or the section that is coming; what is not a reference device's is not kept */
    bool reference;     /* it began as one */
    uint64_t part_at;   /* where part begins */
    uint32_t model;     /* 0: not known yet */
    uint32_t next;      /* number of the section that is due */
    bool ended;         /* its end came */
    char wrong[160];    /* what is wrong first, "" while nothing is */
    uint64_t wrong_at;  /* byte of the stream */
    json_t *sections;   /* {at, type, name, bytes}, runs of one type taken together: {count} */
};

/* -1 without memory. To be freed in any case. */
int inspect_device_begin(struct inspect_device *device);
void inspect_device_free(struct inspect_device *device);
void inspect_device_feed(struct inspect_device *device, const void *data, size_t size);
/* No more comes. */
void inspect_device_finish(struct inspect_device *device);
/* {bytes, digest, format, model, sections, wrong, wrong_at}: a new reference. */
json_t *inspect_device_json(const struct inspect_device *device);

#endif
