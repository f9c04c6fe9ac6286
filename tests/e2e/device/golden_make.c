/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Made the files of tests/golden/, each with the device in the state that golden_test.c expects. It is not part of
 * make check: `make tests/e2e/device/golden_make`, and run with GOLDEN_DIRECTORY set. It never writes over a file.
 */
#include "config.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "golden.h"
#include "stopcopy/uart_device.h"

#define MSIX VFIO_PCI_MSIX_IRQ_INDEX

static void start(struct client *client, const char *const *arguments)
{
    client_start(client, arguments);
    client_negotiate(client);
    client_map(client, false);
    client_bus_master(client, true);
}

/* Saves, and ends the device. */
static void keep(struct client *client, const char *name)
{
    const char *directory = getenv("GOLDEN_DIRECTORY");
    struct client_state state;
    char path[4096];
    int fd;

    cr_assert_not_null(directory, "GOLDEN_DIRECTORY is not set");
    snprintf(path, sizeof(path), "%s/%s.state", directory, name);
    cr_assert_eq(client_set_state(client, VFIO_DEVICE_STATE_STOP_COPY), 0);
    state = client_save(client, 1u << 20);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    cr_assert_geq(fd, 0, "%s: %m", path);
    cr_assert_eq(write(fd, state.data, state.size), (ssize_t)state.size);
    cr_assert_eq(close(fd), 0);
    free(state.data);
    client_stop(client);
}

static void fill_source(struct client_queue *queue, size_t from)
{
    for (size_t i = 0; i < GOLDEN_STORE_SIZE; i++)
        client_source(queue, queue->submitted)[i] = golden_byte(from + i);
}

static void store(struct client_queue *queue, uint64_t at, size_t from)
{
    struct dma_descriptor descriptor = {.opcode = DMA_OP_STORE, .length = GOLDEN_STORE_SIZE, .operand = at};

    fill_source(queue, from);
    cr_assert_eq(client_run(queue, descriptor).status, DMA_STATUS_OK);
}

static void run_nops(struct client_queue *queue, unsigned int count)
{
    while (count--)
        client_run(queue, (struct dma_descriptor){.opcode = DMA_OP_NOP});
}

Test(golden_make, dma)
{
    static const char *const arguments[] = {GOLDEN_DMA, NULL};
    struct client client;

    start(&client, arguments);
    keep(&client, "dma");
}

Test(golden_make, dma_contents)
{
    static const char *const arguments[] = {GOLDEN_DMA_WINDOW, NULL};
    struct client client;
    struct client_queue queue;

    start(&client, arguments);
    client_trigger(&client, MSIX, 1);
    client_queue_start(&queue, &client, 1, GOLDEN_ENTRIES, 1);
    run_nops(&queue, GOLDEN_COMPLETED - 1);
    store(&queue, GOLDEN_STORE_AT, 0);
    client_write32(&client, DMA_BAR_WINDOW, GOLDEN_WINDOW_AT, GOLDEN_WINDOW_VALUE);
    client_write32(&client, 0, DMA_REG_SCRATCH, GOLDEN_SCRATCH);
    keep(&client, "dma-contents");
}

/* Vector 0 has no trigger, and its interrupt is pending; that of vector 1 was delivered, and another is to follow. */
Test(golden_make, dma_interrupt)
{
    static const char *const arguments[] = {GOLDEN_DMA, NULL};
    struct client client;
    struct client_queue queue[2];
    int fd;

    start(&client, arguments);
    fd = client_trigger(&client, MSIX, 1);
    for (unsigned int i = 0; i < 2; i++) {
        client_queue_start(&queue[i], &client, i, GOLDEN_ENTRIES, i);
        run_nops(&queue[i], GOLDEN_COMPLETED);
    }
    cr_assert_eq(client_event_count(fd, CLIENT_TIMEOUT_MS), 1);
    client_read32(&client, 0, DMA_REG_STATUS);
    keep(&client, "dma-interrupt");
}

/* Every latency that is long enough for the machine serves: what is left of it is waited for by each who loads. */
Test(golden_make, dma_in_flight)
{
    static const char *const arguments[] = {GOLDEN_DMA, "--latency", "200ms", NULL};
    struct client client;
    struct client_queue queue;

    start(&client, arguments);
    client_queue_start(&queue, &client, 0, GOLDEN_ENTRIES, 0);
    run_nops(&queue, GOLDEN_COMPLETED - 1);
    store(&queue, GOLDEN_STORE_AT, 0);
    client_submit(&queue, (struct dma_descriptor){
                              .opcode = DMA_OP_LOAD, .length = GOLDEN_STORE_SIZE, .operand = GOLDEN_STORE_AT});
    client_submit(&queue, (struct dma_descriptor){.opcode = DMA_OP_FILL, .length = 8, .operand = GOLDEN_SCRATCH});
    client_ring(&queue);
    cr_assert_eq(client_set_state(&client, VFIO_DEVICE_STATE_STOP), 0);
    cr_assert_eq(client_queue_shared(&queue)->completed, GOLDEN_COMPLETED, "too slow: nothing is in flight");
    keep(&client, "dma-in-flight");
}

