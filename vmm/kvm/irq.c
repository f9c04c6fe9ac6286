/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interrupts on their way in (routes, irqfds, MSIs), and doorbells on their way out (ioeventfds). */
#include <errno.h>
#include <inttypes.h>
#include <sys/ioctl.h>

#include "vmm/kvm/vm_private.h"

static struct vm_route *route_of(struct vm *vm, int gsi)
{
    if (gsi < VM_MSI_GSI_FIRST || (unsigned int)gsi - VM_MSI_GSI_FIRST >= vm->route_count)
        return NULL;
    return &vm->route[gsi - VM_MSI_GSI_FIRST];
}

int vm_msi_route_add(struct vm *vm, uint64_t address, uint32_t data, struct error *error)
{
    int gsi = -1;

    pthread_mutex_lock(&vm->routes_lock);
    if (vm->route_count < vm->route_limit) {
        vm->route[vm->route_count] = (struct vm_route){.address = address, .data = data};
        gsi = VM_MSI_GSI_FIRST + (int)vm->route_count++;
    } else {
        error_set(error, ENOSPC, "all %u interrupt routes are taken", vm->route_limit);
    }
    pthread_mutex_unlock(&vm->routes_lock);
    return gsi;
}

int vm_msi_route_change(struct vm *vm, int gsi, uint64_t address, uint32_t data, struct error *error)
{
    struct vm_route *route;
    int result = 0;

    pthread_mutex_lock(&vm->routes_lock);
    route = route_of(vm, gsi);
    if (route)
        *route = (struct vm_route){.address = address, .data = data};
    else
        result = error_set(error, EINVAL, "GSI %d has no MSI route", gsi);
    pthread_mutex_unlock(&vm->routes_lock);
    return result;
}

int vm_msi_routes_commit(struct vm *vm, struct error *error)
{
    int result = 0;

    pthread_mutex_lock(&vm->routes_lock);
    vm->routing->nr = arch_pin_routes(vm, vm->routing->entries);
    for (unsigned int i = 0; i < vm->route_count; i++)
        vm->routing->entries[vm->routing->nr++] = (struct kvm_irq_routing_entry){
            .gsi = VM_MSI_GSI_FIRST + i,
            .type = KVM_IRQ_ROUTING_MSI,
            .u.msi = {.address_lo = (uint32_t)vm->route[i].address,
                      .address_hi = (uint32_t)(vm->route[i].address >> 32),
                      .data = vm->route[i].data},
        };
    if (ioctl(vm->fd, KVM_SET_GSI_ROUTING, vm->routing) < 0)
        result = error_set(error, errno, "KVM_SET_GSI_ROUTING of %u entries", vm->routing->nr);
    pthread_mutex_unlock(&vm->routes_lock);
    return result;
}

static int set_irqfd(struct vm *vm, int gsi, int eventfd, uint32_t flags, struct error *error)
{
    struct kvm_irqfd irqfd = {.fd = (uint32_t)eventfd, .gsi = (uint32_t)gsi, .flags = flags};

    if (gsi < 0)
        return error_set(error, EINVAL, "GSI %d", gsi);
    if (ioctl(vm->fd, KVM_IRQFD, &irqfd) < 0)
        return error_set(error, errno, "KVM_IRQFD, %s GSI %d",
                         flags & KVM_IRQFD_FLAG_DEASSIGN ? "taking an eventfd from" : "giving an eventfd to", gsi);
    return 0;
}

int vm_irqfd_assign(struct vm *vm, int gsi, int eventfd, struct error *error)
{
    return set_irqfd(vm, gsi, eventfd, 0, error);
}

int vm_irqfd_deassign(struct vm *vm, int gsi, int eventfd, struct error *error)
{
    /* KVM waits for the injections under way before it answers. */
    return set_irqfd(vm, gsi, eventfd, KVM_IRQFD_FLAG_DEASSIGN, error);
}

int vm_signal_msi(struct vm *vm, uint64_t address, uint32_t data, struct error *error)
{
    struct kvm_msi msi = {
        .address_lo = (uint32_t)address,
        .address_hi = (uint32_t)(address >> 32),
        .data = data,
    };

    /* 0 says that the guest holds it off (its APIC is not enabled, say): not an error of ours. */
    if (ioctl(vm->fd, KVM_SIGNAL_MSI, &msi) < 0)
        return error_set(error, errno, "KVM_SIGNAL_MSI of data %#" PRIx32 " to address %#" PRIx64, data, address);
    return 0;
}

int vm_ioeventfd(struct vm *vm, bool assign, uint64_t address, uint32_t size, int eventfd, bool match,
                 uint64_t datamatch, struct error *error)
{
    struct kvm_ioeventfd ioeventfd = {
        .datamatch = match ? datamatch : 0,
        .addr = address,
        .len = size,
        .fd = eventfd,
        .flags = (match ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0u) | (assign ? 0u : KVM_IOEVENTFD_FLAG_DEASSIGN),
    };

    if (ioctl(vm->fd, KVM_IOEVENTFD, &ioeventfd) < 0)
        return error_set(error, errno, "KVM_IOEVENTFD, %s a doorbell of %" PRIu32 " bytes at %#" PRIx64,
                         assign ? "making" : "removing", size, address);
    return 0;
}
