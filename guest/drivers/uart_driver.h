/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The driver of the dual 16550 card (stopcopy/uart_device.h), the reference device's and the kernel's mtty. A card has one
 * transfer at a time, on one of its ports, which ends with one interrupt. All calls come from one thread. Functions that
 * take a fault return -1 with it where the device broke its contract.
 */
#ifndef GUEST_DRIVERS_UART_DRIVER_H
#define GUEST_DRIVERS_UART_DRIVER_H

#include "guest/drivers/driver.h"
#include "stopcopy/uart_device.h"

/* Time limit of uart_transfer_poll(), in nanoseconds. */
#define UART_INTERRUPT_LOST_NS 6000000000ull

struct uart_device {
    struct device_access access;
    unsigned int ports;
    uint64_t interrupts; /* counted so far */
    uint64_t spurious;   /* of those, with nothing to be done */
};

/* What the transfer's interrupt tells of. */
enum uart_transfer_kind {
    UART_TRANSFER_RECEIVE,  /* bytes are there */
    UART_TRANSFER_TRANSMIT, /* the FIFO is empty again */
    UART_TRANSFER_OVERRUN,  /* a byte too many */
};

#define UART_TRANSFER_MAX (UART_FIFO_SIZE + 1)

struct uart_transfer {
    enum uart_transfer_kind kind;
    unsigned int port;
    unsigned int length; /* 1 to UART_FIFO_SIZE - 1; UART_TRANSFER_MAX for OVERRUN */
    bool hold;           /* mask the interrupt while the bytes are sent; for a level alone */
    uint8_t byte[UART_TRANSFER_MAX];
    bool waiting; /* the time below is known */
    uint64_t since;
};

/* Sets the ports of the card up, with all interrupts off, and checks that their registers hold what is written. */
int uart_device_open(struct uart_device *device, struct device_access access, unsigned int ports,
                     struct driver_fault *fault);

/* Sends the bytes. */
int uart_transfer_begin(struct uart_device *device, struct uart_transfer *transfer, struct driver_fault *fault);
/* Returns 1 where its interrupt has come, and the bytes came back, as they were sent; 0 where it has not yet. now:
 * nanoseconds in which the guest ran. */
int uart_transfer_poll(struct uart_device *device, struct uart_transfer *transfer, uint64_t now,
                       struct driver_fault *fault);

/* SCR, a byte that the card keeps. */
uint8_t uart_scratch_read(struct uart_device *device, unsigned int port);
void uart_scratch_write(struct uart_device *device, unsigned int port, uint8_t value);

#endif
