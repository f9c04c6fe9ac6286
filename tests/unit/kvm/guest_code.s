# SPDX-License-Identifier: GPL-2.0-or-later
# The guests of the tests. Linked as data and copied to CODE; everything is relative to RIP or at an absolute address
# below 4 GiB. fixture.h has the addresses. A guest begins at its label with interrupts off, at CPL 0 in long mode.

	.set CODE, 0x100000
	.set STACK0, 0x70000            # CPL 0
	.set STACK_GATE, 0x68000        # CPL 0, from CPL 3
	.set STACK3, 0x60000            # CPL 3
	.set IDT, 0x9000
	.set IDT_VECTORS, 0x60
	.set AP_CODE, 0x8000
	.set SHARED, 0x200000
	.set MMIO, 0xd0000000
	.set PORT_DONE, 0x10
	.set PORT_DATA, 0x20

	# struct shared
	.set SH_COUNT, SHARED + 0x00
	.set SH_STOP, SHARED + 0x08
	.set SH_AVX, SHARED + 0x10
	.set SH_TICKS, SHARED + 0x18
	.set SH_FAULT, SHARED + 0x20
	.set SH_VALUES, SHARED + 0x40
	.set SH_VECTORS, SHARED + 0x400
	.set SH_X87, SHARED + 0x600
	.set SH_KVMCLOCK, SHARED + 0x800

	.set MSR_X2APIC_EOI, 0x80b
	.set MSR_X2APIC_ICR, 0x830

	.section .rodata
	.balign 16
	.globl guest_code, guest_code_end, guest_ap_code, guest_ap_code_end
	.globl guest_accesses, guest_string_io, guest_count, guest_compute, guest_periodic, guest_deadline
	.globl guest_wait_msi, guest_msi_loop, guest_processors, guest_halt, guest_fault, guest_pit, guest_doorbell, guest_clock

	.code64
guest_code:

.macro ENTER
	mov $STACK0, %esp
	call setup
.endm

.macro DONE
	mov $PORT_DONE, %edx
	out %eax, %dx
1:	hlt
	jmp 1b
.endm

.macro USER label
	pushq $0x1b
	pushq $STACK3
	pushq $0x202
	pushq $0x23
	lea \label(%rip), %rax
	push %rax
	iretq
.endm

.macro SET_MSR index, value
	mov $\index, %ecx
	mov $\value, %eax
	xor %edx, %edx
	wrmsr
.endm

	.balign 16
gdt:	.quad 0
	.quad 0x00209b0000000000        # 0x08 code
	.quad 0x00cf93000000ffff        # 0x10 data
	.quad 0x00cff3000000ffff        # 0x18 data, CPL 3
	.quad 0x0020fb0000000000        # 0x20 code, CPL 3
	.quad 0
tss_descriptor:
	.quad 0, 0                      # 0x30
gdt_end:
gdt_pointer:
	.word gdt_end - gdt - 1
	.quad CODE + gdt - guest_code
idt_pointer:
	.word IDT_VECTORS * 16 - 1
	.quad IDT
	.balign 16
tss:	.long 0
	.quad STACK_GATE
	.fill 92, 1, 0
gate:	.quad 0                         # where ud2 at CPL 3 goes on at CPL 0

.macro STUB vector
	.balign 16
	.if (\vector == 8) || (\vector >= 10 && \vector <= 14) || (\vector == 17)
	.else
	pushq $0
	.endif
	pushq $\vector
	jmp take_interrupt
.endm
	.balign 16
stubs:
	.set vector, 0
	.rept IDT_VECTORS
	STUB vector
	.set vector, vector + 1
	.endr

take_interrupt:
	cmpl $6, (%rsp)
	je take_gate
	cmpl $0x20, (%rsp)
	jb take_fault
	incq SH_TICKS
	push %rax
	push %rcx
	push %rdx
	SET_MSR MSR_X2APIC_EOI, 0
	pop %rdx
	pop %rcx
	pop %rax
	add $16, %rsp
	iretq
take_gate:
	cmpq $0, gate(%rip)
	je take_fault
	jmp *gate(%rip)
take_fault:
	mov (%rsp), %rax
	mov %rax, SH_FAULT
	DONE

# GDT, TSS, IDT, SSE, x2APIC; returns with interrupts off.
setup:	pop %rbx
	lgdt gdt_pointer(%rip)
	lea tss(%rip), %rax
	mov %rax, %rcx
	and $0xffffff, %ecx
	shl $16, %rcx
	or $103, %rcx
	mov $0x0000890000000000, %rdx
	or %rdx, %rcx
	mov %rcx, tss_descriptor(%rip)
	pushq $0x08
	lea 1f(%rip), %rax
	push %rax
	lretq
