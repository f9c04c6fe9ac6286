/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cmd/vmm_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/io.h"
#include "vmm/cmd/device_list.h"
#include "vmm/cmd/device_work.h"
#include "vmm/cmd/image.h"
#include "vmm/cmd/vmm_sandbox.h"
#include "vmm/cmd/progress.h"

/* How often the progress area is looked at: it costs the guest nothing. */
#define PROGRESS_PERIOD_MS 2u
#define PAUSE_TIMEOUT_MS 5000u
#define BLACKOUT_PERIOD_NS 200000
#define BLACKOUT_TIMEOUT_MS 1000u
#define ALIVE_PERIOD_NS 1000000000u

static const char too_early[] =
    "the guest came to its end before it was migrated: --ops is too small, or --at-ops too large";

struct vmm_process {
    const struct vmm_process_config *config;
    struct device_list devices;
    struct machine *machine;
    int kvm_fd; /* for the machine that is to come; 0: none */
    uint8_t boot_id[BOOT_ID_SIZE];
    struct source *source; /* where the guest is to be sent on */
    unsigned int leg;      /* of the migration that brought the guest here, or will take it away from where it booted */
    unsigned int log_leg;  /* that events belong to now */
    bool received;         /* the guest came from a source */
    struct proof_snapshot *start; /* when it came or booted */
    struct proof_snapshot *now;
    bool blackout_known;
    uint64_t alive_ns; /* when that was shown last */
    struct step_actions steps;
    struct step_watcher watcher[2]; /* of the source's steps and of the destination's */
    bool finish_asked;
    enum status worst; /* what a failed migration leaves as the status */
    /* What happened to the guest while it was sent. */
    bool ended;
    bool failed;
    struct error failure;
};

/* The operations that every chain of the leading workload has done. */
static uint64_t leading_operations(const struct proof_snapshot *snapshot)
{
    unsigned int leading = UINT_MAX;
    uint64_t least = 0;

    for (size_t i = 0; i < snapshot->chain_count; i++) {
        const struct proof_chain *chain = &snapshot->chain[i];
        unsigned int rank = proof_workload_rank(chain->workload);

        if (rank < leading || (rank == leading && chain->operations < least)) {
            leading = rank;
            least = chain->operations;
        }
    }
    return least;
}

static enum status fail(struct vmm_process *process, const char *who, enum status status, const struct error *error)
{
    event_error(process->config->log, error);
    event_outcome(process->config->log, who, status, "%s", error->text);
    return status;
}

/* The status for a failure before any guest existed here. */
static enum status cannot_start(const struct error *error)
{
    switch (error->number) {
    case ENOENT:
    case EACCES:
    case EPERM:
    case ENODEV:
        return strstr(error->text, "/dev/kvm") ? STATUS_CANNOT : STATUS_USAGE;
    default:
        return STATUS_USAGE;
    }
}

/* Whoever watches this process hears that it still works. A watcher that is gone, or does not listen, is not waited for. */
static void show_alive(struct vmm_process *process)
{
    struct pollfd poll_fd = {.fd = process->config->alive, .events = POLLOUT};

    if (process->config->alive < 0 || clock_now_ns() - process->alive_ns < ALIVE_PERIOD_NS)
        return;
    process->alive_ns = clock_now_ns();
    if (poll(&poll_fd, 1, 0) == 1 && write(process->config->alive, "\n", 1) < 0)
        event_note(process->config->log, "nobody listens to this process any more");
}

static void show_alive_while_held(void *context)
{
    show_alive(context);
}

/* The steps of this process, which takes its place among the others. */
static void open_steps(struct vmm_process *process)
{
    const struct vmm_process_config *config = process->config;

    step_actions_open(&process->steps, &config->options->steps, config->log);
    process->steps.processes = config->processes;
    process->steps.meanwhile = show_alive_while_held;
    process->steps.meanwhile_context = process;
    for (int destination = 0; destination < 2; destination++)
        process->watcher[destination] = step_actions_watcher(&process->steps, destination);
}

static void list_process(struct vmm_process *process)
{
    const struct vmm_process_config *config = process->config;
    struct step_process *own;

    if (!config->processes)
        return;
    own = &config->processes[(config->from >= 0 ? config->leg + 1 : 0) % STEP_PROCESSES];
    *own = (struct step_process){.vmm = getpid()};
    for (size_t i = 0; i < process->devices.count; i++)
        own->server[i] = process->devices.opened[i].server;
}

