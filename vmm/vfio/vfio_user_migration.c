/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DEVICE_FEATURE and the data transfer session.
 *
 * linux/vfio.h hands memory to the DMA logging features by pointers; on the wire it follows the structure. vfio-user
 * has no data_fd, so the session that the kernel would give one for is found from the states that are set and read.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/vfio/vfio_user_client.h"

#define RANGES_MAX 4096u
#define BITMAP_MAX (64u << 20)

/* The payload that is sent after the header, and the room for what comes back after it. */
struct feature_payload {
    struct iovec sent[2];
    struct iovec received;
    size_t received_minimum;
    size_t received_size;
};

static int exchange_feature(struct vfio_user *client, uint32_t flags, const char *name, struct feature_payload *payload,
                            struct error *error)
{
    struct vfio_device_feature head = {.flags = flags};
    struct vfio_device_feature reply;
    size_t sent = payload->sent[0].iov_len + payload->sent[1].iov_len;
    size_t room = payload->received.iov_len > sent ? payload->received.iov_len : sent;
    struct vfio_user_call call = {
        .command = VFIO_USER_DEVICE_FEATURE,
        .request = {{&head, sizeof(head)}, payload->sent[0], payload->sent[1]},
        .request_count = 3,
        .reply = {{&reply, sizeof(reply)}, payload->received},
        .reply_minimum = sizeof(reply) + payload->received_minimum,
    };

    head.argsz = (uint32_t)(sizeof(head) + room);
    if (vfio_user_roundtrip(client, &call, error, "DEVICE_FEATURE %s %s", vfio_feature_operation(flags), name) < 0)
        return -1;
    if (reply.flags != flags || reply.argsz < call.reply_minimum)
        return vfio_user_violation(
            client, error, "DEVICE_FEATURE %s %s: the reply has flags 0x%x, argsz %u, instead of 0x%x, at least %zu",
            vfio_feature_operation(flags), name, reply.flags, reply.argsz, flags, call.reply_minimum);
    payload->received_size = call.reply_size - sizeof(reply);
    return 0;
}

static enum session_kind kind_of_state(uint32_t state)
{
    switch (state) {
    case VFIO_DEVICE_STATE_STOP_COPY:
    case VFIO_DEVICE_STATE_PRE_COPY:
    case VFIO_DEVICE_STATE_PRE_COPY_P2P:
        return SESSION_SAVING;
    case VFIO_DEVICE_STATE_RESUMING:
        return SESSION_RESUMING;
    default:
        return SESSION_NONE;
    }
}

/*
 * The device is in state. A session is opened where the saving group or RESUMING was entered from outside. Where the
 * state before is not known (at first, after a failed arc) and a session of this kind was live, it is taken to live on.
 */
static void note_state(struct vfio_user_sessions *sessions, uint32_t state)
{
    enum session_kind kind = kind_of_state(state);
    bool stayed = sessions->live == kind && (!sessions->state_known || kind_of_state(sessions->state) == kind);

    if (!stayed) {
        sessions->live = kind;
        sessions->generation++;
        sessions->pending = kind != SESSION_NONE;
    }
    sessions->state = state;
    sessions->state_known = true;
}

static int device_state(struct vfio_user *client, uint32_t flags, struct vfio_device_feature_mig_state *state,
                        struct error *error)
{
    bool set = flags & VFIO_DEVICE_FEATURE_SET;
    struct vfio_device_feature_mig_state reply = *state;
    const char *name = vfio_feature_name(flags, state, sizeof(*state));
    struct feature_payload payload = {
        .sent = {{state, set ? sizeof(*state) : 0}},
        .received = {&reply, sizeof(reply)},
        .received_minimum = set ? 0 : sizeof(reply),
    };

    if (exchange_feature(client, flags, name, &payload, error) < 0) {
        if (set)
            client->sessions.state_known = false;
        return -1;
    }
    if (payload.received_size && payload.received_size != sizeof(reply))
        return vfio_user_violation(client, error, "DEVICE_FEATURE %s %s: %zu bytes of payload in the reply",
                                   vfio_feature_operation(flags), name, payload.received_size);
    if (set && reply.device_state != state->device_state)
        return vfio_user_violation(client, error, "DEVICE_FEATURE SET %s: the reply has state %u", name,
                                   reply.device_state);
    state->device_state = reply.device_state;
    state->data_fd = -1;
    note_state(&client->sessions, state->device_state);
    return 0;
}

