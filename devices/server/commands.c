/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "devices/server/connection.h"

int handle_get_info(struct connection *connection, struct message *message, struct reply *reply)
{
    struct vfio_device_info info;

    (void)connection;
    /* The message ends with num_irqs; struct vfio_device_info has grown since. */
    memset(&info, 0, sizeof(info));
    memcpy(&info, message->payload, 16);
    if (info.argsz < 16)
        return EINVAL;
    info.argsz = 16;
    info.flags = VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI;
    info.num_regions = VFIO_PCI_NUM_REGIONS;
    info.num_irqs = VFIO_PCI_NUM_IRQS;
    buffer_put(&reply->payload, &info, 16);
    return 0;
}

/* struct vfio_region_info_cap_sparse_mmap with one area. */
struct sparse_capability {
    struct vfio_region_info_cap_sparse_mmap head;
    struct vfio_region_sparse_mmap_area area;
};

/*
 * A client that left no room for the capabilities is told by argsz to ask again, and gets neither CAPS, which stands for
 * capabilities in this reply, nor the descriptor: clients take a descriptor only with the whole reply, and refuse CAPS
 * without an offset.
 */
int handle_get_region_info(struct connection *connection, struct message *message, struct reply *reply)
{
    struct vfio_region_info info;
    struct device_region region;
    struct sparse_capability sparse = {
        .head = {.header = {.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP, .version = 1}, .nr_areas = 1}};
    uint32_t room;

    memcpy(&info, message->payload, sizeof(info));
    if (info.argsz < sizeof(info) || info.index >= VFIO_PCI_NUM_REGIONS)
        return EINVAL;
    device_get_region(connection->device, info.index, &region);
    room = info.argsz;
    info = (struct vfio_region_info){
        .argsz = sizeof(info), .flags = region.flags, .index = info.index, .size = region.size};
    if (!(region.flags & VFIO_REGION_INFO_FLAG_MMAP) || !connection->client_fds_max) {
        info.flags &= ~VFIO_REGION_INFO_FLAG_MMAP;
        buffer_put(&reply->payload, &info, sizeof(info));
        return 0;
    }
    info.argsz = sizeof(info) + sizeof(sparse);
    if (room < info.argsz) {
        buffer_put(&reply->payload, &info, sizeof(info));
        return 0;
    }
    info.flags |= VFIO_REGION_INFO_FLAG_CAPS;
    info.cap_offset = sizeof(info);
    sparse.area.size = region.size;
    reply->fds[reply->fd_count++] = region.mmap_fd;
    buffer_put(&reply->payload, &info, sizeof(info));
    buffer_put(&reply->payload, &sparse, sizeof(sparse));
    return 0;
}

/* The eventfds of the device's doorbells, made when somebody first asks for them. */
static int open_doorbells(struct connection *connection)
{
    for (size_t i = 0; i < connection->doorbell_count; i++) {
        int fd = connection->doorbell_fd[i];
        int failed;

        if (fd >= 0)
            continue;
        fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (fd < 0)
            return errno;
        connection->doorbell_fd[i] = fd;
        failed = connection_watch(connection, fd, WATCH_DOORBELL + i);
        if (failed)
            return failed;
    }
    return 0;
}

static size_t count_doorbells(const struct connection *connection, uint32_t region)
{
    size_t count = 0;

    for (size_t i = 0; i < connection->doorbell_count; i++)
        count += connection->doorbell[i].region == region;
    return count;
}

static void put_doorbell(struct connection *connection, size_t number, struct reply *reply)
{
    struct vfio_user_io_fd io_fd = {
        .offset = connection->doorbell[number].offset,
        .size = connection->doorbell[number].size,
        .type = VFIO_USER_IO_FD_TYPE_IOEVENTFD,
    };

    if (!connection->doorbells_shared || !reply->fd_count)
        reply->fds[reply->fd_count++] = connection->doorbell_fd[connection->doorbells_shared ? 0 : number];
    io_fd.fd_index = (uint32_t)reply->fd_count - 1;
    buffer_put(&reply->payload, &io_fd, sizeof(io_fd));
}

int handle_get_region_io_fds(struct connection *connection, struct message *message, struct reply *reply)
{
    struct vfio_user_region_io_fds head;
    uint32_t room;
    int failed;

    memcpy(&head, message->payload, sizeof(head));
    if (head.argsz < sizeof(head) || head.flags || head.count || head.index >= VFIO_PCI_NUM_REGIONS)
        return EINVAL;
    room = head.argsz;
    head.count = connection->client_fds_max ? (uint32_t)count_doorbells(connection, head.index) : 0;
    head.argsz = (uint32_t)(sizeof(head) + head.count * sizeof(struct vfio_user_io_fd));
    buffer_put(&reply->payload, &head, sizeof(head));
    if (room < head.argsz || !head.count)
        return 0;
    failed = open_doorbells(connection);
    if (failed)
        return failed;
    connection->doorbells_shared = head.count > connection->client_fds_max;
    for (size_t i = 0; i < connection->doorbell_count; i++)
        if (connection->doorbell[i].region == head.index)
            put_doorbell(connection, i, reply);
    return 0;
}

