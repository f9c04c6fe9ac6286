/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device's DMA. Where the client gave memory it is copied; where it did not, we ask by message and wait for the
 * answer. While we wait, commands of the client that come over the same socket are put aside and answered afterwards,
 * in order: a client that waits for our reply before it answers us would hang us both otherwise.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "devices/server/connection.h"
#include "devices/server/guard.h"

static int defer(struct connection *connection, struct message *message)
{
    if (connection->deferred_count == DEFERRED_MAX || connection->deferred_bytes + message->size > DEFERRED_BYTES_MAX) {
        message_free(message);
        return connection_fail(connection, ENOBUFS, "more than %u commands came while one of ours was unanswered",
                               DEFERRED_MAX);
    }
    message->next = NULL;
    *connection->deferred_end = message;
    connection->deferred_end = &message->next;
    connection->deferred_count++;
    connection->deferred_bytes += message->size;
    return 0;
}

/* Waits for bytes on the socket of our commands. */
static int wait_for_answer(struct connection *connection, int socket, struct deadline deadline)
{
    /* The other socket as well, but for its end alone. */
    struct pollfd poll_fds[2] = {{.fd = socket, .events = POLLIN}, {.fd = connection->socket, .events = POLLRDHUP}};
    int count = poll(poll_fds, 2, deadline_poll_ms(deadline));

    if (count < 0 && errno != EINTR)
        return connection_fail(connection, errno, "poll");
    if (count == 0 && deadline_expired(deadline))
        return connection_fail(connection, ETIMEDOUT, "the client does not answer a DMA command");
    if (socket != connection->socket && poll_fds[1].revents & (POLLRDHUP | POLLHUP | POLLERR))
        return connection_fail(connection, 0, "the client closed the connection");
    return 0;
}

static bool is_reply_to(const struct message *message, uint16_t command, uint16_t id)
{
    return (message->header.flags & VFIO_USER_FLAG_TYPE_MASK) == VFIO_USER_FLAG_TYPE_REPLY &&
           message->header.command == command && message->header.message_id == id;
}

static bool is_command(const struct message *message)
{
    return (message->header.flags & VFIO_USER_FLAG_TYPE_MASK) == VFIO_USER_FLAG_TYPE_COMMAND;
}

/* The reply to our command, which is the caller's; NULL where the connection failed. */
static struct message *wait_for_reply(struct connection *connection, uint16_t command, uint16_t id)
{
    bool twin = connection->twin >= 0;
    int socket = twin ? connection->twin : connection->socket;
    struct receiver *receiver = twin ? &connection->twin_receiver : &connection->receiver;
    struct deadline deadline = deadline_in_ms(REQUEST_TIMEOUT_MS);

    while (!connection->gone) {
        struct message *message;
        int came = receiver_poll(receiver, socket, &message, &connection->error);

        if (came < 0) {
            connection->gone = true;
        } else if (came == 0) {
            wait_for_answer(connection, socket, deadline);
        } else if (is_reply_to(message, command, id)) {
            return message;
        } else if (is_command(message) && !twin) {
            defer(connection, message);
        } else {
            message_free(message);
            connection_fail(connection, EPROTO, "a message that does not answer command %u", command);
        }
    }
    return NULL;
}

/* Sends one DMA_READ or DMA_WRITE and gives its reply. */
static struct message *ask(struct connection *connection, uint16_t command, const struct vfio_user_dma_access *access,
                           const void *data)
{
    struct vfio_user_header header = {.message_id = connection->next_id++, .command = command};
    struct iovec payload[2] = {{.iov_base = (void *)(uintptr_t)access, .iov_len = sizeof(*access)},
                               {.iov_base = (void *)(uintptr_t)data, .iov_len = data ? access->count : 0}};
    int socket = connection->twin >= 0 ? connection->twin : connection->socket;

    if (connection->gone)
        return NULL;
    if (transport_send(socket, &header, payload, 2, NULL, 0, &connection->error) < 0) {
        connection->gone = true;
        return NULL;
    }
    return wait_for_reply(connection, command, header.message_id);
}

