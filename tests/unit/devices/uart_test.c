/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The dual 16550 card: registers, its interrupt, and its state from one card to another. */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "devices/stream.h"
#include "host.h"
#include "stopcopy/uart_device.h"

struct card {
    struct device_host host; /* first */
    struct device *device;
    bool level;
    bool has_trigger; /* of the MSI */
    unsigned int messages;
};

static unsigned int irq_count(struct device_host *host, unsigned int index)
{
    return index == VFIO_PCI_MSI_IRQ_INDEX && ((struct card *)host)->has_trigger;
}

static bool irq_raise(struct device_host *host, unsigned int index, unsigned int vector)
{
    (void)index, (void)vector;
    ((struct card *)host)->messages++;
    return true;
}

static void irq_level(struct device_host *host, bool asserted)
{
    ((struct card *)host)->level = asserted;
}

static void card_new(struct card *card, uint64_t vectors)
{
    static const struct device_host_ops ops = {.irq_count = irq_count, .irq_raise = irq_raise, .irq_level = irq_level};
    struct device_options options;
    struct error error = ERROR_INIT;

    device_options_defaults(&options);
    options.vectors = vectors;
    options.migration_flags = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY;
    *card = (struct card){.host.ops = &ops};
    card->device = device_model_find("uart")->create(&options, &card->host, &error);
    cr_assert_not_null(card->device, "%s", error.text);
}

static uint8_t get(struct card *card, unsigned int port, unsigned int offset)
{
    uint8_t value;

    cr_assert_eq(device_region_read(card->device, port, offset, &value, 1), 0);
    return value;
}

static void put(struct card *card, unsigned int port, unsigned int offset, uint8_t value)
{
    cr_assert_eq(device_region_write(card->device, port, offset, &value, 1), 0);
}

static void go(struct card *card, unsigned int from, unsigned int to)
{
    cr_assert_eq(device_arc(card->device, from, to), 0);
}

static void stop(struct card *card)
{
    go(card, VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_RUNNING_P2P);
    go(card, VFIO_DEVICE_STATE_RUNNING_P2P, VFIO_DEVICE_STATE_STOP);
    go(card, VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_STOP_COPY);
}

static void run(struct card *card)
{
    go(card, VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_RUNNING_P2P);
    go(card, VFIO_DEVICE_STATE_RUNNING_P2P, VFIO_DEVICE_STATE_RUNNING);
}

/* From a card that is stopped to another one, which is left in STOP. */
static void migrate(struct card *from, struct card *to)
{
    size_t size;
    uint8_t *data = test_device_read_all(from->device, &size);

    cr_assert_eq(device_data_size(to->device), size);
    go(to, VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_RESUMING);
    for (size_t i = 0; i < size; i++)
        cr_assert_eq(device_data_write(to->device, data + i, 1), 0);
    go(to, VFIO_DEVICE_STATE_RESUMING, VFIO_DEVICE_STATE_STOP);
    free(data);
}

Test(uart, what_is_sent_is_received)
{
    struct card card;

    card_new(&card, 0);
    cr_assert_eq(get(&card, 0, UART_REG_LSR), UART_LSR_EMPTY);
    for (uint8_t i = 0; i < UART_FIFO_SIZE; i++)
        put(&card, 0, UART_REG_TX, (uint8_t)(0x40 + i));
    cr_assert_eq(get(&card, 0, UART_REG_LSR), UART_LSR_DATA);
    cr_assert_eq(get(&card, 1, UART_REG_LSR), UART_LSR_EMPTY, "the other port has its own");
    put(&card, 0, UART_REG_TX, 0xff);
    cr_assert_eq(get(&card, 0, UART_REG_LSR), UART_LSR_DATA | UART_LSR_OVERRUN);
    for (uint8_t i = 0; i < UART_FIFO_SIZE; i++)
        cr_assert_eq(get(&card, 0, UART_REG_RX), 0x40 + i);
    put(&card, 0, UART_REG_TX, 1);
    put(&card, 0, UART_REG_FCR, UART_FCR_ENABLE | UART_FCR_CLEAR_RECEIVER);
    cr_assert_eq(get(&card, 0, UART_REG_LSR), UART_LSR_EMPTY);
    device_destroy(card.device);
}

