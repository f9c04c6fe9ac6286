/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/io.h"
#include "vmm/migrate/device_load.h"
#include "vmm/migrate/handover.h"
#include "vmm/migrate/ram_share.h"
#include "vmm/migrate/source_log.h"

#define ALIVE_PERIOD_NS 1000000000u
/* Later than this the guest runs by this end's word. */
#define ENTER_TIMEOUT_MS 10u

/* How far the stream has come: a record belongs to one of these, and there is no way back. */
enum load_stage {
    LOAD_PREPARED, /* nothing has come: the guest works on the source */
    LOAD_ROUNDS,   /* RAM, and in pre-copy states of devices as they come */
    LOAD_VCPUS,
    LOAD_DEVICES, /* one after the other, to its end */
    LOAD_ENDED,
};

struct destination {
    struct destination_config config;
    struct device_set set;
    struct steps steps;
    struct stream stream;
    struct machine *machine; /* until it is the caller's */
    struct machine *running; /* once it is */
    struct ram_totals ram;
    struct ram_shared shared; /* what RAM the machine is to have; its descriptors until that has them */
    bool ram_is_shared;
    struct verification verification;
    enum load_stage stage;
    /* What is due next in it. */
    unsigned int next_vcpu;
    unsigned int next_device;
    struct device_load device[BOARD_DEVICES_MAX];
    int64_t clock_offset_ns; /* a saved guest: this end's clock less that of the host that saved it */
    uint64_t start_ns;       /* of the migration, by this end's clock */
    /* When the source paused the guest, by this end's clock, known to within the error. */
    uint64_t paused_ns;
    uint64_t clock_error_ns;
    uint64_t alive_ns; /* when the source heard last, while it waits for RUNNING */
    bool has_log;      /* the source's came */
    bool guest_ended;  /* the source said that it came to its end there */
};

static void between_devices(void *context)
{
    struct destination *destination = context;

    step_reach(&destination->steps, STEP_DESTINATION_DEVICES_RUN);
}

struct destination *destination_new(const struct destination_config *config, struct error *error)
{
    struct destination *destination = calloc(1, sizeof(*destination));

    if (!destination) {
        error_set(error, ENOMEM, "receiving a migration");
        return NULL;
    }
    destination->config = *config;
    destination->set = (struct device_set){.device = config->devices,
                                           .count = config->device_count,
                                           .log = config->log,
                                           .order = config->order,
                                           .arc_timeout_ns = config->arc_timeout_ns,
                                           .message_timeout_ns = config->message_timeout_ns,
                                           .between = between_devices,
                                           .between_context = destination};
    destination->steps = (struct steps){.watcher = config->steps, .leg = config->leg};
    for (size_t i = 0; i < config->device_count; i++)
        destination->device[i].cut = fault_is_on(config->faults, VMM_WRITE_NOT_CONTINUED);
    stream_open(&destination->stream, config->fd, config->peer);
    destination->stream.boot_id = config->boot_id;
    destination->stream.hold_s = config->steps ? config->steps->hold_s : 0;
    return destination;
}

void destination_free(struct destination *destination)
{
    if (!destination)
        return;
    for (size_t i = 0; i < destination->config.device_count; i++)
        device_load_close(&destination->device[i]);
    device_set_close(&destination->set);
    /* It stops logs of the machine's memory. */
    verification_end(&destination->verification);
    machine_free(destination->machine);
    ram_shared_close(&destination->shared);
    stream_close(&destination->stream);
    free(destination);
}

static struct deadline wait_deadline(const struct destination *destination)
{
    return deadline_in_ns(destination->config.timeout_ns);
}

static int send_record(struct destination *destination, enum stream_type type, const void *data, size_t size,
                       struct error *error)
{
    if (destination->config.saved)
        return 0;
    return stream_send(&destination->stream, type, 0, data, size, wait_deadline(destination), error);
}

/* Tells the source why, as far as there is one that listens. */
static void tell(struct destination *destination, enum stream_type type, const struct error *error)
{
    if (!destination->config.saved)
        stream_send_text(&destination->stream, type, error->text, wait_deadline(destination), NULL);
}

