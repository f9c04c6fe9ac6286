/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration space that the guest sees of a function, made from its description alone: identity, BARs, command,
 * MSI-X or MSI, INTA#, and a read-only PCI Express capability (PCI Local Bus 3.0, chapter 6). Above 256 bytes it reads 0: there are no
 * extended capabilities.
 */
#ifndef STOPCOPY_PCI_CONFIG_H
#define STOPCOPY_PCI_CONFIG_H

#include "lib/buffer.h"
#include "vmm/board/machine.h"
#include "vmm/board/pci_probe.h"

struct pci_config {
    const struct board_device *description;
    uint8_t data[PCI_CONFIG_SIZE];
    uint8_t writable[PCI_CONFIG_SIZE]; /* the bits that the guest may change */
};

/* As at power-on: BARs at the board's addresses, decoding off. */
void pci_config_init(struct pci_config *config, const struct board_device *description);

uint32_t pci_config_read(const struct pci_config *config, uint32_t offset, size_t size);
/* Changes what may be changed; what follows from it is the caller's. */
void pci_config_write(struct pci_config *config, uint32_t offset, uint32_t value, size_t size);

uint16_t pci_config_command(const struct pci_config *config);
/* PCI_MSIX_FLAGS; 0 without MSI-X. */
uint16_t pci_config_msix_control(const struct pci_config *config);
/* Is MSI enabled? And the message that it has. */
bool pci_config_msi(const struct pci_config *config, uint64_t *address, uint32_t *data);
uint64_t pci_config_bar_address(const struct pci_config *config, unsigned int bar);

void pci_config_get_state(const struct pci_config *config, struct buffer *state);
/* Refuses a space that differs where the guest cannot write. */
/* A fault put in on purpose: MSI-X is off in the state that was just added. */
void pci_config_forget_msix(const struct pci_config *config, struct buffer *state);
int pci_config_put_state(struct pci_config *config, struct cursor *state, struct error *error);

#endif
