/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Streams of the first version, saved once and kept in tests/golden/: each loads, is saved again as the same bytes, and
 * the device does afterwards what was left to do.
 */
#include "config.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "golden.h"
#include "stopcopy/uart_device.h"

#define MSIX VFIO_PCI_MSIX_IRQ_INDEX
#define INTX VFIO_PCI_INTX_IRQ_INDEX
#define RUNNING VFIO_DEVICE_STATE_RUNNING
#define FILE_MAX (64u << 10)

static struct client_state read_file(const char *name)
{
    const char *source = getenv("top_srcdir");
    struct client_state state = {malloc(FILE_MAX), 0};
    char path[4096];
    FILE *file;

    snprintf(path, sizeof(path), "%s/tests/golden/%s.state", source ? source : ".", name);
    file = fopen(path, "r");
    cr_assert_not_null(file, "%s: %m", path);
    state.size = fread(state.data, 1, FILE_MAX, file);
    cr_assert_eq(fclose(file), 0);
    cr_assert_gt(state.size, 0);
    cr_assert_lt(state.size, FILE_MAX);
    return state;
}

static void start(struct client *client, const char *const *arguments)
{
    client_start(client, arguments);
    client_negotiate(client);
    client_map(client, false);
}

/* A device that has the file's state and is in STOP. */
static void load(struct client *client, const char *const *arguments, const char *name)
{
    struct client_state state = read_file(name);

    start(client, arguments);
    cr_assert_eq(client_load(client, &state, 1000), 0, "%s is refused", name);
    free(state.data);
}

static struct client_state save(struct client *client)
{
    cr_assert_eq(client_set_state(client, VFIO_DEVICE_STATE_STOP_COPY), 0);
    return client_save(client, 4096);
}

static void load_and_save_again(struct client *client, const char *const *arguments, const char *name)
{
    struct client_state golden = read_file(name), again;

    load(client, arguments, name);
    again = save(client);
    cr_assert_eq(again.size, golden.size, "%s", name);
    cr_assert_arr_eq(again.data, golden.data, golden.size, "%s", name);
    cr_assert_eq(client_set_state(client, VFIO_DEVICE_STATE_STOP), 0);
    free(golden.data);
    free(again.data);
}

/* The driver of a queue that is at work, with what guest memory had of it at the save. */
static void resume_queue(struct client_queue *queue, struct client *client, unsigned int number,
                         uint64_t interrupt_sequence)
{
    /* Where the structures of a queue lie is part of the files. */
    *queue = (struct client_queue){.client = client,
                                   .number = number,
                                   .entries = GOLDEN_ENTRIES,
                                   .vector = number,
                                   .base = number * 0x80000u,
                                   .submitted = GOLDEN_COMPLETED,
                                   .checked = GOLDEN_COMPLETED};
    client_queue_shared(queue)->tail = GOLDEN_COMPLETED;
    client_queue_shared(queue)->completed = GOLDEN_COMPLETED;
    client_queue_shared(queue)->interrupt_sequence = interrupt_sequence;
}

static void expect_golden_bytes(const uint8_t *data)
{
    for (size_t i = 0; i < GOLDEN_STORE_SIZE; i++)
        cr_assert_eq(data[i], golden_byte(i), "byte %zu", i);
}

static void expect_zero(struct client_queue *queue, uint64_t from, uint64_t to)
{
    static const uint8_t zeros[4096];

    for (uint64_t at = from, count; at < to; at += count) {
        count = to - at < sizeof(zeros) ? to - at : sizeof(zeros);
        memset(client_destination(queue, queue->submitted), 0xee, count);
        client_run(queue, (struct dma_descriptor){.opcode = DMA_OP_LOAD, .length = (uint32_t)count, .operand = at});
        cr_assert_arr_eq(client_destination(queue, queue->submitted - 1), zeros, count, "from %llx",
                         (unsigned long long)at);
    }
}

/* What was stored at GOLDEN_STORE_AT, and nothing else. */
static void expect_memory(struct client_queue *queue)
{
    client_run(queue,
               (struct dma_descriptor){.opcode = DMA_OP_LOAD, .length = GOLDEN_STORE_SIZE, .operand = GOLDEN_STORE_AT});
    expect_golden_bytes(client_destination(queue, queue->submitted - 1));
    expect_zero(queue, 0, GOLDEN_STORE_AT);
    expect_zero(queue, GOLDEN_STORE_AT + GOLDEN_STORE_SIZE, 65536);
}

Test(golden, dma)
{
    static const char *const arguments[] = {GOLDEN_DMA, NULL};
    struct client client;
    struct client_queue queue;

    load_and_save_again(&client, arguments, "dma");
    cr_assert_eq(client_set_state(&client, RUNNING), 0);
    client_queue_start(&queue, &client, 0, GOLDEN_ENTRIES, 0);
    expect_zero(&queue, 0, 65536);
    client_stop(&client);
}