Test(uart, registers_hold_what_is_written)
{
    struct card card;

    card_new(&card, 0);
    put(&card, 1, UART_REG_SCR, 0x5a);
    put(&card, 1, UART_REG_MCR, UART_MCR_DTR);
    put(&card, 1, UART_REG_LCR, UART_LCR_DLAB);
    put(&card, 1, UART_REG_DLL, 0x34);
    put(&card, 1, UART_REG_DLM, 0x12);
    cr_assert_eq(get(&card, 1, UART_REG_DLL), 0x34);
    cr_assert_eq(get(&card, 1, UART_REG_DLM), 0x12);
    put(&card, 1, UART_REG_LCR, UART_LCR_8_BITS);
    cr_assert_eq(get(&card, 1, UART_REG_LCR), UART_LCR_8_BITS);
    cr_assert_eq(get(&card, 1, UART_REG_SCR), 0x5a);
    cr_assert_eq(get(&card, 1, UART_REG_MCR), UART_MCR_DTR);
    cr_assert_eq(get(&card, 1, UART_REG_IER), 0);
    device_destroy(card.device);
}

Test(uart, the_level_is_there_as_long_as_its_cause)
{
    struct card card;

    card_new(&card, 0);
    put(&card, 0, UART_REG_IER, UART_IER_RECEIVED);
    cr_assert_not(card.level);
    cr_assert_eq(get(&card, 0, UART_REG_IIR), UART_IIR_FIFOS | UART_IIR_NONE);
    put(&card, 0, UART_REG_TX, 1);
    cr_assert(card.level);
    cr_assert_eq(get(&card, 0, UART_REG_IIR), UART_IIR_FIFOS | UART_IIR_RECEIVED);
    put(&card, 1, UART_REG_IER, UART_IER_TRANSMITTED);
    cr_assert_eq(get(&card, 0, UART_REG_RX), 1);
    cr_assert(card.level, "the other port has a cause");
    cr_assert_eq(get(&card, 1, UART_REG_IIR), UART_IIR_FIFOS | UART_IIR_TRANSMITTED);
    put(&card, 1, UART_REG_IER, 0);
    cr_assert_not(card.level);
    device_destroy(card.device);
}

Test(uart, a_message_goes_out_when_a_cause_comes)
{
    struct card card;

    card_new(&card, 1);
    card.has_trigger = true;
    put(&card, 0, UART_REG_IER, UART_IER_RECEIVED);
    put(&card, 0, UART_REG_TX, 1);
    put(&card, 0, UART_REG_TX, 2);
    cr_assert_eq(card.messages, 1);
    cr_assert_not(card.level);
    get(&card, 0, UART_REG_RX);
    get(&card, 0, UART_REG_RX);
    put(&card, 0, UART_REG_TX, 3);
    cr_assert_eq(card.messages, 2);
    device_destroy(card.device);
}

Test(uart, a_stopped_card_is_still_and_asserts_its_level_again)
{
    struct card card;

    card_new(&card, 0);
    put(&card, 0, UART_REG_IER, UART_IER_RECEIVED);
    put(&card, 0, UART_REG_TX, 7);
    stop(&card);
    cr_assert_not(card.level);
    put(&card, 0, UART_REG_IER, 0);
    cr_assert_eq(get(&card, 0, UART_REG_RX), 7);
    cr_assert_eq(get(&card, 0, UART_REG_RX), 7, "a read takes nothing");
    go(&card, VFIO_DEVICE_STATE_STOP_COPY, VFIO_DEVICE_STATE_STOP);
    run(&card);
    cr_assert(card.level);
    device_destroy(card.device);
}

