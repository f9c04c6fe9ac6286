/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/board/serial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/board/record.h"

#define SERIAL_STATE_VERSION 1

enum serial_register {
    REGISTER_DATA = 0,
    REGISTER_INTERRUPT_ENABLE = 1,
    REGISTER_INTERRUPT_IDENTIFICATION = 2, /* written: FIFO control */
    REGISTER_LINE_CONTROL = 3,
    REGISTER_MODEM_CONTROL = 4,
    REGISTER_LINE_STATUS = 5,
    REGISTER_MODEM_STATUS = 6,
    REGISTER_SCRATCH = 7,
};

#define FIFO_ENABLE 0x01
#define IDENTIFICATION_NONE 0x01
#define IDENTIFICATION_FIFOS 0xc0
#define LINE_CONTROL_DIVISOR_LATCH 0x80
#define LINE_STATUS_TRANSMITTER_EMPTY 0x60 /* holding register and shift register */
#define MODEM_STATUS_CONNECTED 0xb0        /* DCD, DSR, CTS */
#define MODEM_CONTROL_LOOPBACK 0x10

void serial_init(struct serial *serial)
{
    memset(serial, 0, sizeof(*serial));
    pthread_mutex_init(&serial->lock, NULL);
}

void serial_destroy(struct serial *serial)
{
    pthread_mutex_destroy(&serial->lock);
}

static bool printable(uint8_t value)
{
    return value == '\n' || value == '\r' || value == '\t' || (value >= 0x20 && value != 0x7f);
}

static void transmit(struct serial *serial, uint8_t value)
{
    if (serial->modem_control & MODEM_CONTROL_LOOPBACK)
        return;
    serial->console[serial->written++ % SERIAL_CONSOLE_SIZE] = printable(value) ? (char)value : '?';
}

static uint8_t read_register(struct serial *serial, uint64_t index)
{
    bool latch = serial->line_control & LINE_CONTROL_DIVISOR_LATCH;

    switch (index) {
    case REGISTER_DATA:
        return latch ? serial->divisor[0] : 0;
    case REGISTER_INTERRUPT_ENABLE:
        return latch ? serial->divisor[1] : serial->interrupt_enable;
    case REGISTER_INTERRUPT_IDENTIFICATION:
        return serial->fifo_control & FIFO_ENABLE ? IDENTIFICATION_FIFOS | IDENTIFICATION_NONE : IDENTIFICATION_NONE;
    case REGISTER_LINE_CONTROL:
        return serial->line_control;
    case REGISTER_MODEM_CONTROL:
        return serial->modem_control;
    case REGISTER_LINE_STATUS:
        return LINE_STATUS_TRANSMITTER_EMPTY;
    case REGISTER_MODEM_STATUS:
        return MODEM_STATUS_CONNECTED;
    default:
        return serial->scratch;
    }
}

static void write_register(struct serial *serial, uint64_t index, uint8_t value)
{
    bool latch = serial->line_control & LINE_CONTROL_DIVISOR_LATCH;

    switch (index) {
    case REGISTER_DATA:
        if (latch)
            serial->divisor[0] = value;
        else
            transmit(serial, value);
        break;
    case REGISTER_INTERRUPT_ENABLE:
        if (latch)
            serial->divisor[1] = value;
        else
            serial->interrupt_enable = value & 0x0f;
        break;
    case REGISTER_INTERRUPT_IDENTIFICATION:
        serial->fifo_control = value & 0xc9;
        break;
    case REGISTER_LINE_CONTROL:
        serial->line_control = value;
        break;
    case REGISTER_MODEM_CONTROL:
        serial->modem_control = value & 0x1f;
        break;
    case REGISTER_SCRATCH:
        serial->scratch = value;
        break;
    default:
        break;
    }
}

static void bus_read_serial(void *context, uint64_t offset, void *data, size_t size)
{
    struct serial *serial = context;
    uint8_t *bytes = data;

    pthread_mutex_lock(&serial->lock);
    for (size_t i = 0; i < size; i++)
        bytes[i] = read_register(serial, offset + i);
    pthread_mutex_unlock(&serial->lock);
}

static void bus_write_serial(void *context, uint64_t offset, const void *data, size_t size)
{
    struct serial *serial = context;
    const uint8_t *bytes = data;

    pthread_mutex_lock(&serial->lock);
    for (size_t i = 0; i < size; i++)
        write_register(serial, offset + i, bytes[i]);
    pthread_mutex_unlock(&serial->lock);
}

const struct bus_ops serial_bus_ops = {.read = bus_read_serial, .write = bus_write_serial};

char *serial_console(struct serial *serial)
{
    char *text = malloc(SERIAL_CONSOLE_SIZE + 1);
    uint64_t length, start;

    if (!text)
        return NULL;
    pthread_mutex_lock(&serial->lock);
    length = serial->written < SERIAL_CONSOLE_SIZE ? serial->written : SERIAL_CONSOLE_SIZE;
    start = serial->written - length;
    for (uint64_t i = 0; i < length; i++)
        text[i] = serial->console[(start + i) % SERIAL_CONSOLE_SIZE];
    pthread_mutex_unlock(&serial->lock);
    text[length] = '\0';
    return text;
}

void serial_get_state(struct serial *serial, struct buffer *state)
{
    size_t record = record_begin(state, RECORD_SERIAL, SERIAL_STATE_VERSION);

    pthread_mutex_lock(&serial->lock);
    buffer_put_u8(state, serial->interrupt_enable);
    buffer_put_u8(state, serial->fifo_control);
    buffer_put_u8(state, serial->line_control);
    buffer_put_u8(state, serial->modem_control);
    buffer_put_u8(state, serial->scratch);
    buffer_put(state, serial->divisor, sizeof(serial->divisor));
    pthread_mutex_unlock(&serial->lock);
    record_end(state, record);
}

int serial_put_state(struct serial *serial, struct cursor *state, struct error *error)
{
    uint8_t interrupt_enable, fifo_control, line_control, modem_control, scratch, divisor[2];
    struct cursor body;

    if (record_take(state, RECORD_SERIAL, SERIAL_STATE_VERSION, &body, error))
        return -1;
    interrupt_enable = cursor_get_u8(&body);
    fifo_control = cursor_get_u8(&body);
    line_control = cursor_get_u8(&body);
    modem_control = cursor_get_u8(&body);
    scratch = cursor_get_u8(&body);
    cursor_get(&body, divisor, sizeof(divisor));
    if (!cursor_at_end(&body))
        return error_set(error, EINVAL, "the serial port's state has the wrong size");

    pthread_mutex_lock(&serial->lock);
    serial->interrupt_enable = interrupt_enable & 0x0f;
    serial->fifo_control = fifo_control & 0xc9;
    serial->line_control = line_control;
    serial->modem_control = modem_control & 0x1f;
    serial->scratch = scratch;
    memcpy(serial->divisor, divisor, sizeof(divisor));
    pthread_mutex_unlock(&serial->lock);
    return 0;
}
