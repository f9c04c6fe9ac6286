/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One BAR of a passed-through function. While the guest decodes it, it is on the bus, its mappable areas are memory
 * slots of the VM and in the DMA space of the other devices (peers.h), and its doorbells are ioeventfds once bound; everything else of it is trapped: the MSI-X table and
 * PBA go to msix.h, the rest to the device's region.
 */
#ifndef STOPCOPY_PCI_BAR_H
#define STOPCOPY_PCI_BAR_H

#include "vmm/board/machine.h"

/* Every mappable area, each cut in three at most by the MSI-X table and the PBA. */
#define PCI_BAR_AREAS_MAX (VFIO_SPARSE_MAX + 2)

struct pci_device;

struct pci_bar_area {
    uint64_t offset;
    uint64_t size;
    void *host;
    int fd; /* the device's: where host was mapped from */
    uint64_t fd_offset;
    int slot;       /* -1: not in the guest's memory */
    uint32_t peers; /* bit n: device n has it in its DMA space */
};

struct pci_bar {
    struct pci_device *device;
    unsigned int index;
    const struct board_bar *description;
    bool readonly;
    unsigned int area_count;
    struct pci_bar_area area[PCI_BAR_AREAS_MAX];
    unsigned int doorbell_count;
    struct vfio_doorbell doorbell[VFIO_DOORBELLS_MAX];
    bool decoded;     /* the guest reaches it, at address */
    bool rung_by_kvm; /* its doorbells are ioeventfds */
    bool bound;
    uint64_t address;
};

int pci_bar_init(struct pci_bar *bar, struct pci_device *device, unsigned int index, struct error *error);
void pci_bar_destroy(struct pci_bar *bar);

/* Puts the BAR at address. Returns 1, or 0 where it may not be there (another is, or it is outside of the windows). */
int pci_bar_map(struct pci_bar *bar, uint64_t address, struct error *error);
int pci_bar_unmap(struct pci_bar *bar, struct error *error);

/* Doorbells as ioeventfds, now and when it is mapped again, or trapped. */
int pci_bar_bind(struct pci_bar *bar, bool bound, struct error *error);

#endif
