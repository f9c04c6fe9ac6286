/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What vm_private.h asks of an architecture: interrupt controllers, new vCPUs, where they stand, how vCPU 0 enters. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/kvm/x86/x86_private.h"

/* Three pages for a TSS and one for page tables, which KVM needs on VMX without unrestricted guest; below the BIOS. */
#define IDENTITY_MAP_ADDRESS 0xfeffc000ull
#define TSS_ADDRESS 0xfeffd000ul

#define CR0_PE (1u << 0)
#define CR0_MP (1u << 1)
#define CR0_ET (1u << 4)
#define CR0_NE (1u << 5)
#define CR0_WP (1u << 16)
#define CR0_PG (1u << 31)
#define CR4_PAE (1u << 5)
#define EFER_LME (1u << 8)
#define EFER_LMA (1u << 10)
#define RFLAGS_FIXED (1u << 1)
#define SYNCED (KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS)

static int enable_split_irqchip(struct vm *vm, struct error *error)
{
    struct kvm_enable_cap enable = {.cap = KVM_CAP_SPLIT_IRQCHIP, .args = {VM_IOAPIC_PINS}};

    if (!vm_extension(vm, KVM_CAP_SPLIT_IRQCHIP))
        return error_set(error, EOPNOTSUPP, "this host's KVM has no KVM_CAP_SPLIT_IRQCHIP, which stopcopy needs");
    if (ioctl(vm->fd, KVM_ENABLE_CAP, &enable) < 0)
        return error_set(error, errno, "KVM_CAP_SPLIT_IRQCHIP");
    return 0;
}

static int create_full_irqchip(struct vm *vm, struct error *error)
{
    struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};

    if (!vm_extension(vm, KVM_CAP_PIT2) || !vm_extension(vm, KVM_CAP_PIT_STATE2))
        return error_set(error, EOPNOTSUPP, "this host's KVM has no PIT (KVM_CAP_PIT2, KVM_CAP_PIT_STATE2)");
    if (ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) < 0)
        return error_set(error, errno, "KVM_CREATE_IRQCHIP");
    if (ioctl(vm->fd, KVM_CREATE_PIT2, &pit) < 0)
        return error_set(error, errno, "KVM_CREATE_PIT2");
    return 0;
}

/* Optional: without it a pending exception's payload is delivered early, when the state is read. */
static void enable_exception_payload(struct vm *vm)
{
    struct kvm_enable_cap enable = {.cap = KVM_CAP_EXCEPTION_PAYLOAD, .args = {1}};

    if (vm_extension(vm, KVM_CAP_EXCEPTION_PAYLOAD))
        ioctl(vm->fd, KVM_ENABLE_CAP, &enable);
}

int arch_vm_init(struct vm *vm, struct error *error)
{
    uint64_t identity_map = IDENTITY_MAP_ADDRESS;
    int xsave_size;

    vm->arch = calloc(1, sizeof(*vm->arch));
    if (!vm->arch)
        return error_set(error, ENOMEM, "a VM");
    if (!vm_extension(vm, KVM_CAP_XSAVE) || !vm_extension(vm, KVM_CAP_VCPU_EVENTS) ||
        !vm_extension(vm, KVM_CAP_DEBUGREGS) || !vm_extension(vm, KVM_CAP_ADJUST_CLOCK))
        return error_set(error, EOPNOTSUPP,
                         "this host's KVM lacks one of KVM_CAP_XSAVE, KVM_CAP_VCPU_EVENTS, KVM_CAP_DEBUGREGS, "
                         "KVM_CAP_ADJUST_CLOCK, which stopcopy needs");
    if (vm_extension(vm, KVM_CAP_SET_IDENTITY_MAP_ADDR) && ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map) < 0)
        return error_set(error, errno, "KVM_SET_IDENTITY_MAP_ADDR");
    if (vm_extension(vm, KVM_CAP_SET_TSS_ADDR) && ioctl(vm->fd, KVM_SET_TSS_ADDR, TSS_ADDRESS) < 0)
        return error_set(error, errno, "KVM_SET_TSS_ADDR");
    vm->arch->has_xcrs = vm_extension(vm, KVM_CAP_XCRS);
    vm->arch->has_sregs2 = vm_extension(vm, KVM_CAP_SREGS2);
    vm->arch->has_sync_regs = (vm_extension(vm, KVM_CAP_SYNC_REGS) & SYNCED) == SYNCED;
    vm->arch->has_tsc_deadline = vm_extension(vm, KVM_CAP_TSC_DEADLINE_TIMER);
    xsave_size = vm_extension(vm, KVM_CAP_XSAVE2);
    vm->arch->xsave_size = sizeof(struct kvm_xsave);
    if (xsave_size > (int)sizeof(struct kvm_xsave))
        vm->arch->xsave_size = (size_t)xsave_size;
    enable_exception_payload(vm);
    if (x86_cpuid_init(vm, error) < 0)
        return -1;
    return vm->config.irqchip == VM_IRQCHIP_FULL ? create_full_irqchip(vm, error) : enable_split_irqchip(vm, error);
}

void arch_vm_free(struct vm *vm)
{
    free(vm->arch);
}

