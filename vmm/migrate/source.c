/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vmm/migrate/ram_share.h"
#include "vmm/migrate/source_private.h"
#include "vmm/migrate/stop_watch.h"
#include "vmm/vfio/dirty_log.h"

#define PAUSE_TIMEOUT_MS 5000u
/* How often the vCPUs are paused for an instant that is liked, and how much longer they run each time in between. */
#define PAUSES_MAX 20u
#define PAUSE_AGAIN_NS 50000l
/* How long a destination that has hung up is listened to for its reason. */
#define REASON_TIMEOUT_MS 500u
#define ALIVE_PERIOD_NS 1000000000u
/* How often a destination may say that it still verifies: an hour of it. */
#define ALIVE_MAX 3600u

/* Waits for a record of this type; anything else, a refusal above all, is the error. */
static int expect(struct source *source, enum stream_type type, struct stream_record *record, struct error *error)
{
    char text[512];

    if (stream_receive(&source->stream, record, source_deadline(source), error) < 0)
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
    struct handover_hello ours;

    handover_hello_fill(&ours, source->config.boot_id);
    if (handover_hello_same_boot(&ours, hello))
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

    if (stream_secure(&source->stream, config->tls, source_deadline(source), error) < 0)
        return -1;
    if ((config->share_ram && ram_share_possible(source->stream.fd, error) < 0) ||
        device_set_probe(&source->set, !machine_board(config->machine)->wishes.peers, error) < 0 ||
        device_set_open(&source->set, error) < 0)
        return -1;
    guest_tsc = vm_guest_tsc(machine_vm(config->machine));
    if (fault_is_on(config->faults, VMM_TSC_AHEAD))
        guest_tsc += FAULT_TSC_AHEAD;
    if (handover_hello_send(&source->stream, true, false, guest_tsc, source_deadline(source), error) < 0 ||
        (!config->file && handover_hello_receive(&source->stream, false, &hello, source_deadline(source), error) < 0)) {
        if (source->stream.broken && !config->file)
            ask_reason(source, error);
        return -1;
    }
    if (!config->file) {
        measure_clock(source, &hello, start, clock_now_ns());
        source->config.timeout_ns += hello.hold_s * 1000000000ull;
        source->ram.timeout_ns = source->config.timeout_ns;
    }
    step_reach(&source->steps, STEP_SOURCE_PREPARE);
    /* Whoever resumes a saved guest says then what is to be compared. */
    source->digests = config->file || hello.digests;
    if (config->share_ram && ram_share_send(config->machine, &source->stream, source_deadline(source), error) < 0)
        return -1;
    buffer_clear(&source->state);
    if (board_to_tree(machine_board(config->machine), &source->state, error) < 0 ||
        source_send_state(source, STREAM_BOARD, 0, error) < 0 ||
        (!config->file && expect(source, STREAM_PREPARED, &record, error) < 0))
        return -1;
    source->alive_ns = clock_now_ns();
    event_phase(config->log, "prepare", start, source->alive_ns, 0);
    return 0;
}

int source_keep_alive(struct source *source, struct error *error)
{
    if (source->config.file || clock_now_ns() - source->alive_ns < ALIVE_PERIOD_NS)
        return 0;
    source->alive_ns = clock_now_ns();
    return source_send_record(source, STREAM_ALIVE, 0, NULL, 0, error);
}

/* Pauses the vCPUs, at an instant that the user of this module likes where one comes soon. */
static int pause_vcpus(struct source *source, struct error *error)
{
    const struct source_config *config = &source->config;
    unsigned int pauses = 0;

    for (;;) {
        struct timespec moment = {.tv_nsec = PAUSE_AGAIN_NS * (long)++pauses};

        source->pause_start_ns = clock_now_ns();
        source->paused = true;
        if (machine_pause(config->machine, deadline_in_ms(PAUSE_TIMEOUT_MS), error) < 0)
            return -1;
        if (pauses == PAUSES_MAX || !config->stop_here || config->stop_here(config->stop_here_context))
            break;
        if (machine_resume(config->machine, error) < 0)
            return -1;
        nanosleep(&moment, NULL);
    }
    event_phase(config->log, "pause", source->pause_start_ns, clock_now_ns(), 0);
    /* It may have come to its end while it was on its way here. */
    if (config->attend && config->attend(config->attend_context, error) < 0)
        return -1;
    if (pauses > 1)
        event_note(config->log, "the vCPUs were paused %u times, for an instant with every device at work", pauses);
    return 0;
}

/* To write events takes longer than much of what they time. Whoever does something at the steps wants to see them. */
static void hold_log(struct source *source)
{
    if (!source->steps.watcher)
        event_log_hold(source->config.log);
}

