/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QEMU's edu in memory, for tests of its driver and its workload: nothing is done until the test says so. */
#ifndef TESTS_GUEST_FAKE_EDU_H
#define TESTS_GUEST_FAKE_EDU_H

#include "guest/drivers/driver.h"
#include "stopcopy/edu_device.h"

#define FAKE_EDU_RAM 0x100000u /* where its RAM begins, for the device */

struct fake_edu {
    uint32_t identification;
    uint32_t liveness;
    uint32_t factorial;
    uint32_t status;
    uint32_t interrupt_status;
    uint64_t source, destination, count, command;
    uint8_t buffer[EDU_BUFFER_SIZE];
    _Alignas(4096) uint8_t ram[16 * 4096];
    size_t allocated;
    uint64_t interrupts; /* taken by the processor */
    unsigned int ends;   /* calls of interrupt_end */
    bool silent;         /* no interrupt comes */
};

/* Access to one; what is out of its range ends the test. */
extern const struct device_ops fake_edu_ops;

void fake_edu_open(struct fake_edu *edu);
/* Does the transfer, or computes the factorial, that was begun. Returns whether there was one. */
bool fake_edu_transfer(struct fake_edu *edu);
bool fake_edu_compute(struct fake_edu *edu);
/* As a write of EDU_REG_INTERRUPT_RAISE, and as a message does. */
void fake_edu_raise(struct fake_edu *edu, uint32_t causes);

#endif
