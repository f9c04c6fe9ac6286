/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/migrate/device_set.h"

#include <errno.h>

#include "vmm/vfio/fsm.h"
#include "vmm/vfio/migration.h"

static bool has_p2p(const struct device_set *set, size_t index)
{
    return set->flags[index] & VFIO_MIGRATION_P2P;
}

int device_set_probe(struct device_set *set, bool no_p2p, struct error *error)
{
    for (size_t i = 0; i < set->count; i++) {
        struct vfio_device *device = set->device[i];

        if (migration_get_flags(device, &set->flags[i], error) < 0)
            return error_prefix(error, "device %zu (%s)", i, device->name);
        if (!(set->flags[i] & VFIO_MIGRATION_STOP_COPY))
            return error_rule(
                error, "device/no-migration", 0,
                "device %zu (%s) offers no migration (VFIO_DEVICE_FEATURE_MIGRATION): it can be used with "
                "stopcopy run, and probe says what is missing",
                i, device->name);
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

/* Reads back where a failed arc has left the device; the state is ERROR where even that fails. */
static void read_back(struct device_set *set, size_t index)
{
    if (migration_get_state(set->device[index], &set->state[index], NULL) < 0)
        set->state[index] = VFIO_DEVICE_STATE_ERROR;
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
    if (result == 0) {
        set->state[index] = to;
        event_arc(set->log, (unsigned int)index, migration_state_name(from), migration_state_name(to), start,
                  clock_now_ns());
        return 0;
    }
    read_back(set, index);
    if (error) {
        struct error cause = *error;

        error_rule(error, "device/arc-failed", 0, "device %zu (%s): %s to %s failed and left it in %s: %s", index,
                   device->name, migration_state_name(from), migration_state_name(to),
                   migration_state_name(set->state[index]), cause.text);
        error->number = cause.number;
    }
    return -1;
}

bool device_set_has_pre_copy(const struct device_set *set, size_t index)
{
    return set->flags[index] & VFIO_MIGRATION_PRE_COPY;
}

int device_set_pre_copy(struct device_set *set, struct error *error)
{
    for (size_t i = 0; i < set->count; i++)
        if (device_set_has_pre_copy(set, i) && device_set_arc(set, i, VFIO_DEVICE_STATE_PRE_COPY, error) < 0)
            return -1;
    return 0;
}

int device_set_stop_copy(struct device_set *set, struct error *error)
{
    for (size_t i = 0; i < set->count; i++) {
        unsigned int quiet = set->state[i] == VFIO_DEVICE_STATE_PRE_COPY ? VFIO_DEVICE_STATE_PRE_COPY_P2P
                                                                         : VFIO_DEVICE_STATE_RUNNING_P2P;

        if (has_p2p(set, i) && device_set_arc(set, i, quiet, error) < 0)
            return -1;
    }
    for (size_t i = 0; i < set->count; i++)
        if (device_set_arc(set, i, VFIO_DEVICE_STATE_STOP_COPY, error) < 0)
            return -1;
    return 0;
}

int device_set_run(struct device_set *set, bool *tried, struct error *error)
{
    for (size_t i = 0; i < set->count; i++) {
        if (!has_p2p(set, i))
            continue;
        *tried = true;
        if (device_set_arc(set, i, VFIO_DEVICE_STATE_RUNNING_P2P, error) < 0)
            return -1;
    }
    for (size_t i = 0; i < set->count; i++) {
        *tried = true;
        if (device_set_arc(set, i, VFIO_DEVICE_STATE_RUNNING, error) < 0)
            return -1;
    }
    return 0;
}

int device_set_recover(struct device_set *set, struct error *error)
{
    for (size_t i = 0; i < set->count; i++) {
        if (migration_get_state(set->device[i], &set->state[i], error) < 0)
            return error_prefix(error, "device %zu (%s)", i, set->device[i]->name);
        if (set->state[i] == VFIO_DEVICE_STATE_ERROR)
            return error_rule(error, "device/error-state", 0, "device %zu (%s) is in ERROR, which only a reset leaves",
                              i, set->device[i]->name);
        /* From PRE_COPY the way to RUNNING is one arc, and the device works all along. */
        if (set->state[i] == VFIO_DEVICE_STATE_RUNNING || set->state[i] == VFIO_DEVICE_STATE_PRE_COPY ||
            !has_p2p(set, i))
            continue;
        if (set->state[i] != VFIO_DEVICE_STATE_RUNNING_P2P &&
            device_set_arc(set, i, VFIO_DEVICE_STATE_RUNNING_P2P, error) < 0)
            return -1;
    }
    for (size_t i = 0; i < set->count; i++)
        if (set->state[i] != VFIO_DEVICE_STATE_RUNNING && device_set_arc(set, i, VFIO_DEVICE_STATE_RUNNING, error) < 0)
            return -1;
    return 0;
}
