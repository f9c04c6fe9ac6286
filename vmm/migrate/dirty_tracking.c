/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/migrate/dirty_tracking.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static struct error *of_device(struct dirty_tracking *tracking, size_t index, struct error *error)
{
    error_prefix(error, "device %zu (%s)", index, tracking->set->device[index]->name);
    return error;
}

int dirty_tracking_choose(struct dirty_tracking *tracking, struct error *error)
{
    if (tracking->chosen)
        return 0;
    for (size_t i = 0; i < tracking->set->count; i++) {
        const char *name = tracking->set->device[i]->name;

        if (dirty_log_choose(tracking->set->device[i], tracking->wish, &tracking->served[i], error) < 0) {
            of_device(tracking, i, error);
            return -1;
        }
        tracking->named[i] = tracking->changed[i] = 0;
        if (tracking->served[i] == DIRTY_LOG_NONE)
            event_note(tracking->set->log, "device %zu (%s): what it writes by DMA is not tracked (--dirty-log none)",
                       i, name);
        if (tracking->served[i] != DIRTY_LOG_ALL_PAGES)
            continue;
        tracking->incomplete = true;
        event_note(tracking->set->log,
                   "device %zu (%s) has no log of its DMA (%s): all RAM is sent after the guest was stopped, whatever "
                   "--max-downtime says",
                   i, name,
                   tracking->wish == DIRTY_LOG_ALL_PAGES ? "--dirty-log all-pages"
                                                         : "VFIO_DEVICE_FEATURE_DMA_LOGGING_START");
    }
    tracking->chosen = true;
    return 0;
}

static int start_device(struct dirty_tracking *tracking, size_t index, struct error *error)
{
    const struct board *board = machine_board(tracking->machine);
    struct vfio_device *device = tracking->set->device[index];
    struct vfio_area ranges[BOARD_RAM_RANGES_MAX];

    if (tracking->served[index] == DIRTY_LOG_IOMMU)
        return device->ops->iommu_log(device, true, error);
    for (unsigned int i = 0; i < board->ram_ranges; i++)
        ranges[i] = (struct vfio_area){.offset = board->ram[i].start, .size = board->ram[i].size};
    return device_log_start(device, ranges, board->ram_ranges, error);
}

static int start_devices(struct dirty_tracking *tracking, struct error *error)
{
    for (size_t i = 0; i < tracking->set->count; i++) {
        if (tracking->served[i] == DIRTY_LOG_NONE)
            continue;
        if (page_set_init(&tracking->by_device[i], tracking->machine, error) < 0)
            return -1;
        if (start_device(tracking, i, error) < 0) {
            page_set_free(&tracking->by_device[i]);
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
    if (dirty_tracking_choose(tracking, error) < 0)
        return -1;
    if (tracking->incomplete)
        return 0;
    if (start_devices(tracking, error) == 0 && start_memory(tracking, error) == 0)
        return 0;
    dirty_tracking_stop(tracking);
    return -1;
}

static int report(struct vfio_device *device, enum dirty_log log, const struct board_ram *ram, uint64_t *bitmap,
                  struct error *error)
{
    if (log == DIRTY_LOG_IOMMU)
        return device->ops->iommu_log_report(device, ram->start, ram->size, DEVICE_LOG_PAGE_SIZE, bitmap, error);
    return log == DIRTY_LOG_DEVICE ? device_log_report(device, ram->start, ram->size, bitmap, error) : 0;
}

/* What one device's log names of one range joins the others', and is counted. */
static int take_range(struct dirty_tracking *tracking, size_t index, unsigned int range, uint64_t *words,
                      struct error *error)
{
    const struct board_ram *ram = &machine_board(tracking->machine)->ram[range];
    struct vfio_device *device = tracking->set->device[index];
    uint64_t count = (ram->size / DEVICE_LOG_PAGE_SIZE + 63) / 64;
    uint64_t *named = calloc(count, sizeof(*named));
    int status;

    if (!named)
        return error_set(error, ENOMEM, "taking a dirty log");
    status = report(device, tracking->served[index], ram, named, error);
    if (status == 0)
        status = device_log_take_own(device, ram->start, ram->size, named, error);
    for (uint64_t i = 0; !status && i < count; i++) {
        tracking->named[index] += (unsigned int)__builtin_popcountll(named[i]);
        words[i] |= named[i];
        if (tracking->started[index])
            tracking->by_device[index].words[range][i] |= named[i];
    }
    free(named);
    return status;
}

static int take_device(struct dirty_tracking *tracking, size_t index, struct page_set *pages, struct error *error)
{
    const struct board *board = machine_board(tracking->machine);

    for (unsigned int range = 0; range < board->ram_ranges; range++) {
        if (take_range(tracking, index, range, pages->words[range], error) < 0) {
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

static int stop_device(struct dirty_tracking *tracking, size_t index, struct error *error)
{
    struct vfio_device *device = tracking->set->device[index];

    return tracking->served[index] == DIRTY_LOG_IOMMU ? device->ops->iommu_log(device, false, error)
                                                      : device_log_stop(device, error);
}

void dirty_tracking_note_changed(struct dirty_tracking *tracking, unsigned int range, uint64_t page)
{
    for (size_t i = 0; i < tracking->set->count; i++)
        if (tracking->started[i] && page_set_has(&tracking->by_device[i], range, page))
            tracking->changed[i]++;
}

void dirty_tracking_note_sent(struct dirty_tracking *tracking)
{
    for (size_t i = 0; i < tracking->set->count; i++)
        if (tracking->started[i])
            page_set_clear(&tracking->by_device[i]);
}

/* Which log served, and how many of the pages that it named had changed: one that names all is of no use, and complete. */
static void log_named(const struct dirty_tracking *tracking, size_t index)
{
    struct event_log *log = tracking->set->log;
    char name[64];

    event_note(log, "device %zu (%s): its dirty log was %s, and named %llu pages, of which %llu had changed", index,
               tracking->set->device[index]->name,
               tracking->served[index] == DIRTY_LOG_DEVICE ? "its own" : "the IOMMU's",
               (unsigned long long)tracking->named[index], (unsigned long long)tracking->changed[index]);
    snprintf(name, sizeof(name), "dirty_log.%zu.pages_named", index);
    event_fact(log, name, tracking->named[index]);
    snprintf(name, sizeof(name), "dirty_log.%zu.pages_changed", index);
    event_fact(log, name, tracking->changed[index]);
}

void dirty_tracking_stop(struct dirty_tracking *tracking)
{
    const struct board *board = machine_board(tracking->machine);
    struct error error = ERROR_INIT;

    tracking->chosen = false;
    while (tracking->ranges > 0) {
        tracking->ranges--;
        if (vm_dirty_log_stop(machine_vm(tracking->machine), board->ram[tracking->ranges].start, &error) < 0)
            event_error(tracking->set->log, &error);
    }
    for (size_t i = 0; i < tracking->set->count; i++) {
        if (!tracking->started[i])
            continue;
        if (stop_device(tracking, i, &error) < 0)
            event_error(tracking->set->log, of_device(tracking, i, &error));
        log_named(tracking, i);
        page_set_free(&tracking->by_device[i]);
        tracking->started[i] = false;
    }
}
