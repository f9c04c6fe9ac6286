/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a vCPU does at its first entry, at the address at which it starts after a reset (SDM, 11.1.4), and all as before. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/kvm/x86/x86_private.h"

#define RESET_PAGE 0xfffff000ull
#define RESET_OFFSET 0xff0
#define WARM_PORT 0x80

void arch_warm_code(uint8_t *page, uint64_t *gpa)
{
    static const uint8_t code[] = {0xe6, WARM_PORT, 0xf4}; /* out %al, $0x80; hlt */

    memcpy(page + RESET_OFFSET, code, sizeof(code));
    *gpa = RESET_PAGE;
}

int arch_warm_begin(struct vcpu *vcpu, struct error *error)
{
    struct kvm_mp_state runnable = {.mp_state = KVM_MP_STATE_RUNNABLE};
    struct x86_warm *before = &vcpu->arch->warm;

    if (ioctl(vcpu->fd, KVM_GET_MP_STATE, &before->mp_state) < 0 || ioctl(vcpu->fd, KVM_GET_REGS, &before->regs) < 0 ||
        ioctl(vcpu->fd, KVM_GET_SREGS, &before->sregs) < 0 || ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &before->events) < 0)
        return error_set(error, errno, "vCPU %u: reading its state", vcpu->index);
    before->known = true;
    if (ioctl(vcpu->fd, KVM_SET_MP_STATE, &runnable) < 0)
        return error_set(error, errno, "vCPU %u: KVM_SET_MP_STATE", vcpu->index);
    return 0;
}

int arch_warm_end(struct vcpu *vcpu, struct error *error)
{
    struct x86_warm *before = &vcpu->arch->warm;

    if (!before->known)
        return 0;
    before->known = false;
    if (ioctl(vcpu->fd, KVM_SET_SREGS, &before->sregs) < 0 || ioctl(vcpu->fd, KVM_SET_REGS, &before->regs) < 0 ||
        ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &before->events) < 0 ||
        ioctl(vcpu->fd, KVM_SET_MP_STATE, &before->mp_state) < 0)
        return error_set(error, errno, "vCPU %u: setting its state", vcpu->index);
    return 0;
}