/* Where TSC offsets are ignored, the guest's TSC can only go on where this host's is not behind it. */
static int check_tsc(struct destination *destination, const struct handover_hello *hello, struct error *error)
{
    struct vm *vm = machine_vm(destination->machine);
    uint64_t here = vm_guest_tsc(vm);

    if (here >= hello->guest_tsc || vm_honours_tsc_offset(vm))
        return 0;
    return error_rule(error, "clock/tsc-behind", 0,
                      "the guest's TSC is at %" PRIu64 ", and this host, which ignores TSC offsets, is at %" PRIu64
                      ": it would go back",
                      hello->guest_tsc, here);
}

/* RAM_SHARED, which not every source sends, and BOARD. */
static int receive_board(struct destination *destination, struct stream_record *record, struct error *error)
{
    struct stream *stream = &destination->stream;
    int fds[BOARD_RAM_RANGES_MAX];
    size_t count = BOARD_RAM_RANGES_MAX;

    if (destination->config.saved)
        count = 0;
    if (count ? stream_receive_fds(stream, record, fds, &count, wait_deadline(destination), error) < 0
              : stream_receive(stream, record, wait_deadline(destination), error) < 0)
        return -1;
    if (record->type == STREAM_RAM_SHARED) {
        if (ram_shared_receive(&destination->shared, record, fds, count, error) < 0)
            return -1;
        count = 0;
        destination->ram_is_shared = true;
        if (destination->config.verify == VERIFY_DEFERRED)
            return error_set(error, 0,
                             "the source shares its RAM, of which nothing is left to be verified once the guest runs: "
                             "--verify deferred is not possible, full and off are");
        if (stream_receive(stream, record, wait_deadline(destination), error) < 0)
            return -1;
    }
    while (count)
        io_close(&fds[--count]);
    if (record->type != STREAM_BOARD)
        return error_rule(error, "stream/invalid", 0, "%s sent %s where BOARD was due", stream->peer,
                          stream_type_name(record->type));
    return 0;
}

/* The machine of the board, with the source's RAM where that is shared. */
static int build(struct destination *destination, const struct board *board, struct error *error)
{
    struct ram_shared *shared = &destination->shared;
    int fds[BOARD_RAM_RANGES_MAX];

    if (destination->ram_is_shared) {
        if (shared->ranges != board->ram_ranges)
            return error_rule(error, "stream/invalid", 0, "RAM_SHARED: %u descriptors for %u ranges of RAM",
                              shared->ranges, board->ram_ranges);
        memcpy(fds, shared->fd, sizeof(fds));
        shared->ranges = 0;
    }
    destination->machine =
        machine_new(board, destination->config.devices, destination->ram_is_shared ? fds : NULL, error);
    if (!destination->machine)
        return -1;
    return destination->ram_is_shared ? ram_shared_check(shared, destination->machine, destination->config.log, error)
                                      : 0;
}

/* A guest that was saved is told apart from one whose source waits: nobody has measured how far the clocks are apart. */
static void take_saved_clock(struct destination *destination, const struct handover_hello *hello)
{
    struct handover_hello ours;

    handover_hello_fill(&ours, destination->config.boot_id);
    if (handover_hello_same_boot(&ours, hello))
        return;
    destination->clock_offset_ns = (int64_t)((ours.clock_ns - ours.wall_ns) - (hello->clock_ns - hello->wall_ns));
    event_note(destination->config.log,
               "the guest was saved on another host, or before this one was started: its downtime is by both clocks' "
               "time of day");
}

static int receive_hello(struct destination *destination, struct handover_hello *hello, struct error *error)
{
    const struct destination_config *config = &destination->config;

    if (stream_secure(&destination->stream, config->tls, wait_deadline(destination), error) < 0 ||
        handover_hello_receive(&destination->stream, true, hello, wait_deadline(destination), error) < 0)
        return -1;
    destination->config.timeout_ns += hello->hold_s * 1000000000ull;
    if (!config->saved)
        return handover_hello_send(&destination->stream, false, config->verify != VERIFY_OFF, 0,
                                   wait_deadline(destination), error);
    take_saved_clock(destination, hello);
    return 0;
}

/* Every device to RESUMING: its data may come while the guest works, and must not wait for it once it does not. */
static int prepare_devices(struct destination *destination, struct error *error)
{
    if (device_set_open(&destination->set, error) < 0)
        return -1;
    if (destination->config.order == DEVICE_ORDER_CLOUD_HYPERVISOR)
        return 0;
    if (device_set_resuming(&destination->set, error) < 0)
        return -1;
    for (unsigned int i = 0; i < destination->config.device_count; i++)
        if (device_load_begin(&destination->device[i], &destination->set, i, error) < 0)
            return -1;
    return 0;
}

