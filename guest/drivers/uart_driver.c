/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/drivers/uart_driver.h"

#define DIVISOR 0x0101u

static uint8_t port_read(struct uart_device *device, unsigned int port, uint32_t offset)
{
    return device->access.ops->read8(device->access.context, port, offset);
}

static void port_write(struct uart_device *device, unsigned int port, uint32_t offset, uint8_t value)
{
    device->access.ops->write8(device->access.context, port, offset, value);
}

static int expect(struct uart_device *device, unsigned int port, uint32_t offset, uint8_t expected, const char *text,
                  struct driver_fault *fault)
{
    uint8_t seen = port_read(device, port, offset);

    return seen == expected ? 0 : driver_fault(fault, "guest/driver", text, expected, seen);
}

/* Setting DLAB clears the divisor, so it is written and read in one go. */
static int check_divisor(struct uart_device *device, unsigned int port, struct driver_fault *fault)
{
    port_write(device, port, UART_REG_LCR, UART_LCR_DLAB | UART_LCR_8_BITS);
    port_write(device, port, UART_REG_DLL, DIVISOR & 0xff);
    port_write(device, port, UART_REG_DLM, DIVISOR >> 8);
    if (expect(device, port, UART_REG_DLL, DIVISOR & 0xff, "the divisor's low half", fault) < 0 ||
        expect(device, port, UART_REG_DLM, DIVISOR >> 8, "the divisor's high half", fault) < 0)
        return -1;
    port_write(device, port, UART_REG_LCR, UART_LCR_8_BITS);
    return expect(device, port, UART_REG_LCR, UART_LCR_8_BITS, "the register LCR", fault);
}

/* Whoever had the card before may have left an overrun, which lasts until the next byte is taken. */
static void end_overrun(struct uart_device *device, unsigned int port)
{
    if (!(port_read(device, port, UART_REG_LSR) & UART_LSR_OVERRUN))
        return;
    port_write(device, port, UART_REG_TX, 0);
    port_read(device, port, UART_REG_RX);
}

static int open_port(struct uart_device *device, unsigned int port, struct driver_fault *fault)
{
    if (check_divisor(device, port, fault) < 0)
        return -1;
    port_write(device, port, UART_REG_IER, 0);
    port_write(device, port, UART_REG_FCR, UART_FCR_ENABLE | UART_FCR_CLEAR_RECEIVER | UART_FCR_CLEAR_TRANSMITTER);
    end_overrun(device, port);
    port_write(device, port, UART_REG_MCR, 0);
    port_write(device, port, UART_REG_SCR, 0xa5);
    if (expect(device, port, UART_REG_SCR, 0xa5, "the register SCR", fault) < 0 ||
        expect(device, port, UART_REG_IER, 0, "the register IER", fault) < 0 ||
        expect(device, port, UART_REG_IIR, UART_IIR_FIFOS | UART_IIR_NONE, "the register IIR of an idle port", fault) <
            0 ||
        expect(device, port, UART_REG_LSR, UART_LSR_EMPTY, "the register LSR of an idle port", fault) < 0)
        return -1;
    port_write(device, port, UART_REG_SCR, 0);
    return 0;
}

int uart_device_open(struct uart_device *device, struct device_access access, unsigned int ports,
                     struct driver_fault *fault)
{
    *device = (struct uart_device){.access = access, .ports = ports};
    for (unsigned int port = 0; port < ports; port++) {
        if (open_port(device, port, fault) < 0)
            return -1;
    }
    device->interrupts = access.ops->interrupts(access.context, 0);
    return 0;
}

static void send(struct uart_device *device, const struct uart_transfer *transfer)
{
    for (unsigned int i = 0; i < transfer->length; i++)
        port_write(device, transfer->port, UART_REG_TX, transfer->byte[i]);
}

static int receive(struct uart_device *device, const struct uart_transfer *transfer, struct driver_fault *fault)
{
    for (unsigned int i = 0; i < transfer->length; i++) {
        uint8_t seen = port_read(device, transfer->port, UART_REG_RX);

        if (seen != transfer->byte[i])
            return driver_fault(fault, "guest/data", "a byte that was received", transfer->byte[i], seen);
    }
    if (port_read(device, transfer->port, UART_REG_LSR) & UART_LSR_DATA)
        return driver_fault(fault, "guest/data", "more bytes were received than were sent: the register LSR",
                            UART_LSR_EMPTY, port_read(device, transfer->port, UART_REG_LSR));
    return 0;
}

