/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Faults on purpose: layers between server and model, each wrong in one way. To add one, write its file with a struct
 * fault_kind and a create function, and name it in fault.c's list.
 */
#ifndef STOPCOPY_DEVICES_FAULTS_FAULT_H
#define STOPCOPY_DEVICES_FAULTS_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/model.h"
#include "lib/error.h"
#include "lib/options.h"

#define FAULTS_MAX 8u
#define FAULT_OPTIONS_MAX 4u

struct fault_request;

struct fault_kind {
    const char *name;
    const char *options; /* "at=N", "" for none */
    const char *description;
    /* A layer with both ops set, whose destroy frees it. NULL with error. */
    struct device_layer *(*create)(const struct fault_request *request, struct error *error);
};

/* What --fault said. */
struct fault_request {
    const struct fault_kind *kind;
    bool has_at;
    uint64_t at;
};

extern const struct fault_kind *const fault_kinds[]; /* up to NULL */

/* "NAME" or "NAME,KEY=VALUE,..." */
int fault_parse(const char *text, struct fault_request *request, struct error *error);
/* Puts the fault on top of a device. NULL with error, and then device is as it was. */
struct device *fault_push(const struct fault_request *request, struct device *device, struct error *error);

/* For the faults: a zeroed structure of size bytes that begins with a struct device_layer, and its destroy. */
void *fault_layer_new(size_t size, const struct device_ops *down, const struct device_host_ops *up,
                      struct error *error);
void fault_layer_destroy(struct device *device);

/* The layer of a host face. */
static inline struct device_layer *fault_layer_of(struct device_host *host)
{
    return (struct device_layer *)((char *)host - offsetof(struct device_layer, host));
}

extern const struct fault_kind fault_completion_repeated;
extern const struct fault_kind fault_device_byte_changed;
extern const struct fault_kind fault_p2p_not_quiesced;

#endif
