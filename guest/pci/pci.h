/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI configuration space of bus 0, over ECAM or by ports CF8 and CFC (PCI Local Bus 3.0, PCI Express Base 4.0, 7.2).
 * vCPU 0 alone. BARs stay as they were assigned.
 */
#ifndef GUEST_PCI_PCI_H
#define GUEST_PCI_PCI_H

#include <stdbool.h>
#include <stdint.h>

#define PCI_SLOTS 32u
#define PCI_BARS 6u
#define PCI_VENDOR_NONE 0xffffu

struct pci_host {
    uint64_t ecam; /* 0: ports */
    uint64_t ecam_size;
};

struct pci_bar {
    uint64_t address; /* 0: none; a port where io */
    uint64_t size;
    bool io;
};

struct pci_device {
    const struct pci_host *host;
    uint32_t slot;
    uint16_t vendor, device;
    struct pci_bar bar[PCI_BARS];
    uint32_t msix;       /* offset of the MSI-X capability, 0: none */
    uint32_t vectors;    /* of MSI-X */
    uint64_t msix_table; /* its address */
    uint32_t msi;        /* offset of the MSI capability, 0: none, or there is MSI-X */
    uint8_t pin;         /* of the IOAPIC, for INTx; 0: none, or there are messages */
    uint8_t revision;
};

uint32_t pci_read32(const struct pci_device *device, uint32_t offset);
void pci_write32(const struct pci_device *device, uint32_t offset, uint32_t value);

/* Is there a function 0 in this slot? Fills in vendor and device. */
bool pci_find(const struct pci_host *host, uint32_t slot, struct pci_device *device);
/*
 * Reads the BARs, maps them, and turns decoding and bus mastering on. For interrupts it takes MSI-X, on with each vector
 * masked, else MSI, else INTx; and turns INTx off where it is not that.
 * Returns NULL, or what is wrong with the device.
 */
const char *pci_enable(struct pci_device *device);
/* Routes a vector of MSI-X, or all of MSI, to a vector of the local APIC with this id, and unmasks it. INTx goes to
 * GATE_PIN_VECTOR of its pin, whatever is given. */
void pci_route(const struct pci_device *device, uint32_t vector, uint32_t apic_id, uint8_t apic_vector);

#endif
