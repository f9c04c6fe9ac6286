/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is done to the device: region access, interrupts, DMA mappings, reset. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "vmm/vfio/vfio_user_client.h"

static int check_access(struct vfio_user *client, const char *what, const struct vfio_user_region_access *sent,
                        const struct vfio_user_region_access *reply, struct error *error)
{
    if (memcmp(sent, reply, sizeof(*sent)) == 0)
        return 0;
    return vfio_user_violation(
        client, error,
        "%s of %u bytes at 0x%" PRIx64 " of region %u: the reply has %u bytes at 0x%" PRIx64 " of region %u", what,
        sent->count, sent->offset, sent->region, reply->count, reply->offset, reply->region);
}

static int read_part(struct vfio_user *client, uint32_t region, uint64_t offset, void *data, uint32_t count,
                     struct error *error)
{
    struct vfio_user_region_access access = {.offset = offset, .region = region, .count = count};
    struct vfio_user_region_access reply;
    struct vfio_user_call call = {
        .command = VFIO_USER_REGION_READ,
        .request = {{&access, sizeof(access)}},
        .request_count = 1,
        .reply = {{&reply, sizeof(reply)}, {data, count}},
        .reply_minimum = sizeof(reply) + count,
    };

    if (vfio_user_roundtrip(client, &call, error, "REGION_READ of %u bytes at 0x%" PRIx64 " of region %u", count,
                            offset, region) < 0)
        return -1;
    return check_access(client, "REGION_READ", &access, &reply, error);
}

static int write_part(struct vfio_user *client, uint32_t region, uint64_t offset, const void *data, uint32_t count,
                      struct error *error)
{
    struct vfio_user_region_access access = {.offset = offset, .region = region, .count = count};
    struct vfio_user_region_access reply;
    struct vfio_user_call call = {
        .command = VFIO_USER_REGION_WRITE,
        .request = {{&access, sizeof(access)}, {(void *)data, count}},
        .request_count = 2,
        .reply = {{&reply, sizeof(reply)}},
        .reply_minimum = sizeof(reply),
    };

    if (vfio_user_roundtrip(client, &call, error, "REGION_WRITE of %u bytes at 0x%" PRIx64 " of region %u", count,
                            offset, region) < 0)
        return -1;
    return check_access(client, "REGION_WRITE", &access, &reply, error);
}

static uint32_t part_of(const struct vfio_user *client, size_t left)
{
    uint32_t maximum = client->agreement.max_data_xfer_size;

    return left < maximum ? (uint32_t)left : maximum;
}

int vfio_user_region_read(struct vfio_device *device, uint32_t region, uint64_t offset, void *data, size_t count,
                          struct error *error)
{
    struct vfio_user *client = vfio_user_of(device);

    vfio_device_count_access(device, region);
    for (size_t done = 0; done < count;) {
        uint32_t part = part_of(client, count - done);

        if (read_part(client, region, offset + done, (char *)data + done, part, error) < 0)
            return -1;
        done += part;
    }
    return 0;
}

int vfio_user_region_write(struct vfio_device *device, uint32_t region, uint64_t offset, const void *data, size_t count,
                           struct error *error)
{
    struct vfio_user *client = vfio_user_of(device);

    vfio_device_count_access(device, region);
    for (size_t done = 0; done < count;) {
        uint32_t part = part_of(client, count - done);

        if (write_part(client, region, offset + done, (const char *)data + done, part, error) < 0)
            return -1;
        done += part;
    }
    return 0;
}

static int set_irqs_once(struct vfio_user *client, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
                         const void *data, size_t data_size, const int *fds, size_t fd_count, struct error *error)
{
    struct vfio_irq_set set = {
        .argsz = (uint32_t)(sizeof(set) + data_size),
        .flags = flags,
        .index = index,
        .start = start,
        .count = count,
    };
    struct vfio_user_call call = {
        .command = VFIO_USER_DEVICE_SET_IRQS,
        .request = {{&set, sizeof(set)}, {(void *)data, data_size}},
        .request_count = 2,
        .fds = fds,
        .fd_count = fd_count,
    };

    return vfio_user_roundtrip(client, &call, error, "SET_IRQS of index %u, %u from %u on, flags 0x%x", index, count,
                               start, flags);
}

