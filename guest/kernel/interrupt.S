/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupts and exceptions. An interrupt is counted in the vCPU's counters, which CPL 3 reads, and acknowledged to the
 * local APIC: nothing else. An interrupt by level comes on until CPL 3 has served the device:
 * its pin of the IOAPIC is masked, and CPL 3 asks for it again. Exceptions go to kernel_exception() with a struct kernel_frame.
 */
#include "guest/kernel/layout.h"

        .section .text.stubs, "ax"
        .set vector, 0
        .rept 256
        .balign 16
        .if vector < VECTOR_EXCEPTIONS
        /* 8, 10 to 14, 17, 21, 29 and 30 push an error code of their own. */
        .if vector != 8 && (vector < 10 || vector > 14) && vector != 17 && vector != 21 && vector < 29 || vector == 31
        pushq $0
        .endif
        pushq $vector
        jmp exception
        .elseif vector == VECTOR_SPURIOUS
        iretq
        .else
        pushq $vector
        jmp interrupt
        .endif
        .set vector, vector + 1
        .endr
        .balign 16

        .section .text.kernel, "ax"
interrupt:
        pushq %rax
        pushq %rcx
        pushq %rdx
        movq %rsp, %rdx
        andq $-KERNEL_STACK_SIZE, %rdx
        movq KERNEL_VCPU_INTERRUPTS(%rdx), %rax
        movq 24(%rsp), %rcx
        incq (%rax, %rcx, 8)
        leal -VECTOR_PINS_FIRST(%rcx), %eax
        cmpl $VECTOR_PINS, %eax
        jae 4f
        leal IOAPIC_PINS_ENTRY(, %rax, 2), %edx
3:      movl $1, %eax
        xchgl %eax, ioapic_busy
        testl %eax, %eax
        jne 3b
        movl $IOAPIC_ADDRESS, %eax
        movl %edx, (%rax)
        orl $IOAPIC_LEVEL + IOAPIC_MASKED, %ecx
        movl %ecx, IOAPIC_WINDOW(%rax)
        movl $0, ioapic_busy
        movq %rsp, %rdx
        andq $-KERNEL_STACK_SIZE, %rdx
4:
        xorl %eax, %eax
        cmpl %eax, KERNEL_VCPU_X2APIC(%rdx)
        jne 1f
        movl $APIC_ADDRESS + APIC_EOI, %edx
        movl %eax, (%rdx)
        jmp 2f
1:      movl $MSR_X2APIC_EOI, %ecx
        xorl %edx, %edx
        wrmsr
2:      popq %rdx
        popq %rcx
        popq %rax
        addq $8, %rsp
        iretq

exception:
        pushq %rax
        pushq %rcx
        pushq %rdx
        pushq %rbx
        pushq %rbp
        pushq %rsi
        pushq %rdi
        pushq %r8
        pushq %r9
        pushq %r10
        pushq %r11
        pushq %r12
        pushq %r13
        pushq %r14
        pushq %r15
        cld
        movq %rsp, %rdi
        call kernel_exception
        popq %r15
        popq %r14
        popq %r13
        popq %r12
        popq %r11
        popq %r10
        popq %r9
        popq %r8
        popq %rdi
        popq %rsi
        popq %rbp
        popq %rbx
        popq %rdx
        popq %rcx
        popq %rax
        addq $16, %rsp
        iretq

        .section .note.GNU-stack, "", @progbits
