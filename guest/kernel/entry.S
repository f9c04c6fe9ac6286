/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ways in: long mode with a device tree (guest_abi.h), PVH's 32-bit entry (Xen's PVH direct boot ABI), and the real
 * mode trampoline of the other vCPUs. All end on the vCPU's kernel stack with the kernel's own tables.
 */
#include "guest/kernel/layout.h"

        .section .note.Xen, "a", @note
        .balign 4
        .long 4
        .long 4
        .long 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
        .asciz "Xen"
        .long pvh_entry

        .section .text.kernel, "ax"

/* Long mode: RDI is the device tree. */
        .code64
        .globl guest_entry
guest_entry:
        cli
        cld
        xorl %esi, %esi
        movl $MSR_EFER, %ecx
        rdmsr
        orl $EFER_LME_NXE, %eax
        wrmsr
        lgdt kernel_gdt_pointer
        movl $CR4_VALUE, %eax
        movq %rax, %cr4
        movl $kernel_pml4, %eax
        movq %rax, %cr3
        movl $CR0_VALUE, %eax
        movq %rax, %cr0
        movl $kernel_vcpus + KERNEL_STACK_SIZE, %esp
        pushq $SELECTOR_KERNEL_CODE
        pushq $enter_kernel
        lretq

/* 32-bit protected mode without paging: EBX is struct hvm_start_info. */
        .code32
pvh_entry:
        cli
        cld
        xorl %edi, %edi
        movl %ebx, %esi
        lgdt kernel_gdt_pointer
        movl $CR4_VALUE, %eax
        movl %eax, %cr4
        movl $kernel_pml4, %eax
        movl %eax, %cr3
        movl $MSR_EFER, %ecx
        rdmsr
        orl $EFER_LME_NXE, %eax
        wrmsr
        movl $CR0_VALUE, %eax
        movl %eax, %cr0
        ljmp $SELECTOR_KERNEL_CODE, $enter_kernel

/* RDI: device tree or 0; RSI: hvm_start_info or 0. */
        .code64
enter_kernel:
        movl $kernel_vcpus + KERNEL_STACK_SIZE, %esp
        movl $SELECTOR_KERNEL_DATA, %eax
        movl %eax, %ds
        movl %eax, %es
        movl %eax, %ss
        xorl %eax, %eax
        movl %eax, %fs
        movl %eax, %gs
        movl %edi, %edi
        call kernel_boot
        ud2

/*
 * Real mode at TRAMPOLINE_ADDRESS, where this is copied. Goes to long mode at once (AMD64 APM volume 2, 14.6). The last
 * quad word is the vCPU's struct kernel_vcpu.
 */
        .globl trampoline_start, trampoline_end, trampoline_vcpu
        .code16
trampoline_start:
        cli
        cld
        movw %cs, %ax
        movw %ax, %ds
        lgdtl trampoline_gdt_pointer - trampoline_start
        movl $CR4_VALUE, %eax
        movl %eax, %cr4
        movl $kernel_pml4, %eax
        movl %eax, %cr3
        movl $MSR_EFER, %ecx
        rdmsr
        orl $EFER_LME_NXE, %eax
        wrmsr
        movl $CR0_VALUE, %eax
        movl %eax, %cr0
        ljmpl $SELECTOR_KERNEL_CODE, $enter_kernel_vcpu
trampoline_gdt_pointer:
        .word KERNEL_GDT_SIZE - 1
        .long kernel_gdt
        .balign 8
trampoline_vcpu:
        .quad 0
trampoline_end:

        .code64
enter_kernel_vcpu:
        movl $SELECTOR_KERNEL_DATA, %eax
        movl %eax, %ds
        movl %eax, %es
        movl %eax, %ss
        xorl %eax, %eax
        movl %eax, %fs
        movl %eax, %gs
        movq TRAMPOLINE_ADDRESS + trampoline_vcpu - trampoline_start, %rdi
        leaq KERNEL_STACK_SIZE(%rdi), %rsp
        call kernel_boot_vcpu
        ud2

/* void kernel_enter_user(uint64_t rip, uint64_t rsp, uint64_t argument0, uint64_t argument1, uint64_t rflags) */
        .globl kernel_enter_user
kernel_enter_user:
        pushq $SELECTOR_USER_DATA
        pushq %rsi
        pushq %r8
        pushq $SELECTOR_USER_CODE
        pushq %rdi
        movl $SELECTOR_USER_DATA, %eax
        movl %eax, %ds
        movl %eax, %es
        movq %rdx, %rdi
        movq %rcx, %rsi
        xorl %ebp, %ebp
        iretq

        .section .note.GNU-stack, "", @progbits
