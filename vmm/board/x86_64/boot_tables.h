/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The page tables that vCPU 0 enters with (guest_abi.h, "Entry"): the first 4 GiB mapped to itself by 2 MiB pages. */
#ifndef STOPCOPY_BOOT_TABLES_H
#define STOPCOPY_BOOT_TABLES_H

#include <stdint.h>

/* PML4, one page directory pointer table, four page directories. */
#define BOOT_TABLES_SIZE 0x6000u

/* Writes them to tables, which the guest has at address, a multiple of 4 KiB. address is what CR3 must be. */
void boot_tables_write(void *tables, uint64_t address);

#endif
