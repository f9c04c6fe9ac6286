/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "vmm/migrate/source_private.h"
#include "vmm/vfio/migration.h"

int source_send_record(struct source *source, enum stream_type type, uint32_t instance, const void *data, size_t size,
                       struct error *error)
{
    return stream_send(&source->stream, type, instance, data, size, source_deadline(source), error);
}

int source_send_state(struct source *source, enum stream_type type, uint32_t instance, struct error *error)
{
    if (source->state.failed)
        return error_set(error, ENOMEM, "%s", stream_type_name(type));
    return source_send_record(source, type, instance, source->state.data, source->state.size, error);
}

static int send_vcpus(struct source *source, struct error *error)
{
    const struct source_config *config = &source->config;
    struct vm *vm = machine_vm(config->machine);
    uint64_t start = clock_now_ns();
    uint64_t sent = source->stream.bytes_sent;

    buffer_clear(&source->state);
    if (vm_get_state(vm, &source->state, error) < 0 || source_send_state(source, STREAM_VM, 0, error) < 0)
        return -1;
    for (unsigned int vcpu = 0; vcpu < machine_board(config->machine)->vcpus; vcpu++) {
        buffer_clear(&source->state);
        if (vm_vcpu_get_state(vm, vcpu, &source->state, error) < 0)
            return -1;
        if (fault_is_on(config->faults, VMM_REGISTER_CHANGED) && vcpu == 0 &&
            vm_vcpu_state_change_register(source->state.data, source->state.size, vcpu, error) < 0)
            return -1;
        if (source_send_state(source, STREAM_VCPU, vcpu, error) < 0)
            return -1;
        /* The destination sets it while the next one is read. */
        if (vcpu + 1 < machine_board(config->machine)->vcpus &&
            (stream_uncork(&source->stream, source_deadline(source), error) < 0))
            return -1;
        stream_cork(&source->stream);
    }
    event_phase(config->log, "vcpu-state", start, clock_now_ns(), source->stream.bytes_sent - sent);
    return 0;
}

static int send_board(struct source *source, struct error *error)
{
    uint64_t start = clock_now_ns();

    buffer_clear(&source->state);
    if (machine_get_board_state(source->config.machine, &source->state, error) < 0 ||
        source_send_state(source, STREAM_BOARD_STATE, 0, error) < 0)
        return -1;
    event_phase(source->config.log, "board-state", start, clock_now_ns(), source->state.size);
    return 0;
}

struct device_sink {
    struct source *source;
    unsigned int index;
    struct deadline end; /* of the whole stream */
    uint64_t bytes;      /* sent, in PRE_COPY as well */
    bool swap;           /* a fault put in on purpose: the second half goes before the first */
};

static int send_at(struct device_sink *sink, uint64_t offset, const void *data, size_t size, struct error *error)
{
    struct source *source = sink->source;
    uint64_t at = htole64(offset);

    return stream_send_parts(&source->stream, STREAM_DEVICE_DATA, sink->index, &at, sizeof(at), data, size,
                             source_deadline(source), error);
}

static int send_piece(void *context, const void *data, size_t size, struct error *error)
{
    struct device_sink *sink = context;
    const char *bytes = data;
    size_t half = size / 2;

    /* The data of a device that never ends would go to the destination for ever. */
    if (deadline_expired(sink->end))
        return error_rule(error, "device/stream-endless", ETIMEDOUT,
                          "its stream did not come to its end within %llu ms (--timeout), after %llu bytes",
                          (unsigned long long)(sink->source->config.timeout_ns / 1000000u),
                          (unsigned long long)sink->bytes);
    if (sink->swap && half) {
        sink->swap = false;
        if (send_at(sink, sink->bytes + half, bytes + half, size - half, error) < 0 ||
            send_at(sink, sink->bytes, bytes, half, error) < 0)
            return -1;
    } else if (send_at(sink, sink->bytes, data, size, error) < 0) {
        return -1;
    }
    sink->bytes += size;
    return 0;
}

/* A fault put in on purpose: the first register of BAR0 is written with what it has. */
static int touch_bar(struct vfio_device *device, struct error *error)
{
    uint32_t value;

    if (device->ops->region_read(device, VFIO_PCI_BAR0_REGION_INDEX, 0, &value, sizeof(value), error) < 0)
        return -1;
    return device->ops->region_write(device, VFIO_PCI_BAR0_REGION_INDEX, 0, &value, sizeof(value), error);
}

/* The session that STOP_COPY gave, or the one that goes on from PRE_COPY. *bytes: of it, sent before. */
static struct vfio_data_session *take_session(struct source *source, unsigned int index, uint64_t *bytes)
{
    struct vfio_device *device = source->config.devices[index];
    struct vfio_data_session *session = source->precopy ? precopy_take_session(source->precopy, index, bytes) : NULL;

    if (session && fault_is_on(source->config.faults, VMM_SESSION_FORGOTTEN)) {
        device->ops->session_close(session);
        session = NULL;
    }
    return session ? session : device->ops->take_session(device);
}

