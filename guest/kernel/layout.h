/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers that the kernel's assembly, its C and the linker script's layout share. */
#ifndef GUEST_KERNEL_LAYOUT_H
#define GUEST_KERNEL_LAYOUT_H

/* The linker script puts the 256 interrupt stubs, of 16 bytes each, at the image's start. */
#define IMAGE_START 0x100000
/* CPL 3's data, the kernel's data, and the end of what 4 KiB pages map. The linker script has the same numbers. */
#define IMAGE_USER_START 0x120000
#define IMAGE_KERNEL_START 0x140000
#define IMAGE_END 0x200000

#define SELECTOR_KERNEL_CODE 0x08
#define SELECTOR_KERNEL_DATA 0x10
#define SELECTOR_USER_DATA 0x1b
#define SELECTOR_USER_CODE 0x23
#define SELECTOR_TSS 0x30 /* + 16 * vCPU */

#define KERNEL_VCPUS_MAX 64
#define KERNEL_GDT_SIZE (SELECTOR_TSS + 16 * KERNEL_VCPUS_MAX)
/* A vCPU's kernel stack is the rest of the page that begins with its struct kernel_vcpu. */
#define KERNEL_STACK_SIZE 4096
#define KERNEL_VCPU_INTERRUPTS 0 /* offsets in struct kernel_vcpu */
#define KERNEL_VCPU_X2APIC 8

/* Where the application processors start, in real mode: SIPI vector 8. */
#define TRAMPOLINE_ADDRESS 0x8000
#define TRAMPOLINE_END 0x9000

#define CR0_VALUE 0x80010033 /* PG, WP, NE, ET, MP, PE */
#define CR4_VALUE 0x660      /* OSXMMEXCPT, OSFXSR, MCE, PAE */
#define CR4_OSXSAVE 0x40000
#define MSR_EFER 0xc0000080
#define EFER_LME_NXE 0x900

#define APIC_ADDRESS 0xfee00000
#define APIC_EOI 0xb0
#define MSR_X2APIC_EOI 0x80b

#define VECTOR_INVALID_OPCODE 6
#define VECTOR_EXCEPTIONS 32
#define VECTOR_PINS_FIRST 0x28 /* of the pins of the IOAPIC that INTx goes to */
#define VECTOR_PINS 8
#define VECTOR_SPURIOUS 255

#define IOAPIC_ADDRESS 0xfec00000
#define IOAPIC_SELECT 0x00
#define IOAPIC_WINDOW 0x10
#define IOAPIC_PINS_ENTRY 0x30 /* the low half of the first of these pins' entries; two registers for each */
#define IOAPIC_LEVEL 0x8000
#define IOAPIC_MASKED 0x10000

#endif
