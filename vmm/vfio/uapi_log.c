/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/vfio/uapi_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "lib/io.h"

struct uapi_log {
    struct vfio_device device;
    struct vfio_device_ops ops; /* ours, without those that the other has not */
    struct vfio_device *inner;
    int fd;
    char side[16];
    unsigned int index;
    atomic_uint sessions; /* so far */
    bool keeps;
    int folder;            /* where streams are kept */
    atomic_ullong written; /* bytes of lines */
};

struct logged_session {
    struct vfio_data_session session;
    struct vfio_data_session *inner;
    unsigned int number;
    int kept;           /* the file of its stream, -1: none */
    uint64_t kept_size; /* bytes in it */
};

/* One call on its way. */
struct call {
    struct uapi_log *log;
    uint64_t start_ns;
    struct error own; /* where the caller wants none */
    struct error *error;
};

static struct uapi_log *log_of(struct vfio_device *device)
{
    return (struct uapi_log *)device;
}

static void begin(struct call *call, struct vfio_device *device, struct error *error)
{
    call->log = log_of(device);
    call->own = (struct error)ERROR_INIT;
    call->error = error ? error : &call->own;
    call->start_ns = clock_now_ns();
}

/* Bytes that went one way or the other. */
static void put_data(json_t *line, const char *name, const void *data, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = data;
    char digest[17];
    char *text;

    snprintf(digest, sizeof(digest), "%016" PRIx64, (uint64_t)XXH3_64bits(data, size));
    json_object_set_new(line, "bytes", json_integer((json_int_t)size));
    json_object_set_new(line, "digest", json_string(digest));
    if (size > UAPI_LOG_DATA_MAX || !(text = malloc(2 * size + 1)))
        return;
    for (size_t i = 0; i < size; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * size] = '\0';
    json_object_set_new(line, name, json_string(text));
    free(text);
}

/* Completes the line and writes it. members: taken over. Returns result. */
static long end(struct call *call, const char *operation, json_t *members, long result)
{
    uint64_t now = clock_now_ns();
    json_t *line = json_pack("{s:I,s:I,s:s,s:I,s:s,s:I}", "time_ns", (json_int_t)call->start_ns, "ns",
                             (json_int_t)(now - call->start_ns), "side", call->log->side, "device",
                             (json_int_t)call->log->index, "op", operation, "result", (json_int_t)result);
    char *text, *whole = NULL;
    int length = -1;

    if (members)
        json_object_update(line, members);
    if (result < 0) {
        json_object_set_new(line, "errno", json_integer(call->error->number));
        json_object_set_new(line, "error", json_string(call->error->text));
    }
    text = json_dumps(line, JSON_COMPACT);
    if (text)
        length = asprintf(&whole, "%s\n", text);
    if (length > 0 && call->log->keeps &&
        atomic_fetch_add(&call->log->written, (unsigned long long)length) > UAPI_LOG_KEPT_MAX)
        call->log->fd = -1;
    /* One write, so that lines of several threads and processes stay whole. A full disk ends the log, not the run. */
    if (length > 0 && write(call->log->fd, whole, (size_t)length) != length)
        call->log->fd = -1;
    if (length > 0)
        free(whole);
    free(text);
    json_decref(members);
    json_decref(line);
    return result;
}

static void log_close(struct vfio_device *device)
{
    struct call call;

    begin(&call, device, NULL);
    vfio_device_close(call.log->inner);
    end(&call, "close", NULL, 0);
    free(call.log);
}

static int log_get_info(struct vfio_device *device, struct vfio_device_info_summary *info, struct error *error)
{
    struct call call;
    int result;

    begin(&call, device, error);
    result = call.log->inner->ops->get_info(call.log->inner, info, call.error);
    return (int)end(&call, "get_info",
                    result < 0 ? NULL
                               : json_pack("{s:I,s:I,s:I}", "flags", (json_int_t)info->flags, "regions",
                                           (json_int_t)info->regions, "irqs", (json_int_t)info->irqs),
                    result);
}

