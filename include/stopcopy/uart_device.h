/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The dual 16550 card as its driver sees it: identity and registers. It has those of the kernel's sample device mtty
 * (samples/vfio-mdev/mtty.c, type mtty-2), so that one driver serves both. What a port transmits it receives.
 *
 * Where mtty departs from a 16550 the reference device does as mtty does:
 *   - the trigger level is always 1, whatever the FIFO control register says;
 *   - causes are put together in IIR, bit by bit; the modem status cause has no bit and reads as "no interrupt";
 *   - an overrun lasts until the next byte is taken into the FIFO; reading LSR does not end it;
 *   - setting DLAB clears the divisor, and what is written to its halves is added bit by bit.
 * Where mtty has no level, the reference device has one: INTx is asserted as long as any cause of either port is there.
 * mtty signals when a cause comes about and INTx is not masked at that instant, and never again; and a FIFO of 16 bytes
 * reads as empty there. A driver that has one cause at a time, and drops what is in a full FIFO, sees no difference.
 */
#ifndef STOPCOPY_UART_DEVICE_H
#define STOPCOPY_UART_DEVICE_H

#define UART_DEVICE_VENDOR_ID 0x4348
#define UART_DEVICE_DEVICE_ID 0x3253
#define UART_DEVICE_REVISION_MTTY 0x10
#define UART_DEVICE_REVISION 0x11  /* INTx is a level: see above */
#define UART_DEVICE_CLASS 0x070002 /* serial controller, 16550 compatible */

/* A port is an I/O BAR of 8 bytes: BAR0 and BAR1. mtty-1 has no BAR1. Registers are accessed byte by byte. */
#define UART_PORTS_MAX 2u
#define UART_BAR_SIZE 8u
#define UART_FIFO_SIZE 16u

/* Names are 16550's; "DLAB": while LCR has that bit. */
#define UART_REG_RX 0u  /* read */
#define UART_REG_TX 0u  /* write */
#define UART_REG_DLL 0u /* DLAB: low half of the divisor */
#define UART_REG_IER 1u
#define UART_REG_DLM 1u /* DLAB: high half of the divisor */
#define UART_REG_IIR 2u /* read */
#define UART_REG_FCR 2u /* write */
#define UART_REG_LCR 3u
#define UART_REG_MCR 4u
#define UART_REG_LSR 5u
#define UART_REG_MSR 6u
#define UART_REG_SCR 7u

#define UART_IER_RECEIVED 0x01u     /* bytes are there */
#define UART_IER_TRANSMITTED 0x02u  /* the FIFO is empty */
#define UART_IER_LINE_STATUS 0x04u  /* overrun */
#define UART_IER_MODEM_STATUS 0x08u /* DTR or RTS is set */
#define UART_IER_ALL 0x0fu

#define UART_IIR_NONE 0x01u
#define UART_IIR_TRANSMITTED 0x02u
#define UART_IIR_RECEIVED 0x04u
#define UART_IIR_LINE_STATUS 0x06u
#define UART_IIR_FIFOS 0xc0u

#define UART_FCR_ENABLE 0x01u
#define UART_FCR_CLEAR_RECEIVER 0x02u
#define UART_FCR_CLEAR_TRANSMITTER 0x04u

#define UART_LCR_8_BITS 0x03u
#define UART_LCR_DLAB 0x80u

#define UART_MCR_DTR 0x01u
#define UART_MCR_RTS 0x02u
#define UART_MCR_AUTOFLOW 0x20u

#define UART_LSR_DATA 0x01u
#define UART_LSR_OVERRUN 0x02u
#define UART_LSR_EMPTY 0x60u /* THRE and TEMT */

#define UART_MSR_DELTA_CTS 0x01u
#define UART_MSR_DELTA_DSR 0x02u
#define UART_MSR_CTS 0x10u
#define UART_MSR_DSR 0x20u
#define UART_MSR_DCD 0x80u

#endif
