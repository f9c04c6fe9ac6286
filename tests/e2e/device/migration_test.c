/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Migration of the dma device: states, the stream, and the work that goes on in another process. */
#include "config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client.h"

#define MSIX VFIO_PCI_MSIX_IRQ_INDEX
#define STOP VFIO_DEVICE_STATE_STOP
#define RUNNING VFIO_DEVICE_STATE_RUNNING
#define STOP_COPY VFIO_DEVICE_STATE_STOP_COPY
#define RESUMING VFIO_DEVICE_STATE_RESUMING
#define RUNNING_P2P VFIO_DEVICE_STATE_RUNNING_P2P
#define PRE_COPY VFIO_DEVICE_STATE_PRE_COPY

static const char *const plain[] = {"--memory", "1M", NULL};
static const char *const slow[] = {"--memory", "1M", "--latency", "200ms", NULL};
static const char *const slower[] = {"--memory", "1M", "--latency", "2s", NULL};
static const char *const slowest[] = {"--memory", "1M", "--latency", "10s", NULL};

static void start(struct client *client, const char *const *arguments)
{
    client_start(client, arguments);
    client_negotiate(client);
    client_map(client, false);
    client_bus_master(client, true);
}

/* A second device that has the first one's guest memory: as the destination with shared RAM. */
static void start_destination(struct client *client, const char *const *arguments, const struct client *source)
{
    client_start(client, arguments);
    client_negotiate(client);
    client->memory_fd = dup(source->memory_fd);
    client->memory = mmap(NULL, CLIENT_MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, client->memory_fd, 0);
    cr_assert_neq(client->memory, MAP_FAILED);
    cr_assert_eq(client_dma_map(client, CLIENT_MEMORY_IOVA, CLIENT_MEMORY_SIZE, 3, client->memory_fd, 0), 0);
}

Test(migration, flags_and_first_state)
{
    struct client client;

    start(&client, plain);
    cr_expect_eq(client_migration_flags(&client), VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P);
    cr_expect_eq(client_get_state(&client), RUNNING);
    client_stop(&client);
}

Test(migration, without_the_capability_there_is_no_p2p)
{
    struct client client;
    uint64_t size;

    client_start(&client, plain);
    client_negotiate_plain(&client);
    cr_expect_eq(client_migration_flags(&client), VFIO_MIGRATION_STOP_COPY);
    cr_expect_eq(client_set_state(&client, RUNNING_P2P), EINVAL);
    cr_expect_eq(client_feature(&client, VFIO_DEVICE_FEATURE_MIG_DATA_SIZE | VFIO_DEVICE_FEATURE_GET, &size, 0, 8),
                 ENOTTY);
    cr_expect_eq(client_set_state(&client, STOP_COPY), 0);
    client_stop(&client);
}

Test(migration, a_device_without_migration_says_so)
{
    static const char *const arguments[] = {"--features", "none", NULL};
    struct client client;
    uint64_t flags;

    start(&client, arguments);
    cr_expect_eq(client_feature(&client, VFIO_DEVICE_FEATURE_MIGRATION | VFIO_DEVICE_FEATURE_GET, &flags, 0, 8),
                 ENOTTY);
    cr_expect_eq(client_set_state(&client, STOP), ENOTTY);
    client_stop(&client);
}

Test(migration, states_that_are_refused)
{
    static const unsigned int refused[] = {VFIO_DEVICE_STATE_ERROR, PRE_COPY, 7, 8, 9, 0x7fffffff, 0xffffffff};
    struct client client;

    start(&client, plain);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        cr_expect_eq(client_set_state(&client, refused[i]), EINVAL);
        cr_expect_eq(client_get_state(&client), RUNNING);
    }
    cr_expect_eq(client_set_state(&client, STOP_COPY), 0);
    cr_expect_eq(client_set_state(&client, STOP_COPY), 0);
    cr_expect_eq(client_set_state(&client, PRE_COPY), EINVAL);
    cr_expect_eq(client_get_state(&client), STOP_COPY);
    client_stop(&client);
}

Test(migration, reset_leads_to_running_from_every_state)
{
    static const unsigned int states[] = {STOP, RUNNING, STOP_COPY, RESUMING, RUNNING_P2P};
    struct client client;

    start(&client, plain);
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        client_write32(&client, 0, DMA_REG_SCRATCH, 5);
        cr_assert_eq(client_set_state(&client, states[i]), 0);
        cr_assert_eq(client_reset(&client), 0);
        cr_expect_eq(client_get_state(&client), RUNNING);
        cr_expect_eq(client_read32(&client, 0, DMA_REG_SCRATCH), 0);
    }
    client_stop(&client);
}