static uint8_t enable_of(enum uart_transfer_kind kind)
{
    switch (kind) {
    case UART_TRANSFER_RECEIVE:
        return UART_IER_RECEIVED;
    case UART_TRANSFER_TRANSMIT:
        return UART_IER_TRANSMITTED;
    default:
        return UART_IER_LINE_STATUS;
    }
}

static uint8_t cause_of(enum uart_transfer_kind kind)
{
    switch (kind) {
    case UART_TRANSFER_RECEIVE:
        return UART_IIR_RECEIVED;
    case UART_TRANSFER_TRANSMIT:
        return UART_IIR_TRANSMITTED;
    default:
        return UART_IIR_LINE_STATUS;
    }
}

static void hold(struct uart_device *device, const struct uart_transfer *transfer, bool masked)
{
    if (transfer->hold)
        device->access.ops->interrupt_mask(device->access.context, masked);
}

int uart_transfer_begin(struct uart_device *device, struct uart_transfer *transfer, struct driver_fault *fault)
{
    int status = 0;

    transfer->waiting = false;
    hold(device, transfer, true);
    if (transfer->kind == UART_TRANSFER_TRANSMIT) {
        send(device, transfer);
        status = receive(device, transfer, fault);
    }
    port_write(device, transfer->port, UART_REG_IER, enable_of(transfer->kind));
    if (transfer->kind != UART_TRANSFER_TRANSMIT)
        send(device, transfer);
    hold(device, transfer, false);
    return status;
}

/* The overrun itself lasts until the next byte is sent. */
static int clear_overrun(struct uart_device *device, const struct uart_transfer *transfer, struct driver_fault *fault)
{
    uint8_t status = port_read(device, transfer->port, UART_REG_LSR);

    if (!(status & UART_LSR_OVERRUN))
        return driver_fault(fault, "guest/driver", "the register LSR after an overrun", UART_LSR_OVERRUN, status);
    port_write(device, transfer->port, UART_REG_FCR,
               UART_FCR_ENABLE | UART_FCR_CLEAR_RECEIVER | UART_FCR_CLEAR_TRANSMITTER);
    status = port_read(device, transfer->port, UART_REG_LSR);
    if (status & UART_LSR_DATA)
        return driver_fault(fault, "guest/driver", "the register LSR after the FIFO was cleared", UART_LSR_EMPTY,
                            status);
    return 0;
}

static int serve(struct uart_device *device, const struct uart_transfer *transfer, struct driver_fault *fault)
{
    port_write(device, transfer->port, UART_REG_IER, 0);
    if (transfer->kind == UART_TRANSFER_RECEIVE)
        return receive(device, transfer, fault);
    return transfer->kind == UART_TRANSFER_OVERRUN ? clear_overrun(device, transfer, fault) : 0;
}

static int watch(struct uart_transfer *transfer, uint64_t now, struct driver_fault *fault)
{
    if (!transfer->waiting) {
        transfer->waiting = true;
        transfer->since = now;
    }
    if (now - transfer->since < UART_INTERRUPT_LOST_NS)
        return 0;
    return driver_fault(fault, "guest/interrupt-lost", "a transfer's interrupt did not come for 6 s", 1, 0);
}

int uart_transfer_poll(struct uart_device *device, struct uart_transfer *transfer, uint64_t now,
                       struct driver_fault *fault)
{
    struct device_access *access = &device->access;
    uint64_t count = access->ops->interrupts(access->context, 0);
    uint8_t cause, expected = UART_IIR_FIFOS | cause_of(transfer->kind);
    int status;

    if (count == device->interrupts)
        return watch(transfer, now, fault);
    device->spurious += count - device->interrupts - 1;
    device->interrupts = count;
    cause = port_read(device, transfer->port, UART_REG_IIR);
    if (cause == (UART_IIR_FIFOS | UART_IIR_NONE)) {
        device->spurious++;
        access->ops->interrupt_end(access->context);
        return 0;
    }
    if (cause != expected)
        return driver_fault(fault, "guest/driver", "the register IIR at an interrupt", expected, cause);
    status = serve(device, transfer, fault);
    access->ops->interrupt_end(access->context);
    return status < 0 ? -1 : 1;
}

uint8_t uart_scratch_read(struct uart_device *device, unsigned int port)
{
    return port_read(device, port, UART_REG_SCR);
}

void uart_scratch_write(struct uart_device *device, unsigned int port, uint8_t value)
{
    port_write(device, port, UART_REG_SCR, value);
}
