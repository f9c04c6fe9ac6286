/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The dma device at work: each opcode, order, errors, DMA by message, doorbells by eventfd. */
#include "config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client.h"
#include "stopcopy/workload.h"

static const char *const plain[] = {"--memory", "1M", NULL};
static const char *const slow[] = {"--memory", "1M", "--latency", "50ms", NULL};

static void start(struct client *client, const char *const *arguments)
{
    client_start(client, arguments);
    client_negotiate(client);
    client_map(client, false);
    client_bus_master(client, true);
}

static void pattern(uint8_t *data, size_t size, unsigned int seed)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(i * 7 + seed + (i >> 8));
}

/* Bit by bit, to be sure of it. */
static uint32_t crc32c(const uint8_t *data, size_t size)
{
    uint32_t crc = ~0u;

    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

Test(operations, identity_registers)
{
    static const char *const arguments[] = {"--queues", "3",        "--vectors", "5", "--memory",
                                            "5G",       "--window", "8K",        NULL};
    struct client client;

    client_start(&client, arguments);
    client_negotiate(&client);
    cr_expect_eq(client_read32(&client, 0, DMA_REG_MAGIC), DMA_MAGIC);
    cr_expect_eq(client_read32(&client, 0, DMA_REG_VERSION), DMA_VERSION);
    cr_expect_eq(client_read32(&client, 0, DMA_REG_QUEUES), 3);
    cr_expect_eq(client_read32(&client, 0, DMA_REG_VECTORS), 5);
    cr_expect_eq(client_read32(&client, 0, DMA_REG_MEMORY_SIZE_LOW), 0x40000000u);
    cr_expect_eq(client_read32(&client, 0, DMA_REG_MEMORY_SIZE_HIGH), 1);
    cr_expect_eq(client_read32(&client, 0, DMA_REG_WINDOW_SIZE), 8192);
    client_write32(&client, 0, DMA_REG_MAGIC, 0);
    cr_expect_eq(client_read32(&client, 0, DMA_REG_MAGIC), DMA_MAGIC);
    client_write32(&client, 0, DMA_REG_SCRATCH, 0x12345678);
    cr_expect_eq(client_read32(&client, 0, DMA_REG_SCRATCH), 0x12345678);
    client_write32(&client, 0, DMA_REG_CONTROL, DMA_CONTROL_RESET);
    cr_expect_eq(client_read32(&client, 0, DMA_REG_SCRATCH), 0);
    client_stop(&client);
}

static void check_every_opcode(struct client *client)
{
    struct client_queue queue;
    struct dma_completion completion;
    uint64_t digest = 77;

    client_queue_start(&queue, client, 0, 8, 0);
    completion = client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_NOP});
    cr_expect_eq(completion.status, DMA_STATUS_OK);

    pattern(client_source(&queue, 1), 4096, 1);
    completion = client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_COPY, .length = 4095});
    cr_expect_eq(completion.status, DMA_STATUS_OK);
    cr_expect_eq(completion.opcode, DMA_OP_COPY);
    cr_expect_arr_eq(client_destination(&queue, 1), client_source(&queue, 1), 4095);
    cr_expect_eq(client_destination(&queue, 1)[4095], 0);

    client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_FILL, .length = 16, .operand = 0x0807060504030201});
    cr_expect_arr_eq(client_destination(&queue, 2), "\1\2\3\4\5\6\7\10\1\2\3\4\5\6\7\10\0", 17);

    pattern(client_source(&queue, 3), 100, 2);
    completion = client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_CRC32C, .length = 99});
    cr_expect_eq(completion.result, crc32c(client_source(&queue, 3), 99));

    pattern(client_source(&queue, 4), 64, 3);
    for (size_t i = 0; i < 64; i += 8) {
        uint64_t word;

        memcpy(&word, client_source(&queue, 4) + i, 8);
        digest = (digest ^ word) * WORKLOAD_DIGEST_MULTIPLIER;
        digest ^= digest >> 32;
    }
    completion = client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_DIGEST, .length = 64, .operand = 77});
    cr_expect_eq(completion.result, digest);

    pattern(client_source(&queue, 5), 4096, 4);
    client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_STORE, .length = 4096, .operand = 5000});
    client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_LOAD, .length = 4096, .operand = 5000});
    cr_expect_arr_eq(client_destination(&queue, 6), client_source(&queue, 5), 4096);
    cr_expect_eq(client_read32(client, 0, DMA_REG_STATUS), 0);
}

Test(operations, every_opcode_does_what_it_says)
{
    struct client client;

    start(&client, plain);
    check_every_opcode(&client);
    client_stop(&client);
}

