/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The card's state as a stream (devices/stream.h): the identity, which is all that there is in PRE_COPY, then ports,
 * interrupt and configuration, and back. What comes is put aside and taken over when all of it came and is right. Each
 * number is checked as if an enemy had written it.
 */
#include <errno.h>
#include <string.h>

#include "devices/models/uart.h"

/* The stream's sections: identity first, the ports in order, then interrupt and configuration. docs/device.md. */
enum uart_section {
    UART_SECTION_IDENTITY = 1,  /* u32 UART_STREAM_MODEL, u32 ports, u32 MSIs, u32 0, u64 migration flags */
    UART_SECTION_PORT = 2,      /* u32 number, struct uart_port as put_port has it */
    UART_SECTION_INTERRUPT = 3, /* u32 UART_INTERRUPT_* */
    UART_SECTION_CONFIG = 4,
};

#define UART_STREAM_MODEL 0x54524155u /* "UART" */
#define UART_INTERRUPT_ASSERTED 1u
#define UART_INTERRUPT_UNDELIVERED 2u

static void put_identity(struct uart_device *uart)
{
    struct buffer *out = &uart->writer.out;

    stream_section_begin(&uart->writer, UART_SECTION_IDENTITY);
    buffer_put_u32(out, UART_STREAM_MODEL);
    buffer_put_u32(out, UART_PORTS_MAX);
    buffer_put_u32(out, uart->messages);
    buffer_put_u32(out, 0);
    buffer_put_u64(out, uart->migration_flags);
    stream_section_finish(&uart->writer);
}

static void put_port(struct uart_device *uart, uint32_t number)
{
    const struct uart_port *port = &uart->state.port[number];
    struct buffer *out = &uart->writer.out;

    stream_section_begin(&uart->writer, UART_SECTION_PORT);
    buffer_put_u32(out, number);
    buffer_put_u8(out, port->ier);
    buffer_put_u8(out, port->lcr);
    buffer_put_u8(out, port->mcr);
    buffer_put_u8(out, port->fcr);
    buffer_put_u8(out, port->overrun);
    buffer_put_u8(out, port->size);
    buffer_put_u8(out, port->count);
    buffer_put_u8(out, uart->state.scratch[number]);
    buffer_put_u32(out, port->divisor);
    buffer_put(out, port->fifo, sizeof(port->fifo));
    stream_section_finish(&uart->writer);
}

static void put_state(struct uart_device *uart)
{
    struct stream_writer *writer = &uart->writer;

    for (uint32_t i = 0; i < UART_PORTS_MAX; i++)
        put_port(uart, i);
    stream_section_begin(writer, UART_SECTION_INTERRUPT);
    buffer_put_u32(&writer->out, (uart->state.asserted ? UART_INTERRUPT_ASSERTED : 0) |
                                     (uart->state.undelivered ? UART_INTERRUPT_UNDELIVERED : 0));
    stream_section_finish(writer);
    stream_section_begin(writer, UART_SECTION_CONFIG);
    buffer_put(&writer->out, uart->config.data, PCI_CONFIG_SIZE);
    stream_section_finish(writer);
    stream_writer_end(writer);
    uart->saved = true;
}

void uart_save_stop(struct uart_device *uart)
{
    stream_writer_free(&uart->writer);
    uart->writer = (struct stream_writer){.taken = 0};
    uart->saving = uart->saved = false;
}

void uart_save_start(struct uart_device *uart)
{
    stream_writer_start(&uart->writer);
    put_identity(uart);
    uart->saving = true;
}

enum device_data uart_data_read(struct device *device, void *data, size_t size, size_t *count)
{
    struct uart_device *uart = uart_of(device);

    *count = 0;
    if (!uart->saving)
        return DEVICE_DATA_FAILED;
    if (uart->migration_state == VFIO_DEVICE_STATE_STOP_COPY && !uart->saved)
        put_state(uart);
    if (uart->writer.out.failed)
        return DEVICE_DATA_FAILED;
    *count = stream_writer_take(&uart->writer, data, size);
    if (*count == size)
        return DEVICE_DATA;
    return uart->saved ? DEVICE_DATA_END : DEVICE_DATA_AGAIN;
}

static int take_identity(struct uart_device *uart, struct cursor *payload)
{
    bool same = cursor_get_u32(payload) == UART_STREAM_MODEL;

    same = cursor_get_u32(payload) == UART_PORTS_MAX && same;
    same = cursor_get_u32(payload) == uart->messages && same;
    same = cursor_get_u32(payload) == 0 && same;
    same = cursor_get_u64(payload) == uart->migration_flags && same;
    return same && cursor_at_end(payload) ? 0 : EINVAL;
}