1:	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $0x30, %eax
	ltr %ax
	lea stubs(%rip), %rax
	mov $IDT, %edi
	mov $IDT_VECTORS, %ecx
2:	mov %ax, (%rdi)
	movw $0x08, 2(%rdi)
	movw $0xee00, 4(%rdi)
	mov %rax, %rdx
	shr $16, %rdx
	mov %rdx, 6(%rdi)
	movl $0, 12(%rdi)
	add $16, %rdi
	add $16, %rax
	dec %ecx
	jnz 2b
	lidt idt_pointer(%rip)
	mov %cr4, %rax
	or $0x600, %eax
	mov %rax, %cr4
	mov $0x1b, %ecx
	rdmsr
	or $0x400, %eax
	wrmsr
	SET_MSR 0x80f, 0x1ff
	jmp *%rbx

# Lets the guest at CPL 3 use AVX where the host says it may.
enable_avx:
	cmpq $0, SH_AVX
	je 1f
	push %rbx
	mov $1, %eax
	xor %ecx, %ecx
	cpuid
	pop %rbx
	bt $26, %ecx
	jnc 1f
	mov %cr4, %rax
	or $(1 << 18), %eax
	mov %rax, %cr4
	xor %ecx, %ecx
	xor %edx, %edx
	mov $7, %eax
	xsetbv
1:	ret

# --- every size of port and MMIO access
guest_accesses:
	ENTER
	mov $MMIO, %rbx
	mov $SH_VALUES, %rdi
	mov $PORT_DATA, %edx
	mov $0x11, %al
	out %al, %dx
	mov $0x2222, %ax
	out %ax, %dx
	mov $0x44444444, %eax
	out %eax, %dx
	xor %eax, %eax
	in %dx, %al
	mov %rax, (%rdi)
	xor %eax, %eax
	in %dx, %ax
	mov %rax, 8(%rdi)
	in %dx, %eax
	mov %rax, 16(%rdi)
	movb $0x81, (%rbx)
	movw $0x8282, 0x10(%rbx)
	movl $0x84848484, 0x20(%rbx)
	mov $0x8888888899999999, %rax
	mov %rax, 0x30(%rbx)
	movzbl 0x40(%rbx), %eax
	mov %rax, 24(%rdi)
	movzwl 0x50(%rbx), %eax
	mov %rax, 32(%rdi)
	mov 0x60(%rbx), %eax
	mov %rax, 40(%rdi)
	mov 0x70(%rbx), %rax
	mov %rax, 48(%rdi)
	movdqu 0x80(%rbx), %xmm0
	movdqu %xmm0, 0x90(%rbx)
	DONE

# --- string port I/O
guest_string_io:
	ENTER
	mov $SH_VALUES, %esi
	mov $5, %ecx
	mov $PORT_DATA, %edx
	rep outsw
	mov $SH_VALUES + 0x40, %edi
	mov $7, %ecx
	rep insl
	DONE

# --- counts by port writes and MMIO reads, for ever or until told
guest_count:
	ENTER
	mov $MMIO, %rbx
	mov $PORT_DATA, %edx
	xor %ecx, %ecx
1:	inc %ecx
	mov %ecx, %eax
	out %eax, %dx
	mov (%rbx), %eax
	cmp %eax, %ecx
	jne 2f
	mov %rcx, SH_COUNT
	cmpq $0, SH_STOP
	je 1b
	DONE
2:	movq $1, SH_FAULT
	DONE

# --- all registers at work at CPL 3
guest_compute:
	ENTER
	call enable_avx
	lea compute_end(%rip), %rax
	mov %rax, gate(%rip)
	mov $0x1111, %eax
	mov %rax, %dr0
	mov $0x2222, %eax
	mov %rax, %dr1
	mov $0x3333, %eax
	mov %rax, %dr2
	mov $0x4444, %eax
	mov %rax, %dr3
	SET_MSR 0xc0000081, 0x12340000
	SET_MSR 0xc0000082, 0x13370
	SET_MSR 0xc0000084, 0x700
	SET_MSR 0xc0000102, 0x5550
	SET_MSR 0x174, 0x8
	SET_MSR 0x175, 0x7770
	SET_MSR 0x176, 0x8880
	SET_MSR 0x277, 0x00070406
	USER compute
