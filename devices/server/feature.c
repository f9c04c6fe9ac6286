/* SPDX-License-Identifier: GPL-2.0-or-later */
/* VFIO_USER_DEVICE_FEATURE: linux/vfio.h, VFIO_DEVICE_FEATURE, and the features' own structures. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/fsm.h"
#include "devices/server/connection.h"

#define HEAD_SIZE sizeof(struct vfio_device_feature)

struct feature_request {
    uint32_t argsz;
    const uint8_t *data; /* behind the header */
    size_t size;
};

struct feature {
    uint32_t index;
    uint32_t operations; /* VFIO_DEVICE_FEATURE_GET, _SET */
    size_t data_min;     /* bytes of data that argsz must have room for */
    bool extension;      /* only with the capability "stopcopy" */
    uint64_t needs;      /* VFIO_MIGRATION_* flags */
    /* Adds the reply's data. */
    int (*get)(struct connection *connection, const struct feature_request *request, struct buffer *reply);
    int (*set)(struct connection *connection, const struct feature_request *request, struct buffer *reply);
};

static int get_migration(struct connection *connection, const struct feature_request *request, struct buffer *reply)
{
    (void)request;
    buffer_put_u64(reply, migration_flags(connection));
    return 0;
}

static int get_state(struct connection *connection, const struct feature_request *request, struct buffer *reply)
{
    struct vfio_device_feature_mig_state state = {.device_state = connection->migration_state, .data_fd = -1};

    (void)request;
    buffer_put(reply, &state, sizeof(state));
    return 0;
}

static int set_state(struct connection *connection, const struct feature_request *request, struct buffer *reply)
{
    struct vfio_device_feature_mig_state state;
    int failed;

    memcpy(&state, request->data, sizeof(state));
    failed = migration_set_state(connection, state.device_state);
    /* The data goes by messages: there is never a descriptor. */
    state.data_fd = -1;
    buffer_put(reply, &state, sizeof(state));
    return failed;
}

static int get_data_size(struct connection *connection, const struct feature_request *request, struct buffer *reply)
{
    (void)request;
    buffer_put_u64(reply, device_data_size(connection->device));
    return 0;
}

static int set_precopy_info_v2(struct connection *connection, const struct feature_request *request,
                               struct buffer *reply)
{
    (void)request, (void)reply;
    connection->precopy_version2 = true;
    return 0;
}

/* u64 page_size, u32 num_ranges, u32 reserved, and in place of the uAPI's pointer the ranges themselves. */
static int start_logging(struct connection *connection, const struct feature_request *request, struct buffer *reply)
{
    struct cursor data = cursor_over(request->data, request->size);
    uint64_t page_size = cursor_get_u64(&data);
    uint32_t count = cursor_get_u32(&data);
    uint32_t reserved = cursor_get_u32(&data);
    struct dirty_range *ranges;
    int failed;

    if (data.failed || reserved || !page_size || page_size & (page_size - 1))
        return EINVAL;
    if (count > DIRTY_LOG_RANGES_MAX)
        return E2BIG;
    if (data.left != count * sizeof(*ranges))
        return EINVAL;
    ranges = calloc(count + 1, sizeof(*ranges));
    if (!ranges)
        return ENOMEM;
    cursor_get(&data, ranges, data.left);
    failed = dirty_log_start(&connection->log, &page_size, ranges, count);
    if (!failed) {
        buffer_put_u64(reply, page_size);
        buffer_put_u32(reply, count);
        buffer_put_u32(reply, 0);
        buffer_put(reply, ranges, count * sizeof(*ranges));
    }
    free(ranges);
    return failed;
}

static int stop_logging(struct connection *connection, const struct feature_request *request, struct buffer *reply)
{
    (void)request, (void)reply;
    return dirty_log_stop(&connection->log);
}

static int report_log(struct connection *connection, const struct feature_request *request, struct buffer *reply)
{
    struct cursor data = cursor_over(request->data, request->size);
    uint64_t iova = cursor_get_u64(&data);
    uint64_t length = cursor_get_u64(&data);
    uint64_t page_size = cursor_get_u64(&data);
    size_t size = dirty_log_bitmap_size(iova, length, page_size);
    uint8_t *bitmap;

    if (data.failed || !size || request->argsz < HEAD_SIZE + 24 + size)
        return EINVAL;
    buffer_put(reply, request->data, 24);
    bitmap = buffer_extend(reply, size);
    if (!bitmap)
        return ENOMEM;
    memset(bitmap, 0, size);
    return dirty_log_report(&connection->log, iova, length, page_size, bitmap);
}

