/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory map: where RAM, the windows and the BARs are. RAM from 0, up to 3 GiB, the rest from 4 GiB; ECAM and the
 * 32-bit window from 3 GiB to 0xfec00000; the 64-bit window above RAM, within the guest's physical addresses.
 */
#ifndef STOPCOPY_BOARD_LAYOUT_H
#define STOPCOPY_BOARD_LAYOUT_H

#include "vmm/board/machine.h"

#define BOARD_PAGE_SIZE 4096ull

/* What board_describe does once it knows the features and what the devices are (devices: all but slots and addresses).
 */
int board_lay_out(const struct board_wishes *wishes, const struct vm_features *features,
                  const struct board_device *devices, size_t count, struct board *board, struct error *error);

/* Is this a board that board_lay_out may have made? For one from outside. */
int board_check(const struct board *board, struct error *error);

/* May a BAR of this device be at address: aligned, and in a window of its kind? Other BARs are not looked at. */
bool board_bar_fits(const struct board *board, const struct board_bar *bar, uint64_t address);

#endif