static int boot(struct vmm_process *process, struct error *error)
{
    const struct options *options = process->config->options;
    uint64_t start = clock_now_ns();
    struct board board;
    char path[IMAGE_PATH_MAX];

    if (image_find(options->image, path, error) < 0 ||
        board_describe(&options->wishes, process->devices.device, process->devices.count, &board, error) < 0)
        return -1;
    if (options->full_irqchip)
        board.irqchip = VM_IRQCHIP_FULL;
    process->machine = machine_new(&board, process->devices.device, NULL, error);
    if (!process->machine || machine_load(process->machine, path, error) < 0 ||
        machine_bind_interrupts(process->machine, error) < 0)
        return -1;
    if (process->config->plan && board_plan(&board, process->devices.device, process->config->plan, error) < 0)
        return -1;
    if (machine_resume(process->machine, error) < 0)
        return -1;
    event_phase(process->config->log, "boot", start, clock_now_ns(), 0);
    return 0;
}

static void log_work(struct vmm_process *process, unsigned int leg, enum device_work when,
                     const struct proof_snapshot *from, const struct proof_snapshot *to)
{
    device_work_log(process->config->log, leg, machine_board(process->machine), process->devices.device, when, from,
                    to);
}

static void watch_blackout(struct vmm_process *process, struct proof_resume *resume)
{
    uint64_t blackout;

    if (!proof_resume_watch(resume, process->start, process->now))
        return;
    blackout = proof_blackout_ns(process->start, process->now);
    if (!blackout)
        return;
    process->blackout_known = true;
    event_log_set_leg(process->config->log, process->leg);
    event_fact(process->config->log, "guest.blackout_ns", blackout);
    event_log_set_leg(process->config->log, process->log_leg);
}

/* The guest keeps its last gaps only, so its blackout is looked for as soon as it runs. */
static void measure_blackout(struct vmm_process *process)
{
    struct deadline deadline = deadline_in_ms(BLACKOUT_TIMEOUT_MS);
    struct proof_resume resume = {{0}};

    if (!machine_board(process->machine)->wishes.wanted[WORKLOAD_CLOCK])
        return;
    while (!process->blackout_known && !deadline_expired(deadline)) {
        struct timespec pause = {.tv_nsec = BLACKOUT_PERIOD_NS};

        nanosleep(&pause, NULL);
        if (machine_progress(process->machine, process->now, NULL) == 0)
            watch_blackout(process, &resume);
    }
    if (!process->blackout_known)
        event_not_proven(process->config->log, false,
                         "the guest's blackout: it published no gap that began at the pause");
}

static enum handover_outcome receive(struct vmm_process *process, struct error *error)
{
    const struct vmm_process_config *config = process->config;
    const struct options *options = config->options;
    struct destination_config destination_config = {.log = config->log,
                                                    .fd = config->from,
                                                    .peer = config->from_name,
                                                    .tls = config->from_tls,
                                                    .boot_id = process->boot_id,
                                                    .kvm_fd = process->kvm_fd,
                                                    .saved = config->from_saved,
                                                    .devices = process->devices.device,
                                                    .device_count = process->devices.count,
                                                    .verify = options->verify,
                                                    .no_p2p = options->no_p2p,
                                                    .order = options->order,
                                                    .merge_log = config->merge_log,
                                                    .leg = process->leg,
                                                    .timeout_ns = options->timeout_ns,
                                                    .message_timeout_ns = options->message_timeout_ns,
                                                    .arc_timeout_ns = options->arc_timeout_ns,
                                                    .steps = options->steps.count ? &process->watcher[1] : NULL,
                                                    .faults = config->faults ? &options->faults : NULL};
    struct destination *destination = destination_new(&destination_config, error);
    enum handover_outcome outcome;
    struct error late = ERROR_INIT;