Test(uart, a_level_at_the_stop_is_asserted_by_the_other_card)
{
    struct card from, to;

    card_new(&from, 0);
    card_new(&to, 0);
    for (uint8_t i = 1; i <= 5; i++)
        put(&from, 1, UART_REG_TX, i);
    put(&from, 1, UART_REG_IER, UART_IER_RECEIVED);
    put(&from, 0, UART_REG_SCR, 0x77);
    stop(&from);
    go(&to, VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_STOP);
    migrate(&from, &to);
    cr_assert_not(to.level, "not before it runs");
    run(&to);
    cr_assert(to.level);
    for (uint8_t i = 1; i <= 5; i++)
        cr_assert_eq(get(&to, 1, UART_REG_RX), i);
    cr_assert_not(to.level);
    cr_assert_eq(get(&to, 0, UART_REG_SCR), 0x77);
    device_destroy(from.device);
    device_destroy(to.device);
}

Test(uart, a_message_that_found_no_trigger_goes_out_once_there)
{
    struct card from, to;

    card_new(&from, 1);
    card_new(&to, 1);
    put(&from, 0, UART_REG_IER, UART_IER_TRANSMITTED);
    stop(&from);
    go(&to, VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_STOP);
    migrate(&from, &to);
    to.has_trigger = true;
    device_irqs_changed(to.device);
    cr_assert_eq(to.messages, 0);
    run(&to);
    cr_assert_eq(to.messages, 1);
    device_irqs_changed(to.device);
    cr_assert_eq(to.messages, 1);
    device_destroy(from.device);
    device_destroy(to.device);
}

Test(uart, pre_copy_has_the_identity_and_then_nothing_for_now)
{
    struct card card;
    uint8_t data[8192];
    size_t count;
    struct vfio_precopy_info info = {.argsz = sizeof(info)};

    card_new(&card, 0);
    go(&card, VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_PRE_COPY);
    cr_assert_eq(device_precopy_info(card.device, false, &info), 0);
    cr_assert(info.initial_bytes > 0);
    cr_assert_eq(device_data_read(card.device, data, sizeof(data), &count), DEVICE_DATA_AGAIN);
    cr_assert_eq(count, info.initial_bytes);
    put(&card, 0, UART_REG_TX, 9);
    go(&card, VFIO_DEVICE_STATE_PRE_COPY, VFIO_DEVICE_STATE_PRE_COPY_P2P);
    go(&card, VFIO_DEVICE_STATE_PRE_COPY_P2P, VFIO_DEVICE_STATE_STOP_COPY);
    cr_assert_eq(device_data_size(card.device), 4096 + 16 + 2 * (16 + 32) + 16 + 4 + 16 + 8);
    cr_assert_eq(device_data_read(card.device, data, sizeof(data), &count), DEVICE_DATA_END);
    device_destroy(card.device);
}

/* Each byte of the stream matters, and no stream may do harm. */
Test(uart, every_changed_byte_and_every_cut_is_refused)
{
    struct card from, to;
    uint8_t *data;
    size_t size;

    card_new(&from, 0);
    card_new(&to, 0);
    put(&from, 0, UART_REG_TX, 1);
    put(&from, 0, UART_REG_IER, UART_IER_RECEIVED);
    stop(&from);
    data = test_device_read_all(from.device, &size);
    go(&to, VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_STOP);
    for (size_t i = 0; i <= size; i += i < 512 ? 1 : 97) {
        bool refused;

        go(&to, VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_RESUMING);
        refused = device_data_write(to.device, data, i) != 0;
        if (i < size)
            cr_assert_eq(device_arc(to.device, VFIO_DEVICE_STATE_RESUMING, VFIO_DEVICE_STATE_STOP), EINVAL);
        device_reset(to.device);
        go(&to, VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_STOP);
        cr_assert_not(refused, "what was not changed, at %zu", i);
        if (i == size)
            break;
        data[i] ^= 0x10;
        go(&to, VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_RESUMING);
        device_data_write(to.device, data, size);
        cr_assert_eq(device_arc(to.device, VFIO_DEVICE_STATE_RESUMING, VFIO_DEVICE_STATE_STOP), EINVAL, "at %zu", i);
        data[i] ^= 0x10;
        device_reset(to.device);
        go(&to, VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_STOP);
    }
    free(data);
    device_destroy(from.device);
    device_destroy(to.device);
}