static const struct feature features[] = {
    {VFIO_DEVICE_FEATURE_MIGRATION, VFIO_DEVICE_FEATURE_GET, 8, false, VFIO_MIGRATION_STOP_COPY, get_migration, NULL},
    {VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET, 8, false,
     VFIO_MIGRATION_STOP_COPY, get_state, set_state},
    {VFIO_DEVICE_FEATURE_DMA_LOGGING_START, VFIO_DEVICE_FEATURE_SET, 16, false, 0, NULL, start_logging},
    {VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, VFIO_DEVICE_FEATURE_SET, 0, false, 0, NULL, stop_logging},
    {VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, VFIO_DEVICE_FEATURE_GET, 24, false, 0, report_log, NULL},
    {VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, VFIO_DEVICE_FEATURE_GET, 8, true, VFIO_MIGRATION_STOP_COPY, get_data_size,
     NULL},
    {VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2, VFIO_DEVICE_FEATURE_SET, 0, true, VFIO_MIGRATION_PRE_COPY, NULL,
     set_precopy_info_v2},
};

static const struct feature *find_feature(struct connection *connection, uint32_t index)
{
    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
        const struct feature *feature = &features[i];

        if (feature->index == index && !(feature->extension && !connection->extended) &&
            !(feature->needs & ~migration_flags(connection)))
            return feature;
    }
    return NULL;
}

/* What the reply's header says: its argsz is the reply's size. */
static void put_head(struct buffer *reply, uint32_t flags)
{
    buffer_put_u32(reply, HEAD_SIZE);
    buffer_put_u32(reply, flags);
}

static void finish_head(struct buffer *reply)
{
    uint32_t argsz = (uint32_t)reply->size;

    if (!reply->failed)
        memcpy(reply->data, &argsz, sizeof(argsz));
}

/* "The reply payload must be the same as the request payload for setting": what the feature itself did not answer. */
static void echo_rest(struct buffer *reply, const struct feature_request *request)
{
    size_t done = reply->size - HEAD_SIZE;

    if (!reply->failed && done < request->size)
        buffer_put(reply, request->data + done, request->size - done);
}

int handle_feature(struct connection *connection, struct message *message, struct reply *reply)
{
    const uint32_t operation_mask = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET;
    struct vfio_device_feature head;
    const struct feature *feature;
    struct feature_request request;
    uint32_t operations;
    int failed;

    memcpy(&head, message->payload, HEAD_SIZE);
    operations = head.flags & operation_mask;
    if (head.argsz < HEAD_SIZE ||
        head.flags & ~(uint32_t)(VFIO_DEVICE_FEATURE_MASK | operation_mask | VFIO_DEVICE_FEATURE_PROBE))
        return EINVAL;
    if (!(head.flags & VFIO_DEVICE_FEATURE_PROBE) && (!operations || operations == operation_mask))
        return EINVAL;
    feature = find_feature(connection, head.flags & VFIO_DEVICE_FEATURE_MASK);
    if (!feature)
        return ENOTTY;
    if (operations & ~feature->operations)
        return EINVAL;
    if (head.flags & VFIO_DEVICE_FEATURE_PROBE) {
        buffer_put(&reply->payload, message->payload, message->size);
        return 0;
    }
    request = (struct feature_request){
        .argsz = head.argsz, .data = message->payload + HEAD_SIZE, .size = message->size - HEAD_SIZE};
    if (head.argsz < HEAD_SIZE + feature->data_min ||
        (operations == VFIO_DEVICE_FEATURE_SET && request.size < feature->data_min))
        return EINVAL;
    put_head(&reply->payload, head.flags);
    failed = operations == VFIO_DEVICE_FEATURE_GET ? feature->get(connection, &request, &reply->payload)
                                                   : feature->set(connection, &request, &reply->payload);
    if (operations == VFIO_DEVICE_FEATURE_SET)
        echo_rest(&reply->payload, &request);
    finish_head(&reply->payload);
    return failed;
}
