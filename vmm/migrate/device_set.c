/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/migrate/device_set.h"

#include <errno.h>

#include "vmm/vfio/fsm.h"
#include "vmm/vfio/migration.h"

/* As long as this the answer to where the devices are holds. */
#define CHECK_HOLDS_NS 1000000u

static bool has_p2p(const struct device_set *set, size_t index)
{
    return set->flags[index] & VFIO_MIGRATION_P2P;
}

int device_set_open(struct device_set *set, struct error *error)
{
    set->crew = crew_new(set->count ? set->count - 1 : 0, error);
    return set->crew ? 0 : -1;
}

void device_set_close(struct device_set *set)
{
    crew_free(set->crew);
    set->crew = NULL;
}

/* What the backend knows of the reason goes first: it is what the user can act on. */
static int refuse_no_migration(struct vfio_device *device, size_t index, struct error *error)
{
    char why[ERROR_TEXT_MAX] = "";

    if (device->ops->explain_no_migration)
        device->ops->explain_no_migration(device, why, sizeof(why));
    return error_rule(
        error, "device/no-migration", 0,
        "device %zu (%s) offers no migration (VFIO_DEVICE_FEATURE_MIGRATION)%s%.600s: it can be used with "
        "stopcopy run, and probe says what is missing",
        index, device->name, why[0] ? ": " : "", why);
}

int device_set_probe(struct device_set *set, bool no_p2p, struct error *error)
{
    for (size_t i = 0; i < set->count; i++) {
        struct vfio_device *device = set->device[i];

        if (migration_get_flags(device, &set->flags[i], error) < 0)
            return error_prefix(error, "device %zu (%s)", i, device->name);
        if (!(set->flags[i] & VFIO_MIGRATION_STOP_COPY))
            return refuse_no_migration(device, i, error);
        if (!fsm_flags_defined(set->flags[i]))
            event_note(set->log,
                       "device %zu (%s) offers the migration flags 0x%llx, a set that the uAPI does not define", i,
                       device->name, (unsigned long long)set->flags[i]);
        if (set->count > 1 && !no_p2p && !has_p2p(set, i))
            return error_rule(error, "device/p2p-missing", 0,
                              "device %zu (%s) has no RUNNING_P2P state, which several devices together need: give "
                              "--no-p2p if none of them reaches another's BARs",
                              i, device->name);
        if (migration_get_state(device, &set->state[i], error) < 0)
            return error_prefix(error, "device %zu (%s)", i, device->name);
    }
    return 0;
}

static bool works(unsigned int state)
{
    return state == VFIO_DEVICE_STATE_RUNNING || state == VFIO_DEVICE_STATE_PRE_COPY;
}

/* With what it was stopped with: not while it is loaded, when there is no guest that it works for. */
static bool stands(unsigned int state)
{
    return state == VFIO_DEVICE_STATE_STOP || state == VFIO_DEVICE_STATE_STOP_COPY;
}

/* Whatever order a caller has: no device stops while another one works and could reach it, and none works before. */
static int check_order(const struct device_set *set, size_t index, unsigned int to, struct error *error)
{
    unsigned int from = set->state[index];
    bool stops = stands(to) && !stands(from) && from != VFIO_DEVICE_STATE_RESUMING;

    if (!has_p2p(set, index) || !(stops || works(to)))
        return 0;
    for (size_t i = 0; i < set->count; i++) {
        if (i == index || !has_p2p(set, i) || (stops ? !works(set->state[i]) : !stands(set->state[i])))
            continue;
        return error_rule(error, "device/p2p-order", 0,
                          "device %zu (%s): %s to %s while device %zu (%s) is in %s: first all of them belong in "
                          "RUNNING_P2P or PRE_COPY_P2P",
                          index, set->device[index]->name, migration_state_name(from), migration_state_name(to), i,
                          set->device[i]->name, migration_state_name(set->state[i]));
    }
    return 0;
}

/* A device that has a state to tell, and does not, has broken a rule, whatever the migration comes to. */
static int state_unknown(const struct device_set *set, size_t index, struct error *error)
{
    struct error cause = error ? *error : (struct error)ERROR_INIT;

    error_rule(error, cause.rule[0] ? cause.rule : "device/arc-failed", 0, "device %zu (%s): %s", index,
               set->device[index]->name, cause.text);
    if (error)
        error->number = cause.number;
    return -1;
}

int device_set_check(struct device_set *set, size_t index, struct error *error)
{
    unsigned int expected = set->state[index];

    if (migration_get_state(set->device[index], &set->state[index], error) < 0)
        return state_unknown(set, index, error);
    if (set->state[index] == expected)
        return 0;
    return error_rule(
        error, "device/state-changed", 0, "device %zu (%s) was in %s, and without having been asked is in %s", index,
        set->device[index]->name, migration_state_name(expected), migration_state_name(set->state[index]));
}

