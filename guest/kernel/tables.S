/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GDT, IDT and the first page tables, laid out by the assembler: instructions at CPL 0 are dear on some hosts, and writes
 * to page tables dearer still.
 */
#include "guest/kernel/layout.h"

#define PTE_TABLE 0x27       /* A U W P */
#define PTE_KERNEL_TEXT 0x63 /* D A W P */
#define PTE_KERNEL 0x8000000000000063
#define PTE_USER_TEXT 0x65 /* D A U P */
#define PTE_USER 0x8000000000000067
#define PTE_LARGE_UNCACHED_NX 0x80000000000000fb /* PS D A PCD PWT W P */

        .section .kernel.data, "aw"
        .balign 4096
        .globl kernel_pml4, kernel_pdpt, kernel_pt
kernel_pml4:
        .quad kernel_pdpt + PTE_TABLE
        .fill 511, 8, 0
kernel_pdpt:
        .quad kernel_pd_low + PTE_TABLE
        .fill 2, 8, 0
        .quad kernel_pd_high + PTE_TABLE
        .fill 508, 8, 0
/* 0 to 1 GiB: all but the first 2 MiB is mapped as it is needed. */
kernel_pd_low:
        .quad kernel_pt + PTE_TABLE
        .fill 511, 8, 0
/* 3 to 4 GiB: the IOAPIC and the local APIC. */
kernel_pd_high:
        .fill (IOAPIC_ADDRESS & 0x3fffffff) >> 21, 8, 0
        .quad IOAPIC_ADDRESS + PTE_LARGE_UNCACHED_NX
        .fill ((APIC_ADDRESS - IOAPIC_ADDRESS) >> 21) - 1, 8, 0
        .quad APIC_ADDRESS + PTE_LARGE_UNCACHED_NX
        .fill 511 - ((APIC_ADDRESS & 0x3fffffff) >> 21), 8, 0
/*
 * The first 2 MiB. Nothing at 0, the trampoline is the kernel's, the rest of the first 1 MiB is where PVH leaves what it
 * has to say; then the image.
 */
.macro pages end, flags
        .rept ((\end) >> 12) - page
        .quad (page << 12) + \flags
        .set page, page + 1
        .endr
.endm
        .set page, 1
kernel_pt:
        .quad 0
        pages TRAMPOLINE_ADDRESS, PTE_USER
        pages TRAMPOLINE_END, PTE_KERNEL_TEXT
        pages IMAGE_START, PTE_USER
        pages IMAGE_USER_START, PTE_USER_TEXT
        pages IMAGE_KERNEL_START, PTE_USER
        pages IMAGE_END, PTE_KERNEL

/* An interrupt gate for each stub: see interrupt.S. */
        .globl kernel_idt
kernel_idt:
        .set vector, 0
        .rept 256
        .word vector * 16
        .word SELECTOR_KERNEL_CODE
        .word 0x8e00
        .word IMAGE_START >> 16
        .quad 0
        .set vector, vector + 1
        .endr

        .globl kernel_gdt
kernel_gdt:
        .quad 0
        .quad 0x00209b0000000000 /* SELECTOR_KERNEL_CODE */
        .quad 0x00cf93000000ffff /* SELECTOR_KERNEL_DATA */
        .quad 0x00cff3000000ffff /* SELECTOR_USER_DATA */
        .quad 0x0020fb0000000000 /* SELECTOR_USER_CODE */
        .quad 0
        .fill 2 * KERNEL_VCPUS_MAX, 8, 0

        .globl kernel_gdt_pointer, kernel_idt_pointer
        .balign 8
        .word 0, 0, 0
kernel_gdt_pointer:
        .word KERNEL_GDT_SIZE - 1
        .quad kernel_gdt
        .balign 8
        .word 0, 0, 0
kernel_idt_pointer:
        .word 256 * 16 - 1
        .quad kernel_idt

        .section .note.GNU-stack, "", @progbits
