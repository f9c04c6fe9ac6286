/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a driver reaches: memory, regions, interrupts. */
#include "config.h"

#include "client.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

int client_dma_map(struct client *client, uint64_t iova, uint64_t size, uint32_t flags, int fd, uint64_t offset)
{
    struct vfio_user_dma_map map = {
        .argsz = sizeof(map), .flags = flags, .offset = offset, .address = iova, .size = size};

    return client_call(client, VFIO_USER_DMA_MAP, &map, sizeof(map), &fd, fd >= 0, NULL);
}

int client_dma_unmap(struct client *client, uint64_t iova, uint64_t size, uint32_t flags)
{
    struct vfio_user_dma_unmap unmap = {.argsz = sizeof(unmap), .flags = flags, .address = iova, .size = size};

    return client_call(client, VFIO_USER_DMA_UNMAP, &unmap, sizeof(unmap), NULL, 0, NULL);
}

void client_map(struct client *client, bool by_message)
{
    client->memory_fd = memfd_create("client", MFD_CLOEXEC);
    cr_assert_geq(client->memory_fd, 0);
    cr_assert_eq(ftruncate(client->memory_fd, CLIENT_MEMORY_SIZE), 0);
    client->memory = mmap(NULL, CLIENT_MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, client->memory_fd, 0);
    cr_assert_neq(client->memory, MAP_FAILED);
    cr_assert_eq(client_dma_map(client, CLIENT_MEMORY_IOVA, CLIENT_MEMORY_SIZE,
                                VFIO_USER_DMA_MAP_READ | VFIO_USER_DMA_MAP_WRITE, by_message ? -1 : client->memory_fd,
                                0),
                 0);
}

int client_region_read(struct client *client, uint32_t region, uint64_t offset, void *data, uint32_t count)
{
    struct vfio_user_region_access access = {.offset = offset, .region = region, .count = count};
    struct client_reply reply;
    int failed = client_call(client, VFIO_USER_REGION_READ, &access, sizeof(access), NULL, 0, &reply);

    if (!failed) {
        cr_assert_eq(reply.size, sizeof(access) + count);
        memcpy(data, reply.data + sizeof(access), count);
    }
    client_reply_free(&reply);
    return failed;
}

int client_region_write(struct client *client, uint32_t region, uint64_t offset, const void *data, uint32_t count)
{
    struct vfio_user_region_access access = {.offset = offset, .region = region, .count = count};
    uint8_t *payload = malloc(sizeof(access) + count);
    int failed;

    memcpy(payload, &access, sizeof(access));
    memcpy(payload + sizeof(access), data, count);
    failed = client_call(client, VFIO_USER_REGION_WRITE, payload, sizeof(access) + count, NULL, 0, NULL);
    free(payload);
    return failed;
}

uint32_t client_read32(struct client *client, uint32_t region, uint64_t offset)
{
    uint32_t value = 0;

    cr_assert_eq(client_region_read(client, region, offset, &value, sizeof(value)), 0);
    return value;
}

void client_write32(struct client *client, uint32_t region, uint64_t offset, uint32_t value)
{
    cr_assert_eq(client_region_write(client, region, offset, &value, sizeof(value)), 0);
}

void client_bus_master(struct client *client, bool on)
{
    const uint16_t command = on ? 0x6 : 0;

    cr_assert_eq(client_region_write(client, VFIO_PCI_CONFIG_REGION_INDEX, 4, &command, sizeof(command)), 0);
}

int client_set_irqs(struct client *client, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
                    const void *data, size_t size, const int *fds, size_t fd_count)
{
    struct vfio_irq_set head = {.argsz = (uint32_t)(offsetof(struct vfio_irq_set, data) + size),
                                .flags = flags,
                                .index = index,
                                .start = start,
                                .count = count};
    uint8_t payload[4096];

    cr_assert_leq(size, sizeof(payload) - sizeof(head));
    memcpy(payload, &head, sizeof(head));
    if (size)
        memcpy(payload + sizeof(head), data, size);
    return client_call(client, VFIO_USER_DEVICE_SET_IRQS, payload, sizeof(head) + size, fds, fd_count, NULL);
}

int client_trigger(struct client *client, uint32_t index, uint32_t vector)
{
    int fd = eventfd(0, EFD_CLOEXEC);

    cr_assert_geq(fd, 0);
    cr_assert_eq(client_set_irqs(client, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, index, vector, 1,
                                 NULL, 0, &fd, 1),
                 0);
    return fd;
}

uint64_t client_event_count(int fd, int timeout_ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    uint64_t count = 0;

    if (poll(&poll_fd, 1, timeout_ms) == 1)
        cr_assert_eq(read(fd, &count, sizeof(count)), (ssize_t)sizeof(count));
    return count;
}
