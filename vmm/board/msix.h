/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Message interrupts of a passed-through function, MSI-X (PCI Local Bus 3.0, 6.8.2): the guest's table and PBA are here, the device signals
 * an eventfd for each vector in use (VFIO_DEVICE_SET_IRQS), and KVM turns that into the guest's message (irqfd).
 *
 * A vector is in use when the guest has given it a message or has unmasked it. While it cannot be delivered (masked, or
 * the machine is not bound) its eventfd gathers signals; they become the pending bit when somebody looks, and are
 * delivered when it is unmasked and bound. Several signals are then one interrupt, as with the hardware.
 *
 * MSI (6.8.1) is the same with one vector, whose message is in configuration space and which is never masked.
 *
 * Not thread safe: the machine's lock is held.
 */
#ifndef STOPCOPY_MSIX_H
#define STOPCOPY_MSIX_H

#include "lib/buffer.h"
#include "lib/error.h"
#include "vmm/kvm/vm.h"
#include "vmm/vfio/vfio_device.h"

#define MSIX_VECTORS_MAX 2048u
#define MSIX_ENTRY_SIZE 16u

struct msix_vector {
    uint64_t address;
    uint32_t data;
    bool masked;
    bool pending;
    bool in_device; /* the device has the eventfd */
    bool delivered; /* KVM has the eventfd */
    int eventfd;    /* -1: not made yet */
    int gsi;        /* -1: no route yet */
    uint64_t routed_address;
    uint32_t routed_data;
};

struct msix {
    struct vfio_device *device;
    struct vm *vm;
    uint32_t irq_index; /* VFIO_PCI_MSIX_IRQ_INDEX or VFIO_PCI_MSI_IRQ_INDEX */
    unsigned int vectors;
    bool resizable; /* the device takes more vectors while MSI-X is enabled */
    bool enabled;
    bool masked; /* all vectors, by the capability */
    bool bound;
    bool withheld;               /* KVM gets no eventfd, though bound: interrupt_drop.h */
    unsigned int device_vectors; /* how many SET_IRQS enabled; 0: MSI-X is off in the device */
    struct msix_vector *vector;
};

int msix_init(struct msix *msix, struct vm *vm, struct vfio_device *device, uint32_t irq_index, unsigned int vectors,
              struct error *error);
/* The VM is gone, or nothing is bound. Takes the eventfds from the device. */
void msix_destroy(struct msix *msix);

/* Offset within the table or PBA; size 4 or 8, aligned, else a read gives all ones and a write nothing. A failed write
 * took effect in the table and not, or in part, in KVM and the device. */
void msix_read_table(struct msix *msix, uint64_t offset, void *data, size_t size);
int msix_write_table(struct msix *msix, uint64_t offset, const void *data, size_t size, struct error *error);
void msix_read_pba(struct msix *msix, uint64_t offset, void *data, size_t size);

/* The guest wrote the capability's message control (PCI_MSIX_FLAGS). */
int msix_set_control(struct msix *msix, uint16_t control, struct error *error);

/* MSI: the guest wrote the capability. */
int msix_set_message(struct msix *msix, bool enabled, uint64_t address, uint32_t data, struct error *error);

int msix_bind(struct msix *msix, struct error *error);
/* On return what the device had signalled is in the interrupt controller, or is pending here. */
int msix_unbind(struct msix *msix, struct error *error);

/* The first vector whose eventfd was signalled and not looked at yet, -1 where there is none. */
int msix_signalled(const struct msix *msix);
/* Loses the vector's interrupt, where one waits that would have been delivered. Returns whether it did. */
bool msix_swallow(struct msix *msix, unsigned int number);

/* Where the vectors in use stand, in words; of many the first that are held back. */
void msix_describe(struct msix *msix, char *text, size_t size);

void msix_get_state(struct msix *msix, struct buffer *state);
/* Loads the table, with control the message control, and programs device and routes: one SET_IRQS, one commit. */
int msix_put_state(struct msix *msix, struct cursor *state, uint16_t control, struct error *error);

#endif
