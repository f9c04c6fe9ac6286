/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/board/bus.h"

#include <string.h>

#define BUS_ACCESS_MAX 8

void bus_init(struct bus *bus)
{
    pthread_rwlock_init(&bus->lock, NULL);
    bus->count = 0;
}

void bus_destroy(struct bus *bus)
{
    pthread_rwlock_destroy(&bus->lock);
}

/* The first range that ends above address; count where there is none. */
static size_t find(const struct bus *bus, uint64_t address)
{
    size_t low = 0, high = bus->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct bus_range *range = &bus->range[middle];

        if (address - range->start < range->size || address < range->start)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

bool bus_add(struct bus *bus, uint64_t start, uint64_t size, const struct bus_ops *ops, void *context)
{
    bool added = false;
    size_t at;

    if (size == 0 || size - 1 > UINT64_MAX - start)
        return false;

    pthread_rwlock_wrlock(&bus->lock);
    at = find(bus, start);
    if (bus->count == BUS_RANGES_MAX)
        goto out;
    if (at < bus->count && start + (size - 1) >= bus->range[at].start)
        goto out;
    memmove(&bus->range[at + 1], &bus->range[at], (bus->count - at) * sizeof(bus->range[0]));
    bus->range[at] = (struct bus_range){.start = start, .size = size, .ops = ops, .context = context};
    bus->count++;
    added = true;
out:
    pthread_rwlock_unlock(&bus->lock);
    return added;
}

void bus_remove(struct bus *bus, uint64_t start)
{
    size_t at;

    pthread_rwlock_wrlock(&bus->lock);
    at = find(bus, start);
    if (at < bus->count && bus->range[at].start == start) {
        bus->count--;
        memmove(&bus->range[at], &bus->range[at + 1], (bus->count - at) * sizeof(bus->range[0]));
    }
    pthread_rwlock_unlock(&bus->lock);
}

/* A copy of the range that holds the whole access. */
static bool look_up(struct bus *bus, uint64_t address, size_t size, struct bus_range *range)
{
    bool found = false;
    size_t at;

    if (size == 0 || size > BUS_ACCESS_MAX)
        return false;
    pthread_rwlock_rdlock(&bus->lock);
    at = find(bus, address);
    if (at < bus->count && address >= bus->range[at].start) {
        *range = bus->range[at];
        found = size <= range->size && address - range->start <= range->size - size;
    }
    pthread_rwlock_unlock(&bus->lock);
    return found;
}

void bus_read(struct bus *bus, uint64_t address, void *data, size_t size)
{
    struct bus_range range;

    memset(data, 0xff, size);
    if (look_up(bus, address, size, &range))
        range.ops->read(range.context, address - range.start, data, size);
}

void bus_write(struct bus *bus, uint64_t address, const void *data, size_t size)
{
    struct bus_range range;

    if (look_up(bus, address, size, &range))
        range.ops->write(range.context, address - range.start, data, size);
}