/* Pauses the vCPUs, stops the devices, and takes their interrupts on the way into the interrupt controller. */
static int stop_everything(struct source *source, struct error *error)
{
    const struct source_config *config = &source->config;
    uint64_t paused, stopped;

    step_reach(&source->steps, STEP_SOURCE_PAUSE);
    if (device_set_check_all(&source->set, error) < 0)
        return -1;
    hold_log(source);
    if (pause_vcpus(source, error) < 0)
        return -1;
    paused = clock_now_ns();
    if (fault_is_on(config->faults, VMM_PAUSED_EARLY))
        poll(NULL, 0, FAULT_PAUSED_EARLY_MS);
    step_reach(&source->steps, STEP_SOURCE_DEVICES_P2P);
    if (device_set_stop_copy(&source->set, !fault_is_on(config->faults, VMM_P2P_ORDER), error) < 0)
        return -1;
    stopped = clock_now_ns();
    event_phase(config->log, "devices-stop", paused, stopped, 0);
    step_reach(&source->steps, STEP_SOURCE_INTERRUPTS);
    stopped = clock_now_ns();
    if (machine_unbind_interrupts(config->machine, error) < 0)
        return -1;
    event_phase(config->log, "interrupts-flush", stopped, clock_now_ns(), 0);
    return 0;
}

/*
 * While nobody runs the guest and its devices rest: what RAM is now. RAM that is shared can be digested at no other time, for
 * from COMMIT on the destination writes to it.
 */
static int take_stock(struct source *source, struct error *error)
{
    const struct source_config *config = &source->config;
    uint64_t start = clock_now_ns();

    if (!config->share_ram || !source->digests)
        return 0;
    if (ram_digests_take(config->machine, &source->at_stop, error) < 0)
        return error_prefix(error, "digesting shared RAM");
    event_phase(config->log, "verify-source", start, clock_now_ns(), 0);
    return 0;
}

static void note_downtime(struct source *source, uint64_t ns)
{
    uint64_t most = source->config.limit_downtime_ns;

    event_fact(source->config.log, "downtime_ns", ns);
    if (most && ns > most)
        event_finding(source->config.log, "limit/downtime",
                      "the guest was stopped for %" PRIu64 " us, where --limit-downtime allows %" PRIu64, ns / 1000u,
                      most / 1000u);
}

/*
 * READY to RUNNING. Until COMMIT is on its way whole, any failure leaves the guest here. A COMMIT of which only a part
 * was taken cannot be acted on: its checksum is its end.
 */
static enum handover_outcome hand_over(struct source *source, struct error *error)
{
    struct stream_record record;
    unsigned int alive_left = ALIVE_MAX;
    uint64_t start, resumed;
    char text[512];
    int result;

