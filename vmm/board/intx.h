/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * INTx of a passed-through function (linux/vfio.h, VFIO_PCI_INTX_IRQ_INDEX): a level. The device signals an eventfd and
 * masks itself; KVM raises the pin of the IOAPIC; at the guest's EOI KVM lowers it and signals another eventfd, which
 * unmasks the device, so that it signals again where it is still asserted. A device that takes no eventfd for that is
 * unmasked by the VMM: when whoever waits for the machine's events sees it, and before each access to a BAR, so that no
 * guest can be faster than its own EOI.
 *
 * At the stop the pin is read before KVM lowers it. "Asserted, or delivered and not yet EOIed" is this record, and is
 * asserted once more when the machine is bound again, here or elsewhere. A device that carries its level itself asserts
 * it too, which adds nothing; one that does not (mtty) would lose it.
 *
 * Not thread safe, the machine's lock is held, but for intx_resample.
 */
#ifndef STOPCOPY_INTX_H
#define STOPCOPY_INTX_H

#include <pthread.h>

#include "lib/buffer.h"
#include "lib/error.h"
#include "vmm/kvm/vm.h"
#include "vmm/vfio/vfio_device.h"

struct intx {
    struct vfio_device *device; /* NULL: the function has no INTx */
    struct vm *vm;
    unsigned int pin;   /* of the IOAPIC */
    int trigger;        /* the device signals it */
    int resample;       /* KVM signals it at the EOI */
    bool unmask_by_vmm; /* the device does not listen to resample */
    /* From taking a resample signal to the unmasking: an access of the guest's waits for one that is under way. */
    pthread_mutex_t unmask_lock;
    bool lose_resample; /* a fault put in on purpose */
    bool bound;
    bool asserted; /* to be asserted when bound */
};

/* Gives the device its eventfds. pin 0: there is no INTx. On failure nothing is left. */
int intx_init(struct intx *intx, struct vm *vm, struct vfio_device *device, unsigned int pin, struct error *error);
/* The VM is gone, or nothing is bound. */
void intx_destroy(struct intx *intx);

int intx_bind(struct intx *intx, struct error *error);
/* On return what the device had signalled is in the record. The vCPUs are paused. */
int intx_unbind(struct intx *intx, struct error *error);

/* Unmasks a device that the VMM has to, where the guest has EOIed since. Thread safe. */
int intx_resample(struct intx *intx, struct error *error);

/* Was the trigger signalled, and nobody has looked? */
bool intx_signalled(const struct intx *intx);

/* Where the level stands, in words. */
void intx_describe(const struct intx *intx, char *text, size_t size);

void intx_get_state(const struct intx *intx, struct buffer *state);
int intx_put_state(struct intx *intx, struct cursor *state, struct error *error);

#endif
