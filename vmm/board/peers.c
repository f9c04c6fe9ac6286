/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/board/peers.h"

#include "vmm/board/board_layout.h"
#include "vmm/board/pci_device.h"

_Static_assert(BOARD_DEVICES_MAX <= 32, "a bit for each device");

static int map_area(struct vfio_device *device, const struct pci_bar *bar, const struct pci_bar_area *area,
                    struct error *error)
{
    const struct vfio_device_ops *ops = device->ops;
    uint64_t iova = bar->address + area->offset;

    return (ops->dma_map_peer ? ops->dma_map_peer : ops->dma_map)(device, iova, area->size, area->host, area->fd,
                                                                  area->fd_offset, !bar->readonly, error);
}

void peers_map(const struct peers *peers, struct pci_bar *bar)
{
    unsigned int owner = bar->device->number;

    if (!peers->wanted || bar->address % BOARD_PAGE_SIZE)
        return;
    for (unsigned int i = 0; i < bar->area_count; i++) {
        for (unsigned int number = 0; number < peers->count; number++) {
            struct error error = ERROR_INIT;

            if (number == owner)
                continue;
            if (map_area(peers->device[number], bar, &bar->area[i], &error) == 0) {
                bar->area[i].peers |= 1u << number;
                continue;
            }
            error_prefix(&error, "BAR %u of device %u (%s)", bar->index, owner, bar->device->vfio->name);
            peers->refused(peers->context, number, &error);
        }
    }
}

void peers_unmap(const struct peers *peers, struct pci_bar *bar)
{
    for (unsigned int i = 0; i < bar->area_count; i++) {
        struct pci_bar_area *area = &bar->area[i];

        for (unsigned int number = 0; area->peers; number++) {
            struct vfio_device *device = peers->device[number];
            struct error error = ERROR_INIT;

            if (!(area->peers & 1u << number))
                continue;
            area->peers &= ~(1u << number);
            if (device->ops->dma_unmap(device, bar->address + area->offset, area->size, &error)) {
                error_prefix(&error, "taking away BAR %u of device %u", bar->index, bar->device->number);
                peers->stuck(peers->context, number, &error);
            }
        }
    }
}