static int prepare(struct destination *destination, struct error *error)
{
    const struct destination_config *config = &destination->config;
    struct handover_hello hello;
    struct stream_record record;
    struct board board;
    uint64_t start;

    if (receive_hello(destination, &hello, error) < 0)
        return -1;
    step_reach(&destination->steps, STEP_DESTINATION_PREPARE);
    if (receive_board(destination, &record, error) < 0)
        return -1;
    start = clock_now_ns();
    if (board_from_tree(record.data, record.size, &board, error) < 0 ||
        board_match(&board, config->devices, config->device_count, error) < 0 ||
        device_set_probe(&destination->set, !board.wishes.peers, error) < 0)
        return -1;
    board.kvm_fd = config->kvm_fd;
    if (board.wishes.peers && config->no_p2p)
        return error_set(error, EINVAL,
                         "the devices of this guest reach each other's BARs, which --no-p2p forbids: give it to the "
                         "source as well");
    if (build(destination, &board, error) < 0 || vm_expect_state(machine_vm(destination->machine), error) < 0 ||
        check_tsc(destination, &hello, error) < 0 || prepare_devices(destination, error) < 0)
        return -1;
    event_phase(config->log, "destination-prepare", start, clock_now_ns(), 0);
    step_reach(&destination->steps, STEP_DESTINATION_ROUNDS);
    return send_record(destination, STREAM_PREPARED, NULL, 0, error);
}

/* What a host ignored of the state that it was given is worth a note each. */
static void note_ignored(struct destination *destination, struct buffer *ignored)
{
    char *text = (char *)ignored->data;
    char *line;

    buffer_put_u8(ignored, '\0');
    if (!ignored->failed)
        for (text = (char *)ignored->data; (line = strsep(&text, "\n")) != NULL;)
            if (*line)
                event_note(destination->config.log, "this host ignores part of the state: %s", line);
    buffer_free(ignored);
}

static int put_vcpu(struct destination *destination, const struct stream_record *record, struct error *error)
{
    struct buffer ignored = BUFFER_INIT;
    uint64_t start = clock_now_ns();
    int result;

    if (record->instance != destination->next_vcpu)
        return error_rule(error, "stream/invalid", 0,
                          "the state of vCPU %" PRIu32 " came where that of vCPU %u was due", record->instance,
                          destination->next_vcpu);
    destination->next_vcpu++;
    result = vm_vcpu_put_state(machine_vm(destination->machine), record->instance, record->data, record->size, &ignored,
                               error);
    event_phase(destination->config.log, "vcpu-load", start, clock_now_ns(), record->size);
    note_ignored(destination, &ignored);
    return result;
}

static int put_vm(struct destination *destination, const struct stream_record *record, struct error *error)
{
    struct buffer ignored = BUFFER_INIT;
    uint64_t start = clock_now_ns();
    int result = vm_put_state(machine_vm(destination->machine), record->data, record->size, &ignored, error);

    event_phase(destination->config.log, "vm-load", start, clock_now_ns(), record->size);
    note_ignored(destination, &ignored);
    return result;
}

static int keep_device_state(struct destination *destination, const struct stream_record *record, struct error *error)
{
    destination->next_device++;
    return device_load_keep(&destination->device[record->instance], record, error);
}

/* All devices to STOP, side by side, and what the VMM keeps of them into its place. */
static int put_devices(struct destination *destination, struct error *error)
{
    step_reach(&destination->steps, STEP_DESTINATION_DEVICES_STOP);
    if (destination->config.order == DEVICE_ORDER_STOPCOPY && device_set_loaded(&destination->set, error) < 0)
        return -1;
    for (unsigned int i = 0; i < destination->config.device_count; i++) {
        struct device_load *device = &destination->device[i];

        if (machine_put_device_state(destination->machine, i, device->state.data, device->state.size, error) < 0)
            return -1;
        event_phase(destination->config.log, "device-load", device->start_ns, clock_now_ns(), device->bytes);
    }
    return 0;
}

