/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work for a device: operations of known content by the drivers of guest/drivers/, kept in flight and verified when they
 * complete. Which driver fits is told by the vendor and device number in configuration space; a device that none fits
 * gets no work.
 *
 * What the device did wrong comes as an error whose rule is the driver's ("guest/interrupt-lost", "guest/data", ...).
 * Every wait is bounded: where the time is over that is an error with the rule "guest/operation-stuck". Time in which the
 * device was stopped does not count.
 */
#ifndef STOPCOPY_CHECK_WORK_H
#define STOPCOPY_CHECK_WORK_H

#include "vmm/check/bench.h"

struct work;

struct work_kind {
    const char *name; /* "the reference DMA device" */
    uint16_t vendor;
    uint16_t device;
    bool dma; /* the device writes memory by itself */
    /* Operations that show that it works, and that are a round of work: as many as take it no more than moments. */
    uint32_t few;
    uint32_t many;
    /* Opens the device by its driver. The bench must outlive it. */
    struct work *(*open)(struct bench *bench, uint64_t seed, struct error *error);
    void (*close)(struct work *work);
    /* Submits operations until as many as the device can have are submitted, and tells the device. */
    int (*submit)(struct work *work, struct error *error);
    /* Takes what interrupts announced, and verifies it. now: nanoseconds in which the device ran. */
    int (*step)(struct work *work, uint64_t now, struct error *error);
    /* Operations that were submitted and that the device has not completed, by memory alone: no register is read. */
    uint64_t (*in_flight)(const struct work *work);
    /* Nothing is submitted: the device has nothing to complain about either. */
    int (*check_idle)(struct work *work, struct error *error);
};

/* The head of each kind's own structure. */
struct work {
    const struct work_kind *kind;
    struct bench *bench;
    uint64_t submitted;
    uint64_t completed; /* and verified */
    uint64_t spurious;  /* interrupts with nothing to be done */
    uint64_t now;
    uint64_t stepped_at;
    bool
        heavy; /* what is submitted takes the device as long as the kind knows how to, so that it can be stopped at it */
};

/* The kind for the device, NULL where there is none. */
const struct work_kind *work_find(struct vfio_device *device);

/* Opens kind on the bench's device, and has it do a few operations, so that the work is known to go. */
struct work *work_open(const struct work_kind *kind, struct bench *bench, uint64_t seed, struct error *error);
/* The device is left as it is. NULL is allowed. */
void work_close(struct work *work);

/* Submits as many operations as the device can have. */
int work_submit(struct work *work, struct error *error);
/* One look at what has completed. */
int work_step(struct work *work, struct error *error);
/* Completes and verifies all that was submitted. */
int work_drain(struct work *work, struct error *error);
/* Keeps the device busy until this many more operations are completed and verified. */
int work_run(struct work *work, uint64_t operations, struct error *error);
uint64_t work_in_flight(const struct work *work);

/* Fills in error of a driver's fault. Returns -1. */
int work_fault(const struct work *work, const struct driver_fault *fault, struct error *error);

extern const struct work_kind work_dma;
extern const struct work_kind work_edu;
extern const struct work_kind work_uart;

#endif