static void read_all(struct client *client, struct client_state *state)
{
    size_t count;

    while (!client_data_read(client, state->data + state->size, 4096, &count))
        state->size += count;
}

/* By PRE_COPY: pages that were written before, cleared by a reset, and written again. */
Test(golden_make, dma_pre_copy)
{
    static const char *const arguments[] = {GOLDEN_DMA_PRE_COPY, NULL};
    struct client_state head = {calloc(1, 1u << 20), 0}, tail;
    struct client client;
    struct client_queue queue;
    const char *directory = getenv("GOLDEN_DIRECTORY");
    char path[4096];
    FILE *file;

    start(&client, arguments);
    client_queue_start(&queue, &client, 0, GOLDEN_ENTRIES, 0);
    store(&queue, 0, 1);
    store(&queue, GOLDEN_STORE_AT, 2);
    cr_assert_eq(client_set_state(&client, VFIO_DEVICE_STATE_PRE_COPY), 0);
    read_all(&client, &head);
    client_write32(&client, 0, DMA_REG_CONTROL, DMA_CONTROL_RESET);
    client_queue_start(&queue, &client, 0, GOLDEN_ENTRIES, 0);
    run_nops(&queue, GOLDEN_COMPLETED - 2);
    store(&queue, GOLDEN_STORE_AT, 3);
    read_all(&client, &head);
    store(&queue, GOLDEN_STORE_AT, 0);
    client_write32(&client, 0, DMA_REG_SCRATCH, GOLDEN_SCRATCH);
    cr_assert_eq(client_set_state(&client, VFIO_DEVICE_STATE_STOP_COPY), 0);
    tail = client_save(&client, 1u << 20);
    snprintf(path, sizeof(path), "%s/dma-pre-copy.state", directory ? directory : ".");
    file = fopen(path, "wx");
    cr_assert_not_null(file, "%s: %m", path);
    cr_assert_eq(fwrite(head.data, 1, head.size, file), head.size);
    cr_assert_eq(fwrite(tail.data, 1, tail.size, file), tail.size);
    cr_assert_eq(fclose(file), 0);
    free(head.data);
    free(tail.data);
    client_stop(&client);
}

static void put(struct client *client, unsigned int port, uint64_t offset, uint8_t value)
{
    cr_assert_eq(client_region_write(client, port, offset, &value, 1), 0);
}

/* A level that is asserted: bytes are there in the first port. With bit 10 of the command register the pin is masked. */
static void make_uart(const char *name, uint16_t command)
{
    static const char *const arguments[] = {GOLDEN_UART, NULL};
    struct client client;
    int fd;

    client_start(&client, arguments);
    client_negotiate(&client);
    cr_assert_eq(client_region_write(&client, VFIO_PCI_CONFIG_REGION_INDEX, 4, &command, sizeof(command)), 0);
    fd = client_trigger(&client, VFIO_PCI_INTX_IRQ_INDEX, 0);
    put(&client, 0, UART_REG_FCR, UART_FCR_ENABLE);
    put(&client, 0, UART_REG_IER, UART_IER_RECEIVED);
    for (size_t i = 0; i < GOLDEN_UART_BYTES; i++)
        put(&client, 0, UART_REG_TX, golden_byte(i));
    put(&client, 1, UART_REG_LCR, UART_LCR_DLAB);
    put(&client, 1, UART_REG_DLL, GOLDEN_UART_DIVISOR);
    put(&client, 1, UART_REG_LCR, UART_LCR_8_BITS);
    put(&client, 1, UART_REG_SCR, GOLDEN_UART_SCRATCH);
    cr_assert_eq(client_event_count(fd, 0), command & 0x400 ? 0 : 1);
    close(fd);
    keep(&client, name);
}

Test(golden_make, uart)
{
    make_uart("uart", 0x3);
    make_uart("uart-masked", 0x403);
}

static void put_tally(struct client *client, uint64_t offset, uint64_t value)
{
    cr_assert_eq(client_region_write(client, 0, offset, &value, sizeof(value)), 0);
}

Test(golden_make, tally)
{
    static const char *const arguments[] = {GOLDEN_TALLY, NULL};
    struct client client;

    client_start(&client, arguments);
    client_negotiate(&client);
    client_bus_master(&client, true);
    put_tally(&client, TALLY_REG_TABLE, GOLDEN_TALLY_ADDRESS);
    put_tally(&client, TALLY_REG_TABLE + 8, GOLDEN_TALLY_DATA);
    put_tally(&client, TALLY_REG_THRESHOLD, GOLDEN_TALLY_THRESHOLD);
    put_tally(&client, TALLY_REG_ADD, GOLDEN_TALLY_SUM - 5);
    put_tally(&client, TALLY_REG_ADD, 5);
    keep(&client, "tally");
}
