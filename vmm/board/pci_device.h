/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One passed-through function as the guest has it: its configuration space, its BARs and its interrupt. Configuration space is
 * the VMM's (pci_config.h); what matters to the device is written through: the command register's decoding, bus master
 * and INTx disable bits, and the message control of MSI-X or MSI.
 */
#ifndef STOPCOPY_PCI_DEVICE_H
#define STOPCOPY_PCI_DEVICE_H

#include <pthread.h>

#include "vmm/board/bus.h"
#include "vmm/board/intx.h"
#include "vmm/board/msix.h"
#include "vmm/board/pci_bar.h"
#include "vmm/board/pci_config.h"
#include "vmm/board/pci_host.h"
#include "vmm/board/peers.h"

/* What a function needs of the machine that it is in. */
struct pci_environment {
    struct vm *vm;
    const struct board *board;
    struct bus *memory;
    struct bus *ports;
    const struct peers *peers;
    /* Configuration spaces, BARs and MSI-X of all functions, and the VM's slots and routes. */
    pthread_mutex_t *lock;
    /* Something that the guest did could not be carried out. */
    void (*report)(void *context, unsigned int number, const struct error *error);
    void *context;
};

struct pci_device {
    unsigned int number; /* in the board's order */
    struct vfio_device *vfio;
    bool forget_msix; /* a fault put in on purpose */
    const struct pci_environment *environment;
    const struct board_device *description;
    struct pci_config config;
    struct pci_bar bar[BOARD_BARS];
    struct msix msix; /* or MSI */
    struct intx intx;
};

extern const struct pci_config_ops pci_device_config_ops;

/* Maps what may be mapped of the BARs; puts nothing into the guest's memory yet. On failure nothing is left. */
int pci_device_init(struct pci_device *device, unsigned int number, struct vfio_device *vfio,
                    const struct pci_environment *environment, struct error *error);
/* After the VM is gone. */
void pci_device_destroy(struct pci_device *device);

/* Interrupts and doorbells. The machine's lock is held. */
int pci_device_bind(struct pci_device *device, struct error *error);
int pci_device_unbind(struct pci_device *device, struct error *error);
/* Where its interrupts stand, in a line. */
void pci_device_describe_interrupts(struct pci_device *device, char *text, size_t size);

/* The machine's lock is held. */
/* As machine_interrupt_signalled. */
int pci_device_signalled(const struct pci_device *device);
void pci_device_get_state(struct pci_device *device, struct buffer *state);
int pci_device_put_state(struct pci_device *device, const void *state, size_t size, struct error *error);

#endif
