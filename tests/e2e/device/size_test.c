/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How large the state is: what MIG_DATA_SIZE says of it, none at all, and more than the server may hold. */
#include "config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

#define PAGE 4096u
#define MEBIBYTE (1u << 20)
/* What the server may hold of a stream. */
#define BUFFERS_MAX (32ull << 20)
/* MIG_DATA_SIZE while the device could still change: how far off it may be. */
#define CLOSE (4u * PAGE)

static const char *const pre_copy[] = {"--memory", "1M", "--features", "stop-copy+p2p+pre-copy", NULL};

static void start(struct client *client, const char *const *arguments)
{
    client_start(client, arguments);
    client_negotiate(client);
    client_map(client, false);
    client_bus_master(client, true);
}

static uint64_t data_size(struct client *client)
{
    uint64_t size = 0;

    cr_assert_eq(client_feature(client, VFIO_DEVICE_FEATURE_MIG_DATA_SIZE | VFIO_DEVICE_FEATURE_GET, &size, 0, 8), 0);
    return size;
}

static void expect_close(uint64_t said, uint64_t was, const char *where)
{
    cr_expect(said <= was + CLOSE && was <= said + CLOSE, "%s: %llu were said, %llu came", where,
              (unsigned long long)said, (unsigned long long)was);
}

static uint64_t read_to_end(struct client *client)
{
    struct client_state state = client_save(client, 1000);

    free(state.data);
    return state.size;
}

/* The rest of what there is for the time being. */
static uint64_t read_until_no_more(struct client *client)
{
    uint8_t data[PAGE];
    uint64_t size = 0;
    size_t count;
    int failed;

    while (!(failed = client_data_read(client, data, sizeof(data), &count)))
        size += count;
    cr_assert_eq(failed, ENOMSG);
    return size;
}

static void store(struct client_queue *queue, uint64_t at, uint32_t length)
{
    struct dma_descriptor descriptor = {
        .opcode = DMA_OP_STORE, .length = length, .operand = at, .source = CLIENT_MEMORY_IOVA + 2 * MEBIBYTE};

    cr_assert_eq(client_run(queue, descriptor).status, DMA_STATUS_OK);
}

/* A device with three runs of pages in its memory and one in its window. */
static void start_filled(struct client *client, struct client_queue *queue)
{
    start(client, pre_copy);
    client_queue_start(queue, client, 0, 8, 0);
    memset(client->memory + 2 * MEBIBYTE, 0x3c, MEBIBYTE);
    store(queue, 0, 10 * PAGE);
    store(queue, 20 * PAGE, 3 * PAGE);
    store(queue, MEBIBYTE - 8, 8);
    client_write32(client, DMA_BAR_WINDOW, 8192, 1);
    client_read32(client, 0, DMA_REG_STATUS);
}

Test(size, is_said_in_the_states_without_a_session)
{
    static const unsigned int states[] = {VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_RUNNING_P2P,
                                          VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_STOP_COPY};
    struct client client;
    struct client_queue queue;

    start_filled(&client, &queue);
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        uint64_t said, was;

        cr_assert_eq(client_set_state(&client, states[i]), 0);
        said = data_size(&client);
        cr_assert_eq(client_set_state(&client, VFIO_DEVICE_STATE_STOP_COPY), 0);
        was = read_to_end(&client);
        cr_expect_gt(was, 15 * PAGE);
        expect_close(said, was, "by the state");
        if (states[i] == VFIO_DEVICE_STATE_STOP || states[i] == VFIO_DEVICE_STATE_STOP_COPY)
            cr_expect_eq(said, was, "nothing moves in state %u", states[i]);
        cr_expect_eq(data_size(&client), 0, "all was read");
        cr_assert_eq(client_set_state(&client, VFIO_DEVICE_STATE_RUNNING), 0);
    }
    client_stop(&client);
}

/* Of a session it is what is left to read of it. */
Test(size, is_what_is_left_of_a_session)
{
    struct client client;
    struct client_queue queue;
    uint8_t data[5000];
    uint64_t said[5], came[5], total = 0;
    size_t count;

    start_filled(&client, &queue);
    cr_assert_eq(client_set_state(&client, VFIO_DEVICE_STATE_PRE_COPY), 0);
    said[0] = data_size(&client);
    cr_assert_eq(client_data_read(&client, data, sizeof(data), &count), 0);
    came[0] = count;
    said[1] = data_size(&client);
    came[1] = read_until_no_more(&client);
    said[2] = data_size(&client);
    came[2] = 0;
    cr_assert_eq(client_set_state(&client, VFIO_DEVICE_STATE_PRE_COPY_P2P), 0);
    said[3] = data_size(&client);
    cr_assert_eq(client_set_state(&client, VFIO_DEVICE_STATE_STOP_COPY), 0);
    cr_assert_eq(client_data_read(&client, data, 100, &count), 0);
    came[3] = count;
    said[4] = data_size(&client);
    came[4] = read_to_end(&client);
    for (int i = 4; i >= 0; i--) {
        total += came[i];
        expect_close(said[i], total, "at one of five places");
    }
    cr_expect_eq(said[4], came[4], "nothing moves in STOP_COPY");
    cr_expect_gt(said[0], said[2] + 13 * PAGE);
    client_stop(&client);
}

