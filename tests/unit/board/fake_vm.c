/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/board/fake_vm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

struct vm *vm_new(const struct vm_config *config, struct error *error)
{
    struct vm *vm = calloc(1, sizeof(*vm));

    (void)error;
    vm->config = *config;
    return vm;
}

void vm_free(struct vm *vm)
{
    free(vm);
}

void vm_get_features(struct vm *vm, struct vm_features *features)
{
    (void)vm;
    *features = (struct vm_features){
        .kvmclock = true, .tsc_hz = 2500000000, .apic_timer_hz = 1000000000, .physical_address_bits = 46};
}

int vm_map_memory(struct vm *vm, uint64_t gpa, uint64_t size, void *host, bool readonly, struct error *error)
{
    (void)readonly;
    for (int i = 0; i < FAKE_VM_MAX; i++) {
        if (!vm->slot[i].used) {
            vm->slot[i] = (struct fake_slot){.used = true, .gpa = gpa, .size = size, .host = host};
            return i;
        }
    }
    return error_set(error, ENOSPC, "no slot");
}

int vm_unmap_memory(struct vm *vm, int slot, struct error *error)
{
    if (slot < 0 || slot >= FAKE_VM_MAX || !vm->slot[slot].used)
        return error_set(error, ENOENT, "slot %d", slot);
    vm->slot[slot].used = false;
    return 0;
}

int vm_set_entry(struct vm *vm, uint64_t entry, uint64_t rdi, uint64_t cr3, struct error *error)
{
    (void)vm;
    (void)entry;
    (void)rdi;
    (void)cr3;
    (void)error;
    return 0;
}

int vm_resume(struct vm *vm, struct error *error)
{
    (void)vm;
    (void)error;
    return 0;
}

int vm_pause(struct vm *vm, struct deadline deadline, struct error *error)
{
    (void)vm;
    (void)deadline;
    (void)error;
    return 0;
}

int vm_msi_route_add(struct vm *vm, uint64_t address, uint32_t data, struct error *error)
{
    if (vm->routes == FAKE_VM_MAX)
        return error_set(error, ENOSPC, "no route");
    vm->route[vm->routes] = (struct fake_route){.address = address, .data = data, .irqfd = -1};
    vm->commits_missing++;
    return vm->routes++;
}

int vm_msi_route_change(struct vm *vm, int gsi, uint64_t address, uint32_t data, struct error *error)
{
    (void)error;
    vm->route[gsi].address = address;
    vm->route[gsi].data = data;
    vm->commits_missing++;
    return 0;
}

int vm_msi_routes_commit(struct vm *vm, struct error *error)
{
    (void)error;
    vm->commits++;
    vm->commits_missing = 0;
    return 0;
}

int vm_irqfd_assign(struct vm *vm, int gsi, int eventfd, struct error *error)
{
    if (vm->route[gsi].irqfd != -1 || vm->commits_missing)
        return error_set(error, EBUSY, "irqfd of GSI %d, %u routes not committed", gsi, vm->commits_missing);
    vm->route[gsi].irqfd = eventfd;
    return 0;
}

static void deliver(struct vm *vm, struct fake_route *route)
{
    eventfd_t count;

    if (route->irqfd != -1 && eventfd_read(route->irqfd, &count) == 0)
        vm->interrupts[route->data & 0xff]++;
}

int vm_irqfd_deassign(struct vm *vm, int gsi, int eventfd, struct error *error)
{
    if (vm->route[gsi].irqfd != eventfd)
        return error_set(error, ENOENT, "irqfd of GSI %d", gsi);
    deliver(vm, &vm->route[gsi]);
    vm->route[gsi].irqfd = -1;
    return 0;
}

static void raise_line(struct vm *vm, unsigned int pin)
{
    eventfd_t count;

    if (!vm->pin[pin].irqfd || eventfd_read(vm->pin[pin].irqfd, &count))
        return;
    vm->pin[pin].raised += !vm->pin[pin].line;
    vm->pin[pin].line = true;
}

