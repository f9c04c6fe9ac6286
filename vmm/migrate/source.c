/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/migrate/handover.h"
#include "vmm/vfio/migration.h"

#define PAUSE_TIMEOUT_MS 5000u
/* How long a destination that has hung up is listened to for its reason. */
#define REASON_TIMEOUT_MS 500u
#define ALIVE_PERIOD_NS 1000000000u

struct source {
    struct source_config config;
    struct device_set set;
    struct stream stream;
    struct buffer state; /* one record at a time */
    void *data;          /* a piece of a device's stream */
    struct ram_sender ram;
    struct precopy *precopy; /* NULL: everything goes after the stop */
    uint64_t start_ns;       /* of the migration: the first round, or the pause */
    bool digests;            /* the destination wants them */
    bool paused;
    uint64_t pause_start_ns;
    uint64_t alive_ns; /* when the destination heard last */
    /* The destination's clock less ours, known to within the error. */
    int64_t clock_offset_ns;
    uint64_t clock_error_ns;
};

static struct deadline wait_deadline(const struct source *source)
{
    return deadline_in_ns(source->config.timeout_ns);
}

static int send_record(struct source *source, enum stream_type type, uint32_t instance, const void *data, size_t size,
                       struct error *error)
{
    return stream_send(&source->stream, type, instance, data, size, wait_deadline(source), error);
}

/* Sends what source->state holds. */
static int send_state(struct source *source, enum stream_type type, uint32_t instance, struct error *error)
{
    if (source->state.failed)
        return error_set(error, ENOMEM, "%s", stream_type_name(type));
    return send_record(source, type, instance, source->state.data, source->state.size, error);
}

/* Waits for a record of this type; anything else, a refusal above all, is the error. */
static int expect(struct source *source, enum stream_type type, struct stream_record *record, struct error *error)
{
    char text[512];

    if (stream_receive(&source->stream, record, wait_deadline(source), error) < 0)
        return error_prefix(error, "waiting for %s", stream_type_name(type));
    if (record->type == type)
        return 0;
    if (record->type == STREAM_REFUSED || record->type == STREAM_NOT_STARTED || record->type == STREAM_FAILED) {
        stream_text(record, text, sizeof(text));
        return error_set(error, 0, "the destination answered %s: %s", stream_type_name(record->type), text);
    }
    return error_rule(error, "stream/invalid", 0, "%s sent %s where %s was due", source->stream.peer,
                      stream_type_name(record->type), stream_type_name(type));
}

/* Sending failed: if the destination said why before it went, that is the better reason. */
static void ask_reason(struct source *source, struct error *error)
{
    struct stream_record record;
    char text[512];

    if (stream_receive(&source->stream, &record, deadline_in_ms(REASON_TIMEOUT_MS), NULL) < 0 ||
        record.type != STREAM_REFUSED)
        return;
    stream_text(&record, text, sizeof(text));
    error_set(error, 0, "the destination answered REFUSED: %s", text);
}

/* How far apart the clocks are: nothing where both ends share a host since the same boot. */
static void measure_clock(struct source *source, const struct handover_hello *hello, uint64_t asked, uint64_t answered)
{
    static const uint8_t unknown[16];
    struct handover_hello ours;

    handover_hello_fill(&ours);
    if (!memcmp(ours.boot_id, hello->boot_id, sizeof(ours.boot_id)) && memcmp(ours.boot_id, unknown, sizeof(unknown)))
        return;
    source->clock_error_ns = (answered - asked) / 2 + 1;
    source->clock_offset_ns = (int64_t)(hello->clock_ns - (asked + source->clock_error_ns));
}