static int log_get_region(struct vfio_device *device, uint32_t index, struct vfio_region *region, struct error *error)
{
    struct call call;
    json_t *members;
    int result;

    begin(&call, device, error);
    result = call.log->inner->ops->get_region(call.log->inner, index, region, call.error);
    members = json_pack("{s:I}", "index", (json_int_t)index);
    if (result == 0)
        json_object_update_new(members, json_pack("{s:I,s:I,s:I}", "flags", (json_int_t)region->flags, "size",
                                                  (json_int_t)region->size, "areas", (json_int_t)region->area_count));
    return (int)end(&call, "get_region", members, result);
}

static int log_get_irq(struct vfio_device *device, uint32_t index, struct vfio_irq *irq, struct error *error)
{
    struct call call;
    json_t *members;
    int result;

    begin(&call, device, error);
    result = call.log->inner->ops->get_irq(call.log->inner, index, irq, call.error);
    members = json_pack("{s:I}", "index", (json_int_t)index);
    if (result == 0)
        json_object_update_new(
            members, json_pack("{s:I,s:I}", "flags", (json_int_t)irq->flags, "count", (json_int_t)irq->count));
    return (int)end(&call, "get_irq", members, result);
}

static int log_get_doorbells(struct vfio_device *device, uint32_t region, struct vfio_doorbell *doorbells,
                             size_t maximum, struct error *error)
{
    struct call call;
    int result;

    begin(&call, device, error);
    result = call.log->inner->ops->get_doorbells(call.log->inner, region, doorbells, maximum, call.error);
    return (int)end(&call, "get_doorbells", json_pack("{s:I}", "region", (json_int_t)region), result);
}

static int log_region_read(struct vfio_device *device, uint32_t region, uint64_t offset, void *data, size_t count,
                           struct error *error)
{
    struct call call;
    json_t *members;
    int result;

    begin(&call, device, error);
    result = call.log->inner->ops->region_read(call.log->inner, region, offset, data, count, call.error);
    members = json_pack("{s:I,s:I,s:I}", "region", (json_int_t)region, "offset", (json_int_t)offset, "bytes",
                        (json_int_t)count);
    if (result == 0)
        put_data(members, "data", data, count);
    return (int)end(&call, "region_read", members, result);
}

static int log_region_write(struct vfio_device *device, uint32_t region, uint64_t offset, const void *data,
                            size_t count, struct error *error)
{
    struct call call;
    json_t *members = json_pack("{s:I,s:I}", "region", (json_int_t)region, "offset", (json_int_t)offset);
    int result;

    put_data(members, "data", data, count);
    begin(&call, device, error);
    result = call.log->inner->ops->region_write(call.log->inner, region, offset, data, count, call.error);
    return (int)end(&call, "region_write", members, result);
}

static int log_set_irqs(struct vfio_device *device, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
                        const void *data, size_t data_size, struct error *error)
{
    struct call call;
    json_t *members = json_pack("{s:I,s:I,s:I,s:I}", "flags", (json_int_t)flags, "index", (json_int_t)index, "start",
                                (json_int_t)start, "count", (json_int_t)count);
    int result;

    put_data(members, "data", data, data_size);
    begin(&call, device, error);
    result = call.log->inner->ops->set_irqs(call.log->inner, flags, index, start, count, data, data_size, call.error);
    return (int)end(&call, "set_irqs", members, result);
}

static json_t *mapping(uint64_t iova, uint64_t size, bool writable, bool fd)
{
    return json_pack("{s:I,s:I,s:b,s:b}", "iova", (json_int_t)iova, "size", (json_int_t)size, "writable", writable,
                     "fd", fd);
}

static int log_dma_map(struct vfio_device *device, uint64_t iova, uint64_t size, void *host, int fd, uint64_t offset,
                       bool writable, struct error *error)
{
    struct call call;
    int result;

    begin(&call, device, error);
    result = call.log->inner->ops->dma_map(call.log->inner, iova, size, host, fd, offset, writable, call.error);
    return (int)end(&call, "dma_map", mapping(iova, size, writable, fd >= 0), result);
}

