/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An address space of the guest, memory or ports: sorted ranges and who answers in each. Ranges never overlap. Accesses
 * come from several threads; a handler is called without the bus being locked, so it may add and remove ranges, and it
 * may still be called once just after its range was removed.
 */
#ifndef STOPCOPY_BUS_H
#define STOPCOPY_BUS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUS_RANGES_MAX 256

/* offset is from the start of the range; offset + size is within it. size is 1 to 8. */
struct bus_ops {
    void (*read)(void *context, uint64_t offset, void *data, size_t size);
    void (*write)(void *context, uint64_t offset, const void *data, size_t size);
};

struct bus_range {
    uint64_t start;
    uint64_t size;
    const struct bus_ops *ops;
    void *context;
};

struct bus {
    pthread_rwlock_t lock;
    size_t count;
    struct bus_range range[BUS_RANGES_MAX];
};

void bus_init(struct bus *bus);
void bus_destroy(struct bus *bus);
/* False where the range is empty, wraps, overlaps another, or there is no room. */
bool bus_add(struct bus *bus, uint64_t start, uint64_t size, const struct bus_ops *ops, void *context);
/* Removes the range that begins at start. */
void bus_remove(struct bus *bus, uint64_t start);

/* A read that nobody answers gives all ones; a write that nobody takes is dropped. */
void bus_read(struct bus *bus, uint64_t address, void *data, size_t size);
void bus_write(struct bus *bus, uint64_t address, const void *data, size_t size);

#endif
