/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DEVICE_FEATURE, the states, and their data. */
#include "config.h"

#include "client.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

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