    if (!destination)
        return HANDOVER_ON_SOURCE;
    outcome = destination_receive(destination, &process->machine, process->start, error);
    if (outcome == HANDOVER_DONE) {
        process->received = true;
        measure_blackout(process);
        event_outcome(config->log, "destination", STATUS_INTACT, "the guest runs on the destination");
        device_work_in_flight(config->log, process->leg, machine_board(process->machine), process->start);
        /* What came before a later leg is what the process there did: it says so itself. */
        if (process->leg == 0)
            log_work(process, 0, DEVICE_WORK_BEFORE, NULL, process->start);
        if (config->sink.put(config->sink.context, process->leg, false, process->start, error) < 0)
            event_not_proven(config->log, false, "%s", error->text);
        if (config->plan &&
            board_plan(machine_board(process->machine), process->devices.device, config->plan, error) < 0)
            event_not_proven(config->log, true, "%s", error->text);
        if (destination_finish(destination, &late) < 0) {
            if (late.rule[0])
                event_error(config->log, &late);
            event_not_proven(config->log, config->merge_log, "not all that the source knows came here: %s", late.text);
        }
    }
    destination_free(destination);
    return outcome;
}

/* A machine's event, as the end of the run: what is wrong, and the rule. */
static int take_event(struct vmm_process *process, const struct machine_event *event, bool *done, struct error *error)
{
    switch (event->kind) {
    case MACHINE_READY:
        return 0;
    case MACHINE_DONE:
        *done = true;
        return 0;
    case MACHINE_FAILED:
        /* The proof names the guest's own rule, with what it expected and saw. */
        *done = true;
        return 0;
    case MACHINE_VCPU_FAILED:
        return error_rule(error, "guest/vcpu", 0, "%s", event->text);
    case MACHINE_DEVICE_GONE:
        return error_rule(error, "device/gone", 0, "device %u (%s): its server went away: %s", event->device,
                          process->devices.device[event->device]->name, event->text);
    case MACHINE_PEER_MISSING:
        event_note(process->config->log, "device %u (%s): no peer-to-peer DMA: %s", event->device,
                   process->devices.device[event->device]->name, event->text);
        return 0;
    case MACHINE_DEVICE_ASKED:
        return error_set(error, 0, "device %u: %s: the run ends here, and gives it back", event->device, event->text);
    case MACHINE_DEVICE_AER:
        return error_rule(error, "device/aer", 0, "device %u: %s", event->device, event->text);
    case MACHINE_DEVICE_ERROR:
        return error_rule(error, "device/access", 0, "device %u (%s): %s", event->device,
                          process->devices.device[event->device]->name, event->text);
    }
    return 0;
}

/* Has the guest done its share here: --at-ops operations of the leading workload since it came? */
static bool share_done(struct vmm_process *process)
{
    uint64_t before = process->received ? leading_operations(process->start) : 0;

    return leading_operations(process->now) >= before + process->config->options->at_ops;
}

/* Between the rounds of a migration: the guest works and is looked after. */
static int attend_guest(void *context, struct error *error)
{
    struct vmm_process *process = context;
    struct machine_event event;

    show_alive(process);
    while (machine_wait(process->machine, deadline_in_ms(0), &event) > 0) {
        if (take_event(process, &event, &process->ended, error) < 0) {
            process->failed = true;
            process->failure = *error;
            return -1;
        }
        if (process->ended)
            return error_set(error, 0, "%s", too_early);
    }
    return 0;
}

/*
 * Runs the guest until its share is done (until_share) or it is at its end. Returns 1 when it is at its end (done or
 * failed), 0 when its share is done.
 */
static int run_guest(struct vmm_process *process, bool until_share, struct error *error)
{
    const struct options *options = process->config->options;
    struct deadline limit = deadline_in_ns(options->timeout_ns);
    uint64_t last = UINT64_MAX;
    bool done = process->ended;

    if (process->failed) {
        *error = process->failure;
        return -1;
    }
    while (!done) {
        struct machine_event event;
        int count = machine_wait(process->machine, deadline_in_ms(PROGRESS_PERIOD_MS), &event);

        if (count < 0)
            return error_set(error, 0, "waiting for the machine");
        if (count > 0 && take_event(process, &event, &done, error) < 0)
            return -1;
        if (machine_progress(process->machine, process->now, error) < 0)
            return -1;
        show_alive(process);
        if (until_share && source_keep_alive(process->source, error) < 0)
            return 0;
        if (!done && share_done(process)) {
            if (until_share)
                return 0;
            if (!process->finish_asked && !machine_board(process->machine)->wishes.ops) {
                machine_request_finish(process->machine);
                process->finish_asked = true;
                limit = deadline_in_ns(options->timeout_ns);
            }
        }
        if (leading_operations(process->now) != last) {
            last = leading_operations(process->now);
            limit = deadline_in_ns(options->timeout_ns);
        }
        if (!done && deadline_expired(limit))
            return error_rule(error, "guest/no-progress", 0,
                              "the guest's leading workload stands at %" PRIu64 " operations for %" PRIu64 " ms", last,
                              options->timeout_ns / 1000000u);
    }
    return 1;
}

