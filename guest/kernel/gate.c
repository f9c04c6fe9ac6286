/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/kernel/kernel.h"
#include "guest/kernel/registers.h"

#define KVMCLOCK_ENABLE 1u

static uint64_t start_vcpu(struct kernel_vcpu *vcpu, const struct gate_vcpu *start)
{
    struct kernel_vcpu *other;

    if (start->index >= KERNEL_VCPUS_MAX || start->index == vcpu->index)
        return 1;
    other = &kernel_vcpus[start->index];
    other->index = start->index;
    other->interrupts = start->interrupts;
    other->user = (void *)start->argument;
    other->entry_rip = start->rip;
    other->entry_rsp = start->rsp;
    apic_start_vcpu(other, start->apic_id);
    return 0;
}

uint64_t kernel_gate(struct kernel_vcpu *vcpu, uint64_t gate, uint64_t argument0, uint64_t argument1,
                     uint64_t argument2)
{
    switch (gate) {
    case GATE_HALT:
        kernel_halt();
    case GATE_SET_VCPU:
        vcpu->user = (void *)argument0;
        vcpu->interrupts = (uint64_t *)argument1;
        return 0;
    case GATE_MAP:
        return !paging_map(argument0, argument1, (enum gate_map)argument2);
    case GATE_START_VCPU:
        return start_vcpu(vcpu, (const struct gate_vcpu *)argument0);
    case GATE_START_TIMER:
        apic_start_timer(vcpu, (uint32_t)argument0);
        return 0;
    case GATE_READ_TIMER:
        return apic_read_timer(vcpu);
    case GATE_START_KVMCLOCK:
        msr_write(MSR_KVM_SYSTEM_TIME, argument0 | KVMCLOCK_ENABLE);
        return 0;
    case GATE_ALLOW_PORTS:
        return !segments_allow_ports(argument0, argument1);
    case GATE_ROUTE_PIN:
        return !ioapic_route((uint32_t)argument0, (uint32_t)argument1);
    case GATE_MASK_PIN:
        return !ioapic_mask((uint32_t)argument0, argument1 != 0);
    default:
        return 1;
    }
}
