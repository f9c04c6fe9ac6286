/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/vfio/vfio_user_channel.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define RULE "vfio-user/protocol"
#define HEADER_SIZE sizeof(struct vfio_user_header)
#define ERRNO_MAX 4095u
/* A process that was stopped (SIGSTOP, a debugger) finds its deadline passed and the answer there: it looks once more. */
#define GRACE_MS 500

/* One use of the channel: what is still to be sent, and what is waited for. */
struct exchange {
    struct vfio_user_channel *channel;
    struct vfio_user_call *call; /* NULL: only commands are served */
    uint16_t id;
    struct iovec output[4];
    struct iovec *output_next;
    size_t output_count;
    bool fds_sent;
    bool replied;
    uint64_t commands_before;
};

void channel_init(struct vfio_user_channel *channel, int socket)
{
    memset(channel, 0, sizeof(*channel));
    channel->socket = socket;
}

static void drop_fds(struct vfio_user_incoming *in)
{
    while (in->fd_count)
        io_close(&in->fds[--in->fd_count]);
}

void channel_close(struct vfio_user_channel *channel)
{
    drop_fds(&channel->in);
    buffer_free(&channel->answers);
    free(channel->command);
    channel->command = NULL;
    channel->command_room = 0;
    io_close(&channel->socket);
}

static size_t iov_size(const struct iovec *vector, size_t count)
{
    size_t size = 0;

    for (size_t i = 0; i < count; i++)
        size += vector[i].iov_len;
    return size;
}

static bool is_reply(const struct vfio_user_header *header)
{
    return (header->flags & VFIO_USER_FLAG_TYPE_MASK) == VFIO_USER_FLAG_TYPE_REPLY;
}

static bool is_error(const struct vfio_user_header *header)
{
    return header->flags & VFIO_USER_FLAG_ERROR;
}

/*
 * "If an error occurs, the reply message must only include the reply header." Servers in use append what they had of
 * the reply nevertheless; it is passed over, up to as much as the request or a whole reply can have.
 */
static size_t error_payload_max(const struct vfio_user_call *call)
{
    size_t request = iov_size(call->request, call->request_count);
    size_t reply = iov_size(call->reply, 2);

    return request > reply ? request : reply;
}

static int check_reply(const struct exchange *exchange, const struct vfio_user_header *header, struct error *error)
{
    const struct vfio_user_call *call = exchange->call;
    size_t size = header->size - HEADER_SIZE;

    if (!call || exchange->replied)
        return error_rule(error, RULE, EPROTO, "a reply (message %u, command %u) to nothing", header->message_id,
                          header->command);
    if (exchange->output_count)
        return error_rule(error, RULE, EPROTO, "the reply came before the command was sent");
    if (header->message_id != exchange->id || header->command != call->command)
        return error_rule(error, RULE, EPROTO, "the reply is to message %u, command %u, instead of %u, %u",
                          header->message_id, header->command, exchange->id, call->command);
    if (is_error(header)) {
        if (size > error_payload_max(call))
            return error_rule(error, RULE, EPROTO, "an error reply with %zu bytes after its header", size);
        return 0;
    }
    if (size < call->reply_minimum || size > iov_size(call->reply, 2))
        return error_rule(error, RULE, EPROTO, "the reply's payload is %zu bytes instead of %zu to %zu", size,
                          call->reply_minimum, iov_size(call->reply, 2));
    return 0;
}

static int check_command(struct vfio_user_channel *channel, const struct vfio_user_header *header, struct error *error)
{
    size_t size = header->size - HEADER_SIZE;

    if (!channel->serve)
        return error_rule(error, RULE, EPROTO, "command %u from the server, where none may come", header->command);
    if (size > channel->command_size_max)
        return error_rule(error, RULE, EPROTO, "the server's command %u has %zu bytes, more than the %zu agreed on",
                          header->command, size, channel->command_size_max);
    if (size > channel->command_room) {
        uint8_t *room = realloc(channel->command, size);

        if (!room)
            return error_set(error, ENOMEM, "a command of %zu bytes from the server", size);
        channel->command = room;
        channel->command_room = size;
    }
    return 0;
}

static int check_header(const struct exchange *exchange, struct error *error)
{
    const struct vfio_user_header *header = &exchange->channel->in.header;
    unsigned int type = header->flags & VFIO_USER_FLAG_TYPE_MASK;

    if (header->size < HEADER_SIZE)
        return error_rule(error, RULE, EPROTO, "a message of %u bytes, less than its header", header->size);
    if (type == VFIO_USER_FLAG_TYPE_REPLY)
        return check_reply(exchange, header, error);
    if (type == VFIO_USER_FLAG_TYPE_COMMAND)
        return check_command(exchange->channel, header, error);
    return error_rule(error, RULE, EPROTO, "a message of type %u", type);
}

