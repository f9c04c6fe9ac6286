/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "client.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/deadline.h"

#define ARGUMENTS_MAX 32

static void init(struct client *client, int socket)
{
    *client = (struct client){.socket = socket, .twin = -1, .memory_fd = -1};
}

void client_start(struct client *client, const char *const *arguments)
{
    const char *build = getenv("top_builddir");
    const char *argv[ARGUMENTS_MAX] = {"stopcopy-device", "--fd", "3"};
    char path[4096];
    int pair[2];
    int count = 3;

    for (; *arguments && count < ARGUMENTS_MAX - 1; arguments++)
        argv[count++] = *arguments;
    snprintf(path, sizeof(path), "%s/stopcopy-device", build ? build : ".");
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    init(client, pair[0]);
    client->process = fork();
    cr_assert_geq(client->process, 0);
    if (client->process == 0) {
        /* From elsewhere, so that dup2 takes close-on-exec away even where the pair has 3 itself. */
        dup2(fcntl(pair[1], F_DUPFD, 10), 3);
        execv(path, (char **)(uintptr_t)argv);
        _exit(127);
    }
    close(pair[1]);
}

void client_adopt(struct client *client, int socket)
{
    init(client, socket);
}

static void close_all(struct client *client)
{
    if (client->memory)
        munmap(client->memory, CLIENT_MEMORY_SIZE);
    if (client->memory_fd >= 0)
        close(client->memory_fd);
    if (client->twin >= 0)
        close(client->twin);
    if (client->socket >= 0)
        close(client->socket);
    client->socket = -1;
}

static int wait_process(struct client *client)
{
    int status = 0;

    close_all(client);
    if (client->process)
        cr_assert_eq(waitpid(client->process, &status, 0), client->process);
    return status;
}

void client_stop(struct client *client)
{
    int status;

    /* A completion is seen before the device is done with it: let it ask for what it still needs. */
    if (client->served)
        client_read32(client, 0, DMA_REG_STATUS);
    status = wait_process(client);

    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the device ended with status 0x%x", status);
}

void client_abandon(struct client *client)
{
    int status = wait_process(client);

    cr_assert(WIFEXITED(status), "the device died: status 0x%x", status);
}

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

int client_negotiate_json(struct client *client, const char *json, struct client_reply *reply)
{
    uint8_t payload[4096] = {VFIO_USER_MAJOR, 0, VFIO_USER_MINOR, 0};
    size_t length = json ? strlen(json) + 1 : 0;

    cr_assert_leq(length, sizeof(payload) - 4);
    if (json)
        memcpy(payload + 4, json, length);
    return client_call(client, VFIO_USER_VERSION, payload, 4 + length, NULL, 0, reply);
}

void client_negotiate(struct client *client)
{
    cr_assert_eq(client_negotiate_json(client,
                                       "{\"capabilities\":{\"max_msg_fds\":16,\"write_multiple\":true,"
                                       "\"stopcopy\":{\"version\":1}}}",
                                       NULL),
                 0);
}

void client_negotiate_plain(struct client *client)
{
    cr_assert_eq(client_negotiate_json(client, NULL, NULL), 0);
}

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

int client_feature(struct client *client, uint32_t flags, void *data, size_t in_size, size_t out_size)
{
    size_t head_size = sizeof(struct vfio_device_feature);
    struct vfio_device_feature head = {.argsz = (uint32_t)(head_size + (in_size > out_size ? in_size : out_size)),
                                       .flags = flags};
    uint8_t *payload = calloc(1, head_size + in_size);
    struct client_reply reply;
    int failed;

    memcpy(payload, &head, head_size);
    if (in_size)
        memcpy(payload + head_size, data, in_size);
    failed = client_call(client, VFIO_USER_DEVICE_FEATURE, payload, head_size + in_size, NULL, 0, &reply);
    if (!failed && out_size) {
        cr_assert_eq(reply.size, head_size + out_size);
        memcpy(data, reply.data + head_size, out_size);
    }
    client_reply_free(&reply);
    free(payload);
    return failed;
}

