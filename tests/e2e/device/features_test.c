/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DEVICE_FEATURE: probing, the DMA log, PRE_COPY. */
#include "config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "client.h"

static const char *const plain[] = {"--memory", "1M", NULL};

static void start(struct client *client)
{
    client_start(client, plain);
    client_negotiate(client);
}

Test(features, features_probe_and_refuse)
{
    const uint32_t probe = VFIO_DEVICE_FEATURE_PROBE, get = VFIO_DEVICE_FEATURE_GET, set = VFIO_DEVICE_FEATURE_SET;
    struct client client;
    uint64_t data = 0;

    start(&client);
    cr_expect_eq(client_feature(&client, 1 | probe, NULL, 0, 0), 0);
    cr_expect_eq(client_feature(&client, 1 | probe | get, NULL, 0, 0), 0);
    cr_expect_eq(client_feature(&client, 1 | probe | set, NULL, 0, 0), EINVAL);
    cr_expect_eq(client_feature(&client, 2 | probe | get | set, NULL, 0, 0), 0);
    cr_expect_eq(client_feature(&client, 2 | get | set, &data, 8, 8), EINVAL);
    cr_expect_eq(client_feature(&client, 2, &data, 8, 8), EINVAL);
    cr_expect_eq(client_feature(&client, 1 | get | 1u << 20, &data, 8, 8), EINVAL);
    cr_expect_eq(client_feature(&client, 0 | probe, NULL, 0, 0), ENOTTY);
    cr_expect_eq(client_feature(&client, 12 | probe, NULL, 0, 0), ENOTTY, "only with PRE_COPY");
    cr_expect_eq(client_feature(&client, 0xffff | get, &data, 0, 8), ENOTTY);
    cr_expect_eq(client_feature(&client, 2 | set, &data, 4, 0), EINVAL);
    client_stop(&client);
}

static size_t start_log(struct client *client, uint64_t page_size, const uint64_t (*ranges)[2], uint32_t count,
                        uint8_t *payload)
{
    uint32_t reserved = 0;

    (void)client;
    memcpy(payload, &page_size, 8);
    memcpy(payload + 8, &count, 4);
    memcpy(payload + 12, &reserved, 4);
    if (count)
        memcpy(payload + 16, ranges, 16 * count);
    return 16 + 16 * count;
}

static int report(struct client *client, uint64_t iova, uint64_t length, uint64_t page_size, uint64_t *bitmap)
{
    uint64_t data[16] = {iova, length, page_size};
    int failed = client_feature(client, VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT | VFIO_DEVICE_FEATURE_GET, data, 24, 32);

    *bitmap = data[3];
    return failed;
}

