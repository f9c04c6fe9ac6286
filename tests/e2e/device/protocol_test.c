/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The vfio-user protocol as a client sees it, and what a client that lies, stalls or leaves can do: lose its
 * connection. */
#include "config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"

static const char *const plain[] = {"--memory", "1M", NULL};

static void start(struct client *client)
{
    client_start(client, plain);
    client_negotiate(client);
}

static void expect_alive(struct client *client)
{
    cr_expect_eq(client_read32(client, 0, DMA_REG_MAGIC), DMA_MAGIC);
}

Test(protocol, version_reply)
{
    struct client client;
    struct client_reply reply;
    struct vfio_user_version version;

    client_start(&client, plain);
    cr_assert_eq(
        client_negotiate_json(&client, "{\"capabilities\":{\"stopcopy\":{\"version\":1},\"other\":3}}", &reply), 0);
    memcpy(&version, reply.data, sizeof(version));
    cr_expect_eq(version.major, 0);
    cr_expect_leq(version.minor, VFIO_USER_MINOR);
    cr_assert_eq(reply.data[reply.size - 1], 0);
    cr_expect_not_null(strstr((char *)reply.data + 4, "\"stopcopy\":{\"version\":1,"));
    /* Said only where it was asked for. */
    cr_expect_null(strstr((char *)reply.data + 4, "peer_mappings"), "%s", (char *)reply.data + 4);
    cr_expect_not_null(strstr((char *)reply.data + 4, "\"max_data_xfer_size\":1048576"));
    cr_expect_null(strstr((char *)reply.data + 4, "twin_socket"), "not asked for");
    cr_expect_null(strstr((char *)reply.data + 4, "other"));
    client_reply_free(&reply);
    cr_expect_eq(client_negotiate_json(&client, NULL, NULL), EINVAL, "a second VERSION");
    expect_alive(&client);
    client_stop(&client);
}

/* QEMU's own proposal, as it sends it. */
Test(protocol, version_of_qemu)
{
    struct client client;

    client_start(&client, plain);
    cr_assert_eq(client_negotiate_json(&client,
                                       "{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":1048576,"
                                       "\"pgsizes\":4096,\"max_dma_maps\":65535,\"write_multiple\":true}}",
                                       NULL),
                 0);
    expect_alive(&client);
    client_stop(&client);
}

Test(protocol, versions_that_are_refused)
{
    static const char *const texts[] = {
        "{",
        "[]",
        "null",
        "{\"capabilities\":[]}",
        "{\"capabilities\":{\"max_msg_fds\":\"many\"}}",
        "{\"capabilities\":{\"max_msg_fds\":-1}}",
        "{\"capabilities\":{\"max_data_xfer_size\":0}}",
        "{\"capabilities\":{\"twin_socket\":true}}",
        "{\"capabilities\":{\"write_multiple\":1}}",
        "{\"a\":1,\"a\":2}",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct client client;

        client_start(&client, plain);
        cr_expect_eq(client_negotiate_json(&client, texts[i], NULL), EINVAL, "%s", texts[i]);
        client_expect_closed(&client);
        client_abandon(&client);
    }
}

Test(protocol, a_major_version_that_is_not_ours)
{
    const uint8_t payload[4] = {1, 0, 0, 0};
    struct client client;

    client_start(&client, plain);
    cr_expect_eq(client_call(&client, VFIO_USER_VERSION, payload, sizeof(payload), NULL, 0, NULL), EINVAL);
    client_expect_closed(&client);
    client_abandon(&client);
}

/* Text that does not end where it says. */
Test(protocol, version_text_without_its_end)
{
    uint8_t payload[] = {0, 0, 1, 0, '{', '}'};
    uint8_t early[] = {0, 0, 1, 0, '{', 0, '}', 0};
    struct client client;

    client_start(&client, plain);
    cr_expect_eq(client_call(&client, VFIO_USER_VERSION, payload, sizeof(payload), NULL, 0, NULL), EINVAL);
    client_abandon(&client);
    client_start(&client, plain);
    cr_expect_eq(client_call(&client, VFIO_USER_VERSION, early, sizeof(early), NULL, 0, NULL), EINVAL);
    client_abandon(&client);
}