static int logging_start(struct vfio_user *client, uint32_t flags,
                         struct vfio_device_feature_dma_logging_control *control, struct error *error)
{
    struct vfio_device_feature_dma_logging_range *ranges = (void *)(uintptr_t)control->ranges;
    size_t ranges_size = control->num_ranges * sizeof(*ranges);
    size_t fixed = offsetof(struct vfio_device_feature_dma_logging_control, ranges);
    struct {
        uint64_t page_size;
        uint64_t counts;
    } head;
    struct feature_payload payload = {.sent = {{control, fixed}, {ranges, ranges_size}}};
    uint8_t *reply;
    int status;

    if (control->num_ranges > RANGES_MAX)
        return error_set(error, E2BIG, "%s: DMA_LOGGING_START: %u ranges", client->device.name, control->num_ranges);
    reply = malloc(fixed + ranges_size);
    if (!reply)
        return error_set(error, ENOMEM, "%s: DMA_LOGGING_START", client->device.name);
    payload.received = (struct iovec){reply, fixed + ranges_size};
    status = exchange_feature(client, flags, "DMA_LOGGING_START", &payload, error);
    if (status == 0 && payload.received_size >= fixed) {
        memcpy(&head, reply, sizeof(head));
        control->page_size = head.page_size;
    }
    free(reply);
    return status;
}

/* How many bytes, in whole 64-bit words, the bitmap of the report has; 0 where it cannot be asked for. */
static size_t bitmap_size(const struct vfio_device_feature_dma_logging_report *report)
{
    uint64_t page = report->page_size;
    uint64_t pages;

    if (!page || page & (page - 1) || !report->length)
        return 0;
    pages = (report->length - 1) / page + 1;
    return pages > (uint64_t)BITMAP_MAX * 8 ? 0 : (size_t)((pages + 63) / 64 * 8);
}

static void merge_bitmap(uint64_t *bitmap, const uint64_t *reported, uint64_t pages)
{
    for (uint64_t i = 0; i < pages / 64; i++)
        bitmap[i] |= reported[i];
    if (pages % 64)
        bitmap[pages / 64] |= reported[pages / 64] & ((UINT64_C(1) << pages % 64) - 1);
}

static int logging_report(struct vfio_user *client, uint32_t flags,
                          struct vfio_device_feature_dma_logging_report *report, struct error *error)
{
    size_t fixed = offsetof(struct vfio_device_feature_dma_logging_report, bitmap);
    size_t size = bitmap_size(report);
    struct feature_payload payload = {.sent = {{report, fixed}}, .received_minimum = fixed + size};
    uint64_t *reply;
    int status;

    if (!size)
        return error_set(error, EINVAL, "%s: DMA_LOGGING_REPORT of 0x%llx bytes by pages of 0x%llx",
                         client->device.name, (unsigned long long)report->length,
                         (unsigned long long)report->page_size);
    reply = malloc(fixed + size);
    if (!reply)
        return error_set(error, ENOMEM, "%s: DMA_LOGGING_REPORT", client->device.name);
    payload.received = (struct iovec){reply, fixed + size};
    status = exchange_feature(client, flags, "DMA_LOGGING_REPORT", &payload, error);
    if (status == 0 && memcmp(reply, report, fixed))
        status = vfio_user_violation(client, error, "DMA_LOGGING_REPORT: the reply is about another range");
    if (status == 0)
        merge_bitmap((uint64_t *)(uintptr_t)report->bitmap, reply + fixed / sizeof(*reply),
                     (report->length - 1) / report->page_size + 1);
    free(reply);
    return status;
}

static int plain_feature(struct vfio_user *client, uint32_t flags, void *data, size_t size, struct error *error)
{
    bool probe = flags & VFIO_DEVICE_FEATURE_PROBE;
    bool get = !probe && flags & VFIO_DEVICE_FEATURE_GET;
    bool set = !probe && flags & VFIO_DEVICE_FEATURE_SET;
    struct feature_payload payload = {
        .sent = {{data, set ? size : 0}},
        .received = {data, get || set ? size : 0},
        .received_minimum = get ? size : 0,
    };

    return exchange_feature(client, flags, vfio_feature_name(flags, data, size), &payload, error);
}

/* The payload that a feature has at the least: one that is smaller is the server's to refuse. */
static size_t payload_minimum(uint32_t feature)
{
    switch (feature) {
    case VFIO_DEVICE_FEATURE_MIGRATION:
        return sizeof(struct vfio_device_feature_migration);
    case VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE:
        return sizeof(struct vfio_device_feature_mig_state);
    case VFIO_DEVICE_FEATURE_DMA_LOGGING_START:
        return sizeof(struct vfio_device_feature_dma_logging_control);
    case VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT:
        return sizeof(struct vfio_device_feature_dma_logging_report);
    default:
        return 0;
    }
}