static int finish_reply(struct exchange *exchange, struct error *error)
{
    struct vfio_user_incoming *in = &exchange->channel->in;
    struct vfio_user_call *call = exchange->call;

    if (in->fd_count > (is_error(&in->header) ? 0 : call->reply_fds_max))
        return error_rule(error, RULE, EPROTO, "%zu descriptors with the reply, more than the %zu that may come",
                          in->fd_count, call->reply_fds_max);
    if (is_error(&in->header)) {
        uint32_t number = in->header.error_number;

        call->answer = number == 0 || number > ERRNO_MAX ? EIO : (int)number;
    } else {
        call->reply_size = in->header.size - HEADER_SIZE;
        call->reply_fd_count = in->fd_count;
        if (in->fd_count)
            memcpy(call->reply_fds, in->fds, in->fd_count * sizeof(int));
        in->fd_count = 0;
    }
    exchange->replied = true;
    return 0;
}

static int finish_command(struct vfio_user_channel *channel, struct error *error)
{
    struct vfio_user_incoming *in = &channel->in;
    struct vfio_user_command_in command = {
        .header = in->header,
        .payload = channel->command,
        .size = in->header.size - HEADER_SIZE,
        .has_fds = in->fd_count != 0,
    };

    drop_fds(in);
    channel->serve(channel->serve_context, &command, &channel->answers);
    if (channel->answers.failed)
        return error_set(error, ENOMEM, "an answer to the server's command %u", command.header.command);
    channel->commands++;
    return 0;
}

/* Where the next byte of the message under way goes, and how many may be received at once. */
static struct iovec next_room(const struct exchange *exchange)
{
    struct vfio_user_incoming *in = &exchange->channel->in;
    size_t left = in->header.size - HEADER_SIZE - in->body_done;
    size_t done = in->body_done;

    if (in->header_done < HEADER_SIZE)
        return (struct iovec){(char *)&in->header + in->header_done, HEADER_SIZE - in->header_done};
    if (!is_reply(&in->header))
        return (struct iovec){exchange->channel->command + done, left};
    if (is_error(&in->header))
        return (struct iovec){in->dropped, left < sizeof(in->dropped) ? left : sizeof(in->dropped)};
    for (size_t i = 0;; i++) {
        const struct iovec *part = &exchange->call->reply[i];

        if (done < part->iov_len) {
            size_t room = part->iov_len - done;

            return (struct iovec){(char *)part->iov_base + done, left < room ? left : room};
        }
        done -= part->iov_len;
    }
}

static int receive_bytes(struct exchange *exchange, struct iovec room, struct deadline deadline, struct error *error)
{
    struct vfio_user_incoming *in = &exchange->channel->in;
    size_t fd_count = IO_FDS_MAX - in->fd_count;
    ssize_t count = io_receive(exchange->channel->socket, room.iov_base, room.iov_len, in->fds + in->fd_count,
                               &fd_count, deadline, "the server", error);

    if (count < 0 && error && error->number == EMSGSIZE)
        return error_rule(error, RULE, EPROTO, "more than %d descriptors with one message", IO_FDS_MAX);
    if (count < 0)
        return -1;
    in->fd_count += fd_count;
    if (count == 0)
        return error_set(error, ECONNRESET, "the server closed the connection");
    if (in->header_done < HEADER_SIZE)
        in->header_done += (size_t)count;
    else
        in->body_done += (size_t)count;
    return 0;
}

/* Receives what there is of the message under way, up to its end. The socket must be readable. */
static int receive_some(struct exchange *exchange, struct deadline deadline, struct error *error)
{
    struct vfio_user_incoming *in = &exchange->channel->in;
    bool had_header = in->header_done == HEADER_SIZE;
    int status = 0;

    if (receive_bytes(exchange, next_room(exchange), deadline, error) < 0)
        return -1;
    if (in->header_done < HEADER_SIZE)
        return 0;
    if (!had_header && check_header(exchange, error) < 0)
        return -1;
    if (in->body_done < in->header.size - HEADER_SIZE)
        return 0;
    if (is_reply(&in->header))
        status = finish_reply(exchange, error);
    else
        status = finish_command(exchange->channel, error);
    in->header_done = 0;
    in->body_done = 0;
    return status;
}

/* Sends what the socket takes of the vector. Returns 1 where it takes no more for now. */
static int send_some(int socket, struct iovec *vector, size_t count, const int *fds, size_t fd_count, size_t *sent,
                     struct error *error)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int) * IO_FDS_MAX)];
    } control;
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = count};
    ssize_t done;

    if (fd_count) {
        memset(&control, 0, sizeof(control));
        control.header.cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * fd_count);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
    }
    done = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    *sent = done > 0 ? (size_t)done : 0;
    if (done >= 0 || errno == EINTR)
        return 0;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return 1;
    if (errno == EPIPE || errno == ECONNRESET)
        return error_set(error, errno, "the server closed the connection");
    return error_set(error, errno, "sending to the server");
}