Test(protocol, nothing_comes_before_version)
{
    struct vfio_device_info info = {.argsz = 16};
    struct client client;

    client_start(&client, plain);
    client_send(&client, VFIO_USER_DEVICE_GET_INFO, 0, &info, 16, NULL, 0);
    client_expect_closed(&client);
    client_abandon(&client);
}

static void expect_dropped(const void *data, size_t size, bool negotiated)
{
    struct client client;

    client_start(&client, plain);
    if (negotiated)
        client_negotiate(&client);
    client_send_raw(&client, data, size);
    client_expect_closed(&client);
    client_abandon(&client);
}

Test(protocol, headers_that_cannot_be)
{
    const struct vfio_user_header small = {.command = VFIO_USER_DEVICE_RESET, .size = 15};
    const struct vfio_user_header none = {.command = VFIO_USER_DEVICE_RESET, .size = 0};
    const struct vfio_user_header large = {.command = VFIO_USER_REGION_WRITE, .size = 0xffffffff};
    const struct vfio_user_header over = {.command = VFIO_USER_REGION_WRITE, .size = 2u << 20};
    const struct vfio_user_header reply = {
        .command = VFIO_USER_DMA_READ, .size = 16, .flags = VFIO_USER_FLAG_TYPE_REPLY};
    const struct vfio_user_header type = {.command = VFIO_USER_DEVICE_RESET, .size = 16, .flags = 7};
    uint8_t garbage[4096];

    for (int negotiated = 0; negotiated < 2; negotiated++) {
        expect_dropped(&small, sizeof(small), negotiated);
        expect_dropped(&none, sizeof(none), negotiated);
        expect_dropped(&large, sizeof(large), negotiated);
        expect_dropped(&over, sizeof(over), negotiated);
        expect_dropped(&reply, sizeof(reply), negotiated);
        expect_dropped(&type, sizeof(type), negotiated);
        memset(garbage, 0xee, sizeof(garbage));
        expect_dropped(garbage, sizeof(garbage), negotiated);
    }
}

/* The connection ends at every byte of a message. */
Test(protocol, leaving_in_the_middle)
{
    struct vfio_user_dma_map map = {.argsz = sizeof(map), .flags = 3, .size = 4096};
    struct {
        struct vfio_user_header header;
        struct vfio_user_dma_map map;
    } message = {{.command = VFIO_USER_DMA_MAP, .size = 48}, map};

    for (size_t size = 0; size < sizeof(message); size += 5) {
        struct client client;

        start(&client);
        client_send_raw(&client, &message, size);
        client_abandon(&client);
    }
}

/* A client that goes without reading the last reply has left, and nothing more. */
Test(protocol, leaving_with_a_reply_unread)
{
    struct vfio_user_region_access read = {.offset = DMA_REG_MAGIC, .count = 4};
    struct client client;
    uint8_t byte;

    start(&client);
    client_send(&client, VFIO_USER_REGION_READ, 0, &read, sizeof(read), NULL, 0);
    cr_assert_eq(recv(client.socket, &byte, 1, MSG_PEEK), 1);
    client_stop(&client);
}

Test(protocol, commands_nobody_knows)
{
    static const uint16_t commands[] = {0, 11, 12, 14, 19, 0x5300, 0x5302, 0xffff};
    struct client client;

    start(&client);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        cr_expect_eq(client_call(&client, commands[i], NULL, 0, NULL, 0, NULL), EOPNOTSUPP);
    expect_alive(&client);
    client_stop(&client);
}