Test(migration, function_level_reset_resets_all)
{
    const uint16_t reset = 0x8000;
    struct client client;
    uint16_t command;
    uint8_t at, id;

    start(&client, plain);
    client_write32(&client, 0, DMA_REG_SCRATCH, 5);
    cr_assert_eq(client_set_state(&client, RUNNING_P2P), 0);
    cr_assert_eq(client_region_read(&client, VFIO_PCI_CONFIG_REGION_INDEX, 0x34, &at, 1), 0);
    cr_assert_eq(client_region_read(&client, VFIO_PCI_CONFIG_REGION_INDEX, at, &id, 1), 0);
    cr_assert_eq(id, 0x10);
    cr_assert_eq(client_region_write(&client, VFIO_PCI_CONFIG_REGION_INDEX, at + 8u, &reset, sizeof(reset)), 0);
    cr_expect_eq(client_get_state(&client), RUNNING);
    cr_expect_eq(client_read32(&client, 0, DMA_REG_SCRATCH), 0);
    cr_assert_eq(client_region_read(&client, VFIO_PCI_CONFIG_REGION_INDEX, 4, &command, sizeof(command)), 0);
    cr_expect_eq(command, 0);
    client_stop(&client);
}

/* The same internal state, whatever the pieces it is read in, and nothing moves in STOP. */
Test(migration, the_stream_is_the_same_however_it_is_read)
{
    static const uint32_t pieces[] = {1u << 20, 4096, 1021, 7};
    struct client client;
    struct client_queue queue;
    struct client_state first = {.size = 0};
    uint64_t size = 0;

    start(&client, slow);
    client_queue_start(&queue, &client, 0, 8, 0);
    memset(client_source(&queue, 0), 0x77, 4096);
    client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_STORE, .length = 4096, .operand = 12345});
    client_submit(&queue, (struct dma_descriptor){.opcode = DMA_OP_NOP});
    client_ring(&queue);
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        struct client_state state;

        cr_assert_eq(client_set_state(&client, STOP), 0);
        cr_assert_eq(client_feature(&client, VFIO_DEVICE_FEATURE_MIG_DATA_SIZE | VFIO_DEVICE_FEATURE_GET, &size, 0, 8),
                     0);
        cr_assert_eq(client_set_state(&client, STOP_COPY), 0);
        state = client_save(&client, pieces[i]);
        cr_expect_eq(state.size, size, "MIG_DATA_SIZE said %llu, it was %zu", (unsigned long long)size, state.size);
        if (!i) {
            first = state;
            continue;
        }
        cr_assert_eq(state.size, first.size);
        cr_expect_arr_eq(state.data, first.data, first.size);
        free(state.data);
    }
    free(first.data);
    client_stop(&client);
}

/*
 * Operations in flight at the stop, one unacknowledged interrupt, internal memory and window: all go on elsewhere.
 * False where the machine was so slow that nothing was in flight at the stop.
 */
static bool try_migrate_at_work(const char *const *arguments, uint32_t read_piece, uint32_t write_piece)
{
    struct client source, destination;
    struct client_queue queue;
    struct client_state state;
    struct dma_completion completion;
    int fd;

    start(&source, arguments);
    fd = client_trigger(&source, MSIX, 1);
    client_queue_start(&queue, &source, 0, 8, 1);
    memset(client_source(&queue, 0), 0x5c, 4096);
    client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_STORE, .length = 4096, .operand = 65536 - 100});
    cr_assert_eq(client_event_count(fd, CLIENT_TIMEOUT_MS), 1);
    client_write32(&source, DMA_BAR_WINDOW, 0x8010, 0xabcdef01);
    client_write32(&source, 0, DMA_REG_SCRATCH, 0x1234);
    client_submit(&queue, (struct dma_descriptor){.opcode = DMA_OP_LOAD, .length = 4096, .operand = 65536 - 100});
    client_submit(&queue, (struct dma_descriptor){.opcode = DMA_OP_NOP});
    client_ring(&queue);
    cr_assert_eq(client_set_state(&source, STOP_COPY), 0);
    if (client_queue_shared(&queue)->completed != 1) {
        client_stop(&source);
        close(fd);
        return false;
    }
    state = client_save(&source, read_piece);
    /* A doorbell that nobody hears: the tail alone says it. */
    client_submit(&queue, (struct dma_descriptor){.opcode = DMA_OP_NOP});

    start_destination(&destination, arguments, &source);
    close(fd);
    fd = client_trigger(&destination, MSIX, 1);
    cr_assert_eq(client_load(&destination, &state, write_piece), 0);
    client_stop(&source);
    cr_expect_eq(client_get_state(&destination), STOP);
    cr_assert_eq(client_set_state(&destination, RUNNING), 0);
    queue.client = &destination;
    completion = client_complete(&queue);
    cr_expect_eq(completion.opcode, DMA_OP_LOAD);
    for (size_t i = 0; i < 4096; i++)
        cr_assert_eq(client_destination(&queue, 1)[i], 0x5c);
    client_complete(&queue);
    client_complete(&queue);
    cr_expect_eq(client_read32(&destination, DMA_BAR_WINDOW, 0x8010), 0xabcdef01);
    cr_expect_eq(client_read32(&destination, 0, DMA_REG_SCRATCH), 0x1234);
    cr_expect_eq(client_event_count(fd, 0), 0, "an interrupt that was delivered came again");
    client_write32(&destination, 0, DMA_PAGE_ACKNOWLEDGE + 4, 1);
    cr_expect_eq(client_read32(&destination, 0, DMA_REG_ACKNOWLEDGE_ERRORS), 0);
    cr_expect_eq(client_event_count(fd, CLIENT_TIMEOUT_MS), 1);
    cr_expect_eq(client_queue_shared(&queue)->interrupt_sequence, 2);
    free(state.data);
    client_stop(&destination);
    return true;
}

