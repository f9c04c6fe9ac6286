/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/migrate/dirty_tracking.h"

#include "vmm/vfio/dirty_log.h"

static struct error *of_device(struct dirty_tracking *tracking, size_t index, struct error *error)
{
    error_prefix(error, "device %zu (%s)", index, tracking->set->device[index]->name);
    return error;
}

/* Has every device a log? */
static int probe_devices(struct dirty_tracking *tracking, struct error *error)
{
    for (size_t i = 0; i < tracking->set->count; i++) {
        int found = device_log_probe(tracking->set->device[i], error);

        if (found < 0) {
            of_device(tracking, i, error);
            return -1;
        }
        if (found)
            continue;
        tracking->incomplete = true;
        event_note(
            tracking->set->log,
            "device %zu (%s) has no log of its DMA (VFIO_DEVICE_FEATURE_DMA_LOGGING_START): all RAM is sent after "
            "the guest was stopped, whatever --max-downtime says",
            i, tracking->set->device[i]->name);
    }
    return 0;
}

static int start_devices(struct dirty_tracking *tracking, struct error *error)
{
    const struct board *board = machine_board(tracking->machine);
    struct vfio_area ranges[BOARD_RAM_RANGES_MAX];

    for (unsigned int i = 0; i < board->ram_ranges; i++)
        ranges[i] = (struct vfio_area){.offset = board->ram[i].start, .size = board->ram[i].size};
    for (size_t i = 0; i < tracking->set->count; i++) {
        if (device_log_start(tracking->set->device[i], ranges, board->ram_ranges, error) < 0) {
            of_device(tracking, i, error);
            return -1;
        }
        tracking->started[i] = true;
    }
    return 0;
}

static int start_memory(struct dirty_tracking *tracking, struct error *error)
{
    const struct board *board = machine_board(tracking->machine);

    for (; tracking->ranges < board->ram_ranges; tracking->ranges++)
        if (vm_dirty_log_start(machine_vm(tracking->machine), board->ram[tracking->ranges].start, error) < 0)
            return -1;
    return 0;
}

int dirty_tracking_start(struct dirty_tracking *tracking, struct error *error)
{
    if (probe_devices(tracking, error) < 0)
        return -1;
    if (tracking->incomplete)
        return 0;
    if (start_devices(tracking, error) == 0 && start_memory(tracking, error) == 0)
        return 0;
    dirty_tracking_stop(tracking);
    return -1;
}

static int take_device(struct dirty_tracking *tracking, size_t index, struct page_set *pages, struct error *error)
{
    const struct board *board = machine_board(tracking->machine);
    struct vfio_device *device = tracking->set->device[index];

    for (unsigned int range = 0; range < board->ram_ranges; range++) {
        const struct board_ram *ram = &board->ram[range];

        if (device_log_report(device, ram->start, ram->size, pages->words[range], error) < 0 ||
            device_log_take_own(device, ram->start, ram->size, pages->words[range], error) < 0) {
            of_device(tracking, index, error);
            return -1;
        }
    }
    return 0;
}

int dirty_tracking_take(struct dirty_tracking *tracking, struct page_set *pages, struct error *error)
{
    const struct board *board = machine_board(tracking->machine);

    if (tracking->incomplete) {
        page_set_fill(pages);
        return 0;
    }
    for (unsigned int range = 0; range < tracking->ranges; range++)
        if (vm_dirty_log_take(machine_vm(tracking->machine), board->ram[range].start, pages->words[range], error) < 0)
            return -1;
    if (tracking->ignore_devices)
        return 0;
    for (size_t i = 0; i < tracking->set->count; i++)
        if (take_device(tracking, i, pages, error) < 0)
            return -1;
    return 0;
}

void dirty_tracking_stop(struct dirty_tracking *tracking)
{
    const struct board *board = machine_board(tracking->machine);
    struct error error = ERROR_INIT;

    while (tracking->ranges > 0) {
        tracking->ranges--;
        if (vm_dirty_log_stop(machine_vm(tracking->machine), board->ram[tracking->ranges].start, &error) < 0)
            event_error(tracking->set->log, &error);
    }
    for (size_t i = 0; i < tracking->set->count; i++) {
        if (tracking->started[i] && device_log_stop(tracking->set->device[i], &error) < 0)
            event_error(tracking->set->log, of_device(tracking, i, &error));
        tracking->started[i] = false;
    }
}