/* How often the guest was stopped on its way to where it is now. */
static unsigned int stops(const struct vmm_process *process)
{
    return process->received ? process->leg + 1 : 0;
}

static void note_interrupts(void *context, const char *text)
{
    struct vmm_process *process = context;

    event_note(process->config->log, "%s", text);
}

/* The guest stops here for good: pause it, and keep what it published. */
static enum status finish_guest(struct vmm_process *process, struct error *error)
{
    const struct vmm_process_config *config = process->config;

    if (machine_pause(process->machine, deadline_in_ms(PAUSE_TIMEOUT_MS), error) < 0 ||
        machine_progress(process->machine, process->now, error) < 0)
        return fail(process, "none", STATUS_NO_GUEST, error);
    if (!strcmp(process->now->failure.rule, "guest/interrupt-lost"))
        machine_describe_interrupts(process->machine, note_interrupts, process);
    if (process->received)
        log_work(process, process->leg, DEVICE_WORK_AFTER, process->start, process->now);
    else
        log_work(process, process->leg, DEVICE_WORK_BEFORE, NULL, process->now);
    if (config->sink.put(config->sink.context, stops(process), true, process->now, error) < 0)
        return fail(process, "none", STATUS_INCOMPLETE, error);
    if (process->worst)
        event_outcome(config->log, "source", (int)process->worst,
                      "%s; the guest ran its workload to the end on the source", error->text);
    else
        event_outcome(config->log, "finished", STATUS_INTACT, "the guest ran its workload to the end");
    return process->worst;
}

static void log_console(struct vmm_process *process)
{
    char *text, *rest, *line;

    if (!process->machine)
        return;
    text = rest = machine_console(process->machine);
    while (text && (line = strsep(&rest, "\n")) != NULL)
        if (*line)
            event_log_add(process->config->log, "console", json_pack("{s:s}", "text", line));
    free(text);
}

/* The first stop finds every device at work, so that luck does not decide what is proven; the others come as they come. */
static bool devices_at_work(void *context)
{
    struct vmm_process *process = context;

    return !process->devices.count || machine_progress(process->machine, process->now, NULL) < 0 ||
           device_work_everywhere(machine_board(process->machine), process->now);
}

/* The guest is here and is to go on: this end becomes a source. */
static int prepare_source(struct vmm_process *process, struct error *error)
{
    const struct vmm_process_config *config = process->config;
    const struct options *options = config->options;
    unsigned int leg = process->received ? process->leg + 1 : process->leg;
    struct source_config source_config = {.machine = process->machine,
                                          .devices = process->devices.device,
                                          .device_count = process->devices.count,
                                          .log = config->log,
                                          .leg = leg,
                                          .fd = config->to,
                                          .peer = config->to_name,
                                          .tls = config->to_tls,
                                          .boot_id = process->boot_id,
                                          .file = config->to_file,
                                          .may_reset = options->reset_on_error,
                                          .share_ram = options->share_ram,
                                          .stopped = process->now,
                                          .pre_copy = options->pre_copy,
                                          .limits = options->precopy,
                                          .attend = attend_guest,
                                          .attend_context = process,
                                          .progress = isatty(STDERR_FILENO) ? progress_show : NULL,
                                          .guest_ended = &process->ended,
                                          .stop_here = leg == 0 ? devices_at_work : NULL,
                                          .stop_here_context = process,
                                          .timeout_ns = options->timeout_ns,
                                          .message_timeout_ns = options->message_timeout_ns,
                                          .arc_timeout_ns = options->arc_timeout_ns,
                                          .steps = options->steps.count ? &process->watcher[0] : NULL,
                                          .stop_hold_ns = options->stop_hold_ns,
                                          .limit_downtime_ns = options->limit_downtime_ns,
                                          .faults = &options->faults};

    event_log_set_role(config->log, "source");
    event_log_set_leg(config->log, leg);
    process->log_leg = leg;
    /* Faults belong to the last migration. */
    if (options->repeat > leg + 1)
        source_config.faults = NULL;
    process->source = source_new(&source_config, error);
    return process->source ? source_prepare(process->source, error) : -1;
}

