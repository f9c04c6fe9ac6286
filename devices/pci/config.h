/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration space of a reference device: a PCI Express endpoint of a root complex, type 0 header, with the
 * capabilities that were asked for. What is written goes through a mask, so that BARs are sized in the usual way and
 * read-only bits stay. PCI Local Bus 3.0 section 6.1 and 6.8, PCI Express Base section 7.5.
 */
#ifndef STOPCOPY_DEVICES_PCI_CONFIG_H
#define STOPCOPY_DEVICES_PCI_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PCI_CONFIG_SIZE 4096u

struct pci_config {
    uint8_t data[PCI_CONFIG_SIZE];
    uint8_t writable[PCI_CONFIG_SIZE]; /* bits that a write changes */
    uint8_t power_on[PCI_CONFIG_SIZE];
    unsigned int last_capability; /* where the last one is, 0: none yet */
    unsigned int free;            /* where the next one goes */
    unsigned int express;         /* where the PCI Express capability is */
    unsigned int msi;
    unsigned int msix;
};

struct pci_identity {
    uint16_t vendor;
    uint16_t device;
    uint8_t revision;
    uint32_t class_code; /* 24 bits */
    bool intx;           /* interrupt pin INTA# */
};

void pci_config_init(struct pci_config *config, const struct pci_identity *identity);
/* size: a power of two, at least 16. A 64-bit BAR takes two indexes and is prefetchable. */
void pci_config_add_bar(struct pci_config *config, unsigned int index, uint64_t size, bool is_64bit);
/* size: a power of two, 4 to 256. */
void pci_config_add_io_bar(struct pci_config *config, unsigned int index, uint32_t size);
/* With function level reset. */
void pci_config_add_express(struct pci_config *config);
/* count: a power of two up to 32; 64-bit addresses, without masking. */
void pci_config_add_msi(struct pci_config *config, unsigned int count);
void pci_config_add_msix(struct pci_config *config, unsigned int vectors, unsigned int table_bar, uint32_t table_offset,
                         unsigned int pba_bar, uint32_t pba_offset);
/* After the last capability: what is there now is the power-on state. */
void pci_config_finish(struct pci_config *config);

/* The range must be inside PCI_CONFIG_SIZE. */
void pci_config_read(const struct pci_config *config, uint64_t offset, void *data, size_t count);
/* Returns true where a function level reset was asked for; the caller does it. */
bool pci_config_write(struct pci_config *config, uint64_t offset, const void *data, size_t count);
void pci_config_reset(struct pci_config *config);
/* Takes over another device's contents. False, and nothing changed, where they differ in what cannot be written. */
bool pci_config_load(struct pci_config *config, const uint8_t data[PCI_CONFIG_SIZE]);

bool pci_config_bus_master(const struct pci_config *config);
bool pci_config_intx_disabled(const struct pci_config *config);
/* The status register's interrupt bit, which follows INTx' level. */
void pci_config_set_interrupt_status(struct pci_config *config, bool asserted);

#endif
