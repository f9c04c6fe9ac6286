/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmm/kvm/vm.h without KVM: records slots, routes, irqfds and ioeventfds, and counts the interrupts that arrive. */
#ifndef TEST_FAKE_VM_H
#define TEST_FAKE_VM_H

#include "vmm/kvm/vm.h"

#define FAKE_VM_MAX 64

struct fake_slot {
    bool used;
    uint64_t gpa, size;
    void *host;
};

struct fake_route {
    uint64_t address;
    uint32_t data;
    int irqfd; /* -1: none */
};

struct fake_ioeventfd {
    bool used;
    uint64_t address;
    int fd;
};

struct vm {
    struct vm_config config; /* with the bus, by which a test is the guest */
    struct fake_slot slot[FAKE_VM_MAX];
    struct fake_route route[FAKE_VM_MAX];
    int routes;
    unsigned int commits, commits_missing; /* routes changed since the last commit */
    struct fake_ioeventfd ioeventfd[FAKE_VM_MAX];
    unsigned int interrupts[256]; /* by the message's data */
    /* Levels, by the IOAPIC's pin. */
    struct {
        int irqfd, resample; /* irqfd 0: none */
        bool line;
        unsigned int raised; /* how often the line went up */
    } pin[24];
};

/* The guest's EOI of a pin. */
void fake_vm_eoi(struct vm *vm, unsigned int pin);
/* Delivers what the irqfds were signalled with. */
void fake_vm_run(struct vm *vm);
unsigned int fake_vm_slots(const struct vm *vm);
unsigned int fake_vm_ioeventfds(const struct vm *vm);

#endif
