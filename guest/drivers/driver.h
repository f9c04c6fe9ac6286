/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All that a driver knows of the world around it. Drivers are linked by the guest and by programs of the host that put
 * a device to work, so they use this, the device's contract in include/, and nothing else.
 */
#ifndef GUEST_DRIVERS_DRIVER_H
#define GUEST_DRIVERS_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct device_ops {
    /* A register of a BAR, of 4 aligned bytes; all ones where there is none. */
    uint32_t (*read32)(void *context, unsigned int bar, uint64_t offset);
    void (*write32)(void *context, unsigned int bar, uint64_t offset, uint32_t value);
    /* A register of a byte. */
    uint8_t (*read8)(void *context, unsigned int bar, uint64_t offset);
    void (*write8)(void *context, unsigned int bar, uint64_t offset, uint8_t value);
    /* A word of a BAR that is plain memory. */
    uint64_t (*read64)(void *context, unsigned int bar, uint64_t offset);
    void (*write64)(void *context, unsigned int bar, uint64_t offset, uint64_t value);
    /* Zeroed memory of whole pages that the device can reach, and the address that it has for the device. NULL where
     * there is none left. Never given back. */
    void *(*allocate)(void *context, size_t size, uint64_t *address);
    /* How many interrupts of this vector were taken so far. */
    uint64_t (*interrupts)(void *context, unsigned int vector);
    /* The device was served: an interrupt by level may come again. Nothing for a message. */
    void (*interrupt_end)(void *context);
    /* Holds an interrupt by level off, or lets it come again. Nothing for a message. */
    void (*interrupt_mask)(void *context, bool masked);
};

struct device_access {
    const struct device_ops *ops;
    void *context;
};

/* What a driver found wrong with its device. Strings are constants. */
struct driver_fault {
    const char *rule; /* a rule of docs/guest.md */
    const char *text;
    uint64_t expected;
    uint64_t seen;
};

/* Fills in *fault and returns -1. */
static inline int driver_fault(struct driver_fault *fault, const char *rule, const char *text, uint64_t expected,
                               uint64_t seen)
{
    *fault = (struct driver_fault){.rule = rule, .text = text, .expected = expected, .seen = seen};
    return -1;
}

#endif