    start = clock_now_ns();
    if (expect(source, STREAM_READY, &record, error) < 0)
        return HANDOVER_ON_SOURCE;
    event_phase(source->config.log, "wait-ready", start, clock_now_ns(), 0);
    step_reach(&source->steps, STEP_SOURCE_COMMIT);
    if (source_send_record(source, STREAM_COMMIT, 0, NULL, 0, error) < 0)
        return HANDOVER_ON_SOURCE;
    step_reach(&source->steps, STEP_SOURCE_RUNNING_WAIT);
    start = clock_now_ns();
    do
        result = stream_receive(&source->stream, &record, source_deadline(source), error);
    while (result == 0 && record.type == STREAM_ALIVE && alive_left-- > 0);
    if (result < 0) {
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
        note_downtime(source, resumed > source->pause_start_ns ? resumed - source->pause_start_ns : 0);
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

/* A guest that goes on here has its devices, and nothing of the migration is left in them. */
static void check_unwound(struct source *source)
{
    const struct source_config *config = &source->config;
    struct error error = ERROR_INIT;

    if (device_set_all_run(&source->set, &error) < 0)
        event_error(config->log, &error);
    for (size_t i = 0; source->precopy && i < config->device_count; i++)
        if (device_log_runs(config->devices[i]))
            event_finding(config->log, "device/log-left-on",
                          "device %zu (%s): the migration has ended, and its log of DMA still runs: the next one "
                          "cannot start it",
                          i, config->devices[i]->name);
}

/* The guest was never paused: only what the rounds have begun is taken back. */
static enum handover_outcome go_on_here(struct source *source, struct error *error)
{
    const struct source_config *config = &source->config;
    struct error recovery = ERROR_INIT;

    if ((source->precopy ? precopy_cancel(source->precopy, &recovery) : device_set_recover(&source->set, &recovery)) ==
        0) {
        check_unwound(source);
        return HANDOVER_ON_SOURCE;
    }
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
    uint64_t start;

    step_reach(&source->steps, STEP_SOURCE_RESUME);
    start = clock_now_ns();
    if (!source->paused)
        return go_on_here(source, error);
    source_end_sessions(source);
    if (source->precopy)
        precopy_end_throttling(source->precopy);
    if (source->at_stop.ranges)
        ram_share_check_unwritten(config->machine, &source->at_stop, config->log);
    if ((!fault_is_on(config->faults, VMM_NO_UNWIND) && device_set_recover(&source->set, &recovery) < 0) ||
        machine_bind_interrupts(config->machine, &recovery) < 0 || machine_resume(config->machine, &recovery) < 0) {
        event_error(config->log, error);
        error_prefix(&recovery, "the migration failed (%.200s), and the guest cannot go on here", error->text);
        *error = recovery;
        return HANDOVER_LOST;
    }
    event_phase(config->log, "resume-on-source", start, clock_now_ns(), 0);
    if (source->precopy && !fault_is_on(config->faults, VMM_LOG_LEFT_ON))
        precopy_stop_tracking(source->precopy);
    check_unwound(source);
    return source->set.lost ? HANDOVER_WITH_LOSS : HANDOVER_ON_SOURCE;
}

/* Of RAM as it was at the stop: copied RAM has not been written since. */
static int send_digests(struct source *source, struct error *error)
{
    const struct source_config *config = &source->config;
    uint64_t start = clock_now_ns();
    int result = 0;

    if (!source->digests)
        return 0;
    if (!source->at_stop.ranges) {
        result = ram_digests_take(config->machine, &source->at_stop, error);
        event_phase(config->log, "verify-source", start, clock_now_ns(), 0);
    }
    if (result == 0)
        result = ram_digests_send(&source->at_stop, &source->stream, config->timeout_ns, error);
    return result < 0 ? error_prefix(error, "the digests of RAM") : 0;
}

/* The last that goes: what this end knows. */
static int send_log(struct source *source, struct error *error)
{
    json_t *events = event_log_events(source->config.log);
    char *text = events ? json_dumps(events, JSON_COMPACT) : NULL;
    int result = text ? source_send_record(source, STREAM_LOG, 0, text, strlen(text), error)
                      : error_set(error, ENOMEM, "this end's log");

    if (result == 0)
        result = source_send_record(source, STREAM_BYE, 0, NULL, 0, error);
    json_decref(events);
    free(text);
    return result;
}

/* The guest is not this end's any more: what is left of its devices is put to rest. */
static void rest_devices(struct source *source)
{
    device_set_stop(&source->set);
    if (source->precopy)
        precopy_stop_tracking(source->precopy);
}

/* RAM as it is when the destination has the guest: what is compared with it, there and here. */
static void digest_copied_ram(struct source *source)
{
    struct error error = ERROR_INIT;
    uint64_t start = clock_now_ns();

    if (ram_digests_take(source->config.machine, &source->at_stop, &error) < 0)
        event_not_proven(source->config.log, false, "the source's RAM was not watched: %s", error.text);
    event_phase(source->config.log, "verify-source", start, clock_now_ns(), 0);
}

/* After RUNNING the destination gets what it compares, and what was stopped here is watched. */
static void finish(struct source *source)
{
    const struct source_config *config = &source->config;
    bool copied = !config->share_ram && (source->digests || config->stop_hold_ns);
    struct error error = ERROR_INIT;
    struct stop_watch watch;

    step_reach(&source->steps, STEP_SOURCE_FINISH);
    stop_watch_begin(&watch, config->machine, config->log);
    if (copied)
        digest_copied_ram(source);
    if (fault_is_on(config->faults, VMM_BOTH_RUN) && machine_resume(config->machine, &error) < 0)
        event_error(config->log, &error);
    rest_devices(source);
    if (send_digests(source, &error) < 0)
        event_not_proven(source->config.log, false, "RAM was not compared: %s", error.text);
    if (copied && source->precopy)
        ram_sender_judge_logs(&source->ram, &source->at_stop, config->log);
    if (config->stop_hold_ns &&
        stop_watch_end(&watch, config->stop_hold_ns, copied ? &source->at_stop : NULL, &error) < 0)
        event_not_proven(config->log, false, "what the devices did after the stop was not watched: %s", error.text);
    if (send_log(source, &error) < 0)
        event_note(source->config.log, "the destination did not get this end's log: %s", error.text);
}

/*
 * A file takes the destination's place: the guest is this end's until the file is whole, on the disk, and in its place, and
 * nobody's from then on. Its COMMIT counts with what comes after it.
 */
static enum handover_outcome save(struct source *source, struct error *error)
{
    const struct source_config *config = &source->config;
    uint64_t start;
    bool kept = false;

    step_reach(&source->steps, STEP_SOURCE_COMMIT);
    start = clock_now_ns();
    if (source_send_record(source, STREAM_COMMIT, 0, NULL, 0, error) < 0 || send_digests(source, error) < 0 ||
        send_log(source, error) < 0)
        return HANDOVER_ON_SOURCE;
    step_reach(&source->steps, STEP_SOURCE_KEEP);
    if (channel_file_keep(config->file, &kept, error) < 0)
        return kept ? HANDOVER_UNKNOWN : HANDOVER_ON_SOURCE;
    event_phase(config->log, "file-keep", start, clock_now_ns(), 0);
    step_reach(&source->steps, STEP_SOURCE_FINISH);
    rest_devices(source);
    return HANDOVER_DONE;
}

static void between_devices(void *context)
{
    struct source *source = context;

    step_reach(&source->steps, STEP_SOURCE_DEVICES_STOP_COPY);
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
                                      .message_timeout_ns = config->message_timeout_ns,
                                      .may_reset = config->may_reset,
                                      .between = between_devices,
                                      .between_context = source};
    source->steps = (struct steps){.watcher = config->steps, .leg = config->leg};
    stream_open(&source->stream, config->fd, config->peer);
    source->stream.boot_id = config->boot_id;
    source->stream.saved = config->file != NULL;
    source->stream.hold_s = config->steps ? config->steps->hold_s : 0;
    ram_sender_init(&source->ram, config->machine, &source->stream, config->timeout_ns);
    if (fault_is_on(config->faults, VMM_PAGE_NOT_SENT))
        source->ram.skip_from = fault_page(config->faults, machine_board(config->machine)->ram[0].size);
    return source;
}

void source_free(struct source *source)
{
    if (!source)
        return;
    if (fault_is_on(source->config.faults, VMM_DESCRIPTOR_LEAKED))
        (void)!dup(STDERR_FILENO);
    source_end_sessions(source);
    device_set_close(&source->set);
    precopy_free(source->precopy);
    ram_sender_free(&source->ram);
    ram_digests_free(&source->at_stop);
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
                                            .ram = config->share_ram ? NULL : &source->ram,
                                            .limits = config->limits,
                                            .timeout_ns = config->timeout_ns,
                                            .attend = config->attend,
                                            .attend_context = config->attend_context,
                                            .progress = config->progress,
                                            .progress_context = config->progress_context,
                                            .faults = config->faults};