/* May a record of this type come now? In the rounds every device may get data; after that each in its turn. */
static bool in_order(const struct destination *destination, const struct stream_record *record)
{
    const struct board *board = machine_board(destination->machine);
    enum load_stage stage = destination->stage;
    bool rounds = stage == LOAD_PREPARED || stage == LOAD_ROUNDS;
    bool device_due = stage == LOAD_DEVICES && destination->next_device < board->device_count &&
                      record->instance == destination->next_device;

    switch (record->type) {
    case STREAM_ALIVE:
        return stage == LOAD_PREPARED;
    case STREAM_RAM:
    case STREAM_RAM_ZERO:
        return rounds && !destination->ram_is_shared;
    case STREAM_VM:
        return rounds;
    case STREAM_CANCELLED:
        return stage != LOAD_ENDED;
    case STREAM_VCPU:
        return stage == LOAD_VCPUS && destination->next_vcpu < board->vcpus;
    case STREAM_BOARD_STATE:
        return stage == LOAD_VCPUS && destination->next_vcpu == board->vcpus;
    case STREAM_DEVICE_DATA:
        return rounds ? record->instance < board->device_count
                      : device_due && !destination->device[record->instance].ended;
    case STREAM_DEVICE_END:
        return device_due && !destination->device[record->instance].ended;
    case STREAM_DEVICE_STATE:
        return device_due && destination->device[record->instance].ended;
    case STREAM_END:
        return stage == LOAD_DEVICES && destination->next_device == board->device_count;
    default:
        return false;
    }
}

/* Where a record takes the stream. */
static enum load_stage stage_after(enum load_stage stage, enum stream_type type)
{
    switch (type) {
    case STREAM_RAM:
    case STREAM_RAM_ZERO:
        return LOAD_ROUNDS;
    case STREAM_DEVICE_DATA:
        return stage == LOAD_PREPARED ? LOAD_ROUNDS : stage;
    case STREAM_VM:
        return LOAD_VCPUS;
    case STREAM_BOARD_STATE:
        return LOAD_DEVICES;
    case STREAM_END:
        return LOAD_ENDED;
    default:
        return stage;
    }
}

static int cancelled(struct destination *destination, const struct stream_record *record, struct error *error)
{
    char text[512];

    stream_text(record, text, sizeof(text));
    destination->guest_ended = record->instance == STREAM_CANCELLED_AT_END;
    return error_set(error, 0, "the source cancelled the migration: %s", text);
}

static int check_end(struct destination *destination, const struct stream_record *record, struct error *error)
{
    struct cursor cursor = cursor_over(record->data, record->size);
    uint64_t pages = cursor_get_u64(&cursor);
    uint64_t records = cursor_get_u64(&cursor);

    destination->paused_ns = cursor_get_u64(&cursor) + (uint64_t)destination->clock_offset_ns;
    destination->clock_error_ns = cursor_get_u64(&cursor);
    destination->start_ns = cursor_get_u64(&cursor) + (uint64_t)destination->clock_offset_ns;
    if (!cursor_at_end(&cursor) || pages != destination->ram.pages || records != destination->stream.received - 1)
        return error_rule(error, "stream/invalid", 0,
                          "END names %" PRIu64 " pages in %" PRIu64 " records, and %" PRIu64 " in %u came", pages,
                          records, destination->ram.pages, destination->stream.received - 1);
    return 0;
}

/* To write events takes longer than much of what they time. Whoever does something at the steps wants to see them. */
static void hold_log(struct destination *destination)
{
    if (!destination->steps.watcher)
        event_log_hold(destination->config.log);
}

static int take_record(struct destination *destination, const struct stream_record *record, struct error *error)
{
    if (!in_order(destination, record))
        return error_rule(error, "stream/order", 0, "%s sent %s %" PRIu32 " out of order, as record %" PRIu32,
                          destination->stream.peer, stream_type_name(record->type), record->instance,
                          destination->stream.received - 1);
    destination->stage = stage_after(destination->stage, record->type);
    if (record->type == STREAM_VM) {
        step_reach(&destination->steps, STEP_DESTINATION_LOAD);
        hold_log(destination);
    }
    switch (record->type) {
    case STREAM_ALIVE:
        return 0;
    case STREAM_CANCELLED:
        return cancelled(destination, record, error);
    case STREAM_RAM:
        return ram_receive(destination->machine, record, &destination->ram, error);
    case STREAM_RAM_ZERO:
        return ram_receive_zero(destination->machine, record, error);
    case STREAM_VM:
        return put_vm(destination, record, error);
    case STREAM_VCPU:
        return put_vcpu(destination, record, error);
    case STREAM_BOARD_STATE:
        return machine_put_board_state(destination->machine, record->data, record->size, error);
    case STREAM_DEVICE_DATA:
        return device_load_data(&destination->device[record->instance], &destination->set, record, error);
    case STREAM_DEVICE_END:
        return device_load_end(&destination->device[record->instance], &destination->set, record, error);
    case STREAM_DEVICE_STATE:
        return keep_device_state(destination, record, error);
    default:
        return check_end(destination, record, error) < 0 ? -1 : put_devices(destination, error);
    }
}