static int take_port(struct uart_device *uart, struct cursor *payload)
{
    uint32_t number = cursor_get_u32(payload), divisor;
    struct uart_port *port;

    if (payload->failed || number >= UART_PORTS_MAX || uart->sections & 1u << (8 + number))
        return EINVAL;
    uart->sections |= 1u << (8 + number);
    port = &uart->loaded.port[number];
    port->ier = cursor_get_u8(payload);
    port->lcr = cursor_get_u8(payload);
    port->mcr = cursor_get_u8(payload);
    port->fcr = cursor_get_u8(payload);
    port->overrun = cursor_get_u8(payload);
    port->size = cursor_get_u8(payload);
    port->count = cursor_get_u8(payload);
    uart->loaded.scratch[number] = cursor_get_u8(payload);
    divisor = cursor_get_u32(payload);
    port->divisor = (uint16_t)divisor;
    cursor_get(payload, port->fifo, sizeof(port->fifo));
    if (!cursor_at_end(payload) || port->overrun > 1 || divisor > UINT16_MAX ||
        (port->size != 1 && port->size != UART_FIFO_SIZE) || port->count > UART_FIFO_SIZE)
        return EINVAL;
    for (unsigned int i = port->count; i < UART_FIFO_SIZE; i++)
        if (port->fifo[i])
            return EINVAL;
    return 0;
}

static int take_interrupt(struct uart_device *uart, struct cursor *payload)
{
    uart->loaded_interrupt = cursor_get_u32(payload);
    return cursor_at_end(payload) && !(uart->loaded_interrupt & ~(UART_INTERRUPT_ASSERTED | UART_INTERRUPT_UNDELIVERED))
               ? 0
               : EINVAL;
}

static int take_config(struct uart_device *uart, struct cursor *payload)
{
    cursor_get(payload, uart->loaded_config, sizeof(uart->loaded_config));
    return cursor_at_end(payload) ? 0 : EINVAL;
}

static int take_section(void *context, uint32_t type, struct cursor *payload)
{
    struct uart_device *uart = context;

    if ((type == UART_SECTION_IDENTITY) != (uart->sections == 0) ||
        (type < 8 && type != UART_SECTION_PORT && uart->sections & 1u << type))
        return EINVAL;
    if (type < 8)
        uart->sections |= 1u << type;
    switch (type) {
    case UART_SECTION_IDENTITY:
        return take_identity(uart, payload);
    case UART_SECTION_PORT:
        return take_port(uart, payload);
    case UART_SECTION_INTERRUPT:
        return take_interrupt(uart, payload);
    case UART_SECTION_CONFIG:
        return take_config(uart, payload);
    default:
        return EINVAL;
    }
}

void uart_load_stop(struct uart_device *uart)
{
    stream_reader_free(&uart->reader);
    uart->loading = false;
}

void uart_load_start(struct uart_device *uart)
{
    memset(&uart->loaded, 0, sizeof(uart->loaded));
    uart->sections = 0;
    stream_reader_start(&uart->reader, take_section, uart);
    uart->loading = true;
    uart_reset_registers(uart);
}

/* The level is a function of the ports: a stream that says otherwise is none of ours. */
static bool interrupt_fits(const struct uart_device *uart)
{
    bool asserted = uart->loaded_interrupt & UART_INTERRUPT_ASSERTED;

    return asserted == uart_any_cause(&uart->loaded) &&
           (asserted || !(uart->loaded_interrupt & UART_INTERRUPT_UNDELIVERED));
}

int uart_load_finish(struct uart_device *uart)
{
    const uint32_t all = 1u << UART_SECTION_IDENTITY | 1u << UART_SECTION_PORT | 1u << UART_SECTION_INTERRUPT |
                         1u << UART_SECTION_CONFIG | 3u << 8;

    if (!stream_reader_complete(&uart->reader) || uart->sections != all || !interrupt_fits(uart) ||
        !pci_config_load(&uart->config, uart->loaded_config))
        return EINVAL;
    uart->state = uart->loaded;
    uart->state.asserted = uart->loaded_interrupt & UART_INTERRUPT_ASSERTED;
    uart->state.undelivered = uart->loaded_interrupt & UART_INTERRUPT_UNDELIVERED;
    uart_load_stop(uart);
    return 0;
}

int uart_data_write(struct device *device, const void *data, size_t size)
{
    struct uart_device *uart = uart_of(device);

    return uart->loading ? stream_reader_feed(&uart->reader, data, size) : EINVAL;
}

/* What is left of the stream: the state's size never changes. */
uint64_t uart_data_size(struct device *device)
{
    struct uart_device *uart = uart_of(device);
    struct uart_device copy = *uart;
    uint64_t bytes;

    copy.writer = (struct stream_writer){.taken = 0};
    stream_writer_start(&copy.writer);
    put_identity(&copy);
    put_state(&copy);
    bytes = copy.writer.written;
    stream_writer_free(&copy.writer);
    return uart->saving ? bytes - uart->writer.written + stream_writer_pending(&uart->writer) : bytes;
}

int uart_precopy_info(struct device *device, bool version2, struct vfio_precopy_info *info)
{
    struct uart_device *uart = uart_of(device);

    (void)version2;
    if (!uart->saving || uart->migration_state == VFIO_DEVICE_STATE_STOP_COPY)
        return EINVAL;
    info->flags = 0;
    info->initial_bytes = stream_writer_pending(&uart->writer);
    info->dirty_bytes = 0;
    return 0;
}