compute:
	mov $3, %ebx
	mov $5, %edx
	mov $6, %esi
	mov $7, %edi
	mov $8, %ebp
	mov $9, %r8d
	mov $10, %r9d
	mov $11, %r10d
	mov $12, %r11d
	mov $13, %r12d
	mov $14, %r13d
	mov $15, %r14d
	mov $6364136223846793005, %r15
	mov $SH_VECTORS + 0x100, %eax
	fninit
	fld1
	fldz
	movdqu (%rax), %xmm1
	pxor %xmm3, %xmm3
	movdqu 0x20(%rax), %xmm15
	cmpq $0, SH_AVX
	je 1f
	vmovdqu (%rax), %ymm2
	vpxor %ymm4, %ymm4, %ymm4
	vmovdqu 0x20(%rax), %ymm14
1:	mov $1, %eax
	xor %ecx, %ecx
2:	imul %r15, %rax
	add $1, %rax
	fadd %st(1), %st(0)
	paddq %xmm1, %xmm3
	cmpq $0, SH_AVX
	je 3f
	vpaddq %ymm2, %ymm4, %ymm4
3:	inc %rcx
	mov %rcx, SH_COUNT
	cmpq $0, SH_STOP
	je 2b
	mov %rax, SH_VALUES
	mov %rbx, SH_VALUES + 8
	mov %rcx, SH_VALUES + 16
	mov %rdx, SH_VALUES + 24
	mov %rsi, SH_VALUES + 32
	mov %rdi, SH_VALUES + 40
	mov %rbp, SH_VALUES + 48
	mov %rsp, SH_VALUES + 56
	mov %r8, SH_VALUES + 64
	mov %r9, SH_VALUES + 72
	mov %r10, SH_VALUES + 80
	mov %r11, SH_VALUES + 88
	mov %r12, SH_VALUES + 96
	mov %r13, SH_VALUES + 104
	mov %r14, SH_VALUES + 112
	mov %r15, SH_VALUES + 120
	fistpll SH_X87
	movdqu %xmm3, SH_VECTORS
	movdqu %xmm15, SH_VECTORS + 0x10
	cmpq $0, SH_AVX
	je 4f
	vmovdqu %ymm4, SH_VECTORS + 0x20
	vmovdqu %ymm14, SH_VECTORS + 0x40
4:	ud2
compute_end:
	mov $SH_VALUES + 128, %edi
	mov %dr0, %rax
	mov %rax, (%rdi)
	mov %dr1, %rax
	mov %rax, 8(%rdi)
	mov %dr2, %rax
	mov %rax, 16(%rdi)
	mov %dr3, %rax
	mov %rax, 24(%rdi)
	mov $0xc0000081, %ecx
	rdmsr
	mov %rax, 32(%rdi)
	mov $0xc0000082, %ecx
	rdmsr
	mov %rax, 40(%rdi)
	mov $0xc0000084, %ecx
	rdmsr
	mov %rax, 48(%rdi)
	mov $0xc0000102, %ecx
	rdmsr
	mov %rax, 56(%rdi)
	mov $0x174, %ecx
	rdmsr
	mov %rax, 64(%rdi)
	mov $0x175, %ecx
	rdmsr
	mov %rax, 72(%rdi)
	mov $0x176, %ecx
	rdmsr
	mov %rax, 80(%rdi)
	mov $0x277, %ecx
	rdmsr
	mov %rax, 88(%rdi)
	DONE

# --- the local APIC's timer, periodic, until told
guest_periodic:
	ENTER
	lea timer_end(%rip), %rax
	mov %rax, gate(%rip)
	SET_MSR 0x83e, 0xb
	SET_MSR 0x832, 0x20040
	SET_MSR 0x838, 1000000
	USER timer_wait
timer_wait:
	incq SH_COUNT
	cmpq $0, SH_STOP
	je timer_wait
	ud2
timer_end:
	DONE

# --- one TSC deadline, SH_VALUES cycles from now; ends when it has come
guest_deadline:
	ENTER
	lea timer_end(%rip), %rax
	mov %rax, gate(%rip)
	SET_MSR 0x832, 0x40040
	rdtsc
	shl $32, %rdx
	or %rdx, %rax
	add SH_VALUES, %rax
	mov %rax, SH_VALUES + 8
	mov %rax, %rdx
	shr $32, %rdx
	mov $0x6e0, %ecx
	wrmsr
	USER deadline_wait
deadline_wait:
	incq SH_COUNT
	cmpq $0, SH_TICKS
	je deadline_wait
	rdtsc
	shl $32, %rdx
	or %rdx, %rax
	mov %rax, SH_VALUES + 16
	ud2

# --- interrupts off until told; then ends when one has come
guest_wait_msi:
	ENTER