/* What an arc's failure has left, and the rule: that of the cause where it has one. */
static int arc_failed(struct device_set *set, size_t index, unsigned int to, struct error *error)
{
    struct error cause = error ? *error : (struct error)ERROR_INIT;
    unsigned int from = set->state[index];
    bool known = migration_get_state(set->device[index], &set->state[index], NULL) == 0;
    const char *rule = cause.rule[0] ? cause.rule : "device/arc-failed";

    if (!known)
        set->state[index] = VFIO_DEVICE_STATE_ERROR;
    else if (set->state[index] == VFIO_DEVICE_STATE_ERROR)
        rule = "device/error-state";
    error_rule(error, rule, 0, "device %zu (%s): %s to %s failed and left it in %s: %s", index,
               set->device[index]->name, migration_state_name(from), migration_state_name(to),
               known ? migration_state_name(set->state[index]) : "a state that it does not tell", cause.text);
    if (error)
        error->number = cause.number;
    return -1;
}

int device_set_arc(struct device_set *set, size_t index, unsigned int to, struct error *error)
{
    struct vfio_device *device = set->device[index];
    unsigned int from = set->state[index];
    uint64_t start = clock_now_ns();
    int result;

    device->ops->set_timeout(device, set->arc_timeout_ns);
    result = migration_set_state(device, to, error);
    device->ops->set_timeout(device, set->message_timeout_ns);
    if (result < 0)
        return arc_failed(set, index, to, error);
    event_arc(set->log, (unsigned int)index, migration_state_name(from), migration_state_name(to), start,
              clock_now_ns());
    set->state[index] = to;
    set->bar_accesses[index] = atomic_load(&device->bar_accesses);
    return 0;
}

void device_set_check_bars(const struct device_set *set, size_t index)
{
    struct vfio_device *device = set->device[index];
    uint64_t accesses = atomic_load(&device->bar_accesses) - set->bar_accesses[index];

    if (accesses)
        event_finding(set->log, "device/bar-access",
                      "device %zu (%s): the VMM accessed its BARs %llu times while it was in %s", index, device->name,
                      (unsigned long long)accesses, migration_state_name(set->state[index]));
}

bool device_set_has_pre_copy(const struct device_set *set, size_t index)
{
    return set->flags[index] & VFIO_MIGRATION_PRE_COPY;
}

/* One device's share of a step that all take side by side. */
struct arc {
    struct device_set *set;
    size_t index;
    bool check; /* whether the device is where its last arc took it */
    bool move;
    unsigned int to;
    int result;
    struct error error;
};

static void take_arc(void *argument)
{
    struct arc *arc = argument;

    arc->result = arc->check ? device_set_check(arc->set, arc->index, &arc->error) : 0;
    if (arc->result == 0 && arc->move)
        arc->result = device_set_arc(arc->set, arc->index, arc->to, &arc->error);
}

/*
 * All devices take the step at the same time, for an arc may wait for hardware: the step takes as long as the slowest. It
 * ends when every one has answered. The error is that of the first that failed.
 */
static int take_arcs(struct device_set *set, struct arc *arcs, size_t count, struct error *error)
{
    int result = 0;

    crew_do(set->crew, take_arc, arcs, sizeof(*arcs), count);
    for (struct arc *arc = arcs; arc < arcs + count; arc++) {
        if (arc->result == 0)
            continue;
        if (result)
            event_error(set->log, &arc->error);
        else if (error)
            *error = arc->error;
        result = -1;
    }
    return result;
}

/* What a step asks of a device: false where it has nothing to do in it. */
typedef bool (*arc_choice)(const struct device_set *set, size_t index, unsigned int *to);

/* *any: some device was asked. */
static int step(struct device_set *set, arc_choice choose, bool check, bool *any, struct error *error)
{
    struct arc arcs[BOARD_DEVICES_MAX];
    size_t count = 0;

    for (size_t i = 0; i < set->count; i++) {
        struct arc *arc = &arcs[count];

        *arc = (struct arc){.set = set, .index = i, .check = check, .move = true, .error = ERROR_INIT};
        if (!choose(set, i, &arc->to))
            continue;
        if (check_order(set, i, arc->to, error) < 0)
            return -1;
        count++;
    }
    if (count)
        *any = true;
    return take_arcs(set, arcs, count, error);
}

int device_set_check_all(struct device_set *set, struct error *error)
{
    struct arc arcs[BOARD_DEVICES_MAX];

    for (size_t i = 0; i < set->count; i++)
        arcs[i] = (struct arc){.set = set, .index = i, .check = true, .error = ERROR_INIT};
    if (take_arcs(set, arcs, set->count, error) < 0)
        return -1;
    set->checked_ns = clock_now_ns();
    return 0;
}

static bool to_resuming(const struct device_set *set, size_t index, unsigned int *to)
{
    (void)set, (void)index;
    *to = VFIO_DEVICE_STATE_RESUMING;
    return true;
}

static bool to_pre_copy(const struct device_set *set, size_t index, unsigned int *to)
{
    *to = VFIO_DEVICE_STATE_PRE_COPY;
    return device_set_has_pre_copy(set, index);
}

static bool to_quiet(const struct device_set *set, size_t index, unsigned int *to)
{
    *to = set->state[index] == VFIO_DEVICE_STATE_PRE_COPY ? VFIO_DEVICE_STATE_PRE_COPY_P2P
                                                          : VFIO_DEVICE_STATE_RUNNING_P2P;
    return has_p2p(set, index);
}

