/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>

#include "devices/server/connection.h"
#include "lib/io.h"

struct command {
    uint16_t number;
    size_t payload_min;
    int (*handler)(struct connection *connection, struct message *message, struct reply *reply);
};

static const struct command commands[] = {
    {VFIO_USER_VERSION, sizeof(struct vfio_user_version), handle_version},
    {VFIO_USER_DMA_MAP, sizeof(struct vfio_user_dma_map), handle_dma_map},
    {VFIO_USER_DMA_UNMAP, sizeof(struct vfio_user_dma_unmap), handle_dma_unmap},
    {VFIO_USER_DEVICE_GET_INFO, 16, handle_get_info},
    {VFIO_USER_DEVICE_GET_REGION_INFO, sizeof(struct vfio_region_info), handle_get_region_info},
    {VFIO_USER_DEVICE_GET_REGION_IO_FDS, sizeof(struct vfio_user_region_io_fds), handle_get_region_io_fds},
    {VFIO_USER_DEVICE_GET_IRQ_INFO, sizeof(struct vfio_irq_info), handle_get_irq_info},
    {VFIO_USER_DEVICE_SET_IRQS, sizeof(struct vfio_irq_set), handle_set_irqs},
    {VFIO_USER_REGION_READ, sizeof(struct vfio_user_region_access), handle_region_read},
    {VFIO_USER_REGION_WRITE, sizeof(struct vfio_user_region_access), handle_region_write},
    {VFIO_USER_DEVICE_RESET, 0, handle_reset},
    {VFIO_USER_REGION_WRITE_MULTI, sizeof(struct vfio_user_region_write_multi), handle_region_write_multi},
    {VFIO_USER_DEVICE_FEATURE, sizeof(struct vfio_device_feature), handle_feature},
    {VFIO_USER_MIG_DATA_READ, sizeof(struct vfio_user_migration_data), handle_migration_read},
    {VFIO_USER_MIG_DATA_WRITE, sizeof(struct vfio_user_migration_data), handle_migration_write},
    {VFIO_USER_STOPCOPY_PRECOPY_INFO, sizeof(struct vfio_user_precopy_info), handle_precopy_info},
};

static const struct command *find(uint16_t number)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (commands[i].number == number)
            return &commands[i];
    return NULL;
}

/* A command on its way through the device's layers. */
struct dispatched {
    struct device_command command; /* first */
    const struct command *known;
    struct connection *connection;
    struct message *message;
    struct reply *reply;
};

static int answer(struct device_command *command)
{
    struct dispatched *dispatched = (struct dispatched *)command;

    /* A layer may have made it shorter. */
    dispatched->message->size = command->size;
    return dispatched->known->handler(dispatched->connection, dispatched->message, dispatched->reply);
}

/* *unanswered: a fault keeps the reply back. */
static int handle(struct connection *connection, struct message *message, struct reply *reply, bool *unanswered)
{
    struct dispatched dispatched = {
        .command = {.number = message->header.command,
                    .payload = message->payload,
                    .size = message->size,
                    .reply = &reply->payload,
                    .state = &connection->migration_state,
                    .answer = answer},
        .known = find(message->header.command),
        .connection = connection,
        .message = message,
        .reply = reply,
    };
    int failed;

    if (!dispatched.known)
        return EOPNOTSUPP;
    if (message->size < dispatched.known->payload_min)
        return EINVAL;
    failed = device_command(connection->device, &dispatched.command);
    *unanswered = dispatched.command.unanswered;
    return failed;
}

static void send_reply(struct connection *connection, const struct message *message, const struct reply *reply,
                       int failed)
{
    struct vfio_user_header header = {
        .message_id = message->header.message_id,
        .command = message->header.command,
        .flags = VFIO_USER_FLAG_TYPE_REPLY | (failed ? VFIO_USER_FLAG_ERROR : 0),
        .error_number = (uint32_t)failed,
    };
    struct iovec payload = {.iov_base = reply->payload.data, .iov_len = reply->payload.size};
    bool whole = !failed && payload.iov_len;

    if (transport_send(connection->socket, &header, &payload, whole ? 1 : 0, reply->fds, failed ? 0 : reply->fd_count,
                       &connection->error) < 0)
        connection->gone = true;
}

void dispatch(struct connection *connection, struct message *message)
{
    struct reply reply = {.fd_count = 0};
    uint32_t type = message->header.flags & VFIO_USER_FLAG_TYPE_MASK;
    bool unanswered = false;
    int failed;

    if (type != VFIO_USER_FLAG_TYPE_COMMAND) {
        connection_fail(connection, EPROTO, "a message of type %u, command %u, answers nothing that was asked", type,
                        message->header.command);
    } else if (!connection->negotiated && message->header.command != VFIO_USER_VERSION) {
        connection_fail(connection, EPROTO, "command %u came before VERSION", message->header.command);
    } else {
        failed = handle(connection, message, &reply, &unanswered);
        if (!failed && reply.payload.failed)
            failed = ENOMEM;
        if (!connection->gone && !unanswered && !(message->header.flags & VFIO_USER_FLAG_NO_REPLY))
            send_reply(connection, message, &reply, failed);
        /* What cannot be agreed on is answered, and then there is nothing more to say. */
        if (!connection->gone && !connection->negotiated)
            connection_fail(connection, EPROTO, "no version was agreed on");
    }
    for (size_t i = 0; reply.close_fds && i < reply.fd_count; i++)
        io_close(&reply.fds[i]);
    buffer_free(&reply.payload);
    message_free(message);
}
