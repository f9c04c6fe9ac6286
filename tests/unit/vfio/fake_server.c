/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/vfio/fake_server.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/io.h"

static void drop_message(struct fake_server *server)
{
    free(server->message.payload);
    while (server->message.fd_count)
        io_close(&server->message.fds[--server->message.fd_count]);
    memset(&server->message, 0, sizeof(server->message));
}

static void *run(void *argument)
{
    struct fake_server *server = argument;

    server->script(server);
    drop_message(server);
    io_close(&server->twin);
    io_close(&server->socket);
    return NULL;
}

struct vfio_device *fake_open(struct fake_server *server, fake_script script, void *argument, uint64_t timeout_ns,
                              struct error *error)
{
    int pair[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    *server = (struct fake_server){.socket = pair[0], .twin = -1, .script = script, .argument = argument};
    cr_assert_eq(pthread_create(&server->thread, NULL, run, server), 0);
    return vfio_user_adopt(pair[1], "fake", false, timeout_ns, error);
}

struct vfio_device *fake_open_good(struct fake_server *server, fake_script script, void *argument, uint64_t timeout_ns)
{
    struct error error = ERROR_INIT;
    struct vfio_device *device = fake_open(server, script, argument, timeout_ns, &error);

    cr_assert_not_null(device, "%s", error.text);
    return device;
}

void fake_close(struct fake_server *server, struct vfio_device *device)
{
    vfio_device_close(device);
    pthread_join(server->thread, NULL);
}

static int receive_on(struct fake_server *server, int socket)
{
    struct fake_message *message = &server->message;
    struct deadline deadline = deadline_in_ns(FAKE_TIMEOUT_NS);
    size_t done = 0;

    drop_message(server);
    while (done < sizeof(message->header)) {
        size_t room = 32 - message->fd_count;
        ssize_t count = io_receive(socket, (char *)&message->header + done, sizeof(message->header) - done,
                                   message->fds + message->fd_count, &room, deadline, "client", NULL);

        if (count <= 0)
            return 0;
        message->fd_count += room;
        done += (size_t)count;
    }
    message->size = message->header.size - sizeof(message->header);
    message->payload = calloc(1, message->size + 1);
    return io_read_full(socket, message->payload, message->size, deadline, "client", NULL) == 0;
}

int fake_receive(struct fake_server *server)
{
    return receive_on(server, server->socket);
}

void fake_expect(struct fake_server *server, uint16_t command)
{
    cr_assert(fake_receive(server), "the client closed instead of command %u", command);
    cr_assert_eq(server->message.header.command, command, "command %u instead of %u", server->message.header.command,
                 command);
    cr_assert_eq(server->message.header.flags, VFIO_USER_FLAG_TYPE_COMMAND);
}

static void send_on(int socket, const struct vfio_user_header *header, const void *payload, size_t size, const int *fds,
                    size_t fd_count)
{
    struct iovec vector[2] = {{(void *)header, sizeof(*header)}, {(void *)payload, size}};

    /* The client may be gone: the test sees that. */
    io_send(socket, vector, size ? 2 : 1, fds, fd_count, deadline_in_ns(FAKE_TIMEOUT_NS), "client", NULL);
}

void fake_send(struct fake_server *server, const struct vfio_user_header *header, const void *payload, size_t size,
               const int *fds, size_t fd_count)
{
    send_on(server->socket, header, payload, size, fds, fd_count);
}

void fake_send_raw(struct fake_server *server, const void *data, size_t size)
{
    io_write_full(server->socket, data, size, deadline_in_ns(FAKE_TIMEOUT_NS), "client", NULL);
}

void fake_reply_fds(struct fake_server *server, const void *payload, size_t size, const int *fds, size_t fd_count)
{
    struct vfio_user_header header = {
        .message_id = server->message.header.message_id,
        .command = server->message.header.command,
        .size = (uint32_t)(sizeof(header) + size),
        .flags = VFIO_USER_FLAG_TYPE_REPLY,
    };

    fake_send(server, &header, payload, size, fds, fd_count);
}

void fake_reply(struct fake_server *server, const void *payload, size_t size)
{
    fake_reply_fds(server, payload, size, NULL, 0);
}

void fake_reply_error(struct fake_server *server, uint32_t number)
{
    struct vfio_user_header header = {
        .message_id = server->message.header.message_id,
        .command = server->message.header.command,
        .size = sizeof(header),
        .flags = VFIO_USER_FLAG_TYPE_REPLY | VFIO_USER_FLAG_ERROR,
        .error_number = number,
    };

    fake_send(server, &header, NULL, 0, NULL, 0);
}

void fake_version(struct fake_server *server, const char *json)
{
    struct vfio_user_version version = {.major = 0, .minor = 1};
    size_t length = json ? strlen(json) + 1 : 0;
    char payload[4096];

    fake_expect(server, VFIO_USER_VERSION);
    memcpy(payload, &version, sizeof(version));
    if (json)
        memcpy(payload + sizeof(version), json, length);
    fake_reply(server, payload, sizeof(version) + length);
}

void fake_drain(struct fake_server *server)
{
    char bytes[4096];

    while (read(server->socket, bytes, sizeof(bytes)) > 0)
        ;
}

void fake_dma_send(int socket, uint16_t command, uint64_t address, const void *data, uint64_t count)
{
    struct vfio_user_dma_access access = {.address = address, .count = count};
    size_t data_size = command == VFIO_USER_DMA_WRITE ? count : 0;
    struct vfio_user_header header = {
        .message_id = 0xd0,
        .command = command,
        .size = (uint32_t)(sizeof(header) + sizeof(access) + data_size),
    };
    struct iovec vector[3] = {{&header, sizeof(header)}, {&access, sizeof(access)}, {(void *)data, data_size}};

    io_send(socket, vector, data_size ? 3 : 2, NULL, 0, deadline_in_ns(FAKE_TIMEOUT_NS), "client", NULL);
}

uint32_t fake_dma(struct fake_server *server, int socket, uint16_t command, uint64_t address, void *data,
                  uint64_t count)
{
    struct fake_message saved = server->message;
    struct vfio_user_dma_access access;
    uint32_t number;

    memset(&server->message, 0, sizeof(server->message));
    fake_dma_send(socket, command, address, data, count);
    cr_assert(receive_on(server, socket), "no answer to a DMA command");
    cr_assert_eq(server->message.header.message_id, 0xd0);
    cr_assert_eq(server->message.header.command, command);
    cr_assert_eq(server->message.header.flags & VFIO_USER_FLAG_TYPE_MASK, VFIO_USER_FLAG_TYPE_REPLY);
    number = server->message.header.error_number;
    if (!number) {
        cr_assert_eq(server->message.size, sizeof(access) + (command == VFIO_USER_DMA_READ ? count : 0));
        memcpy(&access, server->message.payload, sizeof(access));
        cr_assert_eq(access.address, address);
        cr_assert_eq(access.count, count);
        if (command == VFIO_USER_DMA_READ)
            memcpy(data, server->message.payload + sizeof(access), count);
    } else {
        cr_assert_eq(server->message.size, 0);
    }
    drop_message(server);
    server->message = saved;
    return number;
}
