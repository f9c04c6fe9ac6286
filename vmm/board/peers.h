/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Peer-to-peer DMA: what of a function's BARs can be mapped is mapped into the DMA space of every other device, at the
 * address where the guest decodes it. A mapping that a device, or its backend, refuses is reported and is no error: the
 * guest then has no peer-to-peer DMA there.
 */
#ifndef STOPCOPY_PEERS_H
#define STOPCOPY_PEERS_H

#include "vmm/board/machine.h"

struct pci_bar;

struct peers {
    bool wanted; /* board_wishes.peers */
    size_t count;
    struct vfio_device *const *device; /* in the board's order */
    /* Device `number` does not reach a BAR of another one. */
    void (*refused)(void *context, unsigned int number, const struct error *error);
    /* Device `number` does not let go of a mapping. */
    void (*stuck)(void *context, unsigned int number, const struct error *error);
    void *context;
};

/* The BAR is decoded at its address. */
void peers_map(const struct peers *peers, struct pci_bar *bar);
/* The BAR is about to go. */
void peers_unmap(const struct peers *peers, struct pci_bar *bar);

#endif