Test(golden, dma_contents)
{
    static const char *const arguments[] = {GOLDEN_DMA_WINDOW, NULL};
    struct client client;
    struct client_queue queue;
    int fd;

    load_and_save_again(&client, arguments, "dma-contents");
    resume_queue(&queue, &client, 1, 1);
    fd = client_trigger(&client, MSIX, 1);
    cr_assert_eq(client_set_state(&client, RUNNING), 0);
    cr_expect_eq(client_read32(&client, 0, DMA_REG_SCRATCH), GOLDEN_SCRATCH);
    cr_expect_eq(client_read32(&client, DMA_BAR_WINDOW, GOLDEN_WINDOW_AT), GOLDEN_WINDOW_VALUE);
    cr_expect_eq(client_read32(&client, DMA_BAR_WINDOW, GOLDEN_WINDOW_AT + 4), 0);
    cr_expect_eq(client_read32(&client, DMA_BAR_WINDOW, GOLDEN_WINDOW_AT - 4096), 0);
    expect_memory(&queue);
    cr_expect_eq(client_event_count(fd, 0), 0, "the interrupt that is outstanding was delivered before the save");
    client_write32(&client, 0, DMA_PAGE_ACKNOWLEDGE + 4, 1);
    cr_expect_eq(client_event_count(fd, CLIENT_TIMEOUT_MS), 1);
    cr_expect_eq(client_read32(&client, 0, DMA_REG_ACKNOWLEDGE_ERRORS), 0);
    close(fd);
    client_stop(&client);
}

Test(golden, dma_interrupt)
{
    static const char *const arguments[] = {GOLDEN_DMA, NULL};
    struct client client;
    struct client_queue queue[2];
    uint8_t pending;
    int fd[2];

    load_and_save_again(&client, arguments, "dma-interrupt");
    for (unsigned int i = 0; i < 2; i++)
        resume_queue(&queue[i], &client, i, 1);
    cr_assert_eq(client_region_read(&client, DMA_BAR_MSIX, DMA_MSIX_PBA_OFFSET, &pending, 1), 0);
    cr_expect_eq(pending, 1);
    for (unsigned int i = 0; i < 2; i++)
        fd[i] = client_trigger(&client, MSIX, i);
    cr_expect_eq(client_event_count(fd[0], 0), 0, "an interrupt in STOP");
    cr_assert_eq(client_set_state(&client, RUNNING), 0);
    cr_expect_eq(client_event_count(fd[0], CLIENT_TIMEOUT_MS), 1, "it was pending");
    cr_expect_eq(client_event_count(fd[1], 0), 0, "it was delivered before");
    for (unsigned int i = 0; i < 2; i++) {
        client_write32(&client, 0, DMA_PAGE_ACKNOWLEDGE + 4 * i, 1);
        cr_expect_eq(client_event_count(fd[i], CLIENT_TIMEOUT_MS), 1, "for what was completed meanwhile");
        cr_expect_eq(client_queue_shared(&queue[i])->interrupt_sequence, 2);
        client_run(&queue[i], (struct dma_descriptor){.opcode = DMA_OP_NOP});
        close(fd[i]);
    }
    cr_expect_eq(client_read32(&client, 0, DMA_REG_ACKNOWLEDGE_ERRORS), 0);
    client_stop(&client);
}

Test(golden, dma_in_flight)
{
    static const char *const arguments[] = {GOLDEN_DMA, NULL};
    struct client client;
    struct client_queue queue;
    struct dma_completion completion;

    load_and_save_again(&client, arguments, "dma-in-flight");
    resume_queue(&queue, &client, 0, 1);
    queue.submitted = client_queue_shared(&queue)->tail = GOLDEN_COMPLETED + 2;
    cr_assert_eq(client_set_state(&client, RUNNING), 0);
    completion = client_complete(&queue);
    cr_expect_eq(completion.opcode, DMA_OP_LOAD);
    cr_expect_eq(completion.status, DMA_STATUS_OK);
    expect_golden_bytes(client_destination(&queue, GOLDEN_COMPLETED));
    completion = client_complete(&queue);
    cr_expect_eq(completion.opcode, DMA_OP_FILL);
    cr_expect_eq(*(const uint64_t *)client_destination(&queue, GOLDEN_COMPLETED + 1), GOLDEN_SCRATCH);
    expect_memory(&queue);
    client_stop(&client);
}

/* Its stream has pages twice and a clear: what is saved again, without PRE_COPY, is shorter, and loads the same. */
Test(golden, dma_pre_copy)
{
    static const char *const arguments[] = {GOLDEN_DMA_PRE_COPY, NULL};
    struct client client;
    struct client_queue queue;
    struct client_state golden = read_file("dma-pre-copy"), again;

    load(&client, arguments, "dma-pre-copy");
    again = save(&client);
    cr_expect_lt(again.size, golden.size);
    client_stop(&client);
    start(&client, arguments);
    cr_assert_eq(client_load(&client, &again, 4096), 0);
    client_stop(&client);

    load(&client, arguments, "dma-pre-copy");
    resume_queue(&queue, &client, 0, 1);
    cr_assert_eq(client_set_state(&client, RUNNING), 0);
    cr_expect_eq(client_read32(&client, 0, DMA_REG_SCRATCH), GOLDEN_SCRATCH);
    expect_memory(&queue);
    free(golden.data);
    free(again.data);
    client_stop(&client);
}