Test(operations, dma_by_message)
{
    struct client client;

    client_start(&client, plain);
    client_negotiate(&client);
    client_map(&client, true);
    client_bus_master(&client, true);
    check_every_opcode(&client);
    cr_expect_gt(client.served, 20);
    client_stop(&client);
}

Test(operations, dma_by_message_over_the_twin_socket)
{
    struct client client;
    struct client_reply reply;

    client_start(&client, plain);
    cr_assert_eq(client_negotiate_json(&client, "{\"capabilities\":{\"twin_socket\":{\"supported\":true}}}", &reply),
                 0);
    cr_assert_eq(reply.fd_count, 1);
    client.twin = reply.fds[0];
    reply.fds[0] = -1;
    client_reply_free(&reply);
    client_map(&client, true);
    client_bus_master(&client, true);
    check_every_opcode(&client);
    cr_expect_gt(client.served, 20);
    client_stop(&client);
}

/* A large one is cut to the transfer size that the client takes. */
Test(operations, dma_by_message_keeps_to_the_transfer_size)
{
    struct client client;
    struct client_queue queue;

    client_start(&client, plain);
    cr_assert_eq(client_negotiate_json(&client, "{\"capabilities\":{\"max_data_xfer_size\":1024}}", NULL), 0);
    client_map(&client, true);
    client_bus_master(&client, true);
    client_queue_start(&queue, &client, 0, 8, 0);
    pattern(client_source(&queue, 0), 4096, 9);
    client.served = 0;
    client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_COPY, .length = 4096});
    cr_expect_arr_eq(client_destination(&queue, 0), client_source(&queue, 0), 4096);
    cr_expect_geq(client.served, 8);
    client_stop(&client);
}

Test(operations, dma_that_the_client_refuses_is_a_fault)
{
    struct client client;
    struct client_queue queue;

    client_start(&client, plain);
    client_negotiate(&client);
    client_map(&client, true);
    client_bus_master(&client, true);
    client_queue_start(&queue, &client, 0, 8, 0);
    client.refuse_dma = EFAULT;
    client_submit(&queue, (struct dma_descriptor){.opcode = DMA_OP_NOP});
    client_ring(&queue);
    cr_expect_eq(client_read32(&client, 0, DMA_REG_QUEUE(0) + DMA_QUEUE_REG_ERROR), DMA_QUEUE_ERROR_DMA);
    client_stop(&client);
}

