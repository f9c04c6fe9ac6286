/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/base/console.h"
#include "guest/base/port.h"
#include "guest/base/processor.h"
#include "guest/base/text.h"

#define UART_TRANSMIT 0
#define UART_INTERRUPT_ENABLE 1
#define UART_FIFO_CONTROL 2
#define UART_FIFO_ENABLE_AND_CLEAR 0x07
#define UART_LINE_CONTROL 3
#define UART_LINE_8N1 0x03
#define UART_LINE_STATUS 5
#define UART_LINE_STATUS_EMPTY 0x20
#define UART_FIFO_SIZE 16
#define UART_NOBODY 0xff

#define WAIT_TURNS 100000 /* for a transmitter that does not drain: the console is then given up */

void console_open(struct console *console, uint16_t port)
{
    console->port = port;
    if (!port)
        return;
    if (port_read8((uint16_t)(port + UART_LINE_STATUS)) == UART_NOBODY) {
        console->port = 0;
        return;
    }
    port_write8((uint16_t)(port + UART_INTERRUPT_ENABLE), 0);
    port_write8((uint16_t)(port + UART_LINE_CONTROL), UART_LINE_8N1);
    port_write8((uint16_t)(port + UART_FIFO_CONTROL), UART_FIFO_ENABLE_AND_CLEAR);
}

static void wait_until_empty(struct console *console)
{
    for (unsigned int i = 0; i < WAIT_TURNS; i++) {
        if (port_read8((uint16_t)(console->port + UART_LINE_STATUS)) & UART_LINE_STATUS_EMPTY)
            return;
        processor_pause();
    }
    console->port = 0;
}

void console_print(struct console *console, const char *format, ...)
{
    char line[CONSOLE_LINE_MAX + 1];
    va_list arguments;
    size_t length;

    va_start(arguments, format);
    length = text_format_list(line, CONSOLE_LINE_MAX, format, arguments);
    va_end(arguments);
    line[length++] = '\n';
    for (size_t i = 0; i < length && console->port; i++) {
        if (i % UART_FIFO_SIZE == 0)
            wait_until_empty(console);
        if (console->port)
            port_write8((uint16_t)(console->port + UART_TRANSMIT), (uint8_t)line[i]);
    }
}