/* Every command with every shorter payload than it has, and with one of nothing but ones. */
Test(protocol, payloads_too_short_and_of_ones)
{
    static const uint16_t commands[] = {2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 16, 17, 18, 0x5301};
    uint8_t ones[64], zeroes[64] = {0};
    struct client client;

    start(&client);
    memset(ones, 0xff, sizeof(ones));
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        /* GET_INFO looks at argsz alone. */
        for (size_t size = 0; size <= (commands[i] == VFIO_USER_DEVICE_GET_INFO ? 12 : sizeof(ones)); size += 4)
            cr_expect_neq(client_call(&client, commands[i], ones, size, NULL, 0, NULL), 0, "command %u, %zu ones",
                          commands[i], size);
        for (size_t size = 0; size <= sizeof(zeroes); size += 4)
            if (commands[i] != VFIO_USER_REGION_WRITE_MULTI || size != 8)
                cr_expect_neq(client_call(&client, commands[i], zeroes, size, NULL, 0, NULL), 0,
                              "command %u, %zu zeroes", commands[i], size);
    }
    expect_alive(&client);
    client_stop(&client);
}

Test(protocol, info)
{
    struct client client;
    struct client_reply reply;
    struct vfio_device_info info = {.argsz = 16};
    struct vfio_irq_info irq = {.argsz = sizeof(irq), .index = VFIO_PCI_MSIX_IRQ_INDEX};
    struct vfio_region_info region = {.argsz = sizeof(region), .index = VFIO_PCI_CONFIG_REGION_INDEX};

    start(&client);
    cr_assert_eq(client_call(&client, VFIO_USER_DEVICE_GET_INFO, &info, 16, NULL, 0, &reply), 0);
    cr_assert_eq(reply.size, 16);
    memcpy(&info, reply.data, 16);
    cr_expect_eq(info.flags, VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET);
    cr_expect_eq(info.num_regions, VFIO_PCI_NUM_REGIONS);
    cr_expect_eq(info.num_irqs, VFIO_PCI_NUM_IRQS);
    client_reply_free(&reply);

    cr_assert_eq(client_call(&client, VFIO_USER_DEVICE_GET_IRQ_INFO, &irq, sizeof(irq), NULL, 0, &reply), 0);
    memcpy(&irq, reply.data, sizeof(irq));
    cr_expect_eq(irq.count, 2);
    client_reply_free(&reply);
    irq.index = VFIO_PCI_NUM_IRQS;
    cr_expect_eq(client_call(&client, VFIO_USER_DEVICE_GET_IRQ_INFO, &irq, sizeof(irq), NULL, 0, NULL), EINVAL);

    cr_assert_eq(client_call(&client, VFIO_USER_DEVICE_GET_REGION_INFO, &region, sizeof(region), NULL, 0, &reply), 0);
    memcpy(&region, reply.data, sizeof(region));
    cr_expect_eq(region.size, 4096);
    client_reply_free(&reply);
    region = (struct vfio_region_info){.argsz = sizeof(region), .index = VFIO_PCI_NUM_REGIONS};
    cr_expect_eq(client_call(&client, VFIO_USER_DEVICE_GET_REGION_INFO, &region, sizeof(region), NULL, 0, NULL),
                 EINVAL);

    /*
     * Too small for the capability: the size that it needs, and none of it. QEMU refuses CAPS without an offset, and
     * libvfio-user's client a descriptor that it has no room for.
     */
    region = (struct vfio_region_info){.argsz = sizeof(region), .index = DMA_BAR_WINDOW};
    cr_assert_eq(client_call(&client, VFIO_USER_DEVICE_GET_REGION_INFO, &region, sizeof(region), NULL, 0, &reply), 0);
    memcpy(&region, reply.data, sizeof(region));
    cr_expect_gt(region.argsz, sizeof(region));
    cr_expect_eq(region.cap_offset, 0);
    cr_expect_not(region.flags & VFIO_REGION_INFO_FLAG_CAPS);
    cr_expect(region.flags & VFIO_REGION_INFO_FLAG_MMAP);
    cr_expect_eq(reply.size, sizeof(region));
    cr_expect_eq(reply.fd_count, 0);
    client_reply_free(&reply);
    client_stop(&client);
}

