/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "devices/fsm.h"
#include "devices/server/connection.h"

uint64_t migration_flags(struct connection *connection)
{
    uint64_t flags = device_migration_flags(connection->device);

    /* The specification knows no P2P states. */
    return connection->extended ? flags : flags & (VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_PRE_COPY);
}

int migration_set_state(struct connection *connection, unsigned int to)
{
    uint64_t flags = migration_flags(connection);

    do {
        unsigned int from = connection->migration_state;
        int next = fsm_next(flags, from, to);
        int failed;

        if (next < 0)
            return EINVAL;
        if (from == to)
            return 0;
        failed = device_arc(connection->device, from, (unsigned int)next);
        if (failed)
            return failed;
        connection->migration_state = (unsigned int)next;
    } while (connection->migration_state != to);
    return 0;
}

static bool in_pre_copy(const struct connection *connection)
{
    return connection->migration_state == VFIO_DEVICE_STATE_PRE_COPY ||
           connection->migration_state == VFIO_DEVICE_STATE_PRE_COPY_P2P;
}

int handle_migration_read(struct connection *connection, struct message *message, struct reply *reply)
{
    struct vfio_user_migration_data head;
    enum device_data result;
    uint8_t *data;
    size_t count;

    memcpy(&head, message->payload, sizeof(head));
    if (message->size != sizeof(head) || !head.size || head.argsz < sizeof(head) ||
        head.size > head.argsz - sizeof(head) || head.size > connection->client_data_max ||
        !fsm_is_saving(connection->migration_state))
        return EINVAL;
    buffer_put(&reply->payload, &head, sizeof(head));
    data = buffer_extend(&reply->payload, head.size);
    if (!data)
        return ENOMEM;
    result = device_data_read(connection->device, data, head.size, &count);
    if (result == DEVICE_DATA_FAILED)
        return EIO;
    /* By the specification alone nothing for now and nothing more look the same. */
    if (result == DEVICE_DATA_AGAIN && !count && connection->extended)
        return ENOMSG;
    head.size = (uint32_t)count;
    head.argsz = (uint32_t)(sizeof(head) + count);
    memcpy(reply->payload.data, &head, sizeof(head));
    reply->payload.size = head.argsz;
    return 0;
}

int handle_migration_write(struct connection *connection, struct message *message, struct reply *reply)
{
    struct vfio_user_migration_data head;

    (void)reply;
    memcpy(&head, message->payload, sizeof(head));
    if (head.size != message->size - sizeof(head) || head.size > TRANSPORT_DATA_MAX ||
        connection->migration_state != VFIO_DEVICE_STATE_RESUMING)
        return EINVAL;
    return device_data_write(connection->device, message->payload + sizeof(head), head.size);
}

int handle_precopy_info(struct connection *connection, struct message *message, struct reply *reply)
{
    struct vfio_precopy_info info = {.argsz = sizeof(info)};
    uint32_t argsz;
    int failed;

    if (!connection->extended)
        return EOPNOTSUPP;
    memcpy(&argsz, message->payload, sizeof(argsz));
    if (argsz < sizeof(info) || !in_pre_copy(connection))
        return EINVAL;
    failed = device_precopy_info(connection->device, connection->precopy_version2, &info);
    buffer_put(&reply->payload, &info, sizeof(info));
    return failed;
}
