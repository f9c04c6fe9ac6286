/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "devices/server/connection.h"
#include "lib/io.h"

/* Takes a number of the client's capabilities. Absent leaves it; EINVAL for what is no number or out of range. */
static int take_number(const json_t *capabilities, const char *name, uint64_t maximum, uint32_t *number)
{
    const json_t *value = json_object_get(capabilities, name);

    if (!value)
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return EINVAL;
    *number = (uint32_t)((uint64_t)json_integer_value(value) < maximum ? (uint64_t)json_integer_value(value) : maximum);
    return 0;
}

static int check_type(const json_t *capabilities, const char *name, bool is_object)
{
    const json_t *value = json_object_get(capabilities, name);

    return !value || (is_object ? json_is_object(value) : json_is_boolean(value)) ? 0 : EINVAL;
}

static int take_capabilities(struct connection *connection, const json_t *capabilities, bool *twin)
{
    const json_t *own = json_object_get(capabilities, VFIO_USER_CAPABILITY_STOPCOPY);
    int failed;

    if (capabilities && !json_is_object(capabilities))
        return EINVAL;
    failed = take_number(capabilities, "max_msg_fds", DOORBELLS_MAX, &connection->client_fds_max);
    if (!failed)
        failed = take_number(capabilities, "max_data_xfer_size", TRANSPORT_DATA_MAX, &connection->client_data_max);
    if (!failed)
        failed = check_type(capabilities, "twin_socket", true);
    if (!failed)
        failed = check_type(capabilities, "write_multiple", false);
    if (failed || !connection->client_data_max)
        return EINVAL;
    *twin = json_is_true(json_object_get(json_object_get(capabilities, "twin_socket"), "supported"));
    connection->write_multiple = json_is_true(json_object_get(capabilities, "write_multiple"));
    connection->extended = json_integer_value(json_object_get(own, "version")) == VFIO_USER_CAPABILITY_STOPCOPY_VERSION;
    connection->peers_marked =
        connection->extended && json_is_true(json_object_get(own, VFIO_USER_CAPABILITY_PEER_MAPPINGS));
    return 0;
}

/* The JSON text, which is optional: none at all, or NUL-terminated. */
static int take_text(struct connection *connection, const struct message *message, bool *twin)
{
    const char *text = (const char *)message->payload + sizeof(struct vfio_user_version);
    size_t size = message->size - sizeof(struct vfio_user_version);
    json_t *root;
    int failed;

    if (!size)
        return 0;
    if (text[size - 1] || strlen(text) != size - 1)
        return EINVAL;
    if (size == 1)
        return 0;
    root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(root)) {
        json_decref(root);
        return EINVAL;
    }
    failed = take_capabilities(connection, json_object_get(root, "capabilities"), twin);
    json_decref(root);
    return failed;
}

static json_t *make_capabilities(const struct connection *connection)
{
    json_t *capabilities =
        json_pack("{s:i, s:i, s:i, s:i}", "max_msg_fds", (int)TRANSPORT_FDS_MAX, "max_data_xfer_size",
                  (int)TRANSPORT_DATA_MAX, "max_dma_maps", (int)DMA_TABLE_MAX, "pgsizes", (int)DMA_TABLE_PAGE);

    if (connection->twin >= 0)
        json_object_set_new(capabilities, "twin_socket", json_pack("{s:b, s:i}", "supported", 1, "fd_index", 0));
    if (connection->write_multiple)
        json_object_set_new(capabilities, "write_multiple", json_true());
    if (connection->extended) {
        json_t *own = json_pack("{s:i, s:b, s:b, s:b}", "version", VFIO_USER_CAPABILITY_STOPCOPY_VERSION, "checksum", 1,
                                "repeatable", 1, "exact_size", 1);

        if (connection->peers_marked)
            json_object_set_new(own, VFIO_USER_CAPABILITY_PEER_MAPPINGS, json_true());
        json_object_set_new(capabilities, VFIO_USER_CAPABILITY_STOPCOPY, own);
    }
    return json_pack("{s:o}", "capabilities", capabilities);
}

static int put_capabilities(const struct connection *connection, struct buffer *payload)
{
    json_t *root = make_capabilities(connection);
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;

    if (text)
        buffer_put(payload, text, strlen(text) + 1);
    json_decref(root);
    free(text);
    return text ? 0 : ENOMEM;
}

/* Our commands on a socket of their own, the other end of which goes with the reply. */
static int open_twin(struct connection *connection, struct reply *reply)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return errno;
    connection->twin = pair[0];
    reply->fds[0] = pair[1];
    reply->fd_count = 1;
    reply->close_fds = true;
    return connection_watch(connection, connection->twin, WATCH_TWIN);
}

int handle_version(struct connection *connection, struct message *message, struct reply *reply)
{
    struct vfio_user_version version;
    bool twin = false;
    int failed;

    if (connection->negotiated)
        return EINVAL;
    memcpy(&version, message->payload, sizeof(version));
    if (version.major != VFIO_USER_MAJOR)
        return EINVAL;
    failed = take_text(connection, message, &twin);
    if (!failed && twin && connection->client_fds_max)
        failed = open_twin(connection, reply);
    if (failed)
        return failed;
    if (version.minor > VFIO_USER_MINOR)
        version.minor = VFIO_USER_MINOR;
    buffer_put(&reply->payload, &version, sizeof(version));
    failed = put_capabilities(connection, &reply->payload);
    connection->negotiated = !failed;
    return failed;
}