Test(protocol, region_accesses_at_the_edges)
{
    struct client client;
    uint8_t data[8192] = {0};

    start(&client);
    cr_expect_eq(client_region_read(&client, 0, 0x4000, data, 4), EINVAL);
    cr_expect_eq(client_region_read(&client, 0, 0x3ffe, data, 4), EINVAL);
    cr_expect_eq(client_region_read(&client, 0, UINT64_MAX - 1, data, 4), EINVAL);
    cr_expect_eq(client_region_read(&client, 0, 0x3ffc, data, 4), 0);
    cr_expect_eq(client_region_read(&client, 1, 0, data, 4), EINVAL, "there is no BAR1");
    cr_expect_eq(client_region_read(&client, 9, 0, data, 4), EINVAL);
    cr_expect_eq(client_region_read(&client, 0xffffffff, 0, data, 4), EINVAL);
    cr_expect_eq(client_region_read(&client, 7, 0, data, 0), EINVAL);
    cr_expect_eq(client_region_read(&client, 7, 0, data, 4096), 0);
    cr_expect_eq(client_region_read(&client, 7, 1, data, 4096), EINVAL);
    cr_expect_eq(client_region_write(&client, 0, 2, data, 4), EINVAL);
    cr_expect_eq(client_region_write(&client, 0, 0, data, 2), EINVAL);
    cr_expect_eq(client_region_write(&client, 4, 0xfffc, data, 8), EINVAL);
    expect_alive(&client);
    client_stop(&client);
}

Test(protocol, configuration_space)
{
    struct client client;
    uint32_t ones = 0xffffffff, value, bar;

    start(&client);
    cr_assert_eq(client_region_read(&client, 7, 0, &value, 4), 0);
    cr_expect_eq(value, (uint32_t)DMA_DEVICE_DEVICE_ID << 16 | DMA_DEVICE_VENDOR_ID);
    cr_assert_eq(client_region_write(&client, 7, 0, &ones, 4), 0);
    cr_assert_eq(client_region_read(&client, 7, 0, &value, 4), 0);
    cr_expect_eq(value, (uint32_t)DMA_DEVICE_DEVICE_ID << 16 | DMA_DEVICE_VENDOR_ID);
    for (uint32_t offset = 0x10; offset < 0x28; offset += 4)
        cr_assert_eq(client_region_write(&client, 7, offset, &ones, 4), 0);
    cr_assert_eq(client_region_read(&client, 7, 0x10, &bar, 4), 0);
    cr_expect_eq(bar, ~(DMA_BAR_REGISTERS_SIZE - 1));
    cr_assert_eq(client_region_read(&client, 7, 0x14, &bar, 4), 0);
    cr_expect_eq(bar, 0);
    cr_assert_eq(client_region_read(&client, 7, 0x18, &bar, 4), 0);
    cr_expect_eq(bar, ~0xffffu | 0xc);
    cr_assert_eq(client_region_read(&client, 7, 0x1c, &bar, 4), 0);
    cr_expect_eq(bar, ones);
    cr_assert_eq(client_region_read(&client, 7, 0x20, &bar, 4), 0);
    cr_expect_eq(bar, ~(DMA_BAR_MSIX_SIZE - 1));
    client_stop(&client);
}

Test(protocol, dma_map_and_unmap)
{
    struct client client;
    int fds[2];

    start(&client);
    cr_expect_eq(client_dma_map(&client, 0, 4096, 0, -1, 0), EINVAL);
    cr_expect_eq(client_dma_map(&client, 0, 4096, 7, -1, 0), EINVAL);
    cr_expect_eq(client_dma_map(&client, 0, 0, 3, -1, 0), EINVAL);
    cr_expect_eq(client_dma_map(&client, 0x1000, 0x3000, 3, -1, 0), 0);
    cr_expect_eq(client_dma_map(&client, 0x2000, 0x1000, 3, -1, 0), EEXIST);
    cr_expect_eq(client_dma_unmap(&client, 0x1000, 0x1000, 0), ENOENT);
    cr_expect_eq(client_dma_unmap(&client, 0x8000, 0x1000, 0), ENOENT);
    cr_expect_eq(client_dma_unmap(&client, 0x1000, 0x3000, VFIO_USER_DMA_UNMAP_ALL), EINVAL);
    cr_expect_eq(client_dma_unmap(&client, 0x1000, 0x3000, 4), EINVAL);
    cr_expect_eq(client_dma_unmap(&client, 0, 0, VFIO_USER_DMA_UNMAP_ALL), 0);
    cr_expect_eq(client_dma_unmap(&client, 0, 0, VFIO_USER_DMA_UNMAP_ALL), 0);
    cr_expect_eq(client_dma_unmap(&client, 0x1000, 0x3000, 0), ENOENT);
    cr_expect_eq(client_dma_unmap(&client, 0, 0, 0), ENOENT);
    /* Not memory at all. */
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    cr_expect_neq(client_dma_map(&client, 0x1000, 0x1000, 3, fds[0], 0), 0);
    expect_alive(&client);
    client_stop(&client);
}