Test(features, dma_logging)
{
    const uint32_t start_flags = VFIO_DEVICE_FEATURE_DMA_LOGGING_START | VFIO_DEVICE_FEATURE_SET;
    const uint32_t stop_flags = VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP | VFIO_DEVICE_FEATURE_SET;
    const uint64_t range[1][2] = {{CLIENT_MEMORY_IOVA, CLIENT_MEMORY_SIZE}};
    struct client client;
    struct client_queue queue;
    uint8_t payload[64];
    uint64_t bitmap, at;
    size_t size;

    start(&client);
    client_map(&client, false);
    client_bus_master(&client, true);
    client_queue_start(&queue, &client, 0, 8, 0);
    cr_expect_eq(client_feature(&client, VFIO_DEVICE_FEATURE_DMA_LOGGING_START | VFIO_DEVICE_FEATURE_PROBE, NULL, 0, 0),
                 0);
    cr_expect_eq(report(&client, CLIENT_MEMORY_IOVA, 64 * 4096, 4096, &bitmap), EINVAL, "not started");
    cr_expect_eq(client_feature(&client, stop_flags, NULL, 0, 0), EINVAL);
    size = start_log(&client, 4096, range, 1, payload);
    cr_expect_eq(client_feature(&client, start_flags, payload, size - 1, 0), EINVAL);
    cr_assert_eq(client_feature(&client, start_flags, payload, size, size), 0);
    cr_expect_eq(client_feature(&client, start_flags, payload, size, size), EINVAL, "started twice");
    client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_FILL, .length = 8});
    client_read32(&client, 0, DMA_REG_STATUS);
    at = client_destination_iova(&queue, 0) & ~0xffffull;
    cr_assert_eq(report(&client, at, 64 * 4096, 4096, &bitmap), 0);
    cr_expect_eq(bitmap, 1ull << (client_destination_iova(&queue, 0) - at) / 4096);
    cr_assert_eq(report(&client, at, 64 * 4096, 4096, &bitmap), 0);
    cr_expect_eq(bitmap, 0, "it was read before");
    /* The completion and the shared record are DMA as well. */
    cr_assert_eq(report(&client, CLIENT_MEMORY_IOVA, 64 * 4096, 4096, &bitmap), 0);
    cr_expect_eq(bitmap, 1ull << 0x10 | 1ull << 0x18);
    cr_expect_eq(report(&client, CLIENT_MEMORY_IOVA, 64 * 4096, 4095, &bitmap), EINVAL);
    cr_expect_eq(report(&client, CLIENT_MEMORY_IOVA, 0, 4096, &bitmap), EINVAL);
    cr_expect_eq(report(&client, CLIENT_MEMORY_IOVA, 65 * 4096, 4096, &bitmap), EINVAL, "no room for the bitmap");
    cr_assert_eq(client_feature(&client, stop_flags, NULL, 0, 0), 0);
    cr_assert_eq(client_feature(&client, start_flags, payload, size, size), 0);
    client_stop(&client);
}

/* The specification gives DMA_LOGGING_STOP the data of START, as libvfio-user's client sends it, and has it echoed. */
Test(features, what_is_set_or_probed_comes_back)
{
    const uint32_t start_flags = VFIO_DEVICE_FEATURE_DMA_LOGGING_START | VFIO_DEVICE_FEATURE_SET;
    const uint32_t stop_flags = VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP | VFIO_DEVICE_FEATURE_SET;
    const uint32_t probe_flags = VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP | VFIO_DEVICE_FEATURE_PROBE;
    const uint64_t control[2] = {4096, 0};
    uint64_t data[2] = {4096, 0};
    struct client client;

    start(&client);
    cr_expect_eq(client_feature(&client, probe_flags, data, sizeof(data), sizeof(data)), 0);
    cr_assert_eq(client_feature(&client, start_flags, data, sizeof(data), sizeof(data)), 0);
    cr_expect_arr_eq(data, control, sizeof(data));
    cr_assert_eq(client_feature(&client, stop_flags, data, sizeof(data), sizeof(data)), 0);
    cr_expect_arr_eq(data, control, sizeof(data));
    client_stop(&client);
}

Test(features, unmap_gives_the_dirty_bitmap)
{
    struct {
        struct vfio_user_dma_unmap unmap;
        struct vfio_user_bitmap bitmap;
    } request = {{.argsz = sizeof(request) + 128,
                  .flags = VFIO_USER_DMA_UNMAP_GET_DIRTY_BITMAP,
                  .address = CLIENT_MEMORY_IOVA,
                  .size = CLIENT_MEMORY_SIZE},
                 {.page_size = 4096, .size = 128}};
    struct client client;
    struct client_queue queue;
    struct client_reply reply;
    uint8_t payload[16];

    start(&client);
    client_map(&client, false);
    client_bus_master(&client, true);
    client_queue_start(&queue, &client, 0, 8, 0);
    cr_expect_eq(client_call(&client, VFIO_USER_DMA_UNMAP, &request, sizeof(request), NULL, 0, NULL), EINVAL);
    start_log(&client, 4096, NULL, 0, payload);
    cr_assert_eq(
        client_feature(&client, VFIO_DEVICE_FEATURE_DMA_LOGGING_START | VFIO_DEVICE_FEATURE_SET, payload, 16, 16), 0);
    client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_NOP});
    client_read32(&client, 0, DMA_REG_STATUS);
    request.bitmap.size = 8;
    cr_expect_eq(client_call(&client, VFIO_USER_DMA_UNMAP, &request, sizeof(request), NULL, 0, NULL), EINVAL);
    request.bitmap.size = 128;
    cr_assert_eq(client_call(&client, VFIO_USER_DMA_UNMAP, &request, sizeof(request), NULL, 0, &reply), 0);
    cr_assert_eq(reply.size, sizeof(request) + 128);
    cr_expect_eq(reply.data[sizeof(request) + 2], 1, "the completions' page");
    cr_expect_eq(reply.data[sizeof(request) + 3], 1, "the shared record's page");
    client_reply_free(&reply);
    cr_expect_eq(client_dma_unmap(&client, CLIENT_MEMORY_IOVA, CLIENT_MEMORY_SIZE, 0), ENOENT);
    client_stop(&client);
}

