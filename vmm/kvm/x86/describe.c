/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where interrupts stand in the IOAPIC and the local APICs, in words: for whoever looks for one that was lost. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/kvm/x86/x86_private.h"

#define APIC_ISR 0x100
#define APIC_IRR 0x200
#define APIC_PPR 0xa0

int vm_describe_pin(struct vm *vm, unsigned int pin, char *text, size_t size)
{
    struct kvm_irqchip chip = {.chip_id = KVM_IRQCHIP_IOAPIC};
    const struct kvm_ioapic_state *ioapic = &chip.chip.ioapic;

    if (pin >= VM_IOAPIC_PINS || ioctl(vm->fd, KVM_GET_IRQCHIP, &chip) < 0)
        return -1;
    snprintf(text, size, "pin %u of the IOAPIC: the line is %s, vector %u for APIC id %u%s%s", pin,
             ioapic->irr >> pin & 1 ? "up" : "down", ioapic->redirtbl[pin].fields.vector,
             ioapic->redirtbl[pin].fields.dest_id, ioapic->redirtbl[pin].fields.mask ? ", masked" : "",
             ioapic->redirtbl[pin].fields.remote_irr ? ", delivered and not EOIed" : "");
    return 0;
}

/* The vectors whose bits are set in a register of 256. */
static void list_vectors(const struct kvm_lapic_state *lapic, size_t offset, char *text, size_t size)
{
    size_t length = 0;

    snprintf(text, size, " none");
    for (unsigned int vector = 0; vector < 256 && length + 8 < size; vector++) {
        uint32_t word;

        memcpy(&word, lapic->regs + offset + vector / 32 * 16, sizeof(word));
        if (word >> vector % 32 & 1)
            length += (size_t)snprintf(text + length, size - length, " 0x%x", vector);
    }
}

int vm_describe_vcpu_interrupts(struct vm *vm, unsigned int vcpu, char *text, size_t size)
{
    struct kvm_lapic_state lapic;
    struct kvm_regs regs;
    char requested[128], in_service[128];
    uint32_t priority;

    if (vcpu >= vm->vcpu_count || vm_check_paused(vm, NULL) < 0 ||
        ioctl(vm->vcpu[vcpu].fd, KVM_GET_LAPIC, &lapic) < 0 || ioctl(vm->vcpu[vcpu].fd, KVM_GET_REGS, &regs) < 0)
        return -1;
    list_vectors(&lapic, APIC_IRR, requested, sizeof(requested));
    list_vectors(&lapic, APIC_ISR, in_service, sizeof(in_service));
    memcpy(&priority, lapic.regs + APIC_PPR, sizeof(priority));
    snprintf(text, size, "vCPU %u: vectors requested:%s; in service:%s; priority 0x%" PRIx32 "; interrupts are %s", vcpu,
             requested, in_service, priority, regs.rflags & 1u << 9 ? "on" : "off");
    return 0;
}