static int migration_flags(struct vfio_user *client, uint32_t flags, struct vfio_device_feature_migration *migration,
                           size_t size, struct error *error)
{
    if (plain_feature(client, flags, migration, size, error) < 0)
        return -1;
    if (!client->agreement.stopcopy)
        migration->flags &= VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_PRE_COPY;
    return 0;
}

int vfio_user_feature(struct vfio_device *device, uint32_t flags, void *data, size_t size, struct error *error)
{
    struct vfio_user *client = vfio_user_of(device);
    uint32_t feature = flags & VFIO_DEVICE_FEATURE_MASK;
    int status;

    /* What the specification does not know is asked for only where both ends said that they go beyond it. */
    if (!client->agreement.stopcopy &&
        (feature == VFIO_DEVICE_FEATURE_MIG_DATA_SIZE || feature == VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2))
        return error_set(error, ENOTTY,
                         "%s: DEVICE_FEATURE %s %s: not part of vfio-user, and the server has not the "
                         "capability \"" VFIO_USER_CAPABILITY_STOPCOPY "\"",
                         device->name, vfio_feature_operation(flags), vfio_feature_name(flags, data, size));
    if (flags & VFIO_DEVICE_FEATURE_PROBE || size < payload_minimum(feature))
        return plain_feature(client, flags, data, size, error);
    switch (feature) {
    case VFIO_DEVICE_FEATURE_MIGRATION:
        return migration_flags(client, flags, data, size, error);
    case VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE:
        status = device_state(client, flags, data, error);
        vfio_user_dma_settle(&client->dma);
        return status;
    case VFIO_DEVICE_FEATURE_DMA_LOGGING_START:
        return logging_start(client, flags, data, error);
    case VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT:
        return logging_report(client, flags, data, error);
    default:
        return plain_feature(client, flags, data, size, error);
    }
}

struct vfio_data_session *vfio_user_take_session(struct vfio_device *device)
{
    struct vfio_user *client = vfio_user_of(device);
    struct vfio_user_session *session;

    if (!client->sessions.pending)
        return NULL;
    session = calloc(1, sizeof(*session));
    if (!session)
        return NULL;
    session->session.device = device;
    session->kind = client->sessions.live;
    session->generation = client->sessions.generation;
    client->sessions.pending = false;
    return &session->session;
}

struct vfio_data_session *vfio_user_stray_session(struct vfio_device *device, bool saving)
{
    struct vfio_user_session *session;

    if (!vfio_user_get_agreement(device))
        return NULL;
    session = calloc(1, sizeof(*session));
    if (!session)
        return NULL;
    session->session.device = device;
    session->kind = saving ? SESSION_SAVING : SESSION_RESUMING;
    session->stray = true;
    return &session->session;
}

void vfio_user_session_close(struct vfio_data_session *session)
{
    free(session);
}

static int check_session(const struct vfio_data_session *data_session, enum session_kind kind, const char *what,
                         struct error *error)
{
    const struct vfio_user_session *session = (const struct vfio_user_session *)data_session;
    const struct vfio_user *client = vfio_user_of(data_session->device);

    if (session->kind != kind)
        return error_set(error, EBADF, "%s: %s: the session is of the other direction", client->device.name, what);
    if (!session->stray && session->generation != client->sessions.generation)
        return error_set(error, ENODEV, "%s: %s: the data transfer session has ended", client->device.name, what);
    return 0;
}

/*
 * What less than was asked for means. In STOP_COPY it is the end. In PRE_COPY it cannot be: where the server ends for
 * the time being by ENOMSG, an answer without data is the end that the kernel's drivers must not give; where it cannot
 * say so, it is that end for the time being.
 */
static enum vfio_data_result short_read(const struct vfio_user *client, size_t count)
{
    const struct vfio_user_sessions *sessions = &client->sessions;
    bool pre_copy = sessions->state_known && (sessions->state == VFIO_DEVICE_STATE_PRE_COPY ||
                                              sessions->state == VFIO_DEVICE_STATE_PRE_COPY_P2P);

    if (!pre_copy)
        return VFIO_DATA_END;
    if (count)
        return VFIO_DATA_DATA;
    return client->agreement.stopcopy ? VFIO_DATA_END : VFIO_DATA_AGAIN;
}

