/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A card of two 16550 ports in loopback (stopcopy/uart_device.h). It has no DMA, one interrupt by level (INTx) or, where
 * asked for, one MSI. All of its state goes after STOP; in PRE_COPY there is the identity and then nothing for now.
 */
#include "devices/models/uart.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "devices/fsm.h"

#define TRIGGER_LEVEL 1u

static bool works_in(unsigned int state)
{
    return state == VFIO_DEVICE_STATE_RUNNING || state == VFIO_DEVICE_STATE_PRE_COPY;
}

static bool has_cause(const struct uart_port *port)
{
    return (port->ier & UART_IER_LINE_STATUS && port->overrun) ||
           (port->ier & UART_IER_RECEIVED && port->count >= TRIGGER_LEVEL) ||
           (port->ier & UART_IER_TRANSMITTED && !port->count) ||
           (port->ier & UART_IER_MODEM_STATUS && port->mcr & (UART_MCR_DTR | UART_MCR_RTS));
}

bool uart_any_cause(const struct uart_state *state)
{
    return has_cause(&state->port[0]) || has_cause(&state->port[1]);
}

/*
 * Tells what the level has come to. A message goes out when the level rises. Where the device must be still nobody is
 * told; it is made up for when the device works again, in this process or, by the stream, in another: a level that the
 * client had masked at the stop is asserted to whoever sets a trigger there.
 */
static void update_interrupt(struct uart_device *uart)
{
    struct device_host *host = uart->device.host;
    struct uart_state *state = &uart->state;
    bool asserted = uart_any_cause(state);
    bool messages = host_irq_count(host, VFIO_PCI_MSI_IRQ_INDEX) > 0;
    bool works = works_in(uart->migration_state);
    bool intx = works && asserted && !messages;

    state->undelivered = asserted && (state->undelivered || !state->asserted);
    state->asserted = asserted;
    if (works && messages && state->undelivered)
        state->undelivered = !host_irq_raise(host, VFIO_PCI_MSI_IRQ_INDEX, 0);
    pci_config_set_interrupt_status(&uart->config, intx);
    host_irq_level(host, intx && !pci_config_intx_disabled(&uart->config));
}

static void clear_fifo(struct uart_port *port)
{
    port->count = 0;
    memset(port->fifo, 0, sizeof(port->fifo));
}

static void transmit(struct uart_port *port, uint8_t value)
{
    port->overrun = port->count >= port->size;
    if (!port->overrun)
        port->fifo[port->count++] = value;
}

static uint8_t receive(struct uart_port *port)
{
    uint8_t value = port->fifo[0];

    if (!port->count)
        return 0;
    port->count--;
    memmove(port->fifo, port->fifo + 1, sizeof(port->fifo) - 1);
    port->fifo[UART_FIFO_SIZE - 1] = 0;
    return value;
}

static void set_line_control(struct uart_port *port, uint8_t value)
{
    if (value & UART_LCR_DLAB)
        port->divisor = 0;
    port->lcr = value;
}

static void set_fifo_control(struct uart_port *port, uint8_t value)
{
    port->fcr = value;
    if (value & (UART_FCR_CLEAR_RECEIVER | UART_FCR_CLEAR_TRANSMITTER))
        clear_fifo(port);
    port->size = value & UART_FCR_ENABLE ? UART_FIFO_SIZE : 1;
}

static void port_write(struct uart_device *uart, unsigned int number, uint64_t offset, uint8_t value)
{
    struct uart_port *port = &uart->state.port[number];
    bool divisor = port->lcr & UART_LCR_DLAB;

    if (offset == UART_REG_TX && divisor)
        port->divisor |= value;
    else if (offset == UART_REG_TX)
        transmit(port, value);
    else if (offset == UART_REG_IER && divisor)
        port->divisor = (uint16_t)(port->divisor | value << 8);
    else if (offset == UART_REG_IER)
        port->ier = value;
    else if (offset == UART_REG_FCR)
        set_fifo_control(port, value);
    else if (offset == UART_REG_LCR)
        set_line_control(port, value);
    else if (offset == UART_REG_MCR)
        port->mcr = value;
    else if (offset == UART_REG_SCR)
        uart->state.scratch[number] = value;
}

