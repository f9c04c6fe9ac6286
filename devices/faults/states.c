/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A state machine that takes what it must refuse, refuses what it must take, or goes elsewhere. */
#include <errno.h>

#include "devices/faults/command.h"

#define STATE_NEVER_DEFINED VFIO_DEVICE_STATE_PRE_COPY_P2P

struct state_fault {
    struct device_layer layer;
    bool saved; /* a data transfer session was there before */
    bool leaked;
    /* Returns 0 or an errno in place of what the server says to this SET, which is failed. */
    int (*answer)(struct state_fault *fault, struct device_command *command, unsigned int from, unsigned int to,
                  int failed);
};

static bool is_pre_copy(unsigned int state)
{
    return state == VFIO_DEVICE_STATE_PRE_COPY || state == VFIO_DEVICE_STATE_PRE_COPY_P2P;
}

static int take(struct device_command *command, unsigned int to)
{
    *command->state = to;
    return command_accept(command);
}

static int refuse_same(struct state_fault *fault, struct device_command *command, unsigned int from, unsigned int to,
                       int failed)
{
    (void)fault, (void)command;
    return from == to ? EINVAL : failed;
}

static int accept_pre_copy(struct state_fault *fault, struct device_command *command, unsigned int from,
                           unsigned int to, int failed)
{
    (void)fault;
    return failed && from == VFIO_DEVICE_STATE_STOP_COPY && is_pre_copy(to) ? take(command, to) : failed;
}

static int accept_error(struct state_fault *fault, struct device_command *command, unsigned int from, unsigned int to,
                        int failed)
{
    (void)fault, (void)from;
    return failed && to == VFIO_DEVICE_STATE_ERROR ? take(command, to) : failed;
}

/* One that exists and is not among those of FEATURE_MIGRATION: the nearest that is offered is what the device does. */
static int accept_not_offered(struct state_fault *fault, struct device_command *command, unsigned int from,
                              unsigned int to, int failed)
{
    uint64_t flags = device_migration_flags(fault->layer.device.next);
    bool p2p = to == VFIO_DEVICE_STATE_RUNNING_P2P || to == VFIO_DEVICE_STATE_PRE_COPY_P2P;

    if (!failed || from != VFIO_DEVICE_STATE_RUNNING)
        return failed;
    if ((p2p && !(flags & VFIO_MIGRATION_P2P)) || (is_pre_copy(to) && !(flags & VFIO_MIGRATION_PRE_COPY)))
        return command_accept(command);
    return failed;
}

static int accept_past_last(struct state_fault *fault, struct device_command *command, unsigned int from,
                            unsigned int to, int failed)
{
    (void)fault, (void)from;
    return failed && to > STATE_NEVER_DEFINED ? command_accept(command) : failed;
}

/* The answer says that it was done, and the state is the one before. */
static int stop_short(struct state_fault *fault, struct device_command *command, unsigned int from, unsigned int to,
                      int failed)
{
    (void)fault;
    if (!failed && from != to && to == VFIO_DEVICE_STATE_STOP)
        *command->state = VFIO_DEVICE_STATE_STOP_COPY;
    return failed;
}

/* The resources of a PRE_COPY that was cancelled are never given back. */
static int leak_session(struct state_fault *fault, struct device_command *command, unsigned int from, unsigned int to,
                        int failed)
{
    (void)command;
    if (!failed && is_pre_copy(from) && !is_pre_copy(to) && to != VFIO_DEVICE_STATE_STOP_COPY)
        fault->leaked = true;
    return failed;
}

/* A device that has been a source once is none that can be loaded. */
static int remember_save(struct state_fault *fault, struct device_command *command, unsigned int from, unsigned int to,
                         int failed)
{
    (void)command, (void)from;
    if (!failed && to == VFIO_DEVICE_STATE_STOP_COPY)
        fault->saved = true;
    return failed;
}

/* Arcs that are refused before anything is done. */
static bool refused(const struct state_fault *fault, unsigned int from, unsigned int to)
{
    if (fault->answer == remember_save)
        return fault->saved && to == VFIO_DEVICE_STATE_RESUMING;
    if (fault->answer == leak_session)
        return fault->leaked && from == VFIO_DEVICE_STATE_RUNNING &&
               (is_pre_copy(to) || to == VFIO_DEVICE_STATE_STOP_COPY);
    return false;
}

static int command(struct device *device, struct device_command *command)
{
    struct state_fault *fault = (struct state_fault *)device;
    unsigned int from = *command->state;
    unsigned int to;

    if (!command_sets_state(command, &to))
        return device_command(device->next, command);
    if (refused(fault, from, to))
        return ENOSPC;
    return fault->answer(fault, command, from, to, device_command(device->next, command));
}

/* The reset brings back the device, and not the state machine. */
static int reset_command(struct device *device, struct device_command *command)
{
    unsigned int before = *command->state;
    int failed = device_command(device->next, command);

    if (!failed && command->number == VFIO_USER_DEVICE_RESET)
        *command->state = before;
    return failed;
}

static void reset(struct device *device)
{
    struct state_fault *fault = (struct state_fault *)device;

    fault->saved = fault->leaked = false;
    device_reset(device->next);
}

static const struct device_ops down = {.destroy = fault_layer_destroy, .reset = reset, .command = command};
static const struct device_ops reset_down = {.destroy = fault_layer_destroy, .command = reset_command};
static const struct device_host_ops up = {.dma_read = NULL};

static struct device_layer *create(const struct fault_request *request, struct error *error)
{
    static int (*const answers[])(struct state_fault * fault, struct device_command * command, unsigned int from,
                                  unsigned int to, int failed) = {
        refuse_same,      accept_pre_copy, accept_error, accept_not_offered,
        accept_past_last, stop_short,      leak_session, remember_save,
    };
    struct state_fault *fault = fault_layer_new(sizeof(*fault), &down, &up, error);

    if (!fault)
        return NULL;
    fault->answer = answers[request->kind->variant];
    return &fault->layer;
}

static struct device_layer *create_reset(const struct fault_request *request, struct error *error)
{
    struct state_fault *fault = fault_layer_new(sizeof(*fault), &reset_down, &up, error);

    (void)request;
    return fault ? &fault->layer : NULL;
}

const struct fault_kind fault_state_kinds[] = {
    {"same-state-refused", create, 0},       {"stop-copy-to-pre-copy-accepted", create, 1},
    {"error-accepted", create, 2},           {"state-not-offered-accepted", create, 3},
    {"state-past-last-accepted", create, 4}, {"arc-stops-short", create, 5},
    {"pre-copy-cancel-leaks", create, 6},    {"load-after-save-refused", create, 7},
    {"reset-keeps-state", create_reset, 0},  {0},
};