/* Operations of what works without a device. */
static uint64_t own_operations(const struct proof_snapshot *snapshot)
{
    uint64_t operations = 0;

    for (size_t i = 0; i < snapshot->chain_count; i++)
        if (!proof_workload_of_device(snapshot->chain[i].workload))
            operations += snapshot->chain[i].operations;
    return operations;
}

/*
 * A device was reset under the guest, whose work with it cannot come right any more and is not judged. What is shown is that
 * the guest itself goes on.
 */
static enum status go_on_with_loss(struct vmm_process *process, struct error *error)
{
    const struct vmm_process_config *config = process->config;
    struct deadline limit = deadline_in_ns(config->options->timeout_ns);
    uint64_t before = own_operations(process->now);
    bool alive;

    do {
        show_alive(process);
        poll(NULL, 0, PROGRESS_PERIOD_MS);
        if (machine_progress(process->machine, process->now, error) < 0)
            return fail(process, "none", STATUS_NO_GUEST, error);
        /* A driver that misses what the reset took away, and says so, runs as well. */
        alive = own_operations(process->now) > before || process->now->failure.rule[0];
    } while (!alive && !deadline_expired(limit));
    event_error(config->log, error);
    if (process->now->failure.rule[0])
        event_note(config->log, "the guest, after the reset: %s", process->now->failure.text);
    if (!alive)
        event_not_proven(config->log, true, "nothing shows that the guest goes on: it has no work but with devices");
    error_prefix(error, "a device was reset, and what the guest had in it is lost%s",
                 alive ? "; the guest goes on" : "");
    event_outcome(config->log, "source", STATUS_LOSS, "%s", error->text);
    return STATUS_LOSS;
}

/* Sends the guest on. Returns true when it has gone, and this process has nothing left but its status. */
static bool send_guest(struct vmm_process *process, enum status *status, struct error *error)
{
    const struct vmm_process_config *config = process->config;

    switch (source_migrate(process->source, error)) {
    case HANDOVER_DONE:
        if (process->received && process->now->chain_count) {
            log_work(process, process->leg, DEVICE_WORK_AFTER, process->start, process->now);
            log_work(process, process->leg + 1, DEVICE_WORK_BEFORE, process->start, process->now);
        }
        if (config->to_file)
            event_outcome(config->log, "none", STATUS_INTACT, "the guest is saved in %s", config->to_name);
        else
            event_outcome(config->log, "destination", STATUS_INTACT, "the guest runs on the destination");
        *status = STATUS_INTACT;
        return true;
    case HANDOVER_ON_SOURCE:
        *status = fail(process, "source", STATUS_ON_SOURCE, error);
        process->worst = STATUS_ON_SOURCE;
        return false;
    case HANDOVER_WITH_LOSS:
        *status = go_on_with_loss(process, error);
        return true;
    case HANDOVER_ENDED:
        event_not_proven(config->log, true, "%s", too_early);
        return false;
    case HANDOVER_LOST:
        *status = fail(process, "none", STATUS_NO_GUEST, error);
        return true;
    case HANDOVER_UNKNOWN:
        *status = fail(process, "unknown", STATUS_UNKNOWN, error);
        return true;
    }
    return true;
}

/* The source hears why no destination comes to be. */
static void refuse(const struct vmm_process_config *config, struct error *error)
{
    struct destination_config destination_config = {.fd = config->from,
                                                    .peer = config->from_name,
                                                    .tls = config->from_tls,
                                                    .saved = config->from_saved,
                                                    .timeout_ns = config->options->timeout_ns};
    struct destination *destination = destination_new(&destination_config, NULL);

    if (!destination)
        return;
    destination_refuse(destination, error);
    destination_free(destination);
}

/* A saved guest that was not started is where it was, but for one whose file nobody can name. */
static const struct error *error_in_file(const struct vmm_process_config *config, struct error *error)
{
    if (config->options->same_device)
        error_prefix(error, "the guest was saved, and cannot be loaded");
    else
        error_prefix(error, "the guest stays saved in %s", config->from_name);
    return error;
}

/* What is to be opened for the guest is open then. */
static int enter_sandbox(struct vmm_process *process, struct error *error)
{
    const struct vmm_process_config *config = process->config;

    handover_read_boot_id(process->boot_id);
    if (config->from >= 0) {
        process->kvm_fd = vm_open_kvm(error);
        if (process->kvm_fd < 0)
            return -1;
    }
    return vmm_sandbox_enter(config->options, &process->devices, config->to_file != NULL, config->log, error);
}

