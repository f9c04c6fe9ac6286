/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Work for the 16550 card, the reference device's or the kernel's mtty: transfers in loopback, each with an interrupt. */
#include <errno.h>
#include <stdlib.h>

#include "guest/drivers/uart_driver.h"
#include "vmm/check/work.h"

struct uart_work {
    struct work work;
    struct uart_device device;
    struct uart_transfer transfer;
    uint64_t random;
};

static uint64_t next_random(struct uart_work *uart)
{
    uart->random = uart->random * 6364136223846793005u + 1442695040888963407u;
    return uart->random >> 33;
}

static void choose_transfer(struct uart_work *uart)
{
    struct uart_transfer *transfer = &uart->transfer;

    *transfer = (struct uart_transfer){.kind = (enum uart_transfer_kind)(next_random(uart) % 3)};
    transfer->port = (unsigned int)(next_random(uart) % uart->device.ports);
    transfer->length = transfer->kind == UART_TRANSFER_OVERRUN
                           ? UART_TRANSFER_MAX
                           : 1 + (unsigned int)(next_random(uart) % (UART_FIFO_SIZE - 1));
    for (unsigned int i = 0; i < transfer->length; i++)
        transfer->byte[i] = (uint8_t)next_random(uart);
}

static int submit(struct work *work, struct error *error)
{
    struct uart_work *uart = (struct uart_work *)work;
    struct driver_fault fault;

    if (work->submitted != work->completed)
        return 0;
    choose_transfer(uart);
    work->submitted++;
    if (uart_transfer_begin(&uart->device, &uart->transfer, &fault) < 0)
        return work_fault(work, &fault, error);
    return 0;
}

static int step(struct work *work, uint64_t now, struct error *error)
{
    struct uart_work *uart = (struct uart_work *)work;
    uint64_t spurious = uart->device.spurious;
    struct driver_fault fault;
    int result;

    if (work->submitted == work->completed)
        return 0;
    result = uart_transfer_poll(&uart->device, &uart->transfer, now, &fault);
    if (result < 0)
        return work_fault(work, &fault, error);
    work->spurious += uart->device.spurious - spurious;
    work->completed += result > 0;
    return 0;
}

static uint64_t in_flight(const struct work *work)
{
    return work->submitted - work->completed;
}

static int check_idle(struct work *work, struct error *error)
{
    (void)work, (void)error;
    return 0;
}

static void close_work(struct work *work)
{
    free(work);
}

/* Whoever had the card before may have left bytes in its FIFO, or an overrun, which lasts until the next byte. */
static void clear_port(struct bench *bench, unsigned int port)
{
    struct device_access access = bench_access(bench);

    access.ops->write8(bench, port, UART_REG_LCR, UART_LCR_8_BITS);
    access.ops->write8(bench, port, UART_REG_IER, 0);
    access.ops->write8(bench, port, UART_REG_FCR, UART_FCR_ENABLE | UART_FCR_CLEAR_RECEIVER);
    access.ops->write8(bench, port, UART_REG_TX, 0);
    access.ops->write8(bench, port, UART_REG_FCR, UART_FCR_ENABLE | UART_FCR_CLEAR_RECEIVER);
}

static struct work *open_work(struct bench *bench, uint64_t seed, struct error *error)
{
    struct uart_work *uart = calloc(1, sizeof(*uart));
    unsigned int ports = 0;
    struct driver_fault fault;

    if (!uart) {
        error_set(error, ENOMEM, "the work for a device");
        return NULL;
    }
    uart->work = (struct work){.kind = &work_uart, .bench = bench};
    uart->random = seed;
    while (ports < UART_PORTS_MAX && bench->bar[ports].size >= UART_BAR_SIZE)
        ports++;
    if (!ports || !bench->vectors) {
        error_set(error, ENODEV, "%s has no port, or no interrupt, that its driver could use", bench->device->name);
        free(uart);
        return NULL;
    }
    for (unsigned int port = 0; port < ports; port++)
        clear_port(bench, port);
    if (uart_device_open(&uart->device, bench_access(bench), ports, &fault) == 0) {
        /* A level that was left by whoever had the card before masked itself when it came. */
        bench_access(bench).ops->interrupt_end(bench);
        return &uart->work;
    }
    work_fault(&uart->work, &fault, error);
    bench_check(bench, error);
    free(uart);
    return NULL;
}

const struct work_kind work_uart = {
    .name = "the 16550 card",
    .vendor = UART_DEVICE_VENDOR_ID,
    .device = UART_DEVICE_DEVICE_ID,
    .dma = false,
    .few = 8,
    .many = 64,
    .open = open_work,
    .close = close_work,
    .submit = submit,
    .step = step,
    .in_flight = in_flight,
    .check_idle = check_idle,
};