static int log_dma_map_peer(struct vfio_device *device, uint64_t iova, uint64_t size, void *host, int fd,
                            uint64_t offset, bool writable, struct error *error)
{
    struct call call;
    int result;

    begin(&call, device, error);
    result = call.log->inner->ops->dma_map_peer(call.log->inner, iova, size, host, fd, offset, writable, call.error);
    return (int)end(&call, "dma_map_peer", mapping(iova, size, writable, fd >= 0), result);
}

static int log_dma_unmap(struct vfio_device *device, uint64_t iova, uint64_t size, struct error *error)
{
    struct call call;
    int result;

    begin(&call, device, error);
    result = call.log->inner->ops->dma_unmap(call.log->inner, iova, size, call.error);
    return (int)end(&call, "dma_unmap", json_pack("{s:I,s:I}", "iova", (json_int_t)iova, "size", (json_int_t)size),
                    result);
}

static int log_take_own_dirty(struct vfio_device *device, uint64_t iova, uint64_t size, uint64_t page_size,
                              uint64_t *bitmap, struct error *error)
{
    struct vfio_device *inner = log_of(device)->inner;

    /* It is the VMM's own, and no call of the device's. */
    return inner->ops->take_own_dirty(inner, iova, size, page_size, bitmap, error);
}

static int log_iommu_log(struct vfio_device *device, bool on, struct error *error)
{
    struct call call;
    int result;

    begin(&call, device, error);
    result = call.log->inner->ops->iommu_log(call.log->inner, on, call.error);
    return (int)end(&call, "iommu_log", json_pack("{s:b}", "on", on), result);
}

static int log_iommu_log_report(struct vfio_device *device, uint64_t iova, uint64_t size, uint64_t page_size,
                                uint64_t *bitmap, struct error *error)
{
    struct call call;
    int result;

    begin(&call, device, error);
    result = call.log->inner->ops->iommu_log_report(call.log->inner, iova, size, page_size, bitmap, call.error);
    return (int)end(&call, "iommu_log_report",
                    json_pack("{s:I,s:I,s:I}", "iova", (json_int_t)iova, "size", (json_int_t)size, "page_size",
                              (json_int_t)page_size),
                    result);
}

static bool log_iommu_log_is_exact(struct vfio_device *device)
{
    struct vfio_device *inner = log_of(device)->inner;

    return inner->ops->iommu_log_is_exact(inner);
}

static int log_reset(struct vfio_device *device, struct error *error)
{
    struct call call;
    int result;

    begin(&call, device, error);
    result = call.log->inner->ops->reset(call.log->inner, call.error);
    return (int)end(&call, "reset", NULL, result);
}

static int log_feature(struct vfio_device *device, uint32_t flags, void *data, size_t size, struct error *error)
{
    struct call call;
    char text[128];
    json_t *members;
    int result;

    vfio_feature_say(flags, data, size, text, sizeof(text));
    members = json_pack("{s:I,s:s}", "flags", (json_int_t)flags, "says", text);
    put_data(members, "data", data, size);
    begin(&call, device, error);
    result = call.log->inner->ops->feature(call.log->inner, flags, data, size, call.error);
    if (result == 0 && !(flags & VFIO_DEVICE_FEATURE_PROBE) && flags & VFIO_DEVICE_FEATURE_GET) {
        json_t *answer = json_object();

        put_data(answer, "data", data, size);
        json_object_set_new(members, "answer", answer);
    }
    return (int)end(&call, "feature", members, result);
}

static struct vfio_data_session *log_take_session(struct vfio_device *device)
{
    struct logged_session *session;
    struct vfio_data_session *inner;
    struct call call;