static bool to_stop_copy(const struct device_set *set, size_t index, unsigned int *to)
{
    (void)set, (void)index;
    *to = VFIO_DEVICE_STATE_STOP_COPY;
    return true;
}

static bool to_stop(const struct device_set *set, size_t index, unsigned int *to)
{
    (void)set, (void)index;
    *to = VFIO_DEVICE_STATE_STOP;
    return true;
}

static bool to_running_p2p(const struct device_set *set, size_t index, unsigned int *to)
{
    *to = VFIO_DEVICE_STATE_RUNNING_P2P;
    return has_p2p(set, index);
}

static bool to_running(const struct device_set *set, size_t index, unsigned int *to)
{
    *to = VFIO_DEVICE_STATE_RUNNING;
    return set->state[index] != VFIO_DEVICE_STATE_RUNNING;
}

/* From PRE_COPY the way to RUNNING is one arc, and the device works all along. */
static bool back_to_running_p2p(const struct device_set *set, size_t index, unsigned int *to)
{
    *to = VFIO_DEVICE_STATE_RUNNING_P2P;
    return has_p2p(set, index) && set->state[index] != VFIO_DEVICE_STATE_RUNNING &&
           set->state[index] != VFIO_DEVICE_STATE_PRE_COPY && set->state[index] != VFIO_DEVICE_STATE_RUNNING_P2P;
}

/* Every device is in its P2P state. */
static void call_between(struct device_set *set)
{
    if (set->between)
        set->between(set->between_context);
}

int device_set_resuming(struct device_set *set, struct error *error)
{
    bool any;

    return step(set, to_resuming, true, &any, error);
}

int device_set_loaded(struct device_set *set, struct error *error)
{
    bool any;

    return step(set, to_stop, false, &any, error);
}

int device_set_pre_copy(struct device_set *set, struct error *error)
{
    bool any;

    return step(set, to_pre_copy, true, &any, error);
}

int device_set_stop_copy(struct device_set *set, bool p2p_first, struct error *error)
{
    bool any;

    if (p2p_first && step(set, to_quiet, false, &any, error) < 0)
        return -1;
    call_between(set);
    return step(set, to_stop_copy, false, &any, error);
}

void device_set_stop(struct device_set *set)
{
    struct error error = ERROR_INIT;
    bool any;

    if (step(set, to_stop, true, &any, &error) < 0)
        event_error(set->log, &error);
}

int device_set_run(struct device_set *set, bool *tried, struct error *error)
{
    if (clock_now_ns() > set->checked_ns + CHECK_HOLDS_NS && device_set_check_all(set, error) < 0)
        return -1;
    if (set->order != DEVICE_ORDER_CLOUD_HYPERVISOR && step(set, to_running_p2p, false, tried, error) < 0)
        return -1;
    call_between(set);
    return step(set, to_running, false, tried, error);
}

/* The last resort, which the user has allowed. */
static int reset_lost(struct device_set *set, size_t index, struct error *error)
{
    struct vfio_device *device = set->device[index];

    if (device->ops->reset(device, error) < 0 || migration_get_state(device, &set->state[index], error) < 0)
        return error_prefix(error, "device %zu (%s): the reset", index, device->name);
    if (set->state[index] != VFIO_DEVICE_STATE_RUNNING)
        return error_rule(error, "device/not-running", 0, "device %zu (%s) is in %s after a reset", index, device->name,
                          migration_state_name(set->state[index]));
    set->lost = true;
    event_finding(set->log, "device/state-lost",
                  "device %zu (%s) was in ERROR and was reset (--reset-on-error): what the guest had in it is lost",
                  index, device->name);
    return 0;
}

int device_set_recover(struct device_set *set, struct error *error)
{
    bool any;

    for (size_t i = 0; i < set->count; i++) {
        if (migration_get_state(set->device[i], &set->state[i], error) < 0)
            return error_prefix(error, "device %zu (%s)", i, set->device[i]->name);
        if (set->state[i] != VFIO_DEVICE_STATE_ERROR)
            continue;
        if (!set->may_reset)
            return error_rule(error, "device/error-state", 0,
                              "device %zu (%s) is in ERROR, which only a reset leaves (--reset-on-error)", i,
                              set->device[i]->name);
        if (reset_lost(set, i, error) < 0)
            return -1;
    }
    if (step(set, back_to_running_p2p, false, &any, error) < 0)
        return -1;
    return step(set, to_running, false, &any, error);
}

int device_set_all_run(struct device_set *set, struct error *error)
{
    for (size_t i = 0; i < set->count; i++) {
        if (migration_get_state(set->device[i], &set->state[i], error) < 0)
            return error_prefix(error, "device %zu (%s)", i, set->device[i]->name);
        if (set->state[i] != VFIO_DEVICE_STATE_RUNNING)
            return error_rule(error, "device/not-running", 0, "the guest was resumed while device %zu (%s) is in %s", i,
                              set->device[i]->name, migration_state_name(set->state[i]));
    }
    return 0;
}
