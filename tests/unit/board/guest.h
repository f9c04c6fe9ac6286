/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A machine with two fake devices on a fake VM; the test is its guest. */
#ifndef TEST_GUEST_H
#define TEST_GUEST_H

#include "tests/unit/board/fake_device.h"
#include "tests/unit/board/fake_vm.h"
#include "vmm/board/machine.h"

struct guest {
    struct fake_device fake[2];
    struct vfio_device *vfio[2];
    struct board board;
    bool peers; /* board_wishes.peers */
    struct machine *machine;
    struct vm *vm;
    struct error error;
};

/* The devices are to be initialised, and changed as the test wants, before. */
void guest_start(struct guest *guest);
void guest_stop(struct guest *guest);

uint32_t guest_mmio_read(struct guest *guest, uint64_t address, size_t size);
void guest_mmio_write(struct guest *guest, uint64_t address, uint32_t value, size_t size);
uint32_t guest_port_read(struct guest *guest, uint16_t port, size_t size);
void guest_port_write(struct guest *guest, uint16_t port, uint32_t value, size_t size);
/* Configuration space by ECAM. */
uint32_t guest_config_read(struct guest *guest, unsigned int slot, unsigned int offset, size_t size);
void guest_config_write(struct guest *guest, unsigned int slot, unsigned int offset, uint32_t value, size_t size);

/* Memory decoding and bus mastering on for device 0, MSI-X enabled. */
void guest_enable(struct guest *guest);
/* A table entry of device 0: a message with this data. */
void guest_set_vector(struct guest *guest, unsigned int vector, uint32_t data, bool masked);
uint32_t guest_pending(struct guest *guest, unsigned int first);
/* The next event without waiting. */
bool guest_event(struct guest *guest, struct machine_event *event);

#endif
