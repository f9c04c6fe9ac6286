/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cmd/device_work.h"

#include "vmm/proof/workload.h"

struct operations {
    uint64_t submitted;
    uint64_t done;
};

static struct operations operations_of(const struct proof_snapshot *snapshot, uint16_t slot)
{
    struct operations sum = {0};

    for (size_t i = 0; i < snapshot->chain_count; i++) {
        if (!proof_workload_of_device(snapshot->chain[i].workload) || snapshot->chain[i].device != slot)
            continue;
        sum.done += snapshot->chain[i].operations;
        sum.submitted += snapshot->chain[i].submitted;
    }
    return sum;
}

static uint64_t in_flight(struct operations operations)
{
    return operations.submitted > operations.done ? operations.submitted - operations.done : 0;
}

void device_work_log(struct event_log *log, unsigned int leg, const struct board *board,
                     struct vfio_device *const *devices, enum device_work when, const struct proof_snapshot *from,
                     const struct proof_snapshot *to)
{
    for (unsigned int i = 0; i < board->device_count; i++) {
        struct event_device_numbers numbers = EVENT_DEVICE_NUMBERS_UNKNOWN;
        uint64_t done = operations_of(to, board->device[i].slot).done;

        if (from)
            done -= operations_of(from, board->device[i].slot).done;
        if (when == DEVICE_WORK_BEFORE)
            numbers.ops_before = done;
        else
            numbers.ops_after = done;
        event_device(log, leg, i, devices[i]->name, &numbers);
    }
}

void device_work_in_flight(struct event_log *log, unsigned int leg, const struct board *board,
                           const struct proof_snapshot *stop)
{
    for (unsigned int i = 0; i < board->device_count; i++) {
        struct event_device_numbers numbers = EVENT_DEVICE_NUMBERS_UNKNOWN;

        numbers.in_flight_at_stop = in_flight(operations_of(stop, board->device[i].slot));
        event_device(log, leg, i, NULL, &numbers);
    }
}

bool device_work_everywhere(const struct board *board, const struct proof_snapshot *now)
{
    for (unsigned int i = 0; i < board->device_count; i++) {
        struct operations operations = operations_of(now, board->device[i].slot);

        if (operations.done && !in_flight(operations))
            return false;
    }
    return true;
}
