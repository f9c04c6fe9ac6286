/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Faults on purpose: layers between server and model, each wrong in one way. A file has a family of them. To add one,
 * describe it in lib/fault_table.c, and name it with its create function in a family's list.
 */
#ifndef STOPCOPY_DEVICES_FAULTS_FAULT_H
#define STOPCOPY_DEVICES_FAULTS_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/model.h"
#include "lib/error.h"
#include "lib/fault_table.h"
#include "lib/options.h"

#define FAULTS_MAX 8u
#define FAULT_OPTIONS_MAX 6u

struct fault_request;

struct fault_kind {
    const char *name;
    /* A layer with both ops set, whose destroy frees it. NULL with error. */
    struct device_layer *(*create)(const struct fault_request *request, struct error *error);
    unsigned int variant; /* of the family's create function */
};

/* What --fault said. */
struct fault_request {
    const struct fault_kind *kind;
    const struct fault_row *row;
    bool has_at;
    uint64_t at;
    bool has_byte;
    uint64_t byte;
    uint64_t one_in; /* 0: not said */
    uint64_t seed;
    int from;   /* of an arc, -1: any */
    int arc;    /* where it goes, -1: not said */
    int number; /* errno=, 0: not said */
    bool to_error;
};

/* "NAME" or "NAME,KEY=VALUE,..." */
int fault_parse(const char *text, struct fault_request *request, struct error *error);
/* Puts the fault on top of a device. NULL with error, and then device is as it was. */
struct device *fault_push(const struct fault_request *request, struct device *device, struct error *error);
/* Calls for every kind that there is. */
void fault_kinds_each(void (*call)(void *context, const struct fault_kind *kind), void *context);

/* For the faults: a zeroed structure of size bytes that begins with a struct device_layer, and its destroy. */
void *fault_layer_new(size_t size, const struct device_ops *down, const struct device_host_ops *up,
                      struct error *error);
void fault_layer_destroy(struct device *device);

/* The layer of a host face. */
static inline struct device_layer *fault_layer_of(struct device_host *host)
{
    return (struct device_layer *)((char *)host - offsetof(struct device_layer, host));
}

/*
 * When a fault strikes: at the Nth occasion (at=N), at each with a chance of one in N (one-in=N,seed=S), or at the one
 * that is the fault's own.
 */
struct fault_trigger {
    uint64_t at; /* 0: by chance */
    uint64_t one_in;
    uint64_t random;
    uint64_t count;
};

struct fault_trigger fault_trigger_from(const struct fault_request *request, uint64_t default_at);
/* Counts an occasion: is it one? */
bool fault_trigger_strikes(struct fault_trigger *trigger);

/* Is this arc one that ends a load, or that has the device work again? */
static inline bool fault_arc_loads(unsigned int from)
{
    return from == VFIO_DEVICE_STATE_RESUMING;
}
/* In these states a device does nothing. */
bool fault_state_is_stopped(unsigned int state);

/* Each family's kinds, ended by one without a name. */
extern const struct fault_kind fault_answer_kinds[];
extern const struct fault_kind fault_arc_kinds[];
extern const struct fault_kind fault_completion_kinds[];
extern const struct fault_kind fault_interrupt_kinds[];
extern const struct fault_kind fault_load_kinds[];
extern const struct fault_kind fault_log_kinds[];
extern const struct fault_kind fault_memory_kinds[];
extern const struct fault_kind fault_quiesce_kinds[];
extern const struct fault_kind fault_repeated_kinds[];
extern const struct fault_kind fault_size_kinds[];
extern const struct fault_kind fault_state_kinds[];
extern const struct fault_kind fault_stream_kinds[];
extern const struct fault_kind fault_p2p_kinds[];

#endif