/* How many from the first on go into one message: descriptors as far as it may carry, or as many that are -1. */
static uint32_t run_length(const int32_t *fds, uint32_t count, uint32_t max_fds)
{
    uint32_t length = 1;

    while (length < count && (fds[length] < 0) == (fds[0] < 0) && (fds[0] < 0 || length < max_fds))
        length++;
    return length;
}

/* A message without descriptors takes those of its range away, so that -1 entries go in messages of their own. */
static int set_irq_eventfds(struct vfio_user *client, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
                            const int32_t *fds, struct error *error)
{
    uint32_t max_fds = client->agreement.max_msg_fds;

    for (uint32_t done = 0; done < count;) {
        uint32_t length = run_length(fds + done, count - done, max_fds);
        bool has_fds = fds[done] >= 0;

        if (has_fds && !max_fds)
            return error_set(error, EMSGSIZE, "%s: SET_IRQS: the server takes no descriptors", client->device.name);
        if (set_irqs_once(client, flags, index, start + done, length, NULL, 0, fds + done, has_fds ? length : 0,
                          error) < 0)
            return -1;
        done += length;
    }
    return 0;
}

int vfio_user_set_irqs(struct vfio_device *device, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
                       const void *data, size_t data_size, struct error *error)
{
    struct vfio_user *client = vfio_user_of(device);
    uint32_t type = flags & VFIO_IRQ_SET_DATA_TYPE_MASK;
    size_t expected = type == VFIO_IRQ_SET_DATA_EVENTFD ? count * sizeof(int32_t)
                      : type == VFIO_IRQ_SET_DATA_BOOL  ? count
                                                        : 0;

    if (data_size != expected || data_size > client->agreement.max_data_xfer_size)
        return error_set(error, EINVAL, "%s: SET_IRQS: %zu bytes of data for %u interrupts", device->name, data_size,
                         count);
    if (type == VFIO_IRQ_SET_DATA_EVENTFD)
        return set_irq_eventfds(client, flags, index, start, count, data, error);
    return set_irqs_once(client, flags, index, start, count, data, data_size, NULL, 0, error);
}

static int map(struct vfio_user *client, uint32_t flags, uint64_t iova, uint64_t size, void *host, int fd,
               uint64_t offset, struct error *error)
{
    const struct vfio_device *device = &client->device;
    uint64_t page = client->agreement.pgsizes & -client->agreement.pgsizes;
    bool by_message = client->dma_by_message || fd < 0 || client->agreement.max_msg_fds == 0;
    struct vfio_user_dma_map request = {
        .argsz = sizeof(request),
        .flags = flags,
        .offset = by_message ? 0 : offset,
        .address = iova,
        .size = size,
    };
    struct vfio_user_call call = {
        .command = VFIO_USER_DMA_MAP,
        .request = {{&request, sizeof(request)}},
        .request_count = 1,
        .fds = &fd,
        .fd_count = by_message ? 0 : 1,
    };

    if (iova % page || size % page)
        return error_set(error, EINVAL,
                         "%s: DMA_MAP of %" PRIu64 " bytes at 0x%" PRIx64
                         ": not of whole pages of the server's %" PRIu64 " bytes",
                         device->name, size, iova, page);
    /* First, because the server may use it before its reply comes. */
    if (vfio_user_dma_add(&client->dma, iova, size, host, flags & VFIO_USER_DMA_MAP_WRITE,
                          client->agreement.max_dma_maps, error) < 0)
        return error_prefix(error, "%s: DMA_MAP", device->name);
    if (by_message && !atomic_exchange(&client->serve_main, true))
        vfio_user_background_wake(client);
    if (vfio_user_roundtrip(client, &call, error, "DMA_MAP of %" PRIu64 " bytes at 0x%" PRIx64, size, iova) < 0) {
        vfio_user_dma_remove(&client->dma, iova, size);
        return -1;
    }
    return 0;
}

static uint32_t access_flags(bool writable)
{
    return VFIO_USER_DMA_MAP_READ | (writable ? VFIO_USER_DMA_MAP_WRITE : 0);
}