int source_prepare(struct source *source, struct error *error)
{
    const struct source_config *config = &source->config;
    struct handover_hello hello;
    struct stream_record record;
    uint64_t start = clock_now_ns();
    uint64_t guest_tsc;

    if (device_set_probe(&source->set, config->no_p2p, error) < 0)
        return -1;
    guest_tsc = vm_guest_tsc(machine_vm(config->machine));
    if (config->faults && config->faults->tsc_ahead)
        guest_tsc += FAULT_TSC_AHEAD;
    if (handover_hello_send(&source->stream, true, false, guest_tsc, wait_deadline(source), error) < 0 ||
        handover_hello_receive(&source->stream, false, &hello, wait_deadline(source), error) < 0) {
        if (source->stream.broken)
            ask_reason(source, error);
        return -1;
    }
    measure_clock(source, &hello, start, clock_now_ns());
    source->digests = hello.digests;
    buffer_clear(&source->state);
    if (board_to_tree(machine_board(config->machine), &source->state, error) < 0 ||
        send_state(source, STREAM_BOARD, 0, error) < 0 || expect(source, STREAM_PREPARED, &record, error) < 0)
        return -1;
    source->alive_ns = clock_now_ns();
    event_phase(config->log, "prepare", start, source->alive_ns, 0);
    return 0;
}

int source_keep_alive(struct source *source, struct error *error)
{
    if (clock_now_ns() - source->alive_ns < ALIVE_PERIOD_NS)
        return 0;
    source->alive_ns = clock_now_ns();
    return send_record(source, STREAM_ALIVE, 0, NULL, 0, error);
}

/* Pauses the vCPUs, stops the devices, and takes their interrupts on the way into the interrupt controller. */
static int stop_everything(struct source *source, struct error *error)
{
    const struct source_config *config = &source->config;
    uint64_t start = clock_now_ns();
    uint64_t paused, stopped;

    source->pause_start_ns = start;
    source->paused = true;
    if (machine_pause(config->machine, deadline_in_ms(PAUSE_TIMEOUT_MS), error) < 0)
        return -1;
    paused = clock_now_ns();
    event_phase(config->log, "pause", start, paused, 0);
    if (device_set_stop_copy(&source->set, error) < 0)
        return -1;
    stopped = clock_now_ns();
    event_phase(config->log, "devices-stop", paused, stopped, 0);
    if (machine_unbind_interrupts(config->machine, error) < 0)
        return -1;
    event_phase(config->log, "interrupts-flush", stopped, clock_now_ns(), 0);
    return 0;
}

static int send_vcpus(struct source *source, struct error *error)
{
    const struct source_config *config = &source->config;
    struct vm *vm = machine_vm(config->machine);
    uint64_t start = clock_now_ns();
    uint64_t sent = source->stream.bytes_sent;

    buffer_clear(&source->state);
    if (vm_get_state(vm, &source->state, error) < 0 || send_state(source, STREAM_VM, 0, error) < 0)
        return -1;
    for (unsigned int vcpu = 0; vcpu < machine_board(config->machine)->vcpus; vcpu++) {
        buffer_clear(&source->state);
        if (vm_vcpu_get_state(vm, vcpu, &source->state, error) < 0)
            return -1;
        if (config->faults && config->faults->register_changed && vcpu == 0 &&
            vm_vcpu_state_change_register(source->state.data, source->state.size, vcpu, error) < 0)
            return -1;
        if (send_state(source, STREAM_VCPU, vcpu, error) < 0)
            return -1;
    }
    event_phase(config->log, "vcpu-state", start, clock_now_ns(), source->stream.bytes_sent - sent);
    return 0;
}

static int send_board(struct source *source, struct error *error)
{
    buffer_clear(&source->state);
    if (machine_get_board_state(source->config.machine, &source->state, error) < 0)
        return -1;
    return send_state(source, STREAM_BOARD_STATE, 0, error);
}

struct device_sink {
    struct source *source;
    unsigned int index;
};

static int send_piece(void *context, const void *data, size_t size, struct error *error)
{
    struct device_sink *sink = context;

    return send_record(sink->source, STREAM_DEVICE_DATA, sink->index, data, size, error);
}