int arch_vcpu_init(struct vcpu *vcpu, struct error *error)
{
    vcpu->arch = calloc(1, sizeof(*vcpu->arch));
    if (!vcpu->arch)
        return error_set(error, ENOMEM, "a vCPU");
    vcpu->arch->xsave = calloc(1, vcpu->vm->arch->xsave_size);
    if (!vcpu->arch->xsave)
        return error_set(error, ENOMEM, "a vCPU");
    if (x86_cpuid_set(vcpu, error) < 0 || x86_xcr0_init(vcpu, error) < 0)
        return -1;
    vcpu->arch->tsc_khz = x86_tsc_khz(vcpu);
    x86_tsc_remember(vcpu);
    return vcpu->index == 0 ? x86_msrs_init(vcpu->vm, vcpu, error) : 0;
}

void arch_vcpu_free(struct vcpu *vcpu)
{
    if (vcpu->arch)
        free(vcpu->arch->xsave);
    free(vcpu->arch);
}

int arch_vcpu_before_run(struct vcpu *vcpu, struct error *error)
{
    struct x86_msrs *deferred = &vcpu->arch->deferred;

    vcpu->arch->known.known = false;
    if (x86_msrs_set(vcpu, deferred, error) < 0)
        return -1;
    deferred->header.nmsrs = 0;
    return 0;
}

/* KVM stores the registers when KVM_RUN returns. APIC_BASE is never 0: it tells whether that has been since. */
void arch_vcpu_before_pause(struct vcpu *vcpu)
{
    if (!vcpu->vm->arch->has_sync_regs)
        return;
    vcpu->run->s.regs.sregs.apic_base = 0;
    __atomic_store_n(&vcpu->run->kvm_valid_regs, SYNCED, __ATOMIC_SEQ_CST);
}

void arch_vcpu_parked(struct vcpu *vcpu)
{
    vcpu->arch->synced = vcpu->run->kvm_valid_regs && vcpu->run->s.regs.sregs.apic_base;
}

void arch_vcpu_resumed(struct vcpu *vcpu)
{
    vcpu->run->kvm_valid_regs = 0;
    vcpu->arch->synced = false;
}

int arch_vcpu_exit(struct vcpu *vcpu, struct error *error)
{
    (void)error;
    /* Only for interrupt controllers in user space, of which there are none: nothing to do. */
    return vcpu->run->exit_reason == KVM_EXIT_IOAPIC_EOI;
}

void arch_vcpu_describe(struct vcpu *vcpu, char *text, size_t size)
{
    struct kvm_sregs sregs;
    struct kvm_regs regs;

    if (ioctl(vcpu->fd, KVM_GET_REGS, &regs) < 0 || ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0) {
        snprintf(text, size, "its registers cannot be read");
        return;
    }
    snprintf(text, size, "RIP %#" PRIx64 ", RSP %#" PRIx64 ", CPL %u, CR2 %#" PRIx64 ", CR3 %#" PRIx64,
             (uint64_t)regs.rip, (uint64_t)regs.rsp, sregs.ss.dpl, (uint64_t)sregs.cr2, (uint64_t)sregs.cr3);
}

unsigned int arch_pin_routes(struct vm *vm, struct kvm_irq_routing_entry *entries)
{
    unsigned int count = 0;

    if (vm->config.irqchip != VM_IRQCHIP_FULL)
        return 0;
    for (uint32_t pin = 0; pin < VM_IOAPIC_PINS; pin++) {
        entries[count++] = (struct kvm_irq_routing_entry){
            .gsi = pin,
            .type = KVM_IRQ_ROUTING_IRQCHIP,
            .u.irqchip = {.irqchip = KVM_IRQCHIP_IOAPIC, .pin = pin},
        };
        if (pin < 16)
            entries[count++] = (struct kvm_irq_routing_entry){
                .gsi = pin,
                .type = KVM_IRQ_ROUTING_IRQCHIP,
                .u.irqchip = {.irqchip = pin < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, .pin = pin % 8},
            };
    }
    return count;
}

/* Flat segments; the guest loads a GDT of its own before it changes any. */
static void set_long_mode(struct kvm_sregs *sregs, uint64_t cr3)
{
    const struct kvm_segment code = {
        .limit = 0xffffffff, .selector = 0x8, .type = 0xb, .present = 1, .s = 1, .l = 1, .g = 1};
    const struct kvm_segment data = {
        .limit = 0xffffffff, .selector = 0x10, .type = 0x3, .present = 1, .s = 1, .db = 1, .g = 1};

    sregs->cs = code;
    sregs->ds = data;
    sregs->es = data;
    sregs->fs = data;
    sregs->gs = data;
    sregs->ss = data;
    sregs->gdt = (struct kvm_dtable){.limit = 0};
    sregs->idt = (struct kvm_dtable){.limit = 0};
    sregs->cr0 = CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE;
    sregs->cr3 = cr3;
    sregs->cr4 = CR4_PAE;
    sregs->efer = EFER_LMA | EFER_LME;
}

int vm_set_entry(struct vm *vm, uint64_t entry, uint64_t rdi, uint64_t cr3, struct error *error)
{
    struct kvm_regs regs = {.rip = entry, .rdi = rdi, .rflags = RFLAGS_FIXED};
    struct kvm_sregs sregs;
    struct vcpu *vcpu = &vm->vcpu[0];

    if (vm_check_paused(vm, error) < 0)
        return -1;
    vcpu->arch->synced = false;
    if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0)
        return error_set(error, errno, "vCPU 0: KVM_GET_SREGS");
    set_long_mode(&sregs, cr3);
    if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs) < 0)
        return error_set(error, errno, "vCPU 0: KVM_SET_SREGS for long mode");
    if (ioctl(vcpu->fd, KVM_SET_REGS, &regs) < 0)
        return error_set(error, errno, "vCPU 0: KVM_SET_REGS");
    return 0;
}
