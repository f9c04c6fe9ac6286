/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/board/interrupt_drop.h"

#include <errno.h>
#include <sys/epoll.h>

static void withhold(struct pci_device *devices, size_t count, bool withheld)
{
    for (size_t i = 0; i < count; i++)
        devices[i].msix.withheld = withheld;
}

/* Gives KVM what was withheld from it. */
static int release(struct interrupt_drop *drop, struct pci_device *devices, size_t count, int epoll,
                   struct error *error)
{
    interrupt_drop_cancel(drop, devices, count, epoll);
    for (size_t i = 0; i < count; i++) {
        if (msix_bind(&devices[i].msix, error))
            return -1;
    }
    return 0;
}

void interrupt_drop_before_bind(struct interrupt_drop *drop, struct pci_device *devices, size_t count)
{
    if (drop->armed)
        withhold(devices, count, true);
}

int interrupt_drop_after_bind(struct interrupt_drop *drop, struct pci_device *devices, size_t count, int epoll,
                              struct error *error)
{
    if (!drop->armed)
        return 0;
    drop->armed = false;
    drop->waiting = true;
    for (unsigned int d = 0; d < count; d++) {
        for (unsigned int v = 0; v < devices[d].msix.vectors; v++) {
            struct epoll_event event = {.events = EPOLLIN, .data.u64 = INTERRUPT_DROP_EPOLL | d << 16 | v};
            int fd = devices[d].msix.vector[v].eventfd;

            if (msix_swallow(&devices[d].msix, v))
                return release(drop, devices, count, epoll, error);
            if (fd != -1 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
                return error_set(error, errno, "watching for the interrupt to be dropped");
        }
    }
    return 0;
}

int interrupt_drop_event(struct interrupt_drop *drop, struct pci_device *devices, size_t count, int epoll,
                         uint64_t data, struct error *error)
{
    unsigned int device = (unsigned int)(data >> 16 & 0xffff), vector = (unsigned int)(data & 0xffff);

    if (!drop->waiting || device >= count || vector >= devices[device].msix.vectors)
        return 0;
    if (msix_swallow(&devices[device].msix, vector))
        return release(drop, devices, count, epoll, error);
    /* A masked one: it would be readable for ever. */
    epoll_ctl(epoll, EPOLL_CTL_DEL, devices[device].msix.vector[vector].eventfd, NULL);
    return 0;
}

void interrupt_drop_cancel(struct interrupt_drop *drop, struct pci_device *devices, size_t count, int epoll)
{
    if (!drop->waiting)
        return;
    drop->waiting = false;
    withhold(devices, count, false);
    for (size_t d = 0; d < count; d++) {
        for (unsigned int v = 0; v < devices[d].msix.vectors; v++) {
            if (devices[d].msix.vector[v].eventfd != -1)
                epoll_ctl(epoll, EPOLL_CTL_DEL, devices[d].msix.vector[v].eventfd, NULL);
        }
    }
}
