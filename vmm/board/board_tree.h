/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of the device tree's own properties, which board_tree_write.c writes and board_tree_read.c reads. The guest's
 * part of it is in guest_abi.h; these are the rest, for the destination:
 *
 *   /               stopcopy,irqchip "split" | "full"; stopcopy,physical-address-bits <u32>
 *   /pcie           stopcopy,peers, empty: the devices reach each other's BARs by DMA
 *   /pcie/device@N  reg, vendor-id, device-id, subsystem-vendor-id, subsystem-id, class-revision <u32>
 *                   stopcopy,bars: for each BAR <u32 index, u32 BOARD_TREE_BAR_*, u64 address, u64 size>
 *                   stopcopy,msix <u32 vectors, capability, table BAR, table offset, PBA BAR, PBA offset>
 *                   stopcopy,msi <u32 capability, 1 for a 64-bit address>; stopcopy,intx <u32 pin of the IOAPIC>
 *                   stopcopy,express <u32 capability, version, device capabilities>
 *
 * N is the slot in hexadecimal.
 */
#ifndef STOPCOPY_BOARD_TREE_H
#define STOPCOPY_BOARD_TREE_H

#define BOARD_TREE_COMPATIBLE "stopcopy,board"
#define BOARD_TREE_PCIE "pcie@c0000000"
#define BOARD_TREE_PEERS "stopcopy,peers"
#define BOARD_TREE_BAR_IO 1u
#define BOARD_TREE_BAR_WIDE 2u
#define BOARD_TREE_BAR_PREFETCHABLE 4u

/* The first cell of a PCI address (IEEE 1275 PCI binding). */
#define BOARD_TREE_SPACE_IO 0x01000000u
#define BOARD_TREE_SPACE_32 0x02000000u
#define BOARD_TREE_SPACE_64 0x43000000u

#endif