static int send_call(struct exchange *exchange, struct error *error)
{
    const struct vfio_user_call *call = exchange->call;

    while (exchange->output_count) {
        size_t sent;
        int status = send_some(exchange->channel->socket, exchange->output_next, exchange->output_count, call->fds,
                               exchange->fds_sent ? 0 : call->fd_count, &sent, error);

        if (status)
            return status;
        exchange->fds_sent |= sent > 0;
        while (exchange->output_count && sent >= exchange->output_next->iov_len) {
            sent -= exchange->output_next->iov_len;
            exchange->output_next++;
            exchange->output_count--;
        }
        if (exchange->output_count) {
            exchange->output_next->iov_base = (char *)exchange->output_next->iov_base + sent;
            exchange->output_next->iov_len -= sent;
        }
    }
    return 0;
}

static int send_answers(struct vfio_user_channel *channel, struct error *error)
{
    while (channel->answers_sent < channel->answers.size) {
        struct iovec vector = {channel->answers.data + channel->answers_sent,
                               channel->answers.size - channel->answers_sent};
        size_t sent;
        int status = send_some(channel->socket, &vector, 1, NULL, 0, &sent, error);

        if (status)
            return status;
        channel->answers_sent += sent;
    }
    buffer_clear(&channel->answers);
    channel->answers_sent = 0;
    return 0;
}

/* The call first: no answer is begun before its end. Returns 1 where some of it is left. */
static int send_all(struct exchange *exchange, struct error *error)
{
    int status = send_call(exchange, error);

    return status ? status : send_answers(exchange->channel, error);
}

static bool exchange_finished(const struct exchange *exchange)
{
    if (exchange->call)
        return exchange->replied;
    return exchange->channel->commands != exchange->commands_before;
}

static int run_exchange(struct exchange *exchange, struct deadline deadline, struct error *error)
{
    struct vfio_user_channel *channel = exchange->channel;
    bool late = false;

    for (;;) {
        struct pollfd poll_fd = {.fd = channel->socket};
        int status = send_all(exchange, error);
        int wait_ms = deadline_poll_ms(deadline);
        int count;

        if (wait_ms == 0 && !late) {
            late = true;
            deadline = deadline_in_ms(GRACE_MS);
            wait_ms = GRACE_MS;
        }

        if (status < 0)
            return -1;
        if (status == 0 && exchange_finished(exchange))
            return 0;
        if (status > 0)
            poll_fd.events |= POLLOUT;
        if (channel->answers.size - channel->answers_sent < CHANNEL_ANSWERS_MAX && !exchange_finished(exchange))
            poll_fd.events |= POLLIN;
        /* Also where something can be received: a server's commands do not put the deadline off. */
        if (wait_ms == 0)
            return error_set(error, ETIMEDOUT, "no answer in time");
        count = poll(&poll_fd, 1, wait_ms);
        if (count < 0 && errno != EINTR)
            return error_set(error, errno, "poll");
        /* A hangup counts as readable: the end of the connection is read, after what came before it. */
        if (count > 0 && (poll_fd.events & POLLIN) && (poll_fd.revents & ~POLLOUT) &&
            receive_some(exchange, deadline, error) < 0)
            return -1;
    }
}

int channel_call(struct vfio_user_channel *channel, uint16_t id, struct vfio_user_call *call, struct deadline deadline,
                 struct error *error)
{
    struct vfio_user_header header = {
        .message_id = id,
        .command = call->command,
        .size = (uint32_t)(HEADER_SIZE + iov_size(call->request, call->request_count)),
        .flags = VFIO_USER_FLAG_TYPE_COMMAND,
    };
    struct exchange exchange = {.channel = channel, .call = call, .id = id};

    exchange.output[0] = (struct iovec){&header, sizeof(header)};
    memcpy(exchange.output + 1, call->request, call->request_count * sizeof(struct iovec));
    exchange.output_next = exchange.output;
    exchange.output_count = 1 + call->request_count;
    call->answer = 0;
    call->reply_size = 0;
    call->reply_fd_count = 0;
    return run_exchange(&exchange, deadline, error);
}

int channel_serve_one(struct vfio_user_channel *channel, struct deadline deadline, struct error *error)
{
    struct exchange exchange = {.channel = channel, .commands_before = channel->commands};

    return run_exchange(&exchange, deadline, error);
}

bool channel_readable(const struct vfio_user_channel *channel)
{
    struct pollfd poll_fd = {.fd = channel->socket, .events = POLLIN};

    return poll(&poll_fd, 1, 0) > 0;
}