enum vfio_data_result vfio_user_session_read(struct vfio_data_session *session, void *data, size_t size, size_t *count,
                                             struct error *error)
{
    struct vfio_user *client = vfio_user_of(session->device);
    uint32_t maximum = client->agreement.max_data_xfer_size;
    uint32_t wanted = size < maximum ? (uint32_t)size : maximum;
    struct vfio_user_migration_data request = {.argsz = (uint32_t)sizeof(request) + wanted, .size = wanted};
    struct vfio_user_migration_data reply;
    struct vfio_user_call call = {
        .command = VFIO_USER_MIG_DATA_READ,
        .request = {{&request, sizeof(request)}},
        .request_count = 1,
        .reply = {{&reply, sizeof(reply)}, {data, wanted}},
        .reply_minimum = sizeof(reply),
    };

    *count = 0;
    if (check_session(session, SESSION_SAVING, "MIG_DATA_READ", error) < 0)
        return VFIO_DATA_ERROR;
    if (!wanted) {
        error_set(error, EINVAL, "%s: MIG_DATA_READ of no bytes", client->device.name);
        return VFIO_DATA_ERROR;
    }
    if (vfio_user_roundtrip(client, &call, error, "MIG_DATA_READ of %u bytes", wanted) < 0)
        return call.answer == ENOMSG ? VFIO_DATA_AGAIN : VFIO_DATA_ERROR;
    /* The reply, which has no more than was wanted, may be longer than what counts of it. */
    if (reply.size > call.reply_size - sizeof(reply)) {
        vfio_user_violation(client, error, "MIG_DATA_READ of %u bytes: the reply has size %u and %zu bytes", wanted,
                            reply.size, call.reply_size - sizeof(reply));
        return VFIO_DATA_ERROR;
    }
    *count = reply.size;
    return reply.size == wanted ? VFIO_DATA_DATA : short_read(client, reply.size);
}

ssize_t vfio_user_session_write(struct vfio_data_session *session, const void *data, size_t size, struct error *error)
{
    struct vfio_user *client = vfio_user_of(session->device);
    uint32_t maximum = client->agreement.max_data_xfer_size;
    uint32_t part = size < maximum ? (uint32_t)size : maximum;
    struct vfio_user_migration_data request = {.argsz = (uint32_t)sizeof(request) + part, .size = part};
    uint8_t ignored[sizeof(request)];
    struct vfio_user_call call = {
        .command = VFIO_USER_MIG_DATA_WRITE,
        .request = {{&request, sizeof(request)}, {(void *)data, part}},
        .request_count = 2,
        /* The specification has no payload in the reply; some servers repeat the head of the request. */
        .reply = {{ignored, sizeof(ignored)}},
    };

    if (check_session(session, SESSION_RESUMING, "MIG_DATA_WRITE", error) < 0)
        return -1;
    if (!part && !((const struct vfio_user_session *)session)->stray)
        return error_set(error, EINVAL, "%s: MIG_DATA_WRITE of no bytes", client->device.name);
    if (vfio_user_roundtrip(client, &call, error, "MIG_DATA_WRITE of %u bytes", part) < 0)
        return -1;
    return part;
}

int vfio_user_session_precopy_info(struct vfio_data_session *session, struct vfio_precopy_info *info,
                                   struct error *error)
{
    struct vfio_user *client = vfio_user_of(session->device);
    struct vfio_user_precopy_info wire = {.argsz = sizeof(wire)};
    struct vfio_user_call call = {
        .command = VFIO_USER_STOPCOPY_PRECOPY_INFO,
        .request = {{&wire, sizeof(wire)}},
        .request_count = 1,
        .reply = {{&wire, sizeof(wire)}},
        .reply_minimum = sizeof(wire),
    };

    if (!client->agreement.stopcopy)
        return error_set(error, ENOTTY,
                         "%s: PRECOPY_INFO: not part of vfio-user, and the server has not the "
                         "capability \"" VFIO_USER_CAPABILITY_STOPCOPY "\"",
                         client->device.name);
    if (check_session(session, SESSION_SAVING, "PRECOPY_INFO", error) < 0)
        return -1;
    if (vfio_user_roundtrip(client, &call, error, "PRECOPY_INFO") < 0)
        return -1;
    if (wire.argsz < sizeof(wire))
        return vfio_user_violation(client, error, "PRECOPY_INFO: argsz is %u, less than %zu", wire.argsz, sizeof(wire));
    info->flags = wire.flags;
    info->initial_bytes = wire.initial_bytes;
    info->dirty_bytes = wire.dirty_bytes;
    return 0;
}
