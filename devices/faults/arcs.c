/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arcs that fail, or that are taken without being asked for. */
#include <errno.h>

#include "devices/faults/timer.h"
#include "lib/deadline.h"

/* How long after an arc a state changes by itself. */
#define UNASKED_AFTER_NS 300000u

struct arc_fault {
    struct device_layer layer;
    int from; /* -1: any */
    int to;
    int number;
    bool to_error;
    struct fault_trigger trigger;
    struct fault_timer timer;
};

static bool concerns(const struct arc_fault *fault, unsigned int from, unsigned int to)
{
    return (fault->from < 0 || (unsigned int)fault->from == from) && (unsigned int)fault->to == to;
}

static int fail_arc(struct device *device, unsigned int from, unsigned int to)
{
    struct arc_fault *fault = (struct arc_fault *)device;

    if (!concerns(fault, from, to) || !fault_trigger_strikes(&fault->trigger))
        return device_arc(device->next, from, to);
    if (fault->to_error)
        host_state_changed(device->host, VFIO_DEVICE_STATE_ERROR);
    return fault->number;
}

static int change_unasked(struct device *device, unsigned int from, unsigned int to)
{
    struct arc_fault *fault = (struct arc_fault *)device;
    int failed = device_arc(device->next, from, to);

    if (!failed && concerns(fault, from, to) && fault_trigger_strikes(&fault->trigger))
        fault_timer_own(&fault->timer, device->host, clock_now_ns() + UNASKED_AFTER_NS);
    return failed;
}

static void timer(struct device *device)
{
    struct arc_fault *fault = (struct arc_fault *)device;

    if (fault_timer_rang(&fault->timer, device))
        host_state_changed(device->host, VFIO_DEVICE_STATE_ERROR);
}

static void set_timer(struct device_host *host, uint64_t at_ns)
{
    struct arc_fault *fault = (struct arc_fault *)fault_layer_of(host);

    fault_timer_below(&fault->timer, fault->layer.device.host, at_ns);
}

static const struct device_ops fail_down = {.destroy = fault_layer_destroy, .arc = fail_arc};
static const struct device_ops unasked_down = {.destroy = fault_layer_destroy, .arc = change_unasked, .timer = timer};
static const struct device_host_ops fail_up = {.dma_read = NULL};
static const struct device_host_ops unasked_up = {.set_timer = set_timer};

enum variant {
    FAILS,
    STOP_TO_RUNNING,
    UNASKED,
};

static struct device_layer *create(const struct fault_request *request, struct error *error)
{
    bool unasked = request->kind->variant == UNASKED;
    struct arc_fault *fault =
        fault_layer_new(sizeof(*fault), unasked ? &unasked_down : &fail_down, unasked ? &unasked_up : &fail_up, error);

    if (!fault)
        return NULL;
    fault->from = request->from;
    fault->to = request->arc >= 0 ? request->arc : VFIO_DEVICE_STATE_STOP_COPY;
    fault->number = request->number ? request->number : EIO;
    fault->to_error = request->to_error;
    fault->trigger = fault_trigger_from(request, unasked ? 1 : 0);
    /* An arc that fails does so each time, where nothing is said. */
    if (!unasked && !fault->trigger.at && !fault->trigger.one_in)
        fault->trigger.one_in = 1;
    if (request->kind->variant == STOP_TO_RUNNING) {
        fault->from = VFIO_DEVICE_STATE_STOP;
        fault->to = VFIO_DEVICE_STATE_RUNNING_P2P;
    }
    return &fault->layer;
}

const struct fault_kind fault_arc_kinds[] = {
    {"arc-fails", create, FAILS},
    {"stop-to-running-refused", create, STOP_TO_RUNNING},
    {"state-changes-unasked", create, UNASKED},
    {0},
};