1:	incq SH_COUNT
	cmpq $0, SH_STOP
	je 1b
	sti
2:	cmpq $0, SH_TICKS
	je 2b
	cli
	DONE

# --- takes interrupts at CPL 3 until told
guest_msi_loop:
	ENTER
	lea timer_end(%rip), %rax
	mov %rax, gate(%rip)
	USER timer_wait

# --- waits for an interrupt in HLT
guest_halt:
	ENTER
	incq SH_COUNT
	sti
1:	hlt
	cmpq $0, SH_STOP
	je 1b
	cli
	DONE

# --- starts vCPU 1, sends INIT to vCPU 3; when told starts vCPU 2 and sends vCPU 3 its SIPI
guest_processors:
	ENTER
	mov $MSR_X2APIC_ICR, %ecx
	mov $1, %edx
	mov $0x4500, %eax
	wrmsr
	mov $0x4600 + (AP_CODE >> 12), %eax
	wrmsr
	mov $3, %edx
	mov $0x4500, %eax
	wrmsr
1:	incq SH_COUNT
	cmpq $0, SH_STOP
	je 1b
	mov $2, %edx
	mov $0x4500, %eax
	wrmsr
	mov $0x4600 + (AP_CODE >> 12), %eax
	wrmsr
	mov $3, %edx
	mov $0x4600 + (AP_CODE >> 12), %eax
	wrmsr
	DONE

# --- a triple fault
guest_fault:
	ud2

# --- the PIT's ticks by pin 2 of the IOAPIC, the PIC all masked; until told
guest_pit:
	ENTER
	lea timer_end(%rip), %rax
	mov %rax, gate(%rip)
	mov $0xff, %al
	out %al, $0x21
	out %al, $0xa1
	mov $0xfec00000, %ebx
	movl $0x10, (%rbx)
	movl $0x41, 0x10(%rbx)
	movl $0x11, (%rbx)
	movl $0, 0x10(%rbx)
	mov $0x34, %al
	out %al, $0x43
	mov $0x00, %al
	out %al, $0x40
	mov $0x10, %al
	out %al, $0x40
	USER timer_wait

# --- samples kvmclock and the TSC at CPL 3: the last and the longest step of both; a step back is a fault
guest_clock:
	ENTER
	lea timer_end(%rip), %rax
	mov %rax, gate(%rip)
	SET_MSR 0x4b564d01, SH_KVMCLOCK + 1
	USER clock_loop
clock_loop:
	mov $SH_KVMCLOCK, %esi
	xor %r9, %r9
	xor %r10, %r10
1:	mov (%rsi), %r8d
	test $1, %r8d
	jnz 1b
	lfence
	rdtsc
	shl $32, %rdx
	or %rdx, %rax
	mov %rax, %r11
	sub 8(%rsi), %rax
	movsbl 28(%rsi), %ecx
	test %ecx, %ecx
	js 2f
	shl %cl, %rax
	jmp 3f
2:	neg %ecx
	shr %cl, %rax
3:	mov 24(%rsi), %edx
	mul %rdx
	shrd $32, %rdx, %rax
	add 16(%rsi), %rax
	cmp (%rsi), %r8d
	jne 1b
	test %r9, %r9
	jz 6f
	mov %rax, %rbx
	sub %r9, %rbx
	js 7f
	cmp %rbx, SH_VALUES + 8
	jae 4f
	mov %rbx, SH_VALUES + 8
4:	mov %r11, %rbx
	sub %r10, %rbx
	js 7f
	cmp %rbx, SH_VALUES + 24
	jae 6f
	mov %rbx, SH_VALUES + 24
6:	mov %rax, %r9
	mov %r11, %r10
	mov %rax, SH_VALUES
	mov %r11, SH_VALUES + 16
	incq SH_COUNT
	cmpq $0, SH_STOP
	je 1b
	ud2
7:	movq $1, SH_FAULT
	ud2

# --- one doorbell of four bytes, then one of two, then the end
guest_doorbell:
	mov $MMIO, %rbx
	movl $7, (%rbx)
	movl $9, (%rbx)
	movw $1, 0x100(%rbx)
	DONE

guest_code_end:

# An AP: takes the next counter, and counts.
	.code16
guest_ap_code:
	xor %ax, %ax
	mov %ax, %ds
	mov $1, %eax
	lock xaddl %eax, 0x7000
	shl $2, %eax
	mov %eax, %ebx
1:	incl 0x7010(%ebx)
	jmp 1b
guest_ap_code_end:
	.code64
	.text
	.section .note.GNU-stack, "", @progbits
	.text