Test(protocol, dma_protection_is_kept)
{
    struct client client;
    struct client_queue queue;

    start(&client);
    client_map(&client, false);
    client_bus_master(&client, true);
    cr_assert_eq(client_dma_map(&client, 0x80000000, 0x1000, VFIO_USER_DMA_MAP_READ, client.memory_fd, 0x3ff000), 0);
    cr_assert_eq(client_dma_map(&client, 0x90000000, 0x1000, VFIO_USER_DMA_MAP_WRITE, client.memory_fd, 0x3ff000), 0);
    client_queue_start(&queue, &client, 0, 8, 0);
    cr_expect_eq(client_run(&queue, (struct dma_descriptor){.opcode = 1, .length = 8, .source = 0x80000000}).status, 0);
    cr_expect_eq(
        client_run(&queue, (struct dma_descriptor){.opcode = 1, .length = 8, .destination = 0x80000000}).status,
        DMA_STATUS_DMA_FAULT);
    cr_expect_eq(
        client_run(&queue, (struct dma_descriptor){.opcode = 1, .length = 8, .destination = 0x90000000}).status, 0);
    cr_expect_eq(client_run(&queue, (struct dma_descriptor){.opcode = 1, .length = 8, .source = 0x90000000}).status,
                 DMA_STATUS_DMA_FAULT);
    cr_assert_eq(client_dma_unmap(&client, 0x80000000, 0x1000, 0), 0);
    cr_expect_eq(client_run(&queue, (struct dma_descriptor){.opcode = 1, .length = 8, .source = 0x80000000}).status,
                 DMA_STATUS_DMA_FAULT);
    client_stop(&client);
}

Test(protocol, no_reply_means_none)
{
    struct {
        struct vfio_user_region_access access;
        uint32_t value;
    } write = {{.offset = DMA_REG_SCRATCH, .region = 0, .count = 4}, 99};
    struct client client;

    start(&client);
    client_send(&client, VFIO_USER_REGION_WRITE, VFIO_USER_FLAG_NO_REPLY, &write, 20, NULL, 0);
    write.access.region = 77;
    client_send(&client, VFIO_USER_REGION_WRITE, VFIO_USER_FLAG_NO_REPLY, &write, 20, NULL, 0);
    cr_expect_eq(client_read32(&client, 0, DMA_REG_SCRATCH), 99);
    client_stop(&client);
}