Test(operations, errors_have_their_status)
{
    static const struct {
        struct dma_descriptor descriptor;
        uint32_t status;
    } cases[] = {
        {{.opcode = 7}, DMA_STATUS_BAD_OPCODE},
        {{.opcode = 0xffffffff}, DMA_STATUS_BAD_OPCODE},
        {{.opcode = DMA_OP_COPY, .length = DMA_OPERATION_LENGTH_MAX + 1}, DMA_STATUS_BAD_LENGTH},
        {{.opcode = DMA_OP_FILL, .length = 12}, DMA_STATUS_BAD_LENGTH},
        {{.opcode = DMA_OP_DIGEST, .length = 1}, DMA_STATUS_BAD_LENGTH},
        {{.opcode = DMA_OP_STORE, .length = 16, .operand = (1u << 20) - 8}, DMA_STATUS_BAD_RANGE},
        {{.opcode = DMA_OP_LOAD, .length = 8, .operand = UINT64_MAX - 3}, DMA_STATUS_BAD_RANGE},
        {{.opcode = DMA_OP_COPY, .length = 8, .source = 0xdead0000}, DMA_STATUS_DMA_FAULT},
        {{.opcode = DMA_OP_COPY, .length = 8, .destination = 0xdead0000}, DMA_STATUS_DMA_FAULT},
        {{.opcode = DMA_OP_COPY, .length = 8, .source = UINT64_MAX - 3}, DMA_STATUS_DMA_FAULT},
        {{.opcode = DMA_OP_COPY, .length = 0}, DMA_STATUS_OK},
    };
    struct client client;
    struct client_queue queue;

    start(&client, plain);
    client_queue_start(&queue, &client, 0, 4, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_eq(client_run(&queue, cases[i].descriptor).status, cases[i].status, "case %zu", i);
    client_stop(&client);
}

Test(operations, many_complete_in_order)
{
    struct client client;
    struct client_queue queue;

    start(&client, plain);
    client_queue_start(&queue, &client, 1, 32, 1);
    for (unsigned int i = 0; i < 1000; i++) {
        if (queue.submitted - queue.checked == 32)
            client_complete(&queue);
        pattern(client_source(&queue, queue.submitted), 64, i);
        client_submit(&queue, (struct dma_descriptor){.opcode = DMA_OP_COPY, .length = 64});
        client_ring(&queue);
    }
    while (queue.checked < queue.submitted)
        client_complete(&queue);
    cr_expect_arr_eq(client_destination(&queue, 999), client_source(&queue, 999), 64);
    client_stop(&client);
}

Test(operations, no_latency)
{
    static const char *const arguments[] = {"--latency", "0", NULL};
    struct client client;
    struct client_queue queue;

    start(&client, arguments);
    client_queue_start(&queue, &client, 0, 1024, 0);
    for (unsigned int i = 0; i < 1000; i++)
        client_submit(&queue, (struct dma_descriptor){.opcode = DMA_OP_NOP});
    client_ring(&queue);
    while (queue.checked < queue.submitted)
        client_complete(&queue);
    client_stop(&client);
}

Test(operations, operations_overlap)
{
    struct client client;
    struct client_queue queue;

    start(&client, slow);
    client_queue_start(&queue, &client, 0, 32, 0);
    for (unsigned int i = 0; i < 16; i++)
        client_submit(&queue, (struct dma_descriptor){.opcode = DMA_OP_NOP});
    client_ring(&queue);
    /* All were taken, none is done: by the time the register is read the latency may be over only on a stalled machine.
     */
    cr_expect_eq(client_read32(&client, 0, DMA_REG_STATUS), 0);
    while (queue.checked < queue.submitted)
        client_complete(&queue);
    client_stop(&client);
}

Test(operations, a_queue_that_is_wrong_stops)
{
    struct client client;
    struct client_queue queue;

    start(&client, plain);
    client_queue_start(&queue, &client, 0, 3, 0);
    cr_expect_eq(client_read32(&client, 0, DMA_REG_QUEUE(0) + DMA_QUEUE_REG_ERROR), DMA_QUEUE_ERROR_CONFIGURATION);
    cr_expect_eq(client_read32(&client, 0, DMA_REG_STATUS), DMA_STATUS_QUEUE_ERROR);
    client_write32(&client, 0, DMA_REG_QUEUE(0) + DMA_QUEUE_REG_ENABLE, 0);
    cr_expect_eq(client_read32(&client, 0, DMA_REG_STATUS), 0);
    client_queue_start(&queue, &client, 0, 8, 99);
    cr_expect_eq(client_read32(&client, 0, DMA_REG_QUEUE(0) + DMA_QUEUE_REG_ERROR), DMA_QUEUE_ERROR_CONFIGURATION);
    client_write32(&client, 0, DMA_REG_QUEUE(0) + DMA_QUEUE_REG_ENABLE, 0);

    client_queue_start(&queue, &client, 0, 8, 0);
    client_queue_shared(&queue)->tail = 9;
    client_ring(&queue);
    cr_expect_eq(client_read32(&client, 0, DMA_REG_QUEUE(0) + DMA_QUEUE_REG_ERROR), DMA_QUEUE_ERROR_TAIL);
    client_stop(&client);
}

Test(operations, no_dma_without_bus_mastering)
{
    struct client client;
    struct client_queue queue;

    start(&client, plain);
    client_bus_master(&client, false);
    client_queue_start(&queue, &client, 0, 8, 0);
    client_submit(&queue, (struct dma_descriptor){.opcode = DMA_OP_NOP});
    client_ring(&queue);
    cr_expect_eq(client_queue_shared(&queue)->completed, 0);
    client_bus_master(&client, true);
    client_complete(&queue);
    client_stop(&client);
}

static struct client_reply get_io_fds(struct client *client, uint32_t region)
{
    struct vfio_user_region_io_fds head = {.argsz = 4096, .index = region};
    struct client_reply reply;

    cr_assert_eq(client_call(client, VFIO_USER_DEVICE_GET_REGION_IO_FDS, &head, sizeof(head), NULL, 0, &reply), 0);
    return reply;
}

static void ring_by_event(struct client *client, const struct client_reply *reply, unsigned int queue_number,
                          uint32_t fd_index)
{
    const struct vfio_user_io_fd *io_fd =
        (const struct vfio_user_io_fd *)(reply->data + sizeof(struct vfio_user_region_io_fds)) + queue_number;
    struct client_queue queue;
    const uint64_t one = 1;

    cr_assert_eq(io_fd->offset, DMA_PAGE_DOORBELLS + 4 * queue_number);
    cr_assert_eq(io_fd->type, VFIO_USER_IO_FD_TYPE_IOEVENTFD);
    cr_assert_eq(io_fd->fd_index, fd_index);
    client_queue_start(&queue, client, queue_number, 8, 0);
    client_submit(&queue, (struct dma_descriptor){.opcode = DMA_OP_NOP});
    cr_assert_eq(write(reply->fds[fd_index], &one, sizeof(one)), (ssize_t)sizeof(one));
    client_complete(&queue);
}

Test(operations, doorbells_by_eventfd)
{
    struct client client;
    struct client_reply reply;

    start(&client, plain);
    reply = get_io_fds(&client, 0);
    cr_assert_eq(reply.fd_count, 2);
    ring_by_event(&client, &reply, 1, 1);
    client_reply_free(&reply);
    reply = get_io_fds(&client, DMA_BAR_MSIX);
    cr_expect_eq(reply.fd_count, 0);
    client_reply_free(&reply);
    client_stop(&client);
}

/* Without max_msg_fds a client takes one: it stands for all doorbells. */
Test(operations, doorbells_share_an_eventfd_where_the_client_takes_one)
{
    struct client client;
    struct client_reply reply;

    client_start(&client, plain);
    client_negotiate_plain(&client);
    client_map(&client, false);
    client_bus_master(&client, true);
    reply = get_io_fds(&client, 0);
    cr_assert_eq(reply.fd_count, 1);
    ring_by_event(&client, &reply, 1, 0);
    client_reply_free(&reply);
    client_stop(&client);
}

Test(operations, the_window_is_shared_memory)
{
    struct client client;
    struct vfio_region_info info = {.argsz = 256, .index = DMA_BAR_WINDOW};
    struct vfio_region_info_cap_sparse_mmap sparse;
    struct vfio_region_sparse_mmap_area area;
    struct client_reply reply;
    uint32_t value = 0x5a5aa5a5;

    start(&client, plain);
    cr_assert_eq(client_call(&client, VFIO_USER_DEVICE_GET_REGION_INFO, &info, sizeof(info), NULL, 0, &reply), 0);
    memcpy(&info, reply.data, sizeof(info));
    cr_assert_eq(info.size, 65536);
    cr_assert(info.flags & VFIO_REGION_INFO_FLAG_MMAP);
    cr_assert_eq(reply.fd_count, 1);
    cr_assert_eq(reply.size, info.argsz);
    memcpy(&sparse, reply.data + info.cap_offset, sizeof(sparse));
    memcpy(&area, reply.data + info.cap_offset + sizeof(sparse), sizeof(area));
    cr_expect_eq(sparse.header.id, VFIO_REGION_INFO_CAP_SPARSE_MMAP);
    cr_expect_eq(area.size, 65536);
    cr_assert_eq(pwrite(reply.fds[0], &value, sizeof(value), 0x1000), (ssize_t)sizeof(value));
    cr_expect_eq(client_read32(&client, DMA_BAR_WINDOW, 0x1000), 0x5a5aa5a5);
    cr_expect_neq(ftruncate(reply.fds[0], 0), 0, "a client could take the window away");
    client_reply_free(&reply);
    client_stop(&client);
}

Test(operations, a_trapped_window_is_not_mappable)
{
    static const char *const arguments[] = {"--window", "4K,trapped", NULL};
    struct client client;
    struct vfio_region_info info = {.argsz = 256, .index = DMA_BAR_WINDOW};
    struct client_reply reply;

    start(&client, arguments);
    cr_assert_eq(client_call(&client, VFIO_USER_DEVICE_GET_REGION_INFO, &info, sizeof(info), NULL, 0, &reply), 0);
    memcpy(&info, reply.data, sizeof(info));
    cr_expect_not(info.flags & VFIO_REGION_INFO_FLAG_MMAP);
    cr_expect_eq(reply.fd_count, 0);
    client_reply_free(&reply);
    client_write32(&client, DMA_BAR_WINDOW, 4092, 7);
    cr_expect_eq(client_read32(&client, DMA_BAR_WINDOW, 4092), 7);
    client_stop(&client);
}

/* The file behind a mapping is cut while the device works on it. */
Test(operations, memory_that_goes_away_is_a_fault_of_the_client_only)
{
    struct client client;
    struct client_queue queue;

    start(&client, plain);
    client_queue_start(&queue, &client, 0, 8, 0);
    client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_NOP});
    cr_assert_eq(ftruncate(client.memory_fd, 0), 0);
    client_ring(&queue);
    cr_expect_eq(client_read32(&client, 0, DMA_REG_QUEUE(0) + DMA_QUEUE_REG_ERROR), DMA_QUEUE_ERROR_DMA);
    cr_expect_eq(client_read32(&client, 0, DMA_REG_MAGIC), DMA_MAGIC);
    client_stop(&client);
}