/* A stream with right checksums, of a card that could not be. */
struct forged {
    uint8_t count, size, overrun, stray, ports;
    uint32_t interrupt, number;
};

static uint8_t *forge(const struct forged *forged, struct card *card, size_t *size)
{
    struct stream_writer writer = {.taken = 0};
    uint8_t fifo[UART_FIFO_SIZE] = {[UART_FIFO_SIZE - 1] = forged->stray};
    uint8_t config[4096];
    uint8_t *data;

    cr_assert_eq(device_region_read(card->device, VFIO_PCI_CONFIG_REGION_INDEX, 0, config, sizeof(config)), 0);
    stream_writer_start(&writer);
    stream_section_begin(&writer, 1);
    buffer_put_u32(&writer.out, 0x54524155);
    buffer_put_u32(&writer.out, forged->ports);
    buffer_put_u64(&writer.out, 0);
    buffer_put_u64(&writer.out, VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY);
    stream_section_finish(&writer);
    for (uint32_t i = 0; i < 2; i++) {
        const uint8_t port[8] = {UART_IER_RECEIVED, 0, 0, 0, forged->overrun, forged->size, i ? forged->count : 0, 0};

        stream_section_begin(&writer, 2);
        buffer_put_u32(&writer.out, i * forged->number);
        buffer_put(&writer.out, port, sizeof(port));
        buffer_put_u32(&writer.out, 0);
        buffer_put(&writer.out, fifo, sizeof(fifo));
        stream_section_finish(&writer);
    }
    stream_section_begin(&writer, 3);
    buffer_put_u32(&writer.out, forged->interrupt);
    stream_section_finish(&writer);
    stream_section_begin(&writer, 4);
    buffer_put(&writer.out, config, sizeof(config));
    stream_section_finish(&writer);
    stream_writer_end(&writer);
    *size = stream_writer_pending(&writer);
    data = malloc(*size);
    stream_writer_take(&writer, data, *size);
    stream_writer_free(&writer);
    return data;
}

Test(uart, what_no_card_could_be_is_refused)
{
    static const struct {
        struct forged forged;
        bool taken;
    } cases[] = {
        {{.size = 16, .ports = 2, .number = 1}, true},
        {{.size = 16, .ports = 2, .number = 1, .count = 3, .interrupt = 1}, true},
        {{.size = 16, .ports = 2, .number = 1, .count = 3}, false},
        {{.size = 16, .ports = 2, .number = 1, .interrupt = 1}, false},
        {{.size = 16, .ports = 2, .number = 1, .interrupt = 2}, false},
        {{.size = 16, .ports = 2, .number = 1, .count = 1, .interrupt = 5}, false},
        {{.size = 16, .ports = 2, .number = 1, .count = 17, .interrupt = 1}, false},
        {{.size = 17, .ports = 2, .number = 1}, false},
        {{.size = 0, .ports = 2, .number = 1}, false},
        {{.size = 16, .ports = 2, .number = 1, .overrun = 2}, false},
        {{.size = 16, .ports = 2, .number = 1, .stray = 1}, false},
        {{.size = 16, .ports = 2, .number = 0}, false},
        {{.size = 16, .ports = 2, .number = 2}, false},
        {{.size = 16, .ports = 1, .number = 1}, false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct card card;
        size_t size;
        uint8_t *data;

        card_new(&card, 0);
        data = forge(&cases[i].forged, &card, &size);
        go(&card, VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_STOP);
        go(&card, VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_RESUMING);
        device_data_write(card.device, data, size);
        cr_expect_eq(device_arc(card.device, VFIO_DEVICE_STATE_RESUMING, VFIO_DEVICE_STATE_STOP),
                     cases[i].taken ? 0 : EINVAL, "case %zu", i);
        free(data);
        device_destroy(card.device);
    }
}