int handle_get_irq_info(struct connection *connection, struct message *message, struct reply *reply)
{
    struct vfio_irq_info info;

    memcpy(&info, message->payload, sizeof(info));
    if (info.argsz < sizeof(info) || info.index >= VFIO_PCI_NUM_IRQS)
        return EINVAL;
    info.argsz = sizeof(info);
    info.flags = connection->irqs.index[info.index].info.flags;
    info.count = connection->irqs.index[info.index].info.count;
    buffer_put(&reply->payload, &info, sizeof(info));
    return 0;
}

int handle_set_irqs(struct connection *connection, struct message *message, struct reply *reply)
{
    struct irqs *irqs = &connection->irqs;
    int failed, unwatched = 0;

    (void)reply;
    /* Not after they were closed: the client has them too, so they would stay in epoll. */
    connection_unwatch(connection, irqs->mask_fd);
    connection_unwatch(connection, irqs->unmask_fd);
    failed = irqs_set(irqs, message->payload, message->size, message->fds, message->fd_count);
    if (irqs->mask_fd >= 0)
        unwatched = connection_watch(connection, irqs->mask_fd, WATCH_MASK);
    if (!unwatched && irqs->unmask_fd >= 0)
        unwatched = connection_watch(connection, irqs->unmask_fd, WATCH_UNMASK);
    if (!failed)
        device_irqs_changed(connection->device);
    return failed ? failed : unwatched;
}

/* Is this an access that the region takes? */
static int check_access(struct connection *connection, uint32_t index, uint64_t offset, uint64_t count, uint32_t need)
{
    struct device_region region;

    if (index >= VFIO_PCI_NUM_REGIONS || !count || count > TRANSPORT_DATA_MAX)
        return EINVAL;
    device_get_region(connection->device, index, &region);
    if (!(region.flags & need) || offset > region.size || count > region.size - offset)
        return EINVAL;
    return 0;
}

int handle_region_read(struct connection *connection, struct message *message, struct reply *reply)
{
    struct vfio_user_region_access access;
    uint8_t *data;
    int failed;

    memcpy(&access, message->payload, sizeof(access));
    failed = check_access(connection, access.region, access.offset, access.count, VFIO_REGION_INFO_FLAG_READ);
    if (failed || message->size != sizeof(access) || access.count > connection->client_data_max)
        return EINVAL;
    buffer_put(&reply->payload, &access, sizeof(access));
    data = buffer_extend(&reply->payload, access.count);
    if (!data)
        return ENOMEM;
    return device_region_read(connection->device, access.region, access.offset, data, access.count);
}

int handle_region_write(struct connection *connection, struct message *message, struct reply *reply)
{
    struct vfio_user_region_access access;
    int failed;

    memcpy(&access, message->payload, sizeof(access));
    failed = check_access(connection, access.region, access.offset, access.count, VFIO_REGION_INFO_FLAG_WRITE);
    if (failed || message->size != sizeof(access) + access.count)
        return EINVAL;
    buffer_put(&reply->payload, &access, sizeof(access));
    return device_region_write(connection->device, access.region, access.offset, message->payload + sizeof(access),
                               access.count);
}

/* All are checked before the first is made. */
int handle_region_write_multi(struct connection *connection, struct message *message, struct reply *reply)
{
    struct vfio_user_region_write_multi_entry entry;
    const uint8_t *entries = message->payload + sizeof(uint64_t);
    uint64_t count;

    memcpy(&count, message->payload, sizeof(count));
    if (!connection->write_multiple)
        return EOPNOTSUPP;
    if (count > message->size / sizeof(entry) || message->size != sizeof(count) + count * sizeof(entry))
        return EINVAL;
    for (uint64_t i = 0; i < count; i++) {
        memcpy(&entry, entries + i * sizeof(entry), sizeof(entry));
        if (entry.count > sizeof(entry.data) ||
            check_access(connection, entry.region, entry.offset, entry.count, VFIO_REGION_INFO_FLAG_WRITE))
            return EINVAL;
    }
    for (uint64_t i = 0; i < count; i++) {
        int failed;

        memcpy(&entry, entries + i * sizeof(entry), sizeof(entry));
        failed = device_region_write(connection->device, entry.region, entry.offset, entry.data, entry.count);
        if (failed)
            return failed;
    }
    buffer_put(&reply->payload, &count, sizeof(count));
    return 0;
}

int handle_reset(struct connection *connection, struct message *message, struct reply *reply)
{
    (void)reply;
    if (message->size)
        return EINVAL;
    device_reset(connection->device);
    connection->migration_state = VFIO_DEVICE_STATE_RUNNING;
    return 0;
}
