/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages of vfio-user, as they go over the socket. */
#include "config.h"

#include "client.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/deadline.h"

void client_send_raw(struct client *client, const void *data, size_t size)
{
    const uint8_t *bytes = data;

    while (size) {
        ssize_t count = send(client->socket, bytes, size, MSG_NOSIGNAL);

        if (count < 0)
            return; /* the server closed it, which the test looks at */
        bytes += count;
        size -= (size_t)count;
    }
}

void client_expect_closed(struct client *client)
{
    struct deadline deadline = deadline_in_ms(CLIENT_TIMEOUT_MS);
    uint8_t bytes[256];
    ssize_t count;

    do {
        struct pollfd poll_fd = {.fd = client->socket, .events = POLLIN};

        cr_assert_eq(poll(&poll_fd, 1, deadline_poll_ms(deadline)), 1, "the server keeps the connection");
        count = recv(client->socket, bytes, sizeof(bytes), 0);
    } while (count > 0);
}

static void send_message(int socket, struct vfio_user_header *header, const void *payload, size_t size, const int *fds,
                         size_t fd_count)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int) * CLIENT_FDS)];
    } control = {.room = {0}};
    struct iovec vector[2] = {{header, sizeof(*header)}, {(void *)(uintptr_t)payload, size}};
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = 2};
    ssize_t sent;

    header->size = (uint32_t)(sizeof(*header) + size);
    if (fd_count) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * fd_count);
    }
    sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    cr_assert_eq(sent, (ssize_t)header->size, "sending command %u: %s", header->command, strerror(errno));
}

void client_send(struct client *client, uint16_t command, uint32_t flags, const void *payload, size_t size,
                 const int *fds, size_t fd_count)
{
    struct vfio_user_header header = {.message_id = ++client->next_id, .command = command, .flags = flags};

    send_message(client->socket, &header, payload, size, fds, fd_count);
}

