/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A PCI device as its driver reaches it (guest/drivers/driver.h). */
#ifndef GUEST_PCI_PCI_ACCESS_H
#define GUEST_PCI_PCI_ACCESS_H

#include "guest/base/ram.h"
#include "guest/drivers/driver.h"
#include "guest/pci/pci.h"

#define PCI_ACCESS_VECTORS 32

struct pci_access {
    struct pci_device device;
    struct ram *ram;
    /* For each vector in use, the counter of the interrupt that it is routed to. */
    const volatile uint64_t *interrupts[PCI_ACCESS_VECTORS];
};

/* The access stays valid as long as *access stays where it is. */
struct device_access pci_access(struct pci_access *access);

#endif