static uint8_t identify_interrupt(const struct uart_port *port)
{
    uint8_t causes = 0;

    if (port->ier & UART_IER_LINE_STATUS && port->overrun)
        causes |= UART_IIR_LINE_STATUS;
    if (port->ier & UART_IER_RECEIVED && port->count >= TRIGGER_LEVEL)
        causes |= UART_IIR_RECEIVED;
    if (port->ier & UART_IER_TRANSMITTED && !port->count)
        causes |= UART_IIR_TRANSMITTED;
    return UART_IIR_FIFOS | (causes ? causes : UART_IIR_NONE);
}

static uint8_t line_status(const struct uart_port *port)
{
    return (uint8_t)((port->count ? UART_LSR_DATA : UART_LSR_EMPTY) | (port->overrun ? UART_LSR_OVERRUN : 0));
}

static uint8_t modem_status(const struct uart_port *port)
{
    uint8_t status = UART_MSR_DSR | UART_MSR_DELTA_DSR | UART_MSR_DCD;

    if (!(port->mcr & UART_MCR_AUTOFLOW) || port->count < port->size)
        status |= UART_MSR_CTS | UART_MSR_DELTA_CTS;
    return status;
}

/* The stream may be past what a read would change, or bring it anew. */
static bool is_frozen(const struct uart_device *uart)
{
    return uart->migration_state == VFIO_DEVICE_STATE_STOP_COPY || uart->migration_state == VFIO_DEVICE_STATE_RESUMING;
}

static uint8_t port_read(struct uart_device *uart, unsigned int number, uint64_t offset)
{
    struct uart_port *port = &uart->state.port[number];
    bool divisor = port->lcr & UART_LCR_DLAB;

    switch (offset) {
    case UART_REG_RX:
        if (divisor)
            return (uint8_t)port->divisor;
        return is_frozen(uart) ? port->fifo[0] : receive(port);
    case UART_REG_IER:
        return divisor ? (uint8_t)(port->divisor >> 8) : port->ier & UART_IER_ALL;
    case UART_REG_IIR:
        return identify_interrupt(port);
    case UART_REG_LCR:
        return port->lcr;
    case UART_REG_MCR:
        return port->mcr;
    case UART_REG_LSR:
        return line_status(port);
    case UART_REG_MSR:
        return modem_status(port);
    default:
        return uart->state.scratch[number];
    }
}

static bool is_port(unsigned int index)
{
    return index < VFIO_PCI_BAR0_REGION_INDEX + UART_PORTS_MAX;
}

static int region_read(struct device *device, unsigned int index, uint64_t offset, void *data, size_t count)
{
    struct uart_device *uart = uart_of(device);

    if (index == VFIO_PCI_CONFIG_REGION_INDEX) {
        pci_config_read(&uart->config, offset, data, count);
        return 0;
    }
    if (!is_port(index))
        return EINVAL;
    /* One register, as a 16550 on its bus: what is past it reads as nothing. */
    memset(data, 0xff, count);
    *(uint8_t *)data = port_read(uart, index - VFIO_PCI_BAR0_REGION_INDEX, offset);
    update_interrupt(uart);
    return 0;
}

static int region_write(struct device *device, unsigned int index, uint64_t offset, const void *data, size_t count)
{
    struct uart_device *uart = uart_of(device);

    if (index == VFIO_PCI_CONFIG_REGION_INDEX)
        pci_config_write(&uart->config, offset, data, count);
    else if (!is_port(index))
        return EINVAL;
    else if (!is_frozen(uart))
        port_write(uart, index - VFIO_PCI_BAR0_REGION_INDEX, offset, *(const uint8_t *)data);
    update_interrupt(uart);
    return 0;
}

static void get_region(struct device *device, unsigned int index, struct device_region *region)
{
    (void)device;
    *region = (struct device_region){.mmap_fd = -1};
    if (is_port(index))
        region->size = UART_BAR_SIZE;
    else if (index == VFIO_PCI_CONFIG_REGION_INDEX)
        region->size = PCI_CONFIG_SIZE;
    if (region->size)
        region->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
}

static void get_irq(struct device *device, unsigned int index, struct device_irq *irq)
{
    *irq = (struct device_irq){.count = 0};
    if (index == VFIO_PCI_INTX_IRQ_INDEX)
        *irq = (struct device_irq){1, VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED};
    else if (index == VFIO_PCI_MSI_IRQ_INDEX && uart_of(device)->messages)
        *irq = (struct device_irq){1, VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE};
}