static int load(struct destination *destination, struct error *error)
{
    struct stream_record record;
    uint64_t start = 0;

    do {
        if (stream_receive(&destination->stream, &record, wait_deadline(destination), error) < 0 ||
            take_record(destination, &record, error) < 0)
            return -1;
        if (!start && record.type != STREAM_ALIVE)
            start = clock_now_ns();
    } while (record.type != STREAM_END);
    for (size_t i = 0; i < destination->config.device_count; i++)
        device_load_close(&destination->device[i]);
    event_phase(destination->config.log, "load", start, clock_now_ns(), destination->ram.bytes);
    return 0;
}

/* A source that waits for RUNNING hears that this end still verifies. Where it does not listen it will be told in the end. */
static void show_alive(void *context)
{
    struct destination *destination = context;

    if (clock_now_ns() - destination->alive_ns < ALIVE_PERIOD_NS)
        return;
    destination->alive_ns = clock_now_ns();
    send_record(destination, STREAM_ALIVE, NULL, 0, NULL);
}

/* After COMMIT, before any device leaves STOP. */
static int before_start(struct destination *destination, struct error *error)
{
    const struct destination_config *config = &destination->config;
    uint64_t start;

    step_reach(&destination->steps, STEP_DESTINATION_DIGESTS);
    destination->alive_ns = clock_now_ns();
    destination->verification.meanwhile = show_alive;
    destination->verification.context = destination;
    if (verification_begin(&destination->verification, config->verify, destination->ram_is_shared, destination->machine,
                           &destination->set, error) < 0)
        return -1;
    if (fault_is_on(config->faults, VMM_INTERRUPT_DROPPED))
        machine_drop_interrupt(destination->machine);
    if (fault_is_on(config->faults, VMM_RESAMPLE_LOST))
        machine_lose_resample(destination->machine);
    step_reach(&destination->steps, STEP_DESTINATION_INTERRUPTS);
    start = clock_now_ns();
    if (machine_bind_interrupts(destination->machine, error) < 0)
        return -1;
    event_phase(config->log, "interrupts-bind", start, clock_now_ns(), 0);
    return 0;
}

/* Instants of other hosts may be before the beginning of this one's clock, and, being known to within an error only, after
 * what they were before. */
static uint64_t time_since(uint64_t then, uint64_t now)
{
    return (int64_t)(now - then) > 0 ? now - then : 0;
}

/* Every device from STOP to RUNNING, and the vCPUs. *tried: something was moved, and the source cannot go on any more. */
static int run_everything(struct destination *destination, bool *tried, struct error *error)
{
    if (device_set_run(&destination->set, tried, error) < 0)
        return -1;
    step_reach(&destination->steps, STEP_DESTINATION_VCPUS_RUN);
    *tried = true;
    if (fault_is_on(destination->config.faults, VMM_NEITHER_RUNS))
        return 0;
    return machine_resume(destination->machine, error);
}

static enum handover_outcome start_guest(struct destination *destination, struct error *error)
{
    uint64_t start, resumed, payload;
    bool tried = false;

    if (before_start(destination, error) < 0) {
        tell(destination, STREAM_NOT_STARTED, error);
        return HANDOVER_ON_SOURCE;
    }
    step_reach(&destination->steps, STEP_DESTINATION_DEVICES_P2P);
    start = clock_now_ns();
    if (run_everything(destination, &tried, error) < 0) {
        tell(destination, tried ? STREAM_FAILED : STREAM_NOT_STARTED, error);
        return tried ? HANDOVER_LOST : HANDOVER_ON_SOURCE;
    }
    resumed = vm_entered_ns(machine_vm(destination->machine), deadline_in_ms(ENTER_TIMEOUT_MS));
    if (!resumed)
        resumed = clock_now_ns();
    event_phase(destination->config.log, "resume", start, resumed, 0);
    event_fact(destination->config.log, "downtime_ns", time_since(destination->paused_ns, resumed));
    if (destination->clock_error_ns)
        event_fact(destination->config.log, "downtime_error_ns", destination->clock_error_ns);
    step_reach(&destination->steps, STEP_DESTINATION_RUNNING);
    payload = htole64(resumed);
    /* The guest runs here whether or not the source hears of it. */
    if (send_record(destination, STREAM_RUNNING, &payload, sizeof(payload), error) < 0)
        event_note(destination->config.log, "the source did not hear that the guest runs here: %s", error->text);
    return HANDOVER_DONE;
}

