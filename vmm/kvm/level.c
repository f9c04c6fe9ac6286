/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Level interrupts: irqfds with a resample eventfd on a pin of the IOAPIC.
 *
 * KVM takes the line down when the last such irqfd of a pin is removed, and what had been signalled and was not in the
 * IOAPIC yet would be gone unseen. So each pin that is in use has a second one, which nobody signals: the first is
 * removed, which flushes it, the IOAPIC is read, and only then does the second one go, and the line with it.
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "lib/io.h"
#include "vmm/kvm/vm_private.h"

static int set_resampled(struct vm *vm, unsigned int pin, int eventfd, int resample, struct error *error)
{
    struct kvm_irqfd irqfd = {
        .fd = (uint32_t)eventfd,
        .gsi = pin,
        .flags = resample < 0 ? KVM_IRQFD_FLAG_DEASSIGN : KVM_IRQFD_FLAG_RESAMPLE,
        .resamplefd = resample < 0 ? 0 : (uint32_t)resample,
    };

    if (ioctl(vm->fd, KVM_IRQFD, &irqfd) < 0)
        return error_set(error, errno, "KVM_IRQFD, %s pin %u of the IOAPIC",
                         resample < 0 ? "taking a level's eventfd from" : "giving a level's eventfd to", pin);
    return 0;
}

static int check_pin(const struct vm *vm, unsigned int pin, struct error *error)
{
    if (vm->config.irqchip != VM_IRQCHIP_FULL)
        return error_set(error, EINVAL, "an interrupt by level, and this machine has no IOAPIC");
    if (pin >= VM_IOAPIC_PINS)
        return error_set(error, EINVAL, "pin %u of an IOAPIC of %d", pin, VM_IOAPIC_PINS);
    return 0;
}

static void release(struct vm *vm, unsigned int pin)
{
    io_close(&vm->holder[pin].eventfd);
    io_close(&vm->holder[pin].resample);
}

static int hold(struct vm *vm, unsigned int pin, struct error *error)
{
    struct vm_line_holder *holder = &vm->holder[pin];

    holder->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    holder->resample = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (holder->eventfd < 0 || holder->resample < 0)
        error_set(error, errno, "making an eventfd");
    else if (set_resampled(vm, pin, holder->eventfd, holder->resample, error) == 0)
        return 0;
    release(vm, pin);
    return -1;
}

int vm_level_irqfd_assign(struct vm *vm, unsigned int pin, int eventfd, int resample, struct error *error)
{
    if (check_pin(vm, pin, error) < 0)
        return -1;
    if (vm->holder[pin].eventfd >= 0)
        return error_set(error, EBUSY, "pin %u of the IOAPIC has an eventfd", pin);
    if (hold(vm, pin, error) < 0)
        return -1;
    if (set_resampled(vm, pin, eventfd, resample, error) == 0)
        return 0;
    set_resampled(vm, pin, vm->holder[pin].eventfd, -1, NULL);
    release(vm, pin);
    return -1;
}

int vm_level_irqfd_deassign(struct vm *vm, unsigned int pin, int eventfd, bool *asserted, struct error *error)
{
    if (check_pin(vm, pin, error) < 0 || set_resampled(vm, pin, eventfd, -1, error) < 0 ||
        arch_pin_asserted(vm, pin, asserted, error) < 0 ||
        set_resampled(vm, pin, vm->holder[pin].eventfd, -1, error) < 0)
        return -1;
    release(vm, pin);
    return 0;
}