int client_set_state(struct client *client, unsigned int state)
{
    struct vfio_device_feature_mig_state set = {.device_state = state, .data_fd = -1};

    return client_feature(client, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | VFIO_DEVICE_FEATURE_SET, &set, sizeof(set),
                          sizeof(set));
}

unsigned int client_get_state(struct client *client)
{
    struct vfio_device_feature_mig_state get = {.data_fd = 0};

    cr_assert_eq(
        client_feature(client, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | VFIO_DEVICE_FEATURE_GET, &get, 0, sizeof(get)),
        0);
    cr_assert_eq(get.data_fd, -1);
    return get.device_state;
}

uint64_t client_migration_flags(struct client *client)
{
    uint64_t flags = 0;

    cr_assert_eq(
        client_feature(client, VFIO_DEVICE_FEATURE_MIGRATION | VFIO_DEVICE_FEATURE_GET, &flags, 0, sizeof(flags)), 0);
    return flags;
}

int client_reset(struct client *client)
{
    return client_call(client, VFIO_USER_DEVICE_RESET, NULL, 0, NULL, 0, NULL);
}

int client_data_read(struct client *client, void *data, uint32_t size, size_t *count)
{
    struct vfio_user_migration_data head = {.argsz = (uint32_t)sizeof(head) + size, .size = size};
    struct client_reply reply;
    int failed = client_call(client, VFIO_USER_MIG_DATA_READ, &head, sizeof(head), NULL, 0, &reply);

    *count = 0;
    if (!failed) {
        cr_assert_geq(reply.size, sizeof(head));
        memcpy(&head, reply.data, sizeof(head));
        cr_assert_leq(head.size, size);
        cr_assert_eq(reply.size, sizeof(head) + head.size);
        *count = head.size;
        memcpy(data, reply.data + sizeof(head), head.size);
    }
    client_reply_free(&reply);
    return failed;
}

int client_data_write(struct client *client, const void *data, uint32_t size)
{
    struct vfio_user_migration_data head = {.argsz = sizeof(head), .size = size};
    uint8_t *payload = malloc(sizeof(head) + size);
    int failed;

    memcpy(payload, &head, sizeof(head));
    memcpy(payload + sizeof(head), data, size);
    failed = client_call(client, VFIO_USER_MIG_DATA_WRITE, payload, sizeof(head) + size, NULL, 0, NULL);
    free(payload);
    return failed;
}

int client_precopy_info(struct client *client, struct vfio_precopy_info *info)
{
    struct vfio_user_precopy_info request = {.argsz = sizeof(request)};
    struct client_reply reply;
    int failed = client_call(client, VFIO_USER_STOPCOPY_PRECOPY_INFO, &request, sizeof(request), NULL, 0, &reply);

    if (!failed) {
        cr_assert_eq(reply.size, sizeof(*info));
        memcpy(info, reply.data, sizeof(*info));
    }
    client_reply_free(&reply);
    return failed;
}

struct client_state client_save(struct client *client, uint32_t piece)
{
    struct client_state state = {.size = 0};
    size_t count;

    do {
        state.data = realloc(state.data, state.size + piece);
        cr_assert_not_null(state.data);
        cr_assert_eq(client_data_read(client, state.data + state.size, piece, &count), 0);
        state.size += count;
    } while (count == piece);
    return state;
}

int client_load(struct client *client, const struct client_state *state, uint32_t piece)
{
    int failed = client_set_state(client, VFIO_DEVICE_STATE_RESUMING);

    for (size_t done = 0; done < state->size && !failed; done += piece) {
        size_t left = state->size - done;

        failed = client_data_write(client, state->data + done, left < piece ? (uint32_t)left : piece);
    }
    return failed ? failed : client_set_state(client, VFIO_DEVICE_STATE_STOP);
}