static int wait_commit(struct destination *destination, struct proof_snapshot *paused, struct error *error)
{
    struct stream_record record;

    step_reach(&destination->steps, STEP_DESTINATION_READY);
    if (send_record(destination, STREAM_READY, NULL, 0, error) < 0)
        return -1;
    /* While the source answers. The guest may have been stopped before it wrote its first progress: no failure of ours. */
    if (machine_progress(destination->machine, paused, NULL) < 0)
        memset(paused, 0, sizeof(*paused));
    if (device_set_check_all(&destination->set, error) < 0)
        return -1;
    step_reach(&destination->steps, STEP_DESTINATION_COMMIT_WAIT);
    if (stream_receive(&destination->stream, &record, wait_deadline(destination), error) < 0)
        return error_prefix(error, "waiting for COMMIT");
    if (record.type == STREAM_CANCELLED)
        return cancelled(destination, &record, error);
    if (record.type != STREAM_COMMIT)
        return error_rule(error, "stream/invalid", 0, "%s sent %s where COMMIT was due", destination->stream.peer,
                          stream_type_name(record.type));
    return 0;
}

enum handover_outcome destination_receive(struct destination *destination, struct machine **machine,
                                          struct proof_snapshot *paused, struct error *error)
{
    enum handover_outcome outcome;

    if (prepare(destination, error) < 0 || load(destination, error) < 0 ||
        wait_commit(destination, paused, error) < 0) {
        tell(destination, STREAM_REFUSED, error);
        event_log_release(destination->config.log);
        return destination->guest_ended ? HANDOVER_ENDED : HANDOVER_ON_SOURCE;
    }
    outcome = start_guest(destination, error);
    event_log_release(destination->config.log);
    if (outcome == HANDOVER_DONE) {
        *machine = destination->running = destination->machine;
        destination->machine = NULL;
    }
    return outcome;
}

/* After RUNNING come DIGESTS..., LOG, BYE, and nothing else, so that a source cannot keep this end for ever. */
static int take_late_record(struct destination *destination, const struct stream_record *record, struct error *error)
{
    const struct destination_config *config = &destination->config;

    switch (record->type) {
    case STREAM_DIGESTS:
        if (destination->has_log || (config->verify == VERIFY_OFF && !config->saved))
            break;
        if (config->verify == VERIFY_OFF)
            return 0;
        return verification_compare(&destination->verification, record, error);
    case STREAM_LOG:
        if (destination->has_log)
            break;
        destination->has_log = true;
        return config->merge_log ? source_log_merge(config->log, config->leg, record, error) : 0;
    case STREAM_BYE:
        if (!destination->has_log)
            break;
        return 0;
    default:
        break;
    }
    return error_rule(error, "stream/invalid", 0, "%s sent %s out of order, after RUNNING", destination->stream.peer,
                      stream_type_name(record->type));
}

int destination_finish(struct destination *destination, struct error *error)
{
    struct stream_record record = {.type = STREAM_RUNNING};
    uint64_t now;
    int result;

    step_reach(&destination->steps, STEP_DESTINATION_VERIFY);
    result = verification_go_on(&destination->verification, error);
    while (result == 0 && record.type != STREAM_BYE) {
        result = stream_receive(&destination->stream, &record, wait_deadline(destination), error);
        if (result == 0)
            result = take_late_record(destination, &record, error);
    }
    now = clock_now_ns();
    event_fact(destination->config.log, "total_ns", time_since(destination->start_ns, now));
    verification_conclude(&destination->verification);
    verification_end(&destination->verification);
    return result;
}

void destination_refuse(struct destination *destination, const struct error *error)
{
    /* Nobody else is told anything. */
    if (stream_secure(&destination->stream, destination->config.tls, wait_deadline(destination), NULL) == 0)
        tell(destination, STREAM_REFUSED, error);
}
