/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cpu workload's operation (stopcopy/workload.h). xmm0 to xmm6, ymm8 to ymm14 and st0 to st3 hold the state from
 * cpu_load() on, and nothing else in the guest touches a vector or x87 register; xmm7 and ymm15 are scratch. g0 to g5 are
 * in rax, rbx, rcx, rdx, r8, r9.
 */
#include "guest/workloads/cpu_run.h"

        .section .rodata
        .balign 4
modulus:
        .long CPU_RUN_MODULUS
multiplier:
        .long CPU_RUN_MULTIPLIER

        .text
/* void cpu_load(const struct cpu_registers *registers, uint64_t avx2) */
        .globl cpu_load
cpu_load:
        fninit
        fildll CPU_RUN_F + 24(%rdi)
        fildll CPU_RUN_F + 16(%rdi)
        fildll CPU_RUN_F + 8(%rdi)
        fildll CPU_RUN_F(%rdi)
        .irp k, 0, 1, 2, 3, 4, 5, 6
        movdqu CPU_RUN_X + 16 * \k(%rdi), %xmm\k
        .endr
        testq %rsi, %rsi
        jz 1f
        vmovdqu CPU_RUN_Y(%rdi), %ymm8
        vmovdqu CPU_RUN_Y + 32(%rdi), %ymm9
        vmovdqu CPU_RUN_Y + 64(%rdi), %ymm10
        vmovdqu CPU_RUN_Y + 96(%rdi), %ymm11
        vmovdqu CPU_RUN_Y + 128(%rdi), %ymm12
        vmovdqu CPU_RUN_Y + 160(%rdi), %ymm13
        vmovdqu CPU_RUN_Y + 192(%rdi), %ymm14
1:      ret

.macro general register, next, count
        addq %\next, %\register
        rolq $\count, %\register
.endm

.macro vector128 register, next
        paddq %xmm\next, %xmm\register
        movdqa %xmm\register, %xmm7
        psrlq $11, %xmm7
        pxor %xmm7, %xmm\register
.endm

.macro vector256 register, next
        vpaddq %ymm\next, %ymm\register, %ymm\register
        vpsrlq $9, %ymm\register, %ymm15
        vpxor %ymm15, %ymm\register, %ymm\register
.endm

/* void cpu_run(struct cpu_registers *registers, uint64_t avx2) */
        .globl cpu_run
cpu_run:
        pushq %rbx
        pushq %r12
        pushq %r13
        movl $CPU_RUN_ITERATIONS, %r12d
        movq (%rdi), %rax
        movq 8(%rdi), %rbx
        movq 16(%rdi), %rcx
        movq 24(%rdi), %rdx
        movq 32(%rdi), %r8
        movq 40(%rdi), %r9
iteration:
        general rax, rbx, 7
        general rbx, rcx, 8
        general rcx, rdx, 9
        general rdx, r8, 10
        general r8, r9, 11
        general r9, rax, 12
        vector128 0, 1
        vector128 1, 2
        vector128 2, 3
        vector128 3, 4
        vector128 4, 5
        vector128 5, 6
        vector128 6, 0
        testq %rsi, %rsi
        jz 1f
        vector256 8, 9
        vector256 9, 10
        vector256 10, 11
        vector256 11, 12
        vector256 12, 13
        vector256 13, 14
        vector256 14, 8
1:
        /* The product is below 2^47: exact, and its remainder takes one fprem; C2 would say otherwise. */
        fildl multiplier
        fmulp %st, %st(1)
        fadd %st(1), %st
        fildl modulus
        fxch %st(1)
2:      fprem
        movq %rax, %r13
        fnstsw %ax
        testb $4, %ah
        movq %r13, %rax
        jnz 2b
        fstp %st(1)
        fxch %st(1)
        fxch %st(2)
        fxch %st(3)

        movl $CPU_RUN_HOLD, %r13d
3:      decl %r13d
        jnz 3b
        decl %r12d
        jnz iteration

        movq %rax, (%rdi)
        movq %rbx, 8(%rdi)
        movq %rcx, 16(%rdi)
        movq %rdx, 24(%rdi)
        movq %r8, 32(%rdi)
        movq %r9, 40(%rdi)
        .irp k, 0, 1, 2, 3, 4, 5, 6
        movdqu %xmm\k, CPU_RUN_X + 16 * \k(%rdi)
        .endr
        testq %rsi, %rsi
        jz 4f
        vmovdqu %ymm8, CPU_RUN_Y(%rdi)
        vmovdqu %ymm9, CPU_RUN_Y + 32(%rdi)
        vmovdqu %ymm10, CPU_RUN_Y + 64(%rdi)
        vmovdqu %ymm11, CPU_RUN_Y + 96(%rdi)
        vmovdqu %ymm12, CPU_RUN_Y + 128(%rdi)
        vmovdqu %ymm13, CPU_RUN_Y + 160(%rdi)
        vmovdqu %ymm14, CPU_RUN_Y + 192(%rdi)
4:
        fld %st(0)
        fistpll CPU_RUN_F(%rdi)
        fld %st(1)
        fistpll CPU_RUN_F + 8(%rdi)
        fld %st(2)
        fistpll CPU_RUN_F + 16(%rdi)
        fld %st(3)
        fistpll CPU_RUN_F + 24(%rdi)
        popq %r13
        popq %r12
        popq %rbx
        ret

        .section .note.GNU-stack, "", @progbits
