/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/workloads/device_work.h"
#include "guest/guest.h"

void device_work_open(struct guest *guest, const struct device_workload *workload)
{
    uint32_t vcpus = guest->config.vcpus, devices = 0;

    if (!guest->config.wanted[workload->id])
        return;
    if (workload->open_all) {
        workload->open_all(guest);
        return;
    }
    for (uint32_t slot = 0; slot < PCI_SLOTS; slot++) {
        struct pci_device found;

        if (pci_find(&guest->pci, slot, &found) && found.vendor == workload->vendor && found.device == workload->device)
            workload->open(guest, &found, guest->vcpu[vcpus - 1 - devices++ % vcpus]);
    }
}

void device_work_add(struct guest *guest, struct vcpu *vcpu, struct device_work *work,
                     const struct device_workload *workload)
{
    *work = (struct device_work){.workload = workload, .next = vcpu->work, .next_of_all = guest->work};
    vcpu->work = work;
    guest->work = work;
}

void device_work_enable(struct guest *guest, struct pci_access *access, const struct pci_device *found)
{
    const char *error;

    access->device = *found;
    access->ram = &guest->ram;
    error = pci_enable(&access->device);
    if (error)
        guest_fail(guest, "guest/driver", 0, 0, "device %u: %s", found->slot, error);
}

void device_work_route(struct guest *guest, struct pci_access *access, uint32_t vector, struct vcpu *vcpu)
{
    uint8_t pin = access->device.pin;
    uint8_t apic_vector = pin ? GATE_PIN_VECTOR(pin) : vcpu->next_vector;

    if (!pin && vcpu->next_vector++ > GATE_DEVICE_VECTOR_LAST)
        guest_fail(guest, "guest/boot", GATE_DEVICE_VECTOR_LAST, apic_vector, "vCPU %u has no vector left",
                   vcpu->index);
    access->interrupts[vector] = &vcpu->interrupts[apic_vector];
    pci_route(&access->device, vector, vcpu->apic_id, apic_vector);
}
