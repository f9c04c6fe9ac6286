/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A fault put in on purpose: the first interrupt of any vector after the next binding is swallowed, so that one
 * interrupt is lost for certain. Until it comes KVM has none of the eventfds; whoever waits for the machine's events
 * reads it.
 */
#ifndef STOPCOPY_INTERRUPT_DROP_H
#define STOPCOPY_INTERRUPT_DROP_H

#include "vmm/board/pci_device.h"

/* In epoll's data, to tell these from others: with the device's number << 16 and the vector. */
#define INTERRUPT_DROP_EPOLL (1ull << 32)

struct interrupt_drop {
    bool armed; /* the next binding begins it */
    bool waiting;
};

/* Before and after the devices are bound. The machine's lock is held. */
void interrupt_drop_before_bind(struct interrupt_drop *drop, struct pci_device *devices, size_t count);
int interrupt_drop_after_bind(struct interrupt_drop *drop, struct pci_device *devices, size_t count, int epoll,
                              struct error *error);
/* What epoll has of INTERRUPT_DROP_EPOLL: swallows the interrupt and gives KVM the eventfds. The machine's lock is
 * held. */
int interrupt_drop_event(struct interrupt_drop *drop, struct pci_device *devices, size_t count, int epoll,
                         uint64_t data, struct error *error);
/* Stops waiting: the machine is being unbound. The machine's lock is held. */
void interrupt_drop_cancel(struct interrupt_drop *drop, struct pci_device *devices, size_t count, int epoll);

#endif
