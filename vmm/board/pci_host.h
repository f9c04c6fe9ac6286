/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PCI host: bus 0 of up to 32 single-function devices, reached by ECAM (PCI Express Base, 7.2.2) and by the ports
 * CF8 and CFC (PCI Local Bus 3.0, 3.2.2.3.2). Slot 0 is its own bridge.
 */
#ifndef STOPCOPY_PCI_HOST_H
#define STOPCOPY_PCI_HOST_H

#include <stdatomic.h>

#include "lib/buffer.h"
#include "lib/error.h"
#include "vmm/board/bus.h"

#define PCI_SLOTS 32
#define PCI_CONFIG_PORT 0xcf8
#define PCI_CONFIG_PORTS 8
#define PCI_HOST_BRIDGE_VENDOR 0x5343
#define PCI_HOST_BRIDGE_DEVICE 0x0100

/* A function's configuration space. offset is below 4096, the access is within an aligned 4 bytes, size is 1, 2 or 4.
 */
struct pci_config_ops {
    uint32_t (*read)(void *context, uint32_t offset, size_t size);
    void (*write)(void *context, uint32_t offset, uint32_t value, size_t size);
};

struct pci_slot {
    const struct pci_config_ops *ops; /* NULL: the slot is empty */
    void *context;
};

struct pci_host {
    _Atomic uint32_t address; /* what was written to CF8 */
    struct pci_slot slot[PCI_SLOTS];
};

extern const struct bus_ops pci_host_ecam_ops;
extern const struct bus_ops pci_host_port_ops;

void pci_host_init(struct pci_host *host);
/* Only before the machine runs. */
void pci_host_plug(struct pci_host *host, unsigned int slot, const struct pci_config_ops *ops, void *context);

void pci_host_get_state(struct pci_host *host, struct buffer *state);
int pci_host_put_state(struct pci_host *host, struct cursor *state, struct error *error);

#endif