static enum status run_process(struct vmm_process *process, struct error *error)
{
    const struct vmm_process_config *config = process->config;
    enum status status;
    int end;

    if (device_list_open(&process->devices, config->options, config->other_side, config->source_faults, config->faults,
                         error) < 0) {
        if (config->from >= 0)
            refuse(config, error);
        if (config->from >= 0 && config->options->same_device)
            return fail(process, "none", STATUS_NO_GUEST, error_in_file(config, error));
        return fail(process, config->from >= 0 ? "source" : "none", STATUS_USAGE, error);
    }
    list_process(process);
    if (config->from >= 0) {
        if (enter_sandbox(process, error) < 0) {
            refuse(config, error);
            return fail(process, "source", cannot_start(error), error);
        }
        switch (receive(process, error)) {
        case HANDOVER_DONE:
            break;
        case HANDOVER_ENDED:
            event_note(config->log, "%s", error->text);
            return STATUS_INCOMPLETE;
        case HANDOVER_ON_SOURCE:
            if (config->from_saved)
                return fail(process, "none", STATUS_NO_GUEST, error_in_file(config, error));
            return fail(process, "source", STATUS_ON_SOURCE, error);
        default:
            return fail(process, "none", STATUS_NO_GUEST, error);
        }
    } else if (boot(process, error) < 0 || enter_sandbox(process, error) < 0) {
        return fail(process, "none", cannot_start(error), error);
    }
    if (config->to >= 0 && prepare_source(process, error) < 0) {
        process->worst = fail(process, "source", STATUS_ON_SOURCE, error);
        end = run_guest(process, false, error);
    } else {
        end = run_guest(process, config->to >= 0, error);
    }
    if (end == 0) {
        if (send_guest(process, &status, error))
            return status;
        end = run_guest(process, false, error);
    } else if (end == 1 && config->to >= 0 && !process->worst) {
        event_not_proven(config->log, true, "%s", too_early);
        source_give_up(process->source, too_early);
    }
    if (end < 0) {
        fail(process, "none", STATUS_NO_GUEST, error);
        if (config->sink.put(config->sink.context, stops(process), true, process->now, NULL) < 0)
            event_note(config->log, "the guest's last progress could not be kept");
        return STATUS_NO_GUEST;
    }
    return finish_guest(process, error);
}

/* The descriptors that this process has open, with the directory's own, and -1 where that cannot be told. */
static int count_descriptors(DIR *directory)
{
    int count = -2;

    if (!directory)
        return -1;
    rewinddir(directory);
    /* Without "." and "..". */
    while (readdir(directory))
        count++;
    return count;
}

static bool is_open(int fd)
{
    return fd >= 0 && fcntl(fd, F_GETFD) >= 0;
}

/* Everything that was opened since is closed: a process that migrates guests for months runs out of what is not. */
static void judge_descriptors(struct event_log *log, int before, int after)
{
    if (before >= 0 && after > before)
        event_finding(log, "host/descriptor-leak", "%d descriptors were left open by the VMM", after - before);
}

enum status vmm_process_run(const struct vmm_process_config *config, struct error *error)
{
    struct vmm_process process = {.config = config, .leg = config->leg, .log_leg = config->leg};
    enum status status = STATUS_NO_GUEST;
    /* Kept open: in the sandbox it could not be opened again. */
    DIR *directory = opendir("/proc/self/fd");
    int descriptors = count_descriptors(directory) - is_open(config->from) - is_open(config->to);

    process.start = calloc(1, sizeof(*process.start));
    process.now = calloc(1, sizeof(*process.now));
    if (!process.start || !process.now) {
        error_set(error, ENOMEM, "starting a VMM");
        goto out;
    }
    open_steps(&process);
    event_log_set_leg(config->log, config->leg);
    status = run_process(&process, error);
    if (config->options->console || config->options->keep.file)
        log_console(&process);
out:
    source_free(process.source);
    step_actions_close(&process.steps);
    machine_free(process.machine);
    device_list_close(&process.devices, config->log);
    if (process.kvm_fd > 0)
        io_close(&process.kvm_fd);
    judge_descriptors(config->log, descriptors,
                      count_descriptors(directory) - is_open(config->from) - is_open(config->to));
    if (directory)
        closedir(directory);
    free(process.start);
    free(process.now);
    return status;
}