static void migrate_at_work(uint32_t read_piece, uint32_t write_piece)
{
    cr_assert(try_migrate_at_work(slow, read_piece, write_piece) ||
                  try_migrate_at_work(slower, read_piece, write_piece) ||
                  try_migrate_at_work(slowest, read_piece, write_piece),
              "no operation was ever in flight at the stop");
}

Test(migration, work_goes_on_in_another_process)
{
    migrate_at_work(1u << 20, 1u << 20);
}

Test(migration, work_goes_on_whatever_the_pieces)
{
    migrate_at_work(1000, 13);
}

Test(migration, nothing_moves_while_stopped)
{
    static const unsigned int states[] = {RUNNING_P2P, STOP, STOP_COPY};
    struct client client;
    struct client_queue queue;
    int fd;

    start(&client, plain);
    fd = client_trigger(&client, MSIX, 0);
    client_queue_start(&queue, &client, 0, 8, 0);
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        uint64_t completed;

        cr_assert_eq(client_set_state(&client, states[i]), 0);
        completed = client_queue_shared(&queue)->completed;
        client_submit(&queue, (struct dma_descriptor){.opcode = DMA_OP_NOP});
        client_ring(&queue);
        client_read32(&client, 0, DMA_REG_STATUS);
        cr_expect_eq(client_event_count(fd, 5), 0);
        cr_expect_eq(client_queue_shared(&queue)->completed, completed);
        cr_assert_eq(client_set_state(&client, RUNNING), 0);
        client_complete(&queue);
        cr_expect_eq(client_event_count(fd, CLIENT_TIMEOUT_MS), 1);
        client_write32(&client, 0, DMA_PAGE_ACKNOWLEDGE, (uint32_t)i + 1);
    }
    client_stop(&client);
}

/* The interrupt was raised on the source and nobody was told: it comes on the destination. */
Test(migration, an_undelivered_interrupt_is_delivered_there)
{
    struct client source, destination;
    struct client_queue queue;
    struct client_state state;
    int fd;

    start(&source, plain);
    client_queue_start(&queue, &source, 0, 8, 0);
    client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_NOP});
    cr_assert_eq(client_set_state(&source, STOP_COPY), 0);
    state = client_save(&source, 1u << 20);
    start_destination(&destination, plain, &source);
    cr_assert_eq(client_load(&destination, &state, 4096), 0);
    fd = client_trigger(&destination, MSIX, 0);
    cr_expect_eq(client_event_count(fd, 0), 0, "an interrupt in STOP");
    cr_assert_eq(client_set_state(&destination, RUNNING), 0);
    cr_expect_eq(client_event_count(fd, CLIENT_TIMEOUT_MS), 1);
    free(state.data);
    client_stop(&source);
    client_stop(&destination);
}

/* There and back again, several times in the same process. */
Test(migration, the_source_goes_on_after_a_migration_that_was_given_up)
{
    struct client client;
    struct client_queue queue;

    start(&client, plain);
    client_queue_start(&queue, &client, 0, 8, 0);
    for (int i = 0; i < 5; i++) {
        struct client_state state;

        client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_NOP});
        cr_assert_eq(client_set_state(&client, STOP_COPY), 0);
        state = client_save(&client, 4096);
        free(state.data);
        cr_assert_eq(client_set_state(&client, RUNNING), 0);
    }
    client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_NOP});
    client_stop(&client);
}

static struct client_state small_state(const char *const *arguments)
{
    struct client client;
    struct client_state state;