    begin(&call, device, NULL);
    inner = call.log->inner->ops->take_session(call.log->inner);
    session = inner ? calloc(1, sizeof(*session)) : NULL;
    if (!session) {
        if (inner)
            call.log->inner->ops->session_close(inner);
        return NULL;
    }
    *session = (struct logged_session){
        .session = {.device = device}, .inner = inner, .number = atomic_fetch_add(&call.log->sessions, 1), .kept = -1};
    end(&call, "take_session", json_pack("{s:I}", "session", (json_int_t)session->number), 0);
    return &session->session;
}

/* A disk that is full, or a stream that is too long, ends what is kept of it, not the run. */
static void keep(struct logged_session *session, const char *way, const void *data, size_t size)
{
    struct uapi_log *log = log_of(session->session.device);
    char name[128];

    if (!log->keeps || !size || session->kept_size + size > UAPI_LOG_KEPT_MAX)
        return;
    if (session->kept < 0) {
        snprintf(name, sizeof(name), "device-%u.%s-%ld.session-%u.%s.bin", log->index, log->side, (long)getpid(),
                 session->number, way);
        session->kept = openat(log->folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    }
    if (session->kept < 0 || write(session->kept, data, size) != (ssize_t)size)
        session->kept_size = UAPI_LOG_KEPT_MAX;
    session->kept_size += size;
}

static enum vfio_data_result log_session_read(struct vfio_data_session *session, void *data, size_t size, size_t *count,
                                              struct error *error)
{
    struct logged_session *logged = (struct logged_session *)session;
    enum vfio_data_result result;
    struct call call;
    json_t *members;

    begin(&call, session->device, error);
    result = call.log->inner->ops->session_read(logged->inner, data, size, count, call.error);
    members = json_pack("{s:I,s:I}", "session", (json_int_t)logged->number, "size", (json_int_t)size);
    if (result != VFIO_DATA_ERROR) {
        put_data(members, "data", data, *count);
        keep(logged, "saved", data, *count);
    }
    return (enum vfio_data_result)end(&call, "session_read", members, result);
}

static ssize_t log_session_write(struct vfio_data_session *session, const void *data, size_t size, struct error *error)
{
    struct logged_session *logged = (struct logged_session *)session;
    struct call call;
    json_t *members = json_pack("{s:I}", "session", (json_int_t)logged->number);
    ssize_t result;

    put_data(members, "data", data, size);
    begin(&call, session->device, error);
    result = call.log->inner->ops->session_write(logged->inner, data, size, call.error);
    if (result > 0)
        keep(logged, "loaded", data, (size_t)result);
    return end(&call, "session_write", members, result);
}

static int log_session_precopy_info(struct vfio_data_session *session, struct vfio_precopy_info *info,
                                    struct error *error)
{
    struct logged_session *logged = (struct logged_session *)session;
    struct call call;
    json_t *members;
    int result;

    begin(&call, session->device, error);
    result = call.log->inner->ops->session_precopy_info(logged->inner, info, call.error);
    members = json_pack("{s:I}", "session", (json_int_t)logged->number);
    if (result == 0)
        json_object_update_new(members, json_pack("{s:I,s:I,s:I}", "flags", (json_int_t)info->flags, "initial_bytes",
                                                  (json_int_t)info->initial_bytes, "dirty_bytes",
                                                  (json_int_t)info->dirty_bytes));
    return (int)end(&call, "session_precopy_info", members, result);
}

static void log_session_close(struct vfio_data_session *session)
{
    struct logged_session *logged = (struct logged_session *)session;
    struct call call;

    begin(&call, session->device, NULL);
    call.log->inner->ops->session_close(logged->inner);
    end(&call, "session_close", json_pack("{s:I}", "session", (json_int_t)logged->number), 0);
    io_close(&logged->kept);
    free(logged);
}

static int log_session_descriptor(const struct vfio_data_session *session)
{
    const struct logged_session *logged = (const struct logged_session *)session;

    return logged->inner->device->ops->session_descriptor(logged->inner);
}

static void log_set_timeout(struct vfio_device *device, uint64_t ns)
{
    struct vfio_device *inner = log_of(device)->inner;

    inner->ops->set_timeout(inner, ns);
}

static int log_gone_fd(struct vfio_device *device)
{
    struct vfio_device *inner = log_of(device)->inner;

    return inner->ops->gone_fd(inner);
}

static enum vfio_gone log_gone_reason(struct vfio_device *device)
{
    struct vfio_device *inner = log_of(device)->inner;

    return inner->ops->gone_reason(inner);
}

static int log_kvm_fd(struct vfio_device *device)
{
    struct vfio_device *inner = log_of(device)->inner;

    return inner->ops->kvm_fd(inner);
}

static void log_explain_no_migration(struct vfio_device *device, char *text, size_t size)
{
    struct vfio_device *inner = log_of(device)->inner;

    inner->ops->explain_no_migration(inner, text, size);
}

static const struct vfio_device_ops all = {
    .close = log_close,
    .get_info = log_get_info,
    .get_region = log_get_region,
    .get_irq = log_get_irq,
    .get_doorbells = log_get_doorbells,
    .region_read = log_region_read,
    .region_write = log_region_write,
    .set_irqs = log_set_irqs,
    .dma_map = log_dma_map,
    .dma_map_peer = log_dma_map_peer,
    .dma_unmap = log_dma_unmap,
    .take_own_dirty = log_take_own_dirty,
    .iommu_log = log_iommu_log,
    .iommu_log_report = log_iommu_log_report,
    .iommu_log_is_exact = log_iommu_log_is_exact,
    .reset = log_reset,
    .feature = log_feature,
    .take_session = log_take_session,
    .session_read = log_session_read,
    .session_write = log_session_write,
    .session_precopy_info = log_session_precopy_info,
    .session_close = log_session_close,
    .session_descriptor = log_session_descriptor,
    .set_timeout = log_set_timeout,
    .gone_fd = log_gone_fd,
    .gone_reason = log_gone_reason,
    .kvm_fd = log_kvm_fd,
    .explain_no_migration = log_explain_no_migration,
};

/* An operation that a backend may be without is missing here as well. */
static void leave_out(struct vfio_device_ops *ops, const struct vfio_device_ops *inner)
{
    ops->name = inner->name;
    if (!inner->dma_map_peer)
        ops->dma_map_peer = NULL;
    if (!inner->take_own_dirty)
        ops->take_own_dirty = NULL;
    if (!inner->iommu_log)
        ops->iommu_log = NULL;
    if (!inner->iommu_log_report)
        ops->iommu_log_report = NULL;
    if (!inner->iommu_log_is_exact)
        ops->iommu_log_is_exact = NULL;
    if (!inner->session_descriptor)
        ops->session_descriptor = NULL;
    if (!inner->gone_reason)
        ops->gone_reason = NULL;
    if (!inner->kvm_fd)
        ops->kvm_fd = NULL;
    if (!inner->explain_no_migration)
        ops->explain_no_migration = NULL;
}

struct vfio_device *uapi_log_wrap(struct vfio_device *device, int fd, const char *side, unsigned int index,
                                  struct error *error)
{
    struct uapi_log *log = calloc(1, sizeof(*log));
    struct call call;

    if (!log) {
        vfio_device_close(device);
        error_set(error, ENOMEM, "a log of the device's calls");
        return NULL;
    }
    log->inner = device;
    log->fd = fd;
    log->index = index;
    snprintf(log->side, sizeof(log->side), "%s", side);
    log->ops = all;
    leave_out(&log->ops, device->ops);
    log->device.ops = &log->ops;
    memcpy(log->device.name, device->name, sizeof(log->device.name));
    begin(&call, &log->device, NULL);
    end(&call, "open", json_pack("{s:s,s:s}", "name", device->name, "backend", device->ops->name), 0);
    return &log->device;
}

void uapi_log_keep_streams(struct vfio_device *device, int folder)
{
    struct uapi_log *log = log_of(device);

    log->keeps = true;
    log->folder = folder;
}

struct vfio_device *uapi_log_inner(struct vfio_device *device)
{
    return device->ops->close == log_close ? log_of(device)->inner : device;
}