static void receive_exactly(int socket, void *data, size_t size, struct client_reply *reply)
{
    struct deadline deadline = deadline_in_ms(CLIENT_TIMEOUT_MS);
    uint8_t *bytes = data;

    while (size) {
        char control[CMSG_SPACE(sizeof(int) * CLIENT_FDS)] __attribute__((aligned(8)));
        struct iovec vector = {bytes, size};
        struct msghdr message = {
            .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
        struct pollfd poll_fd = {.fd = socket, .events = POLLIN};
        struct cmsghdr *header;
        ssize_t count;

        cr_assert_eq(poll(&poll_fd, 1, deadline_poll_ms(deadline)), 1, "the server does not answer");
        count = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
        cr_assert_gt(count, 0, "the server closed the connection");
        header = CMSG_FIRSTHDR(&message);
        if (header) {
            reply->fd_count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            memcpy(reply->fds, CMSG_DATA(header), reply->fd_count * sizeof(int));
        }
        bytes += count;
        size -= (size_t)count;
    }
}

static struct vfio_user_header receive_message(int socket, struct client_reply *reply)
{
    struct vfio_user_header header;

    *reply = (struct client_reply){.size = 0};
    receive_exactly(socket, &header, sizeof(header), reply);
    cr_assert_geq(header.size, sizeof(header));
    reply->size = header.size - sizeof(header);
    reply->data = malloc(reply->size + 1);
    cr_assert_not_null(reply->data);
    receive_exactly(socket, reply->data, reply->size, reply);
    return header;
}

void client_reply_free(struct client_reply *reply)
{
    for (size_t i = 0; i < reply->fd_count; i++)
        if (reply->fds[i] >= 0)
            close(reply->fds[i]);
    free(reply->data);
    *reply = (struct client_reply){.size = 0};
}

/* Answers one DMA_READ or DMA_WRITE. */
static void answer_dma(struct client *client, int socket, const struct vfio_user_header *command,
                       const struct client_reply *request)
{
    struct vfio_user_header header = {
        .message_id = command->message_id, .command = command->command, .flags = VFIO_USER_FLAG_TYPE_REPLY};
    struct vfio_user_dma_access access;
    static uint8_t payload[sizeof(struct vfio_user_dma_access) + (2u << 20)];
    bool inside;

    cr_assert_eq(command->flags & VFIO_USER_FLAG_TYPE_MASK, VFIO_USER_FLAG_TYPE_COMMAND);
    cr_assert(command->command == VFIO_USER_DMA_READ || command->command == VFIO_USER_DMA_WRITE);
    cr_assert_geq(request->size, sizeof(access));
    memcpy(&access, request->data, sizeof(access));
    inside = access.address >= CLIENT_MEMORY_IOVA && access.count <= (2u << 20) &&
             access.address - CLIENT_MEMORY_IOVA <= CLIENT_MEMORY_SIZE - access.count;
    cr_assert(inside, "DMA outside of what was mapped");
    client->served++;
    if (client->refuse_dma) {
        header.flags |= VFIO_USER_FLAG_ERROR;
        header.error_number = (uint32_t)client->refuse_dma;
        send_message(socket, &header, NULL, 0, NULL, 0);
        return;
    }
    memcpy(payload, &access, sizeof(access));
    if (command->command == VFIO_USER_DMA_READ) {
        memcpy(payload + sizeof(access), client->memory + (access.address - CLIENT_MEMORY_IOVA), access.count);
        send_message(socket, &header, payload, sizeof(access) + access.count, NULL, 0);
    } else {
        cr_assert_eq(request->size, sizeof(access) + access.count);
        memcpy(client->memory + (access.address - CLIENT_MEMORY_IOVA), request->data + sizeof(access), access.count);
        send_message(socket, &header, payload, sizeof(access), NULL, 0);
    }
}

/* Takes one message of whichever socket has one. Returns false at the timeout. */
static bool receive_any(struct client *client, int timeout_ms, struct vfio_user_header *header,
                        struct client_reply *reply, int *socket)
{
    struct pollfd poll_fds[2] = {{.fd = client->socket, .events = POLLIN}, {.fd = client->twin, .events = POLLIN}};
    int count = poll(poll_fds, client->twin >= 0 ? 2 : 1, timeout_ms);

    if (count <= 0)
        return false;
    *socket = client->twin >= 0 && poll_fds[1].revents & POLLIN ? client->twin : client->socket;
    *header = receive_message(*socket, reply);
    return true;
}

int client_wait_reply(struct client *client, struct client_reply *reply)
{
    for (;;) {
        struct vfio_user_header header;
        struct client_reply got;
        int socket;

        cr_assert(receive_any(client, CLIENT_TIMEOUT_MS, &header, &got, &socket), "the server does not answer");
        if ((header.flags & VFIO_USER_FLAG_TYPE_MASK) == VFIO_USER_FLAG_TYPE_COMMAND) {
            answer_dma(client, socket, &header, &got);
            client_reply_free(&got);
            continue;
        }
        cr_assert_eq(header.message_id, client->next_id);
        if (reply)
            *reply = got;
        else
            client_reply_free(&got);
        if (!(header.flags & VFIO_USER_FLAG_ERROR))
            return 0;
        cr_assert_eq(header.size, sizeof(header), "an error reply is the header alone");
        return header.error_number ? (int)header.error_number : EIO;
    }
}

int client_call(struct client *client, uint16_t command, const void *payload, size_t size, const int *fds,
                size_t fd_count, struct client_reply *reply)
{
    client_send(client, command, VFIO_USER_FLAG_TYPE_COMMAND, payload, size, fds, fd_count);
    return client_wait_reply(client, reply);
}

void client_serve_dma(struct client *client, int timeout_ms)
{
    struct vfio_user_header header;
    struct client_reply got;
    int socket;

    while (receive_any(client, timeout_ms, &header, &got, &socket)) {
        answer_dma(client, socket, &header, &got);
        client_reply_free(&got);
        timeout_ms = 0;
    }
}
