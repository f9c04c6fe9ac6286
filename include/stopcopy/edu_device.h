/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU's educational PCI device as its driver sees it (docs/specs/edu of QEMU): identity and registers.
 *
 * One BAR of memory, registers of 4 bytes; from EDU_REG_DMA_SOURCE on they have 8, and a write of 4 bytes to the lower
 * half clears the upper one. A buffer of EDU_BUFFER_SIZE bytes is reached by its DMA alone, at the addresses from
 * EDU_BUFFER on. A DMA takes some 100 ms, and is not begun, nor are its registers changed, while one runs.
 *
 * Causes of an interrupt are put together in EDU_REG_INTERRUPT_STATUS until they are acknowledged. INTx is asserted as
 * long as one is there; a message goes out whenever one comes about, also one that is there already. So two causes may
 * come with one interrupt to be seen, or an interrupt with none.
 *
 * A transfer must end before the buffer does: QEMU up to 7.2 takes one that ends with it for one that does not fit, and
 * what does not fit ends all of QEMU, or is not checked.
 */
#ifndef STOPCOPY_EDU_DEVICE_H
#define STOPCOPY_EDU_DEVICE_H

#define EDU_DEVICE_VENDOR_ID 0x1234
#define EDU_DEVICE_DEVICE_ID 0x11e8

#define EDU_BAR 0u
#define EDU_BAR_SIZE 0x100000u

#define EDU_REG_IDENTIFICATION 0x00u        /* version in the upper half, EDU_IDENTIFICATION in the lowest byte */
#define EDU_REG_LIVENESS 0x04u              /* reads as what was written, inverted */
#define EDU_REG_FACTORIAL 0x08u             /* written: n; reads as n! modulo 2^32 when it is computed */
#define EDU_REG_STATUS 0x20u                /* EDU_STATUS_* */
#define EDU_REG_INTERRUPT_STATUS 0x24u      /* EDU_INTERRUPT_*, read only */
#define EDU_REG_INTERRUPT_RAISE 0x60u       /* write only: these causes come about */
#define EDU_REG_INTERRUPT_ACKNOWLEDGE 0x64u /* write only: these causes go away */
#define EDU_REG_DMA_SOURCE 0x80u
#define EDU_REG_DMA_DESTINATION 0x88u
#define EDU_REG_DMA_COUNT 0x90u
#define EDU_REG_DMA_COMMAND 0x98u /* EDU_DMA_*; a write without EDU_DMA_RUN changes nothing */

#define EDU_IDENTIFICATION 0xedu
#define EDU_IDENTIFICATION_MASK 0xffu

#define EDU_STATUS_COMPUTING 0x01u /* read only */
#define EDU_STATUS_INTERRUPT 0x80u /* raise EDU_INTERRUPT_FACTORIAL when it is computed */

#define EDU_INTERRUPT_FACTORIAL 0x001u
#define EDU_INTERRUPT_DMA 0x100u

#define EDU_DMA_RUN 0x1u       /* clear when it is done */
#define EDU_DMA_TO_RAM 0x2u    /* from the buffer; else from RAM to the buffer */
#define EDU_DMA_INTERRUPT 0x4u /* raise EDU_INTERRUPT_DMA when it is done */

#define EDU_BUFFER 0x40000u
#define EDU_BUFFER_SIZE 4096u
/* Addresses of RAM have 28 bits, where QEMU's property dma_mask is as it comes. */
#define EDU_ADDRESS_LIMIT (1ull << 28)

#endif
