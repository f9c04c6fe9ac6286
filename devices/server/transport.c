/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "devices/server/transport.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/io.h"

#define VECTOR_MAX 4

void message_free(struct message *message)
{
    if (!message)
        return;
    for (size_t i = 0; i < message->fd_count; i++)
        io_close(&message->fds[i]);
    free(message->payload);
    free(message);
}

int message_take_fd(struct message *message, size_t i)
{
    int fd = message->fds[i];

    message->fds[i] = -1;
    return fd;
}

void receiver_free(struct receiver *receiver)
{
    message_free(receiver->message);
    *receiver = (struct receiver){.message = NULL};
}

bool receiver_in_message(const struct receiver *receiver)
{
    return receiver->have != 0;
}

static int begin(struct receiver *receiver, struct error *error)
{
    if (receiver->message)
        return 0;
    receiver->message = calloc(1, sizeof(*receiver->message));
    receiver->have = 0;
    return receiver->message ? 0 : error_set(error, ENOMEM, "a message");
}

/* The header is whole: makes room for the payload. */
static int begin_payload(struct message *message, struct error *error)
{
    size_t size = message->header.size;

    if (size < sizeof(message->header) || size > sizeof(message->header) + TRANSPORT_PAYLOAD_MAX)
        return error_set(error, EPROTO, "a message of %zu bytes: from %zu to %zu are possible", size,
                         sizeof(message->header), sizeof(message->header) + TRANSPORT_PAYLOAD_MAX);
    message->size = size - sizeof(message->header);
    /* One byte at least, so that a payload of none has an address too. */
    message->payload = malloc(message->size + 1);
    return message->payload ? 0 : error_set(error, ENOMEM, "a message of %zu bytes", size);
}

/* Reads up to size bytes, and the descriptors with them. Returns 1 where something came, 0 where nothing has, -1. */
static int receive_some(struct receiver *receiver, int socket, void *data, size_t size, struct error *error)
{
    struct message *message = receiver->message;
    size_t fd_count = TRANSPORT_FDS_MAX - message->fd_count;
    /* A deadline that has passed: io_receive tries before it waits. */
    ssize_t count = io_receive(socket, data, size, message->fds + message->fd_count, &fd_count,
                               (struct deadline){.at_ns = 0}, "the client", error);

    if (count < 0 && error->number == ETIMEDOUT)
        return 0;
    /* A client that leaves before it has read our last reply resets the connection: between messages that is an end. */
    if (count == 0 || (count < 0 && error->number == ECONNRESET))
        return error_set(error, receiver->have ? EPROTO : 0, "the client left in the middle of a message");
    if (count < 0)
        return -1;
    message->fd_count += fd_count;
    if (!receiver->have)
        receiver->stalled = deadline_in_ms(TRANSPORT_STALL_MS);
    receiver->have += (size_t)count;
    return 1;
}

/*
 * Header and payload are read each for itself and never past their end, so that descriptors, which come with the first
 * byte of a message, are never taken for those of another.
 */
int receiver_poll(struct receiver *receiver, int socket, struct message **done, struct error *error)
{
    const size_t header_size = sizeof(struct vfio_user_header);
    struct message *message;

    if (begin(receiver, error) < 0)
        return -1;
    message = receiver->message;
    while (!message->payload || receiver->have < header_size + message->size) {
        bool in_header = receiver->have < header_size;
        uint8_t *data = in_header ? (uint8_t *)&message->header + receiver->have
                                  : message->payload + (receiver->have - header_size);
        size_t size = in_header ? header_size - receiver->have : header_size + message->size - receiver->have;
        int came = receive_some(receiver, socket, data, size, error);

        if (came <= 0)
            return came;
        if (receiver->have == header_size && begin_payload(message, error) < 0)
            return -1;
    }
    *done = message;
    receiver->message = NULL;
    receiver->have = 0;
    return 1;
}

int transport_send(int socket, struct vfio_user_header *header, const struct iovec *payload, size_t payload_count,
                   const int *fds, size_t fd_count, struct error *error)
{
    struct iovec vector[1 + VECTOR_MAX] = {{.iov_base = header, .iov_len = sizeof(*header)}};
    size_t size = sizeof(*header);

    if (payload_count > VECTOR_MAX)
        return error_set(error, EMSGSIZE, "a message of %zu parts", payload_count);
    for (size_t i = 0; i < payload_count; i++) {
        vector[1 + i] = payload[i];
        size += payload[i].iov_len;
    }
    header->size = (uint32_t)size;
    if (io_send(socket, vector, 1 + payload_count, fds, fd_count, deadline_in_ms(TRANSPORT_STALL_MS), "the client",
                error) == 0)
        return 0;
    /* A client that left is no failure of anybody's. */
    if (error->number == EPIPE || error->number == ECONNRESET)
        error->number = 0;
    return -1;
}
