/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VFIO_DEVICE_RESET, and a function level reset by the guest, in every state, ERROR among them: afterwards the device is
 * RUNNING, and saves the very same as one that was never touched.
 */
#include "config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "stopcopy/tally_device.h"
#include "stopcopy/uart_device.h"

#define STATES (VFIO_DEVICE_STATE_PRE_COPY_P2P + 1u)

struct subject {
    const char *arguments[10];
    void (*touch)(struct client *client);
    bool pre_copy;
};

static void touch_dma(struct client *client)
{
    struct client_queue queue;

    client_write32(client, 0, DMA_REG_SCRATCH, 5);
    client_write32(client, DMA_BAR_WINDOW, 4092, 0x1234);
    client_write32(client, DMA_BAR_MSIX, DMA_MSIX_TABLE_OFFSET, 0xfee00000);
    client_queue_start(&queue, client, 0, 8, 0);
    client_source(&queue, 0)[0] = 1;
    client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_STORE, .length = 4096, .operand = 8192});
    client_read32(client, 0, DMA_REG_STATUS);
}

static void touch_uart(struct client *client)
{
    const uint8_t value = 0x5a;

    cr_assert_eq(client_region_write(client, 1, UART_REG_SCR, &value, 1), 0);
    cr_assert_eq(client_region_write(client, 0, UART_REG_TX, &value, 1), 0);
}

static void touch_tally(struct client *client)
{
    const uint64_t value = 7;

    cr_assert_eq(client_region_write(client, TALLY_BAR, TALLY_REG_THRESHOLD, &value, sizeof(value)), 0);
    cr_assert_eq(client_region_write(client, TALLY_BAR, TALLY_REG_ADD, &value, sizeof(value)), 0);
}

static const struct subject dma = {{"--memory", "64K", "--features", "stop-copy+p2p+pre-copy"}, touch_dma, true};
static const struct subject uart = {{"--model", "uart", "--features", "stop-copy+p2p+pre-copy"}, touch_uart, true};
static const struct subject tally = {{"--model", "tally"}, touch_tally, false};

/* A device gets into ERROR by an arc that fails so, and no other way. */
static void start(struct client *client, const struct subject *subject, bool with_error)
{
    const char *arguments[16] = {"--fault", "arc-fails,arc=RESUMING,to=error"};

    memcpy(arguments + (with_error ? 2 : 0), subject->arguments, sizeof(subject->arguments));
    client_start(client, arguments);
    client_negotiate(client);
    client_map(client, false);
}

static struct client_state save(struct client *client)
{
    cr_assert_eq(client_set_state(client, VFIO_DEVICE_STATE_STOP_COPY), 0);
    return client_save(client, 4096);
}

static struct client_state untouched(const struct subject *subject)
{
    struct client client;
    struct client_state state;

    start(&client, subject, false);
    state = save(&client);
    client_stop(&client);
    return state;
}

/* Into the state and, where it has a stream, into the middle of that. */
static void enter(struct client *client, unsigned int state, const struct client_state *stream)
{
    uint8_t data[24];
    size_t count;

    if (state == VFIO_DEVICE_STATE_ERROR) {
        cr_assert_eq(client_set_state(client, VFIO_DEVICE_STATE_RESUMING), EIO);
        cr_assert_eq(client_set_state(client, VFIO_DEVICE_STATE_STOP), EINVAL, "a reset alone leads out of ERROR");
        cr_assert_eq(client_set_state(client, VFIO_DEVICE_STATE_RUNNING), EINVAL);
    } else {
        cr_assert_eq(client_set_state(client, state), 0);
    }
    if (state == VFIO_DEVICE_STATE_RESUMING)
        cr_assert_eq(client_data_write(client, stream->data, (uint32_t)stream->size / 2), 0);
    if (state == VFIO_DEVICE_STATE_STOP_COPY || state >= VFIO_DEVICE_STATE_PRE_COPY)
        cr_assert_eq(client_data_read(client, data, sizeof(data), &count), 0);
    cr_assert_eq(client_get_state(client), state);
}

static void reset_by_command(struct client *client)
{
    cr_assert_eq(client_reset(client), 0);
}

static void reset_by_configuration(struct client *client)
{
    const uint16_t control = PCI_EXP_DEVCTL_BCR_FLR;
    uint8_t at = 0, id = 0;

    cr_assert_eq(client_region_read(client, VFIO_PCI_CONFIG_REGION_INDEX, PCI_CAPABILITY_LIST, &at, 1), 0);
    for (unsigned int i = 0; at && i < 48; i++) {
        cr_assert_eq(client_region_read(client, VFIO_PCI_CONFIG_REGION_INDEX, at, &id, 1), 0);
        if (id == PCI_CAP_ID_EXP)
            break;
        cr_assert_eq(client_region_read(client, VFIO_PCI_CONFIG_REGION_INDEX, at + 1u, &at, 1), 0);
    }
    cr_assert_eq(id, PCI_CAP_ID_EXP);
    cr_assert_eq(
        client_region_write(client, VFIO_PCI_CONFIG_REGION_INDEX, at + PCI_EXP_DEVCTL + 0u, &control, sizeof(control)),
        0);
}

static void expect_untouched(struct client *client, unsigned int from, const struct client_state *fresh)
{
    struct client_state state;
    uint8_t data[8];
    uint64_t size = 0;
    size_t count;

    cr_assert_eq(client_get_state(client), VFIO_DEVICE_STATE_RUNNING, "from %u", from);
    cr_assert_eq(client_feature(client, VFIO_DEVICE_FEATURE_MIG_DATA_SIZE | VFIO_DEVICE_FEATURE_GET, &size, 0, 8), 0);
    cr_expect_eq(size, fresh->size, "from %u: MIG_DATA_SIZE", from);
    cr_expect_eq(client_data_read(client, data, sizeof(data), &count), EINVAL, "from %u: the session is gone", from);
    cr_expect_eq(client_data_write(client, data, sizeof(data)), EINVAL, "from %u: the session is gone", from);
    state = save(client);
    cr_assert_eq(state.size, fresh->size, "from %u", from);
    cr_expect_arr_eq(state.data, fresh->data, fresh->size, "from %u", from);
    free(state.data);
}

/* From each state in a process of its own, and then once more in the same one, which works. */
static void check(const struct subject *subject, void (*reset)(struct client *client))
{
    struct client_state fresh = untouched(subject);

    for (unsigned int state = 0; state < STATES; state++) {
        struct client client;

        if (state >= VFIO_DEVICE_STATE_PRE_COPY && !subject->pre_copy)
            continue;
        start(&client, subject, state == VFIO_DEVICE_STATE_ERROR);
        client_bus_master(&client, true);
        subject->touch(&client);
        enter(&client, state, &fresh);
        reset(&client);
        expect_untouched(&client, state, &fresh);
        cr_assert_eq(client_set_state(&client, VFIO_DEVICE_STATE_RUNNING), 0);
        client_bus_master(&client, true);
        subject->touch(&client);
        cr_assert_eq(client_reset(&client), 0);
        expect_untouched(&client, state, &fresh);
        client_stop(&client);
    }
    free(fresh.data);
}

Test(reset, of_dma_from_every_state)
{
    check(&dma, reset_by_command);
}

Test(reset, of_dma_by_its_configuration_space_from_every_state)
{
    check(&dma, reset_by_configuration);
}

Test(reset, of_uart_from_every_state)
{
    check(&uart, reset_by_command);
}

Test(reset, of_tally_from_every_state)
{
    check(&tally, reset_by_command);
}
