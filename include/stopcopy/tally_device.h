/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The example device `tally` as its driver sees it: it adds up what is written to it, and interrupts once when the tally
 * has reached a threshold. One BAR of memory, registers of 8 bytes that are read and written whole; one MSI-X vector,
 * whose table lies in the BAR behind the registers.
 */
#ifndef STOPCOPY_TALLY_DEVICE_H
#define STOPCOPY_TALLY_DEVICE_H

#define TALLY_DEVICE_VENDOR_ID 0x5343
#define TALLY_DEVICE_DEVICE_ID 0x0002

#define TALLY_BAR 0u

#define TALLY_REG_ADD 0x00u       /* a write adds to the tally, which stays at its maximum; reads as 0 */
#define TALLY_REG_TALLY 0x08u     /* read only */
#define TALLY_REG_THRESHOLD 0x10u /* a write starts over: the interrupt comes once when the tally is not below it */
#define TALLY_REG_COUNT 0x18u     /* of writes to TALLY_REG_ADD; read only */

#endif