    step_reach(&source->steps, STEP_SOURCE_ROUNDS);
    source->precopy = precopy_new(&precopy_config, error);
    if (!source->precopy || precopy_run(source->precopy, error) < 0)
        return -1;
    return 0;
}

static bool guest_ended(const struct source *source)
{
    return source->config.guest_ended && *source->config.guest_ended;
}

static void send_cancelled(struct source *source, const char *text, enum stream_cancelled why)
{
    stream_uncork(&source->stream, deadline_in_ms(REASON_TIMEOUT_MS), NULL);
    stream_send(&source->stream, STREAM_CANCELLED, why, text, strnlen(text, ERROR_TEXT_MAX),
                deadline_in_ms(REASON_TIMEOUT_MS), NULL);
}

void source_give_up(struct source *source, const char *text)
{
    if (!source->config.file && !source->stream.broken)
        send_cancelled(source, text, STREAM_CANCELLED_AT_END);
}

/* Nothing more comes: the destination is told why, or has said why before it went. */
static void cancel(struct source *source, struct error *error)
{
    if (source->config.file)
        return;
    if (source->stream.broken)
        ask_reason(source, error);
    else
        send_cancelled(source, error->text,
                       guest_ended(source) ? STREAM_CANCELLED_AT_END : STREAM_CANCELLED_BY_FAILURE);
}

/* While the destination loads. */
static int settle(struct source *source, struct error *error)
{
    if (!source->config.file)
        step_reach(&source->steps, STEP_SOURCE_READY_WAIT);
    return source_settle(source, error);
}

enum handover_outcome source_migrate(struct source *source, struct error *error)
{
    enum handover_outcome outcome = HANDOVER_ON_SOURCE;

    source->start_ns = clock_now_ns();
    if ((source->config.pre_copy && send_live(source, error) < 0) || stop_everything(source, error) < 0 ||
        take_stock(source, error) < 0 || source_send_everything(source, error) < 0 || settle(source, error) < 0)
        cancel(source, error);
    else
        outcome = source->config.file ? save(source, error) : hand_over(source, error);
    event_log_release(source->config.log);
    if (outcome == HANDOVER_DONE && !source->config.file)
        finish(source);
    else if (outcome == HANDOVER_ON_SOURCE)
        outcome = resume_here(source, error);
    return outcome == HANDOVER_ON_SOURCE && guest_ended(source) ? HANDOVER_ENDED : outcome;
}
