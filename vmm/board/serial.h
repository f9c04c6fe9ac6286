/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The serial port, a 16550 that transmits to a bounded console and never receives (PC16550D data sheet). Its
 * transmitter is always empty; it raises no interrupts.
 */
#ifndef STOPCOPY_SERIAL_H
#define STOPCOPY_SERIAL_H

#include <pthread.h>

#include "lib/buffer.h"
#include "lib/error.h"
#include "vmm/board/bus.h"

#define SERIAL_PORTS 8
#define SERIAL_CONSOLE_SIZE 65536u

struct serial {
    pthread_mutex_t lock;
    uint8_t interrupt_enable;
    uint8_t fifo_control;
    uint8_t line_control;
    uint8_t modem_control;
    uint8_t scratch;
    uint8_t divisor[2];
    uint64_t written; /* characters ever: the last SERIAL_CONSOLE_SIZE of them are in console */
    char console[SERIAL_CONSOLE_SIZE];
};

extern const struct bus_ops serial_bus_ops;

void serial_init(struct serial *serial);
void serial_destroy(struct serial *serial);
/* What was transmitted last, NUL-terminated, to be freed; control characters but newline, return and tab are '?'. */
char *serial_console(struct serial *serial);

/* The registers; the console's text stays where it was written. */
void serial_get_state(struct serial *serial, struct buffer *state);
int serial_put_state(struct serial *serial, struct cursor *state, struct error *error);

#endif
