/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The driver of QEMU's edu (stopcopy/edu_device.h). One transfer and one factorial may be under way at a time, each of
 * which ends with an interrupt, or both with one. All calls come from one thread. Functions that take a fault return -1
 * with it where the device broke its contract.
 */
#ifndef GUEST_DRIVERS_EDU_DRIVER_H
#define GUEST_DRIVERS_EDU_DRIVER_H

#include "guest/drivers/driver.h"
#include "stopcopy/edu_device.h"

/* Time limits of edu_poll(), in nanoseconds. */
#define EDU_LOOK_NS 250000000ull            /* between two looks at the registers while no interrupt comes */
#define EDU_INTERRUPT_LOST_NS 6000000000ull /* over since then, and no interrupt */
#define EDU_STUCK_NS 10000000000ull

struct edu_transfer {
    bool to_ram;      /* else from RAM to the buffer */
    uint64_t address; /* in RAM, as the device has it */
    uint32_t place;   /* in the buffer */
    uint32_t length;  /* at least 1, ending before the buffer does */
};

struct edu_device {
    struct device_access access;
    uint64_t interrupts;          /* counted so far */
    uint64_t served;              /* of those, with something to be done */
    uint64_t spurious;            /* of those, with nothing */
    uint32_t under_way;           /* EDU_INTERRUPT_* that have to come */
    struct edu_transfer transfer; /* the last one */
    uint32_t factorial;           /* the last result */
    uint64_t since;               /* the first poll of what is under way */
    uint64_t look_at;             /* when to look at the registers */
    uint64_t over_since;          /* when a look first found something over that had no interrupt; 0: none */
    bool waiting;                 /* the times above are known */
};

/* Checks that it is an edu at rest whose registers hold what is written, acknowledges what interrupts there are, and
 * leaves the liveness register reading 0. */
int edu_device_open(struct edu_device *device, struct device_access access, struct driver_fault *fault);

/* Begins a transfer; none is under way. */
int edu_transfer_begin(struct edu_device *device, const struct edu_transfer *transfer, struct driver_fault *fault);
/* Begins to compute n!; no other is under way. */
void edu_factorial_begin(struct edu_device *device, uint32_t n);
/* Takes the interrupts that came. Returns 1 where nothing is under way any more, 0 where something still is. now:
 * nanoseconds in which the guest ran. */
int edu_poll(struct edu_device *device, uint64_t now, struct driver_fault *fault);

/* A word that the device keeps. */
uint32_t edu_liveness_read(struct edu_device *device);
void edu_liveness_write(struct edu_device *device, uint32_t value);

#endif