static size_t get_doorbells(struct device *device, struct device_doorbell *doorbells, size_t maximum)
{
    (void)device, (void)doorbells, (void)maximum;
    return 0;
}

static void doorbell(struct device *device, size_t number)
{
    (void)device, (void)number;
}

static void timer(struct device *device)
{
    (void)device;
}

static void irqs_changed(struct device *device)
{
    update_interrupt(uart_of(device));
}

static uint64_t migration_flags(struct device *device)
{
    return uart_of(device)->migration_flags;
}

static uint8_t *memory(struct device *device, uint64_t *size)
{
    *size = sizeof(uart_of(device)->state.scratch);
    return uart_of(device)->state.scratch;
}

void uart_reset_registers(struct uart_device *uart)
{
    memset(&uart->state, 0, sizeof(uart->state));
    for (unsigned int i = 0; i < UART_PORTS_MAX; i++)
        uart->state.port[i].size = UART_FIFO_SIZE;
}

static int arc(struct device *device, unsigned int from, unsigned int to)
{
    struct uart_device *uart = uart_of(device);

    if (from == VFIO_DEVICE_STATE_RESUMING && uart_load_finish(uart))
        return EINVAL;
    if (to == VFIO_DEVICE_STATE_RESUMING)
        uart_load_start(uart);
    if (fsm_is_saving(from) && !fsm_is_saving(to))
        uart_save_stop(uart);
    if (!fsm_is_saving(from) && fsm_is_saving(to))
        uart_save_start(uart);
    uart->migration_state = to;
    update_interrupt(uart);
    return 0;
}

static void reset(struct device *device)
{
    struct uart_device *uart = uart_of(device);

    uart_save_stop(uart);
    uart_load_stop(uart);
    pci_config_reset(&uart->config);
    uart_reset_registers(uart);
    uart->migration_state = VFIO_DEVICE_STATE_RUNNING;
    update_interrupt(uart);
}

static void destroy(struct device *device)
{
    uart_save_stop(uart_of(device));
    uart_load_stop(uart_of(device));
    free(device);
}

static const struct device_ops uart_ops = {
    .destroy = destroy,
    .reset = reset,
    .get_region = get_region,
    .get_irq = get_irq,
    .region_read = region_read,
    .region_write = region_write,
    .get_doorbells = get_doorbells,
    .doorbell = doorbell,
    .timer = timer,
    .irqs_changed = irqs_changed,
    .migration_flags = migration_flags,
    .arc = arc,
    .data_read = uart_data_read,
    .data_write = uart_data_write,
    .data_size = uart_data_size,
    .precopy_info = uart_precopy_info,
    .memory = memory,
};

static struct device *create(const struct device_options *options, struct device_host *host, struct error *error)
{
    const struct pci_identity identity = {
        .vendor = UART_DEVICE_VENDOR_ID,
        .device = UART_DEVICE_DEVICE_ID,
        .revision = UART_DEVICE_REVISION,
        .class_code = UART_DEVICE_CLASS,
        .intx = true,
    };
    struct uart_device *uart;

    if (options->vectors > 1) {
        error_set(error, EINVAL, "vectors: a uart device has none (INTx) or 1 (MSI)");
        return NULL;
    }
    uart = calloc(1, sizeof(*uart));
    if (!uart) {
        error_set(error, ENOMEM, "a uart device");
        return NULL;
    }
    uart->device = (struct device){.ops = &uart_ops, .host = host};
    uart->messages = (uint32_t)options->vectors;
    uart->migration_flags = options->migration_flags;
    pci_config_init(&uart->config, &identity);
    for (unsigned int i = 0; i < UART_PORTS_MAX; i++)
        pci_config_add_io_bar(&uart->config, i, UART_BAR_SIZE);
    if (uart->messages)
        pci_config_add_msi(&uart->config, 1);
    pci_config_finish(&uart->config);
    reset(&uart->device);
    return &uart->device;
}

const struct device_model uart_model = {
    .name = "uart",
    .description = "a card of two 16550 ports in loopback, as the kernel's mtty, by INTx or one MSI",
    .options = "vectors (1: an MSI; without: INTx), features",
    .create = create,
};