static int send_device(struct source *source, unsigned int index, struct error *error)
{
    struct vfio_device *device = source->config.devices[index];
    uint64_t before = 0;
    struct vfio_data_session *session = take_session(source, index, &before);
    const struct fault_plan *faults = source->config.faults;
    struct device_sink sink = {.source = source,
                               .index = index,
                               .bytes = before,
                               .swap = fault_is_on(faults, VMM_CHUNKS_SWAPPED),
                               .end = source_deadline(source)};
    struct event_device_numbers numbers = EVENT_DEVICE_NUMBERS_UNKNOWN;
    uint64_t start = clock_now_ns();
    struct error changed = ERROR_INIT;
    uint64_t bytes = 0, total;
    int result;

    if (!session)
        return error_rule(error, "device/no-session", 0,
                          "device %u (%s): STOP_COPY gave no data transfer session (data_fd)", index, device->name);
    source->session[index] = session;
    if (fault_is_on(faults, VMM_BAR_ACCESS) && touch_bar(device, error) < 0)
        return -1;
    result = migration_read_to_end(session, source->data, STREAM_DATA_MAX, send_piece, &sink, &bytes, error);
    source->session_bytes[index] = bytes;
    /* A device that left STOP_COPY by itself is the cause, and the read's failure what follows. */
    if (result < 0 && device_set_check(&source->set, index, &changed) < 0 && changed.rule[0])
        *error = changed;
    if (result < 0)
        return error_prefix(error, "device %u (%s): saving its state", index, device->name);
    total = htole64(before + bytes + (fault_is_on(faults, VMM_SIZE_COUNTED_TWICE) ? before : 0));
    if (source_send_record(source, STREAM_DEVICE_END, index, &total, sizeof(total), error) < 0)
        return -1;
    buffer_clear(&source->state);
    if (fault_is_on(faults, VMM_MSIX_DISAGREES))
        machine_forget_msix(source->config.machine);
    if (machine_get_device_state(source->config.machine, index, &source->state, error) < 0 ||
        source_send_state(source, STREAM_DEVICE_STATE, index, error) < 0)
        return -1;
    event_phase(source->config.log, "device-state", start, clock_now_ns(), bytes);
    numbers.state_bytes = before + bytes;
    event_device(source->config.log, source->config.leg, index, device->name, &numbers);
    return 0;
}

/* A stream that goes on was not sent whole. A device that is gone has told all that the destination needs. */
static int check_end(struct source *source, unsigned int index, struct error *error)
{
    struct vfio_data_session *session = source->session[index];
    struct error cause = ERROR_INIT;
    unsigned int state;

    if (migration_check_end(session, source->data, STREAM_DATA_MAX, source->session_bytes[index], &cause) < 0) {
        error_prefix(&cause, "device %u (%s): saving its state", index, session->device->name);
        if (migration_get_state(session->device, &state, NULL) == 0) {
            *error = cause;
            return -1;
        }
        event_note(source->config.log, "%s", cause.text);
    }
    session->device->ops->session_close(session);
    source->session[index] = NULL;
    device_set_check_bars(&source->set, index);
    return 0;
}

int source_settle(struct source *source, struct error *error)
{
    const struct source_config *config = &source->config;

    if (config->stopped && machine_progress(config->machine, config->stopped, NULL) < 0)
        memset(config->stopped, 0, sizeof(*config->stopped));
    for (unsigned int i = 0; i < config->device_count; i++)
        if (check_end(source, i, error) < 0)
            return -1;
    return 0;
}

void source_end_sessions(struct source *source)
{
    for (unsigned int i = 0; i < source->config.device_count; i++) {
        struct vfio_data_session *session = source->session[i];

        if (session)
            session->device->ops->session_close(session);
        source->session[i] = NULL;
    }
    if (source->precopy)
        precopy_end_sessions(source->precopy);
}

/* What of RAM the destination has not got, or not as it is now. */
static int send_ram(struct source *source, struct error *error)
{
    uint64_t start = clock_now_ns();
    uint64_t before = source->ram.totals.bytes;
    int result;

    if (source->config.share_ram)
        return 0;
    result = source->precopy ? precopy_send_rest(source->precopy, error) : ram_send_all(&source->ram, error);
    event_phase(source->config.log, "ram", start, clock_now_ns(), source->ram.totals.bytes - before);
    return result;
}

static int send_devices(struct source *source, struct error *error)
{
    step_reach(&source->steps, STEP_SOURCE_DEVICE_DATA);
    for (unsigned int i = 0; i < source->config.device_count; i++)
        if (send_device(source, i, error) < 0)
            return -1;
    return 0;
}

int source_send_everything(struct source *source, struct error *error)
{
    const struct source_config *config = &source->config;
    struct {
        uint64_t pages, records, paused_ns, clock_error_ns, start_ns;
    } end; /* STREAM_END's payload */

    bool devices_first = fault_is_on(config->faults, VMM_DEVICES_BEFORE_VCPUS);

    step_reach(&source->steps, STEP_SOURCE_RAM);
    if (send_ram(source, error) < 0)
        return -1;
    if (devices_first && send_devices(source, error) < 0)
        return -1;
    step_reach(&source->steps, STEP_SOURCE_VCPUS);
    stream_cork(&source->stream);
    if (send_vcpus(source, error) < 0 || send_board(source, error) < 0)
        return -1;
    if (!devices_first && send_devices(source, error) < 0)
        return -1;
    step_reach(&source->steps, STEP_SOURCE_END);
    end.pages = htole64(source->ram.totals.pages);
    end.records = htole64(source->stream.sent);
    end.paused_ns = htole64(source->pause_start_ns + (uint64_t)source->clock_offset_ns);
    end.clock_error_ns = htole64(source->clock_error_ns);
    end.start_ns = htole64(source->start_ns + (uint64_t)source->clock_offset_ns);
    if (source_send_record(source, STREAM_END, 0, &end, sizeof(end), error) < 0 ||
        stream_uncork(&source->stream, source_deadline(source), error) < 0)
        return -1;
    event_fact(config->log, "ram.bytes", source->ram.totals.bytes);
    event_fact(config->log, "ram.pages", source->ram.totals.pages);
    return 0;
}
