/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two servers, of which one is given the other's window: peer-to-peer DMA through the socket. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client.h"

#define RUNNING VFIO_DEVICE_STATE_RUNNING
#define RUNNING_P2P VFIO_DEVICE_STATE_RUNNING_P2P
#define WINDOW_IOVA 0x40000000ull
#define WINDOW_SIZE 4096u
#define PEER_FLAGS (VFIO_USER_DMA_MAP_READ | VFIO_USER_DMA_MAP_WRITE | VFIO_USER_STOPCOPY_DMA_MAP_PEER)

static const char *const arguments[] = {"--memory", "0", "--window", "4K", "--latency", "0", NULL};

static void start(struct client *client, const char *stopcopy)
{
    char json[128];

    client_start(client, arguments);
    snprintf(json, sizeof(json), "{\"capabilities\":{\"stopcopy\":%s}}", stopcopy);
    cr_assert_eq(client_negotiate_json(client, json, NULL), 0);
    client_map(client, false);
    client_bus_master(client, true);
}

static int window_fd(struct client *client)
{
    struct vfio_region_info info = {.argsz = 4096, .index = VFIO_PCI_BAR2_REGION_INDEX};
    struct client_reply reply;
    int fd;

    cr_assert_eq(client_call(client, VFIO_USER_DEVICE_GET_REGION_INFO, &info, sizeof(info), NULL, 0, &reply), 0);
    cr_assert_eq(reply.fd_count, 1);
    fd = dup(reply.fds[0]);
    client_reply_free(&reply);
    return fd;
}

Test(peers, reach_the_window_in_running_alone)
{
    struct client_queue queue, other;
    struct client client, peer;
    uint64_t seen = 0;
    int fd;

    start(&client, "{\"version\":1,\"peer_mappings\":true}");
    start(&peer, "{\"version\":1,\"peer_mappings\":true}");
    fd = window_fd(&peer);
    cr_assert_eq(client_dma_map(&client, WINDOW_IOVA, WINDOW_SIZE, PEER_FLAGS, fd, 0), 0);
    client_queue_start(&queue, &client, 0, 8, 0);
    client_queue_start(&other, &client, 1, 8, 1);
    cr_assert_eq(client_set_state(&client, RUNNING_P2P), 0);
    cr_assert_eq(client_set_state(&peer, RUNNING_P2P), 0);

    client_submit(&queue, (struct dma_descriptor){
                              .opcode = DMA_OP_FILL, .length = 4096, .destination = WINDOW_IOVA, .operand = 0x77});
    client_ring(&queue);
    client_run(&other, (struct dma_descriptor){.opcode = DMA_OP_FILL, .length = 4096, .operand = 0x33});
    cr_expect_eq(*(uint64_t *)client_destination(&other, 0), 0x33, "DMA to memory goes on");
    cr_expect_eq(client_queue_shared(&queue)->completed, 0);
    cr_assert_eq(client_region_read(&peer, VFIO_PCI_BAR2_REGION_INDEX, 4088, &seen, sizeof(seen)), 0);
    cr_expect_eq(seen, 0);

    cr_assert_eq(client_set_state(&client, RUNNING), 0);
    cr_expect_eq(client_complete(&queue).status, DMA_STATUS_OK);
    /* The peer is in RUNNING_P2P still, where it must take what comes. */
    cr_assert_eq(client_region_read(&peer, VFIO_PCI_BAR2_REGION_INDEX, 4088, &seen, sizeof(seen)), 0);
    cr_expect_eq(seen, 0x77);
    cr_assert_eq(client_dma_unmap(&client, WINDOW_IOVA, WINDOW_SIZE, 0), 0);
    close(fd);
    client_stop(&client);
    client_stop(&peer);
}

/* Without the agreement any mapping may be another device's. */
Test(peers, all_dma_is_held_where_they_are_not_marked)
{
    struct client_queue queue;
    struct client client;

    start(&client, "{\"version\":1}");
    cr_expect_eq(client_dma_map(&client, WINDOW_IOVA, WINDOW_SIZE, PEER_FLAGS, client.memory_fd, 0), EINVAL);
    client_queue_start(&queue, &client, 0, 8, 0);
    cr_assert_eq(client_set_state(&client, RUNNING_P2P), 0);
    client_submit(&queue, (struct dma_descriptor){.opcode = DMA_OP_NOP});
    client_ring(&queue);
    client_read32(&client, 0, DMA_REG_STATUS);
    cr_expect_eq(client_queue_shared(&queue)->completed, 0);
    cr_assert_eq(client_set_state(&client, RUNNING), 0);
    client_complete(&queue);
    client_stop(&client);
}