int vm_level_irqfd_assign(struct vm *vm, unsigned int pin, int eventfd, int resample, struct error *error)
{
    if (vm->config.irqchip != VM_IRQCHIP_FULL || vm->pin[pin].irqfd)
        return error_set(error, EBUSY, "a level of pin %u", pin);
    vm->pin[pin].irqfd = eventfd;
    vm->pin[pin].resample = resample;
    raise_line(vm, pin);
    return 0;
}

int vm_level_irqfd_deassign(struct vm *vm, unsigned int pin, int eventfd, bool *asserted, struct error *error)
{
    if (vm->pin[pin].irqfd != eventfd)
        return error_set(error, ENOENT, "a level of pin %u", pin);
    raise_line(vm, pin);
    *asserted = vm->pin[pin].line;
    vm->pin[pin].line = false;
    vm->pin[pin].irqfd = 0;
    return 0;
}

void fake_vm_eoi(struct vm *vm, unsigned int pin)
{
    vm->pin[pin].line = false;
    eventfd_write(vm->pin[pin].resample, 1);
}

int vm_signal_msi(struct vm *vm, uint64_t address, uint32_t data, struct error *error)
{
    (void)address;
    (void)error;
    vm->interrupts[data & 0xff]++;
    return 0;
}

int vm_ioeventfd(struct vm *vm, bool assign, uint64_t address, uint32_t size, int eventfd, bool match,
                 uint64_t datamatch, struct error *error)
{
    (void)size;
    (void)match;
    (void)datamatch;
    for (int i = 0; i < FAKE_VM_MAX; i++) {
        struct fake_ioeventfd *entry = &vm->ioeventfd[i];

        if (assign ? entry->used : !entry->used || entry->address != address || entry->fd != eventfd)
            continue;
        *entry = (struct fake_ioeventfd){.used = assign, .address = address, .fd = eventfd};
        return 0;
    }
    return error_set(error, ENOENT, "ioeventfd at 0x%llx", (unsigned long long)address);
}

int vm_vcpu_get_state(struct vm *vm, unsigned int vcpu, struct buffer *state, struct error *error)
{
    (void)vm;
    (void)vcpu;
    (void)state;
    return error_set(error, ENOSYS, "no vCPU");
}

int vm_vcpu_put_state(struct vm *vm, unsigned int vcpu, const void *state, size_t size, struct buffer *ignored,
                      struct error *error)
{
    (void)vm;
    (void)vcpu;
    (void)state;
    (void)size;
    (void)ignored;
    return error_set(error, ENOSYS, "no vCPU");
}

int vm_get_state(struct vm *vm, struct buffer *state, struct error *error)
{
    (void)vm;
    (void)state;
    return error_set(error, ENOSYS, "no KVM");
}

int vm_put_state(struct vm *vm, const void *state, size_t size, struct buffer *ignored, struct error *error)
{
    (void)vm;
    (void)state;
    (void)size;
    (void)ignored;
    return error_set(error, ENOSYS, "no KVM");
}

void fake_vm_run(struct vm *vm)
{
    for (unsigned int pin = 0; pin < 24; pin++)
        raise_line(vm, pin);
    for (int i = 0; i < vm->routes; i++)
        deliver(vm, &vm->route[i]);
}

unsigned int fake_vm_slots(const struct vm *vm)
{
    unsigned int count = 0;

    for (int i = 0; i < FAKE_VM_MAX; i++)
        count += vm->slot[i].used;
    return count;
}

unsigned int fake_vm_ioeventfds(const struct vm *vm)
{
    unsigned int count = 0;

    for (int i = 0; i < FAKE_VM_MAX; i++)
        count += vm->ioeventfd[i].used;
    return count;
}

int vm_describe_pin(struct vm *vm, unsigned int pin, char *text, size_t size)
{
    (void)vm;
    snprintf(text, size, "pin %u", pin);
    return 0;
}

int vm_describe_vcpu_interrupts(struct vm *vm, unsigned int vcpu, char *text, size_t size)
{
    (void)vm;
    snprintf(text, size, "vCPU %u", vcpu);
    return 0;
}
