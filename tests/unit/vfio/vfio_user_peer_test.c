/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the client marks the mappings of another device's BARs: where both ends have agreed on it, and nowhere else. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/vfio/fake_server.h"

#define IOVA 0x10000000u
#define MAPPINGS 3

TestSuite(vfio_user_peer, .timeout = 120);

struct agreement {
    const char *json;
    uint32_t flags[MAPPINGS]; /* as they came */
};

static void note_flags(struct fake_server *server)
{
    struct agreement *agreement = server->argument;

    fake_version(server, agreement->json);
    for (unsigned int i = 0; i < MAPPINGS; i++) {
        struct vfio_user_dma_map map;

        fake_expect(server, VFIO_USER_DMA_MAP);
        cr_assert_eq(server->message.size, sizeof(map));
        memcpy(&map, server->message.payload, sizeof(map));
        cr_assert_eq(map.address, IOVA + i * 0x1000u);
        agreement->flags[i] = map.flags;
        fake_reply(server, NULL, 0);
    }
    fake_drain(server);
}

/* Memory, another device's BAR, and one that may only be read. */
static void map_all(struct agreement *agreement)
{
    static uint8_t memory[MAPPINGS * 0x1000];
    struct error error = ERROR_INIT;
    struct fake_server server;
    struct vfio_device *device = fake_open_good(&server, note_flags, agreement, FAKE_TIMEOUT_NS);
    const struct vfio_device_ops *ops = device->ops;

    cr_assert_eq(ops->dma_map(device, IOVA, 0x1000, memory, -1, 0, true, &error), 0, "%s", error.text);
    cr_assert_eq(ops->dma_map_peer(device, IOVA + 0x1000, 0x1000, memory + 0x1000, -1, 0, true, &error), 0, "%s",
                 error.text);
    cr_assert_eq(ops->dma_map_peer(device, IOVA + 0x2000, 0x1000, memory + 0x2000, -1, 0, false, &error), 0, "%s",
                 error.text);
    fake_close(&server, device);
}

Test(vfio_user_peer, is_marked_where_it_was_agreed_on)
{
    const uint32_t writable = VFIO_USER_DMA_MAP_READ | VFIO_USER_DMA_MAP_WRITE;
    struct agreement agreement = {.json = "{\"capabilities\":{\"stopcopy\":{\"version\":1,\"peer_mappings\":true}}}"};

    map_all(&agreement);
    cr_expect_eq(agreement.flags[0], writable, "memory is nobody's BAR");
    cr_expect_eq(agreement.flags[1], writable | 0x80000000u);
    cr_expect_eq(agreement.flags[2], VFIO_USER_DMA_MAP_READ | 0x80000000u);
}

Test(vfio_user_peer, is_not_marked_where_it_was_not)
{
    static const char *const versions[] = {
        NULL,
        "{\"capabilities\":{}}",
        "{\"capabilities\":{\"peer_mappings\":true}}",
        "{\"capabilities\":{\"stopcopy\":{\"version\":1}}}",
        "{\"capabilities\":{\"stopcopy\":{\"version\":1,\"peer_mappings\":false}}}",
        "{\"capabilities\":{\"stopcopy\":{\"version\":2,\"peer_mappings\":true}}}",
    };

    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        struct agreement agreement = {.json = versions[i]};

        map_all(&agreement);
        cr_expect_eq(agreement.flags[0], VFIO_USER_DMA_MAP_READ | VFIO_USER_DMA_MAP_WRITE, "case %zu", i);
        cr_expect_eq(agreement.flags[1], VFIO_USER_DMA_MAP_READ | VFIO_USER_DMA_MAP_WRITE, "case %zu", i);
        cr_expect_eq(agreement.flags[2], VFIO_USER_DMA_MAP_READ, "case %zu", i);
    }
}