/* What is written in PRE_COPY after it was read is to come again. */
Test(size, grows_by_what_is_written)
{
    struct client client;
    struct client_queue queue;
    uint64_t before, said;

    start_filled(&client, &queue);
    cr_assert_eq(client_set_state(&client, VFIO_DEVICE_STATE_PRE_COPY), 0);
    read_until_no_more(&client);
    before = data_size(&client);
    store(&queue, 0, 10 * PAGE);
    store(&queue, 100 * PAGE, 7 * PAGE);
    said = data_size(&client);
    expect_close(said, before + 17 * PAGE, "17 pages were written");
    cr_assert_eq(client_set_state(&client, VFIO_DEVICE_STATE_STOP_COPY), 0);
    expect_close(said, read_to_end(&client), "in PRE_COPY");
    client_stop(&client);
}

/* The destination: once all of it came, it is the state's that it would save. */
Test(size, is_said_in_resuming)
{
    struct client client;
    struct client_queue queue;
    struct client_state state;
    uint64_t said;

    start_filled(&client, &queue);
    cr_assert_eq(client_set_state(&client, VFIO_DEVICE_STATE_STOP_COPY), 0);
    state = client_save(&client, MEBIBYTE);
    client_stop(&client);
    start(&client, pre_copy);
    cr_assert_eq(client_set_state(&client, VFIO_DEVICE_STATE_RESUMING), 0);
    cr_assert_eq(client_data_write(&client, state.data, (uint32_t)state.size), 0);
    said = data_size(&client);
    cr_assert_eq(client_set_state(&client, VFIO_DEVICE_STATE_STOP_COPY), 0);
    expect_close(said, state.size, "in RESUMING");
    cr_expect_eq(read_to_end(&client), state.size);
    free(state.data);
    client_stop(&client);
}

Test(size, of_no_memory_at_all)
{
    static const char *const arguments[] = {"--memory", "0", "--window", "0", "--features", "stop-copy+p2p+pre-copy",
                                            NULL};
    struct client source, destination;
    struct client_queue queue;
    struct client_state state;
    struct vfio_precopy_info info;
    int fd;

    start(&source, arguments);
    cr_expect_eq(client_read32(&source, 0, DMA_REG_MEMORY_SIZE_LOW), 0);
    client_queue_start(&queue, &source, 0, 8, 0);
    cr_expect_eq(client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_STORE, .length = 8}).status,
                 DMA_STATUS_BAD_RANGE);
    cr_expect_eq(client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_LOAD, .length = 8}).status,
                 DMA_STATUS_BAD_RANGE);
    client_write32(&source, 0, DMA_REG_SCRATCH, 77);
    cr_assert_eq(client_set_state(&source, VFIO_DEVICE_STATE_PRE_COPY), 0);
    cr_assert_eq(client_precopy_info(&source, &info), 0);
    cr_expect_eq(info.dirty_bytes, 0);
    cr_expect_eq(read_until_no_more(&source), info.initial_bytes);
    cr_assert_eq(client_set_state(&source, VFIO_DEVICE_STATE_RUNNING), 0);
    cr_assert_eq(client_set_state(&source, VFIO_DEVICE_STATE_STOP_COPY), 0);
    state = client_save(&source, 4096);
    client_stop(&source);

    start(&destination, arguments);
    fd = client_trigger(&destination, VFIO_PCI_MSIX_IRQ_INDEX, 0);
    client_queue_shared(&(struct client_queue){.client = &destination})->tail = queue.submitted;
    cr_assert_eq(client_load(&destination, &state, 100), 0);
    cr_assert_eq(client_set_state(&destination, VFIO_DEVICE_STATE_RUNNING), 0);
    cr_expect_eq(client_event_count(fd, CLIENT_TIMEOUT_MS), 1);
    cr_expect_eq(client_read32(&destination, 0, DMA_REG_SCRATCH), 77);
    queue.client = &destination;
    client_source(&queue, queue.submitted)[0] = 9;
    cr_expect_eq(client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_COPY, .length = 8}).status, DMA_STATUS_OK);
    cr_expect_eq(client_destination(&queue, queue.submitted - 1)[0], 9);
    free(state.data);
    client_stop(&destination);
}

