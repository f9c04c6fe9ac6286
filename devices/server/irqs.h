/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interrupts as the client set them up. linux/vfio.h, VFIO_DEVICE_SET_IRQS. */
#ifndef STOPCOPY_DEVICES_SERVER_IRQS_H
#define STOPCOPY_DEVICES_SERVER_IRQS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/model.h"

struct irq_vector {
    int trigger; /* an eventfd, -1: none */
    bool masked;
};

struct irq_index {
    struct device_irq info;
    struct irq_vector *vectors;
    unsigned int triggers; /* the highest vector with a trigger, plus 1 */
};

struct irqs {
    struct irq_index index[VFIO_PCI_NUM_IRQS];
    bool level; /* of INTx */
    /* Eventfds by which the client masks and unmasks INTx, -1: none. Whoever waits for events watches them. */
    int mask_fd;
    int unmask_fd;
};

/* Asks the device what interrupts it has. Returns 0 or an errno. */
int irqs_init(struct irqs *irqs, struct device *device);
void irqs_free(struct irqs *irqs);

/*
 * struct vfio_irq_set with its data, and the descriptors that came with it; those that are kept are set to -1. With
 * DATA_EVENTFD: no descriptor takes away the eventfds of the range, else there is one for each of the range, or data is
 * an array of int32_t, one for each of the range, of which those below 0 have no descriptor. Returns 0 or an errno.
 */
int irqs_set(struct irqs *irqs, const void *request, size_t size, int *fds, size_t fd_count);

bool irqs_raise(struct irqs *irqs, unsigned int index, unsigned int vector);
void irqs_set_level(struct irqs *irqs, bool asserted);
/* The mask or unmask eventfd was signalled. */
void irqs_mask_event(struct irqs *irqs);
void irqs_unmask_event(struct irqs *irqs);

#endif