/* The session that STOP_COPY gave, or the one that goes on from PRE_COPY. *bytes: of it, sent before. */
static struct vfio_data_session *take_session(struct source *source, unsigned int index, uint64_t *bytes)
{
    struct vfio_device *device = source->config.devices[index];
    struct vfio_data_session *session = source->precopy ? precopy_take_session(source->precopy, index, bytes) : NULL;

    return session ? session : device->ops->take_session(device);
}

static int send_device(struct source *source, unsigned int index, struct error *error)
{
    struct vfio_device *device = source->config.devices[index];
    uint64_t before = 0;
    struct vfio_data_session *session = take_session(source, index, &before);
    struct device_sink sink = {.source = source, .index = index};
    struct event_device_numbers numbers = EVENT_DEVICE_NUMBERS_UNKNOWN;
    uint64_t start = clock_now_ns();
    uint64_t bytes = 0, total;
    int result;

    if (!session)
        return error_rule(error, "device/no-session", 0,
                          "device %u (%s): STOP_COPY gave no data transfer session (data_fd)", index, device->name);
    result = migration_read_all(session, source->data, STREAM_DATA_MAX, send_piece, &sink, &bytes, error);
    device->ops->session_close(session);
    if (result < 0)
        return error_prefix(error, "device %u (%s): saving its state", index, device->name);
    total = htole64(before + bytes);
    if (send_record(source, STREAM_DEVICE_END, index, &total, sizeof(total), error) < 0)
        return -1;
    buffer_clear(&source->state);
    if (machine_get_device_state(source->config.machine, index, &source->state, error) < 0 ||
        send_state(source, STREAM_DEVICE_STATE, index, error) < 0)
        return -1;
    event_phase(source->config.log, "device-state", start, clock_now_ns(), bytes);
    numbers.state_bytes = before + bytes;
    event_device(source->config.log, source->config.leg, index, device->name, &numbers);
    return 0;
}

/* What of RAM the destination has not got, or not as it is now. */
static int send_ram(struct source *source, struct error *error)
{
    uint64_t start = clock_now_ns();
    uint64_t before = source->ram.totals.bytes;
    int result = source->precopy ? precopy_send_rest(source->precopy, error) : ram_send_all(&source->ram, error);

    event_phase(source->config.log, "ram", start, clock_now_ns(), source->ram.totals.bytes - before);
    return result;
}

static int send_everything(struct source *source, struct error *error)
{
    const struct source_config *config = &source->config;
    struct {
        uint64_t pages, records, paused_ns, clock_error_ns, start_ns;
    } end; /* STREAM_END's payload */

    if (send_ram(source, error) < 0)
        return -1;
    if (send_vcpus(source, error) < 0 || send_board(source, error) < 0)
        return -1;
    for (unsigned int i = 0; i < config->device_count; i++)
        if (send_device(source, i, error) < 0)
            return -1;
    end.pages = htole64(source->ram.totals.pages);
    end.records = htole64(source->stream.sent);
    end.paused_ns = htole64(source->pause_start_ns + (uint64_t)source->clock_offset_ns);
    end.clock_error_ns = htole64(source->clock_error_ns);
    end.start_ns = htole64(source->start_ns + (uint64_t)source->clock_offset_ns);
    if (send_record(source, STREAM_END, 0, &end, sizeof(end), error) < 0)
        return -1;
    event_fact(config->log, "ram.bytes", source->ram.totals.bytes);
    event_fact(config->log, "ram.pages", source->ram.totals.pages);
    return 0;
}

/*
 * READY to RUNNING. Until COMMIT is on its way whole, any failure leaves the guest here. A COMMIT of which only a part
 * was taken cannot be acted on: its checksum is its end.
 */
static enum handover_outcome hand_over(struct source *source, struct error *error)
{
    struct stream_record record;
    uint64_t start = clock_now_ns();
    uint64_t resumed;
    char text[512];

