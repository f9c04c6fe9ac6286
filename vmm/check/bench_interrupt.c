/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interrupts as eventfds that are counted: linux/vfio.h, VFIO_DEVICE_SET_IRQS. */
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vmm/check/bench.h"

/* The best kind that the device has. */
static int choose_index(struct bench *bench, struct error *error)
{
    static const uint32_t index[] = {VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX, VFIO_PCI_INTX_IRQ_INDEX};

    for (unsigned int i = 0; i < 3 && !bench->vectors; i++) {
        struct error refusal = ERROR_INIT;
        struct vfio_irq irq;

        /* Some refuse to speak of a kind that they do not have, where others say that there are none. */
        if (bench->device->ops->get_irq(bench->device, index[i], &irq, &refusal) < 0) {
            if (refusal.number == EINVAL)
                continue;
            *error = refusal;
            return -1;
        }
        if (!irq.count || !(irq.flags & VFIO_IRQ_INFO_EVENTFD))
            continue;
        bench->irq_index = index[i];
        bench->irq_maskable = irq.flags & VFIO_IRQ_INFO_MASKABLE;
        bench->vectors = irq.count < BENCH_VECTORS_MAX ? irq.count : BENCH_VECTORS_MAX;
    }
    return 0;
}

int bench_make_interrupts(struct bench *bench, struct error *error)
{
    if (choose_index(bench, error) < 0)
        return -1;
    for (unsigned int i = 0; i < bench->vectors; i++) {
        bench->eventfd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (bench->eventfd[i] < 0)
            return error_set(error, errno, "an eventfd for interrupt %u", i);
    }
    return 0;
}

/* A level that masked itself before stays so over a change of its eventfd, and over a load. */
int bench_bind_interrupts(struct bench *bench, struct error *error)
{
    if (!bench->vectors)
        return 0;
    if (bench->device->ops->set_irqs(bench->device, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
                                     bench->irq_index, 0, bench->vectors, bench->eventfd,
                                     bench->vectors * sizeof(bench->eventfd[0]), error) < 0)
        return -1;
    if (bench->irq_index != VFIO_PCI_INTX_IRQ_INDEX || !bench->irq_maskable)
        return 0;
    return bench_mask_interrupts(bench, false, error);
}

int bench_unbind_interrupts(struct bench *bench, struct error *error)
{
    if (!bench->vectors)
        return 0;
    return bench->device->ops->set_irqs(bench->device, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
                                        bench->irq_index, 0, 0, NULL, 0, error);
}

uint64_t bench_count_interrupts(struct bench *bench, unsigned int vector)
{
    uint64_t count;

    if (vector >= bench->vectors)
        return 0;
    if (read(bench->eventfd[vector], &count, sizeof(count)) == (ssize_t)sizeof(count))
        bench->interrupts[vector] += count;
    return bench->interrupts[vector];
}

uint64_t bench_count_all_interrupts(struct bench *bench)
{
    uint64_t sum = 0;

    for (unsigned int i = 0; i < bench->vectors; i++)
        sum += bench_count_interrupts(bench, i);
    return sum;
}

void bench_wait(struct bench *bench, int milliseconds)
{
    struct pollfd poll_fds[BENCH_VECTORS_MAX];

    for (unsigned int i = 0; i < bench->vectors; i++)
        poll_fds[i] = (struct pollfd){.fd = bench->eventfd[i], .events = POLLIN};
    (void)poll(poll_fds, bench->vectors, milliseconds);
}

int bench_mask_interrupts(struct bench *bench, bool masked, struct error *error)
{
    uint32_t action = masked ? VFIO_IRQ_SET_ACTION_MASK : VFIO_IRQ_SET_ACTION_UNMASK;

    return bench->device->ops->set_irqs(bench->device, VFIO_IRQ_SET_DATA_NONE | action, bench->irq_index, 0,
                                        bench->vectors, NULL, 0, error);
}
