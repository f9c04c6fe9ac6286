/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MSI-X as far as it goes: 2048 vectors. */
#include "config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "client.h"

#define MSIX VFIO_PCI_MSIX_IRQ_INDEX
#define VECTORS DMA_VECTORS_MAX
#define QUEUES 4u
/* As little as the server may find: fewer than it needs descriptors for. */
#define SOFT_LIMIT 256u

static const char *const arguments[] = {"--vectors", "2048", "--queues", "4", "--memory", "64K", NULL};
/* The last, one that differs from it in the lowest bit alone, and two whose low bytes are the same. */
static const uint32_t chosen[QUEUES] = {VECTORS - 1, VECTORS - 2, 1024, 256};

static void start(struct client *client)
{
    client_start(client, arguments);
    client_negotiate(client);
    client_map(client, false);
    client_bus_master(client, true);
}

static int set(struct client *client, uint32_t action, uint32_t first, uint32_t count)
{
    return client_set_irqs(client, VFIO_IRQ_SET_DATA_NONE | action, MSIX, first, count, NULL, 0, NULL, 0);
}

static bool is_pending(struct client *client, uint32_t vector)
{
    uint8_t bits = 0;

    cr_assert_eq(client_region_read(client, DMA_BAR_MSIX, DMA_MSIX_PBA_OFFSET + vector / 8, &bits, 1), 0);
    return bits >> vector % 8 & 1;
}

static unsigned int count_pending(struct client *client)
{
    uint64_t bits[VECTORS / 64];
    unsigned int count = 0;

    for (size_t i = 0; i < VECTORS / 64; i++) {
        cr_assert_eq(client_region_read(client, DMA_BAR_MSIX, DMA_MSIX_PBA_OFFSET + 8 * i, &bits[i], 8), 0);
        count += (unsigned int)__builtin_popcountll(bits[i]);
    }
    return count;
}

/* All at once, though the server is started with the small limit of descriptors that systems set. */
Test(vectors, each_of_2048_has_a_trigger)
{
    const uint32_t event = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
    struct vfio_irq_info info = {.argsz = sizeof(info), .index = MSIX};
    struct client_reply reply;
    struct client client;
    struct rlimit limit;
    int fds[CLIENT_FDS];

    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < VECTORS + SOFT_LIMIT)
        cr_skip_test("the hard limit of descriptors is %llu", (unsigned long long)limit.rlim_max);
    limit.rlim_cur = SOFT_LIMIT;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    start(&client);
    cr_assert_eq(client_call(&client, VFIO_USER_DEVICE_GET_IRQ_INFO, &info, sizeof(info), NULL, 0, &reply), 0);
    memcpy(&info, reply.data, sizeof(info));
    client_reply_free(&reply);
    cr_expect_eq(info.count, VECTORS);
    fds[0] = eventfd(0, EFD_CLOEXEC);
    for (size_t i = 1; i < CLIENT_FDS; i++)
        fds[i] = fds[0];
    for (uint32_t first = 0; first < VECTORS; first += CLIENT_FDS)
        cr_assert_eq(client_set_irqs(&client, event, MSIX, first, CLIENT_FDS, NULL, 0, fds, CLIENT_FDS), 0);
    cr_assert_eq(client_set_irqs(&client, event, MSIX, VECTORS, 1, NULL, 0, fds, 1), EINVAL);
    cr_assert_eq(set(&client, VFIO_IRQ_SET_ACTION_TRIGGER, 0, VECTORS), 0);
    cr_expect_eq(client_event_count(fds[0], 0), VECTORS);
    close(fds[0]);
    client_stop(&client);
}