/*
 * A reply to DMA_WRITE may be short of the upper half of count: the specification's text has it as 4 bytes and its
 * structure as 8.
 */
static int check_reply(const struct message *reply, const struct vfio_user_dma_access *access, size_t data_size)
{
    struct vfio_user_dma_access answer = {.count = 0};
    size_t head_min = data_size ? sizeof(answer) : 12;

    if (reply->header.flags & VFIO_USER_FLAG_ERROR)
        return EFAULT;
    if (reply->size < head_min)
        return EPROTO;
    memcpy(&answer, reply->payload, reply->size < sizeof(answer) ? reply->size : sizeof(answer));
    if (answer.address != access->address || answer.count != access->count ||
        (data_size && reply->size != sizeof(answer) + data_size))
        return EPROTO;
    return 0;
}

static int transfer_by_message(struct connection *connection, uint64_t iova, void *read_to, const void *write_from,
                               size_t size)
{
    struct vfio_user_dma_access access = {.address = iova, .count = size};
    struct message *reply = ask(connection, read_to ? VFIO_USER_DMA_READ : VFIO_USER_DMA_WRITE, &access, write_from);
    int failed;

    if (!reply)
        return EIO;
    failed = check_reply(reply, &access, read_to ? size : 0);
    if (!failed && read_to)
        memcpy(read_to, reply->payload + sizeof(access), size);
    if (failed == EPROTO)
        connection_fail(connection, EPROTO, "a wrong reply to DMA of %zu bytes at 0x%llx", size,
                        (unsigned long long)iova);
    message_free(reply);
    return failed;
}

/* One piece, inside one mapping. Returns 0 or an errno, and how much was moved. */
static int transfer_piece(struct connection *connection, uint64_t iova, void *read_to, const void *write_from,
                          size_t size, size_t *moved)
{
    const struct dma_mapping *mapping = dma_table_find(&connection->dma, iova);
    uint32_t needed = read_to ? VFIO_USER_DMA_MAP_READ : VFIO_USER_DMA_MAP_WRITE;
    uint64_t offset, left;

    *moved = 0;
    if (!mapping || !(mapping->flags & needed))
        return EFAULT;
    offset = iova - mapping->address;
    left = mapping->size - offset;
    if (size > left)
        size = (size_t)left;
    if (!mapping->base && size > connection->client_data_max)
        size = connection->client_data_max;
    *moved = size;
    if (!mapping->base)
        return transfer_by_message(connection, iova, read_to, write_from, size);
    return read_to ? guard_copy(read_to, mapping->base + offset, size)
                   : guard_copy(mapping->base + offset, write_from, size);
}

static int transfer(struct connection *connection, uint64_t iova, uint8_t *read_to, const uint8_t *write_from,
                    size_t size)
{
    size_t done = 0, moved = 0;

    if (size && size - 1 > UINT64_MAX - iova)
        return EFAULT;
    for (; done < size; done += moved) {
        int failed = transfer_piece(connection, iova + done, read_to ? read_to + done : NULL,
                                    write_from ? write_from + done : NULL, size - done, &moved);

        /* A write that failed may have been made in part. */
        if (write_from)
            dirty_log_mark(&connection->log, iova + done, moved);
        if (failed)
            return failed;
    }
    return 0;
}

int connection_dma_read(struct device_host *host, enum device_dma_purpose purpose, uint64_t iova, void *data,
                        size_t size)
{
    (void)purpose;
    return transfer((struct connection *)host, iova, data, NULL, size);
}

int connection_dma_write(struct device_host *host, enum device_dma_purpose purpose, uint64_t iova, const void *data,
                         size_t size)
{
    (void)purpose;
    return transfer((struct connection *)host, iova, NULL, data, size);
}

bool connection_dma_reaches_peer(struct device_host *host, uint64_t iova, uint64_t size)
{
    const struct connection *connection = (const struct connection *)host;

    return !connection->peers_marked || dma_table_has_peer(&connection->dma, iova, size);
}