static uint8_t get_byte(struct client *client, unsigned int port, uint64_t offset)
{
    uint8_t value = 0;

    cr_assert_eq(client_region_read(client, port, offset, &value, 1), 0);
    return value;
}

static void expect_ports(struct client *client)
{
    for (size_t i = 0; i < GOLDEN_UART_BYTES; i++) {
        cr_expect_eq(get_byte(client, 0, UART_REG_LSR) & UART_LSR_DATA, UART_LSR_DATA);
        cr_expect_eq(get_byte(client, 0, UART_REG_RX), golden_byte(i));
    }
    cr_expect_eq(get_byte(client, 0, UART_REG_LSR) & UART_LSR_DATA, 0);
    cr_expect_eq(get_byte(client, 0, UART_REG_IER), UART_IER_RECEIVED);
    cr_expect_eq(get_byte(client, 1, UART_REG_LCR), UART_LCR_8_BITS);
    cr_expect_eq(get_byte(client, 1, UART_REG_SCR), GOLDEN_UART_SCRATCH);
}

static void unmask(struct client *client)
{
    cr_assert_eq(
        client_set_irqs(client, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, INTX, 0, 1, NULL, 0, NULL, 0), 0);
}

/* The level is there again where the card runs again, though it was signalled before the save. */
Test(golden, uart)
{
    static const char *const arguments[] = {GOLDEN_UART, NULL};
    struct client client;
    int fd;

    load_and_save_again(&client, arguments, "uart");
    fd = client_trigger(&client, INTX, 0);
    cr_expect_eq(client_event_count(fd, 0), 0, "an interrupt in STOP");
    cr_assert_eq(client_set_state(&client, RUNNING), 0);
    cr_expect_eq(client_event_count(fd, CLIENT_TIMEOUT_MS), 1);
    unmask(&client);
    cr_expect_eq(client_event_count(fd, CLIENT_TIMEOUT_MS), 1, "a level lasts");
    expect_ports(&client);
    unmask(&client);
    cr_expect_eq(client_event_count(fd, 0), 0, "its cause is gone");
    close(fd);
    client_stop(&client);
}

Test(golden, uart_masked)
{
    static const char *const arguments[] = {GOLDEN_UART, NULL};
    const uint16_t unmasked = 0x3;
    uint16_t command = 0;
    struct client client;
    int fd;

    load_and_save_again(&client, arguments, "uart-masked");
    fd = client_trigger(&client, INTX, 0);
    cr_assert_eq(client_set_state(&client, RUNNING), 0);
    cr_assert_eq(client_region_read(&client, VFIO_PCI_CONFIG_REGION_INDEX, 4, &command, sizeof(command)), 0);
    cr_expect_eq(command, 0x403);
    cr_expect_eq(client_event_count(fd, 0), 0, "the pin is masked");
    cr_assert_eq(client_region_write(&client, VFIO_PCI_CONFIG_REGION_INDEX, 4, &unmasked, sizeof(unmasked)), 0);
    cr_expect_eq(client_event_count(fd, CLIENT_TIMEOUT_MS), 1);
    expect_ports(&client);
    close(fd);
    client_stop(&client);
}

static uint64_t get_tally(struct client *client, uint64_t offset)
{
    uint64_t value = 0;

    cr_assert_eq(client_region_read(client, TALLY_BAR, offset, &value, sizeof(value)), 0);
    return value;
}

Test(golden, tally)
{
    static const char *const arguments[] = {GOLDEN_TALLY, NULL};
    const uint64_t one = 1;
    struct client client;
    int fd;

    load_and_save_again(&client, arguments, "tally");
    fd = client_trigger(&client, MSIX, 0);
    cr_expect_eq(client_event_count(fd, 0), 0, "an interrupt in STOP");
    cr_expect_eq(get_tally(&client, TALLY_REG_TABLE), GOLDEN_TALLY_ADDRESS);
    cr_expect_eq(get_tally(&client, TALLY_REG_TABLE + 8), GOLDEN_TALLY_DATA);
    cr_assert_eq(client_set_state(&client, RUNNING), 0);
    cr_expect_eq(client_event_count(fd, CLIENT_TIMEOUT_MS), 1);
    cr_assert_eq(client_region_write(&client, TALLY_BAR, TALLY_REG_ADD, &one, sizeof(one)), 0);
    cr_expect_eq(get_tally(&client, TALLY_REG_TALLY), GOLDEN_TALLY_SUM + 1);
    cr_expect_eq(get_tally(&client, TALLY_REG_THRESHOLD), GOLDEN_TALLY_THRESHOLD);
    cr_expect_eq(get_tally(&client, TALLY_REG_COUNT), 3);
    cr_expect_eq(client_event_count(fd, 0), 0, "the threshold was reached before");
    close(fd);
    client_stop(&client);
}
