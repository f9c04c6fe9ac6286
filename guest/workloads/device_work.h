/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Workloads on devices: what the guest knows of each, and what a vCPU has to do of it. */
#ifndef GUEST_WORKLOADS_DEVICE_WORK_H
#define GUEST_WORKLOADS_DEVICE_WORK_H

#include "guest/pci/pci_access.h"
#include "guest/workloads/chain.h"

struct vcpu;
struct device_work;

/* Of a workload; listed in device_work_list.c. Operations that are NULL have nothing to do. */
struct device_workload {
    enum workload_id id;
    uint16_t vendor, device; /* the PCI devices that it works on */
    /* Takes on one of these devices: makes its chains and its work, of this vCPU. On vCPU 0, at boot. */
    void (*open)(struct guest *guest, const struct pci_device *found, struct vcpu *vcpu);
    /* Instead of open: finds all of them itself, where they must know of each other or have work for several vCPUs. */
    void (*open_all)(struct guest *guest);
    /* A step, which never waits: takes what has come and begins what is due. Returns whether there was something to do. */
    bool (*step)(struct vcpu *vcpu, struct device_work *work);
    /* Is nothing under way? */
    bool (*is_drained)(const struct device_work *work);
    /* It is drained: checks what there is to check at the end. On its vCPU. */
    void (*finish)(struct device_work *work);
    /* All is drained on all vCPUs: the device must have nothing to complain about. On vCPU 0. */
    void (*close)(struct device_work *work);
    /* Tells on the console what was counted and is no failure. */
    void (*print)(struct device_work *work);
};

/* The first member of what a workload has for a device, or for a part of it. */
struct device_work {
    const struct device_workload *workload;
    struct device_work *next;        /* of the same vCPU */
    struct device_work *next_of_all; /* of the guest */
};

/* In the order in which they lead (stopcopy/workload.h), up to NULL. */
extern const struct device_workload *const device_workloads[];

/* Opens it, where it was asked for. Devices go to the vCPUs in turn from the last down: the queues of dma, which have work
 * for all, begin at the first. */
void device_work_open(struct guest *guest, const struct device_workload *workload);
/* Gives the work to the vCPU. */
void device_work_add(struct guest *guest, struct vcpu *vcpu, struct device_work *work,
                     const struct device_workload *workload);

/* Turns the device on, for access to be used by its driver. Does not return from a failure. */
void device_work_enable(struct guest *guest, struct pci_access *access, const struct pci_device *found);
/* Sends the device's interrupt `vector` to the vCPU: a level at the vector of its pin, a message at the vCPU's next. */
void device_work_route(struct guest *guest, struct pci_access *access, uint32_t vector, struct vcpu *vcpu);

#endif