    if (expect(source, STREAM_READY, &record, error) < 0)
        return HANDOVER_ON_SOURCE;
    event_phase(source->config.log, "wait-ready", start, clock_now_ns(), 0);
    if (send_record(source, STREAM_COMMIT, 0, NULL, 0, error) < 0)
        return HANDOVER_ON_SOURCE;
    start = clock_now_ns();
    if (stream_receive(&source->stream, &record, wait_deadline(source), error) < 0) {
        error_prefix(error, "after COMMIT, waiting for RUNNING");
        return HANDOVER_UNKNOWN;
    }
    stream_text(&record, text, sizeof(text));
    switch (record.type) {
    case STREAM_RUNNING:
        if (record.size != sizeof(resumed))
            break;
        memcpy(&resumed, record.data, sizeof(resumed));
        event_phase(source->config.log, "wait-running", start, clock_now_ns(), 0);
        resumed = le64toh(resumed) - (uint64_t)source->clock_offset_ns;
        /* By clocks that are known to within an error it may come out before the pause. */
        event_fact(source->config.log, "downtime_ns",
                   resumed > source->pause_start_ns ? resumed - source->pause_start_ns : 0);
        return HANDOVER_DONE;
    case STREAM_NOT_STARTED:
        error_set(error, 0, "the destination did not start the guest: %s", text);
        return HANDOVER_ON_SOURCE;
    case STREAM_REFUSED:
        /* It gave up before COMMIT reached it, and starts nothing any more. */
        error_set(error, 0, "the destination answered REFUSED: %s", text);
        return HANDOVER_ON_SOURCE;
    case STREAM_FAILED:
        error_set(error, 0, "the destination has the guest and cannot run it: %s", text);
        return HANDOVER_LOST;
    default:
        break;
    }
    error_rule(error, "stream/invalid", 0, "%s answered COMMIT with %s", source->stream.peer,
               stream_type_name(record.type));
    return HANDOVER_UNKNOWN;
}

/* The guest was never paused: only what the rounds have begun is taken back. */
static enum handover_outcome go_on_here(struct source *source, struct error *error)
{
    const struct source_config *config = &source->config;
    struct error recovery = ERROR_INIT;

    if (!source->precopy || precopy_cancel(source->precopy, &recovery) == 0)
        return HANDOVER_ON_SOURCE;
    event_error(config->log, error);
    if (machine_pause(config->machine, deadline_in_ms(PAUSE_TIMEOUT_MS), error) < 0)
        event_error(config->log, error);
    error_prefix(&recovery, "the migration failed in its rounds, and the guest cannot go on here");
    *error = recovery;
    return HANDOVER_LOST;
}

/* The guest is this end's again: back to work, in the order of the way up. */
static enum handover_outcome resume_here(struct source *source, struct error *error)
{
    const struct source_config *config = &source->config;
    struct error recovery = ERROR_INIT;
    uint64_t start = clock_now_ns();

    if (!source->paused)
        return go_on_here(source, error);
    if (source->precopy)
        precopy_end_sessions(source->precopy);
    if (device_set_recover(&source->set, &recovery) < 0 || machine_bind_interrupts(config->machine, &recovery) < 0 ||
        machine_resume(config->machine, &recovery) < 0) {
        event_error(config->log, error);
        error_prefix(&recovery, "the migration failed (%.200s), and the guest cannot go on here", error->text);
        *error = recovery;
        return HANDOVER_LOST;
    }
    event_phase(config->log, "resume-on-source", start, clock_now_ns(), 0);
    if (source->precopy)
        precopy_stop_tracking(source->precopy);
    return HANDOVER_ON_SOURCE;
}

