/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/kernel/kernel.h"
#include "guest/base/port.h"
#include "guest/kernel/registers.h"
#include "stopcopy/guest_abi.h"

#define CPUID_1_ECX_XSAVE (1u << 26)
#define XCR0_X87_SSE 3u
#define XCR0_AVX 4u
/* IF; and IOPL 3, because QEMU's TCG reads no I/O bitmap once KVM has restored the TSS as busy. */
#define RFLAGS_USER 0x3202u
#define RFLAGS_USER_EXCEPTION 0x002u /* nothing may come between a failure and its report */
#define USER_STACK_SIZE 16384
#define PIC_MASTER_MASK 0x21
#define PIC_SLAVE_MASK 0xa1

struct kernel_vcpu kernel_vcpus[KERNEL_VCPUS_MAX] KERNEL_BSS;

/* Of the first exception; CPL 3 reads it. */
static struct exception_record exception_record;
static uint32_t exception_taken KERNEL_BSS;

/* libfdt.a is compiled with the stack protector of the C library's ABI, whose canary is at FS:0x28. */
static uint64_t thread_area[8];

static uint8_t boot_stack[USER_STACK_SIZE] __attribute__((aligned(16)));
static uint8_t exception_stack[USER_STACK_SIZE] __attribute__((aligned(16)));

extern const uint8_t gate_instruction[];

/* A function's stack as the ABI has it at its first instruction. */
static uint64_t stack_top(uint8_t *stack)
{
    return (uint64_t)(stack + USER_STACK_SIZE - 8);
}

/* XSAVE and AVX where CPUID lists them. Where it does not and the VMM says "avx2", the VMM has set XCR0. */
static void enable_vector_state(void)
{
    uint32_t states;

    if (!(cpuid_read(1, 0).ecx & CPUID_1_ECX_XSAVE))
        return;
    states = cpuid_read(0xd, 0).eax;
    cr4_write(CR4_VALUE | CR4_OSXSAVE);
    xcr0_write(XCR0_X87_SSE | (states & XCR0_AVX));
}

/* A firmware that ran before may have left interrupts of the PIC on their way; before its line is masked. */
static void mask_pic(void)
{
    port_write8(PIC_MASTER_MASK, 0xff);
    port_write8(PIC_SLAVE_MASK, 0xff);
}

_Noreturn void kernel_boot(uint64_t tree, uint64_t start_info)
{
    struct kernel_vcpu *vcpu = &kernel_vcpus[0];

    segments_load(vcpu);
    enable_vector_state();
    if (start_info) {
        mask_pic();
        paging_open_first_page();
    }
    apic_enable(vcpu);
    msr_write(MSR_FS_BASE, (uint64_t)thread_area);
    kernel_enter_user((uint64_t)user_boot, stack_top(boot_stack), tree, start_info, RFLAGS_USER);
}

_Noreturn void kernel_boot_vcpu(struct kernel_vcpu *vcpu)
{
    segments_load(vcpu);
    enable_vector_state();
    apic_enable(vcpu);
    kernel_enter_user(vcpu->entry_rip, vcpu->entry_rsp, (uint64_t)vcpu->user, 0, RFLAGS_USER);
}

_Noreturn void kernel_halt(void)
{
    for (;;)
        __asm__ volatile("cli; hlt");
}

static struct kernel_vcpu *this_vcpu(void)
{
    uint64_t rsp;

    __asm__("movq %%rsp, %0" : "=r"(rsp));
    return (struct kernel_vcpu *)(rsp & -(uint64_t)KERNEL_STACK_SIZE);
}

/* The first is told by CPL 3; an exception on its way there, or in there, can only be told by the port. */
static _Noreturn void report_exception(struct kernel_vcpu *vcpu, const struct kernel_frame *frame)
{
    uint32_t taken = 0; /* by vCPU taken - 1 */

    if (!__atomic_compare_exchange_n(&exception_taken, &taken, vcpu->index + 1, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        if (taken == vcpu->index + 1)
            port_write32(GUEST_TEST_PORT + GUEST_TEST_COMMAND, GUEST_TEST_FAILED);
        kernel_halt();
    }
    exception_record = (struct exception_record){
        .vector = frame->vector,
        .error_code = frame->error_code,
        .rip = frame->rip,
        .cr2 = cr2_read(),
        .cpl = frame->cs & 3,
    };
    kernel_enter_user((uint64_t)exception_entry, stack_top(exception_stack), (uint64_t)vcpu->user,
                      (uint64_t)&exception_record, RFLAGS_USER_EXCEPTION);
}

void kernel_exception(struct kernel_frame *frame)
{
    struct kernel_vcpu *vcpu = this_vcpu();

    if (frame->vector != VECTOR_INVALID_OPCODE || frame->cs != SELECTOR_USER_CODE ||
        frame->rip != (uint64_t)gate_instruction)
        report_exception(vcpu, frame);
    frame->rax = kernel_gate(vcpu, frame->rdi, frame->rsi, frame->rdx, frame->rcx);
    frame->rip += 2;
}