/*
 * The first bytes come before the rest is looked at: what is written behind them is in the stream once, as it is when
 * the stream gets there, and not again as something that has changed.
 */
Test(size, nothing_is_read_ahead)
{
    struct client client;
    struct client_queue queue;
    struct client_state state;
    struct vfio_precopy_info info;
    uint8_t data[PAGE];
    size_t count;
    bool found = false;

    start_filled(&client, &queue);
    cr_assert_eq(client_set_state(&client, VFIO_DEVICE_STATE_PRE_COPY), 0);
    cr_assert_eq(client_data_read(&client, data, 8, &count), 0);
    cr_assert_eq(count, 8);
    memset(client.memory + 2 * MEBIBYTE, 0xd7, 8);
    store(&queue, MEBIBYTE - 8, 8);
    cr_assert_eq(client_precopy_info(&client, &info), 0);
    cr_expect_eq(info.dirty_bytes, 0);
    state.data = malloc(MEBIBYTE);
    for (state.size = 0; !client_data_read(&client, state.data + state.size, PAGE, &count); state.size += count)
        cr_assert_lt(state.size, MEBIBYTE - 2 * PAGE);
    for (size_t i = 0; i + 8 <= state.size && !found; i++)
        found = !memcmp(state.data + i, "\xd7\xd7\xd7\xd7\xd7\xd7\xd7\xd7", 8);
    cr_expect(found, "it is not what was written last");
    free(state.data);
    client_stop(&client);
}

/* A value of /proc/PID/status, in bytes. */
static uint64_t status_of(const struct client *client, const char *name)
{
    char path[64], line[256];
    unsigned long long kib = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)client->process);
    file = fopen(path, "r");
    cr_assert_not_null(file);
    while (fgets(line, sizeof(line), file))
        if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':')
            cr_assert_eq(sscanf(line + strlen(name) + 1, "%llu", &kib), 1);
    cr_assert_eq(fclose(file), 0);
    cr_assert_gt(kib, 0, "%s", name);
    return kib << 10;
}

#if defined(__SANITIZE_ADDRESS__)
#define KEEPS_WHAT_IS_FREED true
#else
#define KEEPS_WHAT_IS_FREED false
#endif

/* Each byte of 1 GiB from one server to the next, neither of which holds more than its memory and a little. */
Test(size, of_1_gib_takes_few_buffers)
{
    static const char *const arguments[] = {"--memory", "1G", "--window", "0", NULL};
    const uint64_t memory = 1ull << 30;
    struct client source, destination;
    struct client_queue queue;
    uint64_t source_before, destination_before, said, moved = 0;
    uint8_t *data = malloc(MEBIBYTE);
    size_t count;

    if (KEEPS_WHAT_IS_FREED)
        cr_skip_test("the sanitizer keeps what was freed");
    start(&source, arguments);
    start(&destination, arguments);
    client_queue_start(&queue, &source, 0, 8, 0);
    for (uint64_t at = 0; at < memory; at += MEBIBYTE) {
        memset(source.memory + 2 * MEBIBYTE, (int)(at / MEBIBYTE % 255 + 1), MEBIBYTE);
        store(&queue, at, MEBIBYTE);
    }
    source_before = status_of(&source, "VmHWM");
    destination_before = status_of(&destination, "VmHWM");
    cr_assert_gt(source_before, memory);
    cr_assert_eq(client_set_state(&source, VFIO_DEVICE_STATE_STOP_COPY), 0);
    cr_assert_eq(client_set_state(&destination, VFIO_DEVICE_STATE_RESUMING), 0);
    said = data_size(&source);
    do {
        cr_assert_eq(client_data_read(&source, data, MEBIBYTE, &count), 0);
        cr_assert_eq(client_data_write(&destination, data, (uint32_t)count), 0);
        moved += count;
    } while (count == MEBIBYTE);
    cr_expect_eq(moved, said);
    cr_expect_gt(moved, memory);
    cr_assert_eq(client_set_state(&destination, VFIO_DEVICE_STATE_STOP), 0);
    cr_expect_leq(status_of(&source, "VmHWM") - source_before, BUFFERS_MAX);
    cr_expect_leq(status_of(&destination, "VmHWM") - destination_before, memory + BUFFERS_MAX);
    free(data);
    client_stop(&source);
    client_stop(&destination);
}
