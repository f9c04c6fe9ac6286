/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The local APIC, in the mode in which the VMM left it: xAPIC's registers in memory or x2APIC's MSRs (Intel SDM volume
 * 3, chapter "Advanced Programmable Interrupt Controller").
 */
#include "guest/kernel/kernel.h"
#include "guest/kernel/registers.h"
#include <string.h>

#define APIC_BASE_ENABLE (1u << 11)
#define APIC_BASE_X2APIC (1u << 10)
#define APIC_BASE_FLAGS 0xd00u /* BSP, EXTD, EN */
#define APIC_TASK_PRIORITY 0x80
#define APIC_SPURIOUS 0xf0
#define APIC_SPURIOUS_ENABLE 0x100u
#define APIC_COMMAND_LOW 0x300
#define APIC_COMMAND_HIGH 0x310
#define APIC_LVT_TIMER 0x320
#define APIC_LVT_LINT0 0x350
#define APIC_LVT_LINT1 0x360
#define APIC_LVT_MASKED (1u << 16)
#define APIC_LVT_PERIODIC (1u << 17)
#define APIC_TIMER_INITIAL 0x380
#define APIC_TIMER_CURRENT 0x390
#define APIC_TIMER_DIVIDE 0x3e0
#define APIC_TIMER_DIVIDE_BY_1 0xbu
#define APIC_COMMAND_INIT 0x4500u
#define APIC_COMMAND_STARTUP 0x4600u
#define MSR_X2APIC 0x800u

extern const uint8_t trampoline_start[], trampoline_end[], trampoline_vcpu[];

static void apic_write(const struct kernel_vcpu *vcpu, uint32_t offset, uint32_t value)
{
    if (vcpu->x2apic)
        msr_write(MSR_X2APIC + (offset >> 4), value);
    else
        *(volatile uint32_t *)(uint64_t)(APIC_ADDRESS + offset) = value;
}

static uint32_t apic_read(const struct kernel_vcpu *vcpu, uint32_t offset)
{
    if (vcpu->x2apic)
        return (uint32_t)msr_read(MSR_X2APIC + (offset >> 4));
    return *(volatile uint32_t *)(uint64_t)(APIC_ADDRESS + offset);
}

/* The other vCPUs follow the first into x2APIC mode. */
void apic_enable(struct kernel_vcpu *vcpu)
{
    uint64_t base = msr_read(MSR_APIC_BASE);
    uint64_t wanted = APIC_ADDRESS | (base & APIC_BASE_FLAGS) | APIC_BASE_ENABLE;

    if (kernel_vcpus[0].x2apic)
        wanted |= APIC_BASE_X2APIC;
    if (wanted != base)
        msr_write(MSR_APIC_BASE, wanted);
    vcpu->x2apic = (wanted & APIC_BASE_X2APIC) != 0;
    apic_write(vcpu, APIC_SPURIOUS, APIC_SPURIOUS_ENABLE | VECTOR_SPURIOUS);
    apic_write(vcpu, APIC_TASK_PRIORITY, 0);
    apic_write(vcpu, APIC_LVT_LINT0, APIC_LVT_MASKED);
    apic_write(vcpu, APIC_LVT_LINT1, APIC_LVT_MASKED);
}

static void apic_command(const struct kernel_vcpu *vcpu, uint32_t apic_id, uint32_t command)
{
    if (vcpu->x2apic) {
        msr_write(MSR_X2APIC + (APIC_COMMAND_LOW >> 4), (uint64_t)apic_id << 32 | command);
        return;
    }
    apic_write(vcpu, APIC_COMMAND_HIGH, apic_id << 24);
    apic_write(vcpu, APIC_COMMAND_LOW, command);
}

/* A virtual processor needs none of the delays of the MP specification; where one does, the caller asks again. */
void apic_start_vcpu(struct kernel_vcpu *vcpu, uint32_t apic_id)
{
    uint8_t *trampoline = (uint8_t *)TRAMPOLINE_ADDRESS;

    memcpy(trampoline, trampoline_start, (size_t)(trampoline_end - trampoline_start));
    *(volatile uint64_t *)(trampoline + (trampoline_vcpu - trampoline_start)) = (uint64_t)vcpu;
    apic_command(&kernel_vcpus[0], apic_id, APIC_COMMAND_INIT);
    apic_command(&kernel_vcpus[0], apic_id, APIC_COMMAND_STARTUP | TRAMPOLINE_ADDRESS >> 12);
}

void apic_start_timer(struct kernel_vcpu *vcpu, uint32_t count)
{
    apic_write(vcpu, APIC_TIMER_DIVIDE, APIC_TIMER_DIVIDE_BY_1);
    apic_write(vcpu, APIC_LVT_TIMER, GATE_TIMER_VECTOR | APIC_LVT_PERIODIC | (count ? 0 : APIC_LVT_MASKED));
    apic_write(vcpu, APIC_TIMER_INITIAL, count);
}

uint32_t apic_read_timer(struct kernel_vcpu *vcpu)
{
    return apic_read(vcpu, APIC_TIMER_CURRENT);
}