Test(vectors, high_ones_are_told_apart)
{
    struct client client;
    struct client_queue queue;
    int fds[QUEUES];

    start(&client);
    for (unsigned int i = 0; i < QUEUES; i++)
        fds[i] = client_trigger(&client, MSIX, chosen[i]);
    for (unsigned int i = 0; i < QUEUES; i++) {
        client_queue_start(&queue, &client, i, 8, chosen[i]);
        client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_NOP});
        client_read32(&client, 0, DMA_REG_STATUS);
        for (unsigned int j = 0; j < QUEUES; j++)
            cr_expect_eq(client_event_count(fds[j], 0), j == i, "vector %u, while %u was signalled", chosen[j],
                         chosen[i]);
        client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_NOP});
        client_read32(&client, 0, DMA_REG_STATUS);
        client_write32(&client, 0, DMA_PAGE_ACKNOWLEDGE + 4 * chosen[i], 1);
        cr_expect_eq(client_event_count(fds[i], 0), 1, "acknowledged, and more was done");
        cr_expect_eq(client_queue_shared(&queue)->interrupt_sequence, 2);
    }
    cr_expect_eq(client_read32(&client, 0, DMA_REG_ACKNOWLEDGE_ERRORS), 0);
    for (unsigned int i = 0; i < QUEUES; i++)
        close(fds[i]);
    client_stop(&client);
}

static void write_entry(struct client *client, uint32_t vector)
{
    client_write32(client, DMA_BAR_MSIX, DMA_MSIX_TABLE_OFFSET + 16 * vector, 0xfee00000u + 0x10 * vector);
    client_write32(client, DMA_BAR_MSIX, DMA_MSIX_TABLE_OFFSET + 16 * vector + 8, 0x4000u + vector);
}

/* A device whose chosen vectors are masked and were raised. */
static struct client_state save_pending(void)
{
    struct client client;
    struct client_queue queue;
    struct client_state state;
    int fds[QUEUES];

    start(&client);
    for (unsigned int i = 0; i < QUEUES; i++) {
        fds[i] = client_trigger(&client, MSIX, chosen[i]);
        cr_assert_eq(set(&client, VFIO_IRQ_SET_ACTION_MASK, chosen[i], 1), 0);
        write_entry(&client, chosen[i]);
        client_queue_start(&queue, &client, i, 8, chosen[i]);
        client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_NOP});
        client_read32(&client, 0, DMA_REG_STATUS);
        cr_expect_eq(client_event_count(fds[i], 0), 0, "vector %u is masked", chosen[i]);
        cr_expect(is_pending(&client, chosen[i]));
        close(fds[i]);
    }
    cr_expect_eq(count_pending(&client), QUEUES);
    cr_assert_eq(client_set_state(&client, VFIO_DEVICE_STATE_STOP_COPY), 0);
    state = client_save(&client, 4096);
    client_stop(&client);
    return state;
}

Test(vectors, masked_ones_are_pending_after_a_migration)
{
    struct client_state state = save_pending();
    struct client client;
    int fds[QUEUES];

    start(&client);
    cr_assert_eq(client_load(&client, &state, 4096), 0);
    for (unsigned int i = 0; i < QUEUES; i++) {
        fds[i] = client_trigger(&client, MSIX, chosen[i]);
        cr_assert_eq(set(&client, VFIO_IRQ_SET_ACTION_MASK, chosen[i], 1), 0);
    }
    cr_assert_eq(client_set_state(&client, VFIO_DEVICE_STATE_RUNNING), 0);
    cr_expect_eq(count_pending(&client), QUEUES);
    for (unsigned int i = 0; i < QUEUES; i++) {
        const uint64_t entry = DMA_MSIX_TABLE_OFFSET + 16 * chosen[i];

        cr_expect(is_pending(&client, chosen[i]));
        cr_expect_eq(client_event_count(fds[i], 0), 0, "vector %u is masked here, too", chosen[i]);
        cr_assert_eq(set(&client, VFIO_IRQ_SET_ACTION_UNMASK, chosen[i], 1), 0);
        cr_expect_eq(client_event_count(fds[i], 0), 1, "vector %u", chosen[i]);
        cr_expect_not(is_pending(&client, chosen[i]));
        cr_expect_eq(client_read32(&client, DMA_BAR_MSIX, entry), 0xfee00000u + 0x10 * chosen[i]);
        cr_expect_eq(client_read32(&client, DMA_BAR_MSIX, entry + 8), 0x4000u + chosen[i]);
    }
    cr_expect_eq(count_pending(&client), 0);
    for (unsigned int i = 0; i < QUEUES; i++)
        close(fds[i]);
    free(state.data);
    client_stop(&client);
}
