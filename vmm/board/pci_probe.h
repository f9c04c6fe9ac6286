/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a device is as a PCI function, read from its configuration region, its region and interrupt information
 * (linux/vfio.h; PCI Local Bus 3.0, chapter 6). All that the guest will see of it is in struct board_device.
 */
#ifndef STOPCOPY_PCI_PROBE_H
#define STOPCOPY_PCI_PROBE_H

#include "vmm/board/machine.h"

#define PCI_CONFIG_SIZE 256
#define PCI_BAR_SIZE_MAX (1ull << 40)

/* Fills in all but slot and BAR addresses. Fails where the device cannot be passed through, with the reason. */
int pci_probe(struct vfio_device *device, struct board_device *description, struct error *error);

/* Is this what pci_probe may have found? For a description from outside. */
int pci_description_check(const struct board_device *description, struct error *error);

#endif