    start(&client, arguments);
    cr_assert_eq(client_set_state(&client, STOP_COPY), 0);
    state = client_save(&client, 1u << 20);
    client_stop(&client);
    return state;
}

static void expect_refused(const char *const *arguments, const struct client_state *state)
{
    struct client client;

    start(&client, arguments);
    cr_expect_eq(client_load(&client, state, 4096), EINVAL);
    cr_expect_eq(client_get_state(&client), RESUMING);
    cr_expect_neq(client_set_state(&client, STOP), 0);
    cr_expect_neq(client_set_state(&client, RUNNING), 0);
    cr_assert_eq(client_reset(&client), 0);
    cr_expect_eq(client_get_state(&client), RUNNING);
    cr_expect_eq(client_read32(&client, 0, DMA_REG_SCRATCH), 0);
    client_stop(&client);
}

Test(migration, another_kind_of_device_is_refused_at_the_first_write)
{
    static const char *const others[][7] = {
        {"--memory", "2M", NULL},
        {"--memory", "1M", "--queues", "3", NULL},
        {"--memory", "1M", "--vectors", "3", NULL},
        {"--memory", "1M", "--window", "0", NULL},
        {"--memory", "1M", "--features", "stop-copy", NULL},
    };
    struct client_state state = small_state(plain);

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct client client;

        start(&client, others[i]);
        cr_assert_eq(client_set_state(&client, RESUMING), 0);
        cr_expect_eq(client_data_write(&client, state.data, 128), EINVAL, "case %zu", i);
        client_stop(&client);
    }
    free(state.data);
}

Test(migration, bad_streams_are_refused_and_reset_recovers)
{
    struct client_state state = small_state(plain);
    struct client_state cut = {state.data, state.size - 1};
    struct client_state empty = {state.data, 0};
    struct client_state longer = {malloc(state.size + 1), state.size + 1};
    struct client_state twice = {malloc(state.size * 2), state.size * 2};

    memcpy(longer.data, state.data, state.size);
    longer.data[state.size] = 0;
    memcpy(twice.data, state.data, state.size);
    memcpy(twice.data + state.size, state.data, state.size);
    expect_refused(plain, &cut);
    expect_refused(plain, &empty);
    expect_refused(plain, &longer);
    expect_refused(plain, &twice);
    state.data[state.size / 2] ^= 0x10;
    expect_refused(plain, &state);
    free(state.data);
    free(longer.data);
    free(twice.data);
}

Test(migration, data_goes_only_where_there_is_a_session)
{
    struct client client;
    uint8_t data[64] = {0};
    size_t count;

    start(&client, plain);
    cr_expect_eq(client_data_read(&client, data, 64, &count), EINVAL);
    cr_expect_eq(client_data_write(&client, data, 64), EINVAL);
    cr_assert_eq(client_set_state(&client, STOP_COPY), 0);
    cr_expect_eq(client_data_write(&client, data, 64), EINVAL);
    cr_expect_eq(client_data_read(&client, data, 64, &count), 0);
    cr_assert_eq(client_set_state(&client, RESUMING), 0);
    cr_expect_eq(client_data_read(&client, data, 64, &count), EINVAL);
    client_stop(&client);
}

/* Nothing that is memory-sized is held: 2 GiB of internal memory of which one page in 64 MiB is used. */
Test(migration, a_large_sparse_state_is_small)
{
    static const char *const arguments[] = {"--memory", "2G", NULL};
    struct client source, destination;
    struct client_queue queue;
    struct client_state state;

    start(&source, arguments);
    client_queue_start(&queue, &source, 0, 8, 0);
    memset(client_source(&queue, 0), 0x11, 4096);
    for (uint64_t at = 0; at < 2ull << 30; at += 64u << 20)
        client_run(&queue,
                   (struct dma_descriptor){
                       .opcode = DMA_OP_STORE, .length = 4096, .operand = at, .source = client_source_iova(&queue, 0)});
    cr_assert_eq(client_set_state(&source, STOP_COPY), 0);
    state = client_save(&source, 1u << 20);
    cr_expect_lt(state.size, 200000);
    start_destination(&destination, arguments, &source);
    cr_assert_eq(client_load(&destination, &state, 1u << 20), 0);
    cr_assert_eq(client_set_state(&destination, RUNNING), 0);
    queue.client = &destination;
    memset(client_destination(&queue, queue.submitted), 0, 4096);
    client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_LOAD, .length = 4096, .operand = 31ull * (64u << 20)});
    cr_expect_arr_eq(client_destination(&queue, queue.submitted - 1), client_source(&queue, 0), 4096);
    free(state.data);
    client_stop(&source);
    client_stop(&destination);
}