Test(protocol, several_writes_in_one_message)
{
    struct {
        uint64_t count;
        struct vfio_user_region_write_multi_entry entries[2];
    } multi = {2, {{DMA_REG_SCRATCH, 0, 4, {1, 2, 3, 4}}, {DMA_REG_SCRATCH, 0, 4, {5, 6, 7, 8}}}};
    struct client client;
    struct client_reply reply;
    uint64_t count;

    start(&client);
    cr_assert_eq(client_call(&client, VFIO_USER_REGION_WRITE_MULTI, &multi, sizeof(multi), NULL, 0, &reply), 0);
    cr_assert_eq(reply.size, 8);
    memcpy(&count, reply.data, 8);
    cr_expect_eq(count, 2);
    client_reply_free(&reply);
    cr_expect_eq(client_read32(&client, 0, DMA_REG_SCRATCH), 0x08070605);
    multi.entries[1].count = 9;
    cr_expect_eq(client_call(&client, VFIO_USER_REGION_WRITE_MULTI, &multi, sizeof(multi), NULL, 0, NULL), EINVAL);
    multi.count = 3;
    cr_expect_eq(client_call(&client, VFIO_USER_REGION_WRITE_MULTI, &multi, sizeof(multi), NULL, 0, NULL), EINVAL);
    multi.count = UINT64_MAX / 24 + 1;
    cr_expect_eq(client_call(&client, VFIO_USER_REGION_WRITE_MULTI, &multi, sizeof(multi), NULL, 0, NULL), EINVAL);
    client_stop(&client);
}

/* A request of ours and one of the server cross on the same socket: neither waits for the other for ever. */
Test(protocol, commands_that_cross)
{
    struct client client;
    struct client_queue queue;
    struct vfio_user_region_access read = {.offset = DMA_REG_MAGIC, .count = 4};
    struct client_reply reply;
    uint32_t value;

    start(&client);
    client_map(&client, true);
    client_bus_master(&client, true);
    client_queue_start(&queue, &client, 0, 8, 0);
    client_submit(&queue, (struct dma_descriptor){.opcode = DMA_OP_COPY, .length = 4096});
    /* The doorbell is not answered before its DMA_READ is, and behind it wait 100 more of our commands. */
    client_send(&client, VFIO_USER_REGION_WRITE, VFIO_USER_FLAG_NO_REPLY, &(struct {
        struct vfio_user_region_access access;
        uint32_t one;
    }){{.offset = DMA_PAGE_DOORBELLS, .count = 4}, 1},
                20, NULL, 0);
    for (int i = 0; i < 100; i++)
        client_send(&client, VFIO_USER_REGION_READ, VFIO_USER_FLAG_NO_REPLY, &read, sizeof(read), NULL, 0);
    cr_assert_eq(client_call(&client, VFIO_USER_REGION_READ, &read, sizeof(read), NULL, 0, &reply), 0);
    memcpy(&value, reply.data + sizeof(read), 4);
    cr_expect_eq(value, DMA_MAGIC);
    client_reply_free(&reply);
    client_complete(&queue);
    client_stop(&client);
}

/* Answers to DMA that are none. */
Test(protocol, wrong_dma_replies_cost_the_connection)
{
    static const struct {
        uint16_t id_off, command;
        uint32_t payload;
    } cases[] = {{1, VFIO_USER_DMA_READ, 24},
                 {0, VFIO_USER_DMA_WRITE, 24},
                 {0, VFIO_USER_DMA_READ, 4},
                 {0, VFIO_USER_DMA_READ, 16},
                 {0, VFIO_USER_DMA_READ, 32}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client client;
        struct client_queue queue;
        struct {
            struct vfio_user_header header;
            uint8_t payload[64];
        } message;

        start(&client);
        client_map(&client, true);
        client_bus_master(&client, true);
        client_queue_start(&queue, &client, 0, 8, 0);
        client_send(&client, VFIO_USER_REGION_WRITE, VFIO_USER_FLAG_NO_REPLY, &(struct {
            struct vfio_user_region_access access;
            uint32_t one;
        }){{.offset = DMA_PAGE_DOORBELLS, .count = 4}, 1},
                    20, NULL, 0);
        memset(&message, 0, sizeof(message));
        cr_assert_eq(recv(client.socket, &message, 32, MSG_WAITALL), 32);
        cr_assert_eq(message.header.command, VFIO_USER_DMA_READ);
        message.header.message_id = (uint16_t)(message.header.message_id + cases[i].id_off);
        message.header.command = cases[i].command;
        message.header.flags = VFIO_USER_FLAG_TYPE_REPLY;
        message.header.size = 16 + cases[i].payload;
        client_send_raw(&client, &message, message.header.size);
        client_expect_closed(&client);
        client_abandon(&client);
    }
}