Test(features, pre_copy)
{
    static const char *const arguments[] = {"--features", "stop-copy+p2p+pre-copy", "--memory", "1M", NULL};
    struct vfio_precopy_info info;
    struct client client;
    uint8_t data[4096];
    size_t count;

    client_start(&client, arguments);
    client_negotiate(&client);
    cr_expect_eq(client_migration_flags(&client), 7);
    cr_expect_eq(client_precopy_info(&client, &info), EINVAL);
    cr_expect_eq(client_feature(&client, VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 | VFIO_DEVICE_FEATURE_SET, NULL, 0, 0),
                 0);
    cr_assert_eq(client_set_state(&client, VFIO_DEVICE_STATE_PRE_COPY), 0);
    cr_assert_eq(client_precopy_info(&client, &info), 0);
    cr_expect_gt(info.initial_bytes, 0);
    cr_expect_eq(info.dirty_bytes, 0);
    cr_assert_eq(client_data_read(&client, data, 4096, &count), 0);
    cr_expect_eq(count, info.initial_bytes);
    cr_expect_eq(client_data_read(&client, data, 4096, &count), ENOMSG);
    cr_assert_eq(client_set_state(&client, VFIO_DEVICE_STATE_PRE_COPY_P2P), 0);
    cr_expect_eq(client_data_read(&client, data, 4096, &count), ENOMSG);
    /* Given up, and begun anew: a session of its own from the first byte. */
    cr_assert_eq(client_set_state(&client, VFIO_DEVICE_STATE_RUNNING), 0);
    cr_expect_eq(client_data_read(&client, data, 4096, &count), EINVAL);
    cr_assert_eq(client_set_state(&client, VFIO_DEVICE_STATE_PRE_COPY), 0);
    cr_assert_eq(client_data_read(&client, data, 8, &count), 0);
    cr_expect_arr_eq(data, "SCDEVICE", 8);
    cr_assert_eq(client_set_state(&client, VFIO_DEVICE_STATE_STOP_COPY), 0);
    cr_assert_eq(client_data_read(&client, data, 8, &count), 0);
    cr_expect_eq(data[0], 1, "the session goes on behind the magic");
    client_stop(&client);
}

Test(features, pre_copy_by_the_specification_alone)
{
    static const char *const arguments[] = {"--features", "stop-copy+p2p+pre-copy", "--memory", "1M", NULL};
    struct vfio_precopy_info info;
    struct client client;
    uint8_t data[4096];
    size_t count;

    client_start(&client, arguments);
    client_negotiate_plain(&client);
    cr_expect_eq(client_migration_flags(&client), VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_PRE_COPY);
    cr_expect_eq(client_precopy_info(&client, &info), EOPNOTSUPP);
    cr_assert_eq(client_set_state(&client, VFIO_DEVICE_STATE_PRE_COPY), 0);
    cr_expect_eq(client_data_read(&client, data, 4096, &count), 0);
    cr_expect_eq(client_data_read(&client, data, 4096, &count), 0);
    cr_expect_eq(count, 0);
    cr_expect_eq(client_set_state(&client, VFIO_DEVICE_STATE_STOP_COPY), 0);
    client_stop(&client);
}
