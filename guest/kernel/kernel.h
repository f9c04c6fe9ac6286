/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel, all that runs at CPL 0: page tables, descriptor tables, exceptions, interrupts, the local APIC, the IOAPIC and the
 * start of the other vCPUs. Instructions are dear here (emulated on some hosts), so what can be done at CPL 3 is.
 */
#ifndef GUEST_KERNEL_KERNEL_H
#define GUEST_KERNEL_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/kernel/gate.h"
#include "guest/kernel/layout.h"

struct kernel_vcpu {
    uint64_t *interrupts; /* 256 counters, in memory of CPL 3 */
    uint32_t x2apic;
    uint32_t index;
    void *user;
    uint64_t entry_rip; /* where it enters CPL 3, and its stack there */
    uint64_t entry_rsp;
    uint8_t stack[KERNEL_STACK_SIZE - 40];
} __attribute__((aligned(KERNEL_STACK_SIZE)));

_Static_assert(offsetof(struct kernel_vcpu, interrupts) == KERNEL_VCPU_INTERRUPTS, "interrupt.S");
_Static_assert(offsetof(struct kernel_vcpu, x2apic) == KERNEL_VCPU_X2APIC, "interrupt.S");
_Static_assert(sizeof(struct kernel_vcpu) == KERNEL_STACK_SIZE, "interrupt.S");

/* As interrupt.S pushes it. */
struct kernel_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error_code;
    uint64_t rip, cs, rflags, rsp, ss;
};

#define KERNEL_DATA __attribute__((section(".kernel.data")))
#define KERNEL_BSS __attribute__((section(".kernel.bss")))

extern struct kernel_vcpu kernel_vcpus[KERNEL_VCPUS_MAX];

_Noreturn void kernel_boot(uint64_t tree, uint64_t start_info);
_Noreturn void kernel_boot_vcpu(struct kernel_vcpu *vcpu);
void kernel_exception(struct kernel_frame *frame);
_Noreturn void kernel_enter_user(uint64_t rip, uint64_t rsp, uint64_t argument0, uint64_t argument1, uint64_t rflags);
_Noreturn void kernel_halt(void);
uint64_t kernel_gate(struct kernel_vcpu *vcpu, uint64_t gate, uint64_t argument0, uint64_t argument1,
                     uint64_t argument2);

/* CPL 3 may read the first page too: some firmware leaves PVH's start information there. */
void paging_open_first_page(void);
bool paging_map(uint64_t start, uint64_t size, enum gate_map kind);

/* GDT, TSS, IDT of this vCPU. */
void segments_load(struct kernel_vcpu *vcpu);
/* False where there are no such ports. */
bool segments_allow_ports(uint64_t first, uint64_t count);

void apic_enable(struct kernel_vcpu *vcpu);
void apic_start_vcpu(struct kernel_vcpu *vcpu, uint32_t apic_id);
void apic_start_timer(struct kernel_vcpu *vcpu, uint32_t count);
uint32_t apic_read_timer(struct kernel_vcpu *vcpu);

extern uint32_t ioapic_busy; /* interrupt.S */
/* False where the pin is not one of GATE_PIN_FIRST and up. */
bool ioapic_route(uint32_t pin, uint32_t apic_id);
bool ioapic_mask(uint32_t pin, bool masked);

#endif