/* After RUNNING: what is left of this end's devices is put to rest, and the destination gets what it compares. */
static void finish(struct source *source)
{
    const struct source_config *config = &source->config;
    struct ram_digests ours = {0};
    struct error error = ERROR_INIT;
    json_t *events;
    char *text = NULL;
    uint64_t start = clock_now_ns();

    for (size_t i = 0; i < config->device_count; i++)
        if (device_set_arc(&source->set, i, VFIO_DEVICE_STATE_STOP, &error) < 0)
            event_error(config->log, &error);
    if (source->precopy)
        precopy_stop_tracking(source->precopy);
    if (source->digests) {
        if (ram_digests_take(config->machine, &ours, &error) < 0 ||
            ram_digests_send(&ours, &source->stream, config->timeout_ns, &error) < 0)
            event_not_proven(config->log, false, "RAM was not compared: %s", error.text);
        ram_digests_free(&ours);
        event_phase(config->log, "verify-source", start, clock_now_ns(), 0);
    }
    events = event_log_events(config->log);
    if (events)
        text = json_dumps(events, JSON_COMPACT);
    if (!text || send_record(source, STREAM_LOG, 0, text, strlen(text), &error) < 0 ||
        send_record(source, STREAM_BYE, 0, NULL, 0, &error) < 0)
        event_note(config->log, "the destination did not get this end's log: %s", error.text);
    json_decref(events);
    free(text);
}

struct source *source_new(const struct source_config *config, struct error *error)
{
    struct source *source = calloc(1, sizeof(*source));

    if (source)
        source->data = malloc(STREAM_DATA_MAX);
    if (!source || !source->data) {
        free(source);
        close(config->fd);
        error_set(error, ENOMEM, "preparing a migration");
        return NULL;
    }
    source->config = *config;
    source->set = (struct device_set){.device = config->devices,
                                      .count = config->device_count,
                                      .log = config->log,
                                      .arc_timeout_ns = config->arc_timeout_ns,
                                      .message_timeout_ns = config->message_timeout_ns};
    stream_open(&source->stream, config->fd, config->peer);
    ram_sender_init(&source->ram, config->machine, &source->stream, config->timeout_ns);
    if (config->faults && config->faults->page_not_sent)
        source->ram.skip_from = fault_page(config->faults, machine_board(config->machine)->ram[0].size);
    return source;
}

void source_free(struct source *source)
{
    if (!source)
        return;
    precopy_free(source->precopy);
    ram_sender_free(&source->ram);
    stream_close(&source->stream);
    buffer_free(&source->state);
    free(source->data);
    free(source);
}

/* The rounds that come before the pause. */
static int send_live(struct source *source, struct error *error)
{
    const struct source_config *config = &source->config;
    struct precopy_config precopy_config = {.machine = config->machine,
                                            .set = &source->set,
                                            .stream = &source->stream,
                                            .ram = &source->ram,
                                            .limits = config->limits,
                                            .timeout_ns = config->timeout_ns,
                                            .attend = config->attend,
                                            .attend_context = config->attend_context,
                                            .ignore_device_logs = config->faults && config->faults->log_ignored};

    source->precopy = precopy_new(&precopy_config, error);
    if (!source->precopy || precopy_run(source->precopy, error) < 0)
        return -1;
    return 0;
}

/* Nothing more comes: the destination is told why, or has said why before it went. */
static void cancel(struct source *source, struct error *error)
{
    if (source->stream.broken)
        ask_reason(source, error);
    else
        stream_send_text(&source->stream, STREAM_CANCELLED, error->text, deadline_in_ms(REASON_TIMEOUT_MS), NULL);
}

enum handover_outcome source_migrate(struct source *source, struct error *error)
{
    enum handover_outcome outcome = HANDOVER_ON_SOURCE;

    source->start_ns = clock_now_ns();
    if ((source->config.pre_copy && send_live(source, error) < 0) || stop_everything(source, error) < 0 ||
        send_everything(source, error) < 0)
        cancel(source, error);
    else
        outcome = hand_over(source, error);
    if (outcome == HANDOVER_DONE)
        finish(source);
    else if (outcome == HANDOVER_ON_SOURCE)
        outcome = resume_here(source, error);
    return outcome;
}
