/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The dual 16550 card (stopcopy/uart_device.h) from inside: what uart.c, its registers and interrupt, and uart_state.c,
 * its state as a stream, share.
 */
#ifndef STOPCOPY_DEVICES_MODELS_UART_H
#define STOPCOPY_DEVICES_MODELS_UART_H

#include "devices/model.h"
#include "devices/pci/config.h"
#include "devices/stream.h"
#include "stopcopy/uart_device.h"

struct uart_port {
    uint8_t ier, lcr, mcr, fcr;
    uint8_t overrun;
    uint8_t size;  /* of the FIFO, as FCR has it: 1 or UART_FIFO_SIZE */
    uint8_t count; /* bytes in it, the oldest first */
    uint8_t fifo[UART_FIFO_SIZE];
    uint16_t divisor;
};

struct uart_state {
    struct uart_port port[UART_PORTS_MAX];
    uint8_t scratch[UART_PORTS_MAX]; /* SCR; the device's internal memory, for the layers */
    bool asserted;                   /* the level, whether or not anybody is told */
    bool undelivered;                /* an MSI that found no trigger */
};

struct uart_device {
    struct device device; /* first */
    struct pci_config config;
    uint32_t messages; /* MSIs: 0 or 1 */
    uint64_t migration_flags;
    unsigned int migration_state;
    struct uart_state state;
    struct stream_writer writer;
    bool saving;
    bool saved; /* the whole state is in the writer */
    struct stream_reader reader;
    bool loading;
    uint32_t sections; /* that came, ports as 1 << 8 and up */
    struct uart_state loaded;
    uint32_t loaded_interrupt;
    uint8_t loaded_config[PCI_CONFIG_SIZE];
};

static inline struct uart_device *uart_of(struct device *device)
{
    return (struct uart_device *)device;
}

/* Is there a cause for an interrupt? */
bool uart_any_cause(const struct uart_state *state);
/* Registers as after power-on, configuration space left alone. */
void uart_reset_registers(struct uart_device *uart);

/* uart_state.c */
void uart_save_start(struct uart_device *uart);
void uart_save_stop(struct uart_device *uart);
void uart_load_start(struct uart_device *uart);
/* Takes over all that came, or answers an errno and nothing has changed. */
int uart_load_finish(struct uart_device *uart);
void uart_load_stop(struct uart_device *uart);
enum device_data uart_data_read(struct device *device, void *data, size_t size, size_t *count);
int uart_data_write(struct device *device, const void *data, size_t size);
uint64_t uart_data_size(struct device *device);
int uart_precopy_info(struct device *device, bool version2, struct vfio_precopy_info *info);

extern const struct device_model uart_model;

#endif
