/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A device without a backend: a PCI function in memory, shaped as the reference DMA device, that records what is asked.
 */
#ifndef TEST_FAKE_DEVICE_H
#define TEST_FAKE_DEVICE_H

#include "vmm/vfio/vfio_device.h"

#define FAKE_REGIONS 9
#define FAKE_MSIX_CAPABILITY 0x50
#define FAKE_EXPRESS_CAPABILITY 0x80
#define FAKE_VECTORS 70

struct fake_device {
    struct vfio_device vfio;
    uint8_t config[256];
    struct vfio_region region[FAKE_REGIONS];
    uint8_t registers[0x4000]; /* BAR0 */
    struct vfio_irq msix, msi, intx;
    bool no_unmask_fd;          /* as mtty */
    int32_t intx_fd, unmask_fd; /* -1: none */
    unsigned int unmasks;       /* by SET_IRQS */
    bool fails;                 /* region accesses */

    unsigned int set_irqs_calls;
    uint32_t irq_flags, irq_start, irq_count; /* of the last SET_IRQS */
    int32_t trigger[2048];                    /* the eventfds that it has, -1: none */

    unsigned int doorbell_count;
    struct vfio_doorbell doorbell[4];
    unsigned int dma_maps;
    bool refuses_peers;
    unsigned int peer_maps;
    struct fake_peer_map {
        uint64_t iova, size, offset;
        int fd;
    } peer[8]; /* the first peer_maps of them */
    int gone_fd;
};

/* BAR0 16 KiB 32-bit, BAR2 64 KiB 64-bit prefetchable, BAR4 64 KiB 32-bit with table and PBA, BAR5 32 ports. */
void fake_device_init(struct fake_device *device);
/* Signals a vector, as the device would. False where it has no eventfd for it. */
/* Makes it one without MSI-X, and with INTA# instead, or an MSI. */
void fake_device_take_msix(struct fake_device *device, bool msi);
bool fake_device_raise(struct fake_device *device, unsigned int vector);
uint16_t fake_device_command(const struct fake_device *device);

#endif