int vfio_user_dma_map(struct vfio_device *device, uint64_t iova, uint64_t size, void *host, int fd, uint64_t offset,
                      bool writable, struct error *error)
{
    return map(vfio_user_of(device), access_flags(writable), iova, size, host, fd, offset, error);
}

int vfio_user_dma_map_peer(struct vfio_device *device, uint64_t iova, uint64_t size, void *host, int fd,
                           uint64_t offset, bool writable, struct error *error)
{
    struct vfio_user *client = vfio_user_of(device);
    uint32_t flags = access_flags(writable);

    if (client->agreement.peer_mappings)
        flags |= VFIO_USER_STOPCOPY_DMA_MAP_PEER;
    return map(client, flags, iova, size, host, fd, offset, error);
}

int vfio_user_unmap_unchecked(struct vfio_device *device, uint64_t iova, uint64_t size, struct error *error)
{
    struct vfio_user_dma_unmap unmap = {.argsz = sizeof(unmap), .address = iova, .size = size};
    struct vfio_user_dma_unmap reply = unmap;
    struct vfio_user_call call = {
        .command = VFIO_USER_DMA_UNMAP,
        .request = {{&unmap, sizeof(unmap)}},
        .request_count = 1,
        .reply = {{&reply, sizeof(reply)}},
    };

    return vfio_user_roundtrip(vfio_user_of(device), &call, error, "DMA_UNMAP of %" PRIu64 " bytes at 0x%" PRIx64, size,
                               iova);
}

int vfio_user_dma_unmap(struct vfio_device *device, uint64_t iova, uint64_t size, struct error *error)
{
    struct vfio_user *client = vfio_user_of(device);
    struct vfio_user_dma_unmap unmap = {.argsz = sizeof(unmap), .address = iova, .size = size};
    struct vfio_user_dma_unmap reply = unmap;
    struct vfio_user_call call = {
        .command = VFIO_USER_DMA_UNMAP,
        .request = {{&unmap, sizeof(unmap)}},
        .request_count = 1,
        /* The specification has the whole structure in the reply; some servers answer with the header alone. */
        .reply = {{&reply, sizeof(reply)}},
    };
    int status;

    if (!vfio_user_dma_has(&client->dma, iova, size))
        return error_set(error, ENOENT, "%s: DMA_UNMAP of %" PRIu64 " bytes at 0x%" PRIx64 ", which are not mapped so",
                         device->name, size, iova);
    status = vfio_user_roundtrip(client, &call, error, "DMA_UNMAP of %" PRIu64 " bytes at 0x%" PRIx64, size, iova);
    if (status == 0 && (call.reply_size % sizeof(reply) || reply.address != iova || reply.size != size))
        status = vfio_user_violation(client, error,
                                     "DMA_UNMAP of %" PRIu64 " bytes at 0x%" PRIx64
                                     ": the reply (%zu bytes) has %" PRIu64 " at 0x%" PRIx64,
                                     size, iova, call.reply_size, reply.size, reply.address);
    /* Only after the reply, because until then the server may use it. A refusal leaves it mapped. */
    if (!call.answer)
        vfio_user_dma_remove(&client->dma, iova, size);
    return status;
}

int vfio_user_take_own_dirty(struct vfio_device *device, uint64_t iova, uint64_t size, uint64_t page_size,
                             uint64_t *bitmap, struct error *error)
{
    if (!page_size || page_size & (page_size - 1))
        return error_set(error, EINVAL, "%s: a log of pages of %" PRIu64 " bytes", device->name, page_size);
    vfio_user_dma_take_log(&vfio_user_of(device)->dma, iova, size, page_size, bitmap);
    return 0;
}

int vfio_user_reset(struct vfio_device *device, struct error *error)
{
    struct vfio_user *client = vfio_user_of(device);
    struct vfio_user_call call = {.command = VFIO_USER_DEVICE_RESET};
    int status = vfio_user_roundtrip(client, &call, error, "DEVICE_RESET");

    client->sessions.state_known = false;
    if (status == 0) {
        client->sessions.live = SESSION_NONE;
        client->sessions.pending = false;
        client->sessions.generation++;
    }
    return status;
}
