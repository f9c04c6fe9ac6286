/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/migrate/precopy.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "vmm/migrate/dirty_tracking.h"
#include "vmm/vfio/migration.h"

/* Below so many bytes a round says nothing of the bandwidth. */
#define MEASURED_MIN (4u << 20)
/* What is read of a device in one round where it does not say how much it has. */
#define UNKNOWN_READ_MAX (256u << 20)
/* Bytes a second, as long as nothing was measured. */
#define BANDWIDTH_GUESS 1e9
/* More than this no device has, so that sums of such numbers stay numbers. */
#define DEVICE_BYTES_MAX (UINT64_C(1) << 56)
/* What the vCPUs are held by more after each round that is not a quarter shorter, percent. */
#define THROTTLE_STEP 20u
#define PROGRESS_PERIOD_NS 100000000u
/* An estimate in ns; as good as never. */
#define ESTIMATE_MAX 1e18

struct precopy {
    struct precopy_config config;
    struct dirty_tracking tracking;
    struct page_set dirty; /* to be sent */
    void *data;            /* a piece of a device's stream */
    unsigned int rounds;
    uint64_t told_ns;                     /* of the progress, last */
    uint64_t sent_before;                 /* over the stream, before the first round */
    uint64_t left;                        /* bytes to go in this round */
    unsigned int throttle;                /* of the vCPUs now, percent */
    uint64_t last_rest_ns;                /* what was left after the round before, 0: there was none */
    double bandwidth;                     /* bytes a second */
    uint64_t measured_bytes, measured_ns; /* since it was last worked out */
    struct vfio_data_session *session[BOARD_DEVICES_MAX];
    uint64_t session_bytes[BOARD_DEVICES_MAX];
    bool early_end_said[BOARD_DEVICES_MAX];
    bool nonsense_said[BOARD_DEVICES_MAX];
    bool flags_known[BOARD_DEVICES_MAX];    /* those of PRECOPY_INFO are the device's: MIG_PRECOPY_INFOv2 */
    unsigned int reinit[BOARD_DEVICES_MAX]; /* how often it had initial bytes anew */
};

static void note_changed(void *context, unsigned int range, uint64_t page)
{
    struct precopy *precopy = context;

    dirty_tracking_note_changed(&precopy->tracking, range, page);
}

/* At once, or where the last time was long enough ago. */
static void tell_progress(struct precopy *precopy, unsigned int round, bool at_once)
{
    const struct precopy_config *config = &precopy->config;
    uint64_t now = clock_now_ns();
    struct precopy_progress progress = {.round = round,
                                        .sent = config->stream->bytes_sent - precopy->sent_before,
                                        .left = precopy->left,
                                        .bandwidth = precopy->bandwidth};

    if (!config->progress || (!at_once && now - precopy->told_ns < PROGRESS_PERIOD_NS))
        return;
    precopy->told_ns = now;
    config->progress(config->progress_context, &progress);
}

static void meanwhile(void *context)
{
    struct precopy *precopy = context;

    tell_progress(precopy, precopy->rounds + 1, false);
}

struct precopy *precopy_new(const struct precopy_config *config, struct error *error)
{
    struct precopy *precopy = calloc(1, sizeof(*precopy));

    if (!precopy) {
        error_set(error, ENOMEM, "preparing the rounds of pre-copy");
        return NULL;
    }
    precopy->config = *config;
    precopy->sent_before = config->stream->bytes_sent;
    if (config->ram) {
        config->ram->meanwhile = meanwhile;
        config->ram->meanwhile_context = precopy;
    }
    precopy->bandwidth = BANDWIDTH_GUESS;
    precopy->tracking = (struct dirty_tracking){.machine = config->machine,
                                                .set = config->set,
                                                .ignore_devices = fault_is_on(config->faults, VMM_LOG_IGNORED),
                                                .wish = config->limits.dirty_log};
    precopy->data = malloc(STREAM_DATA_MAX);
    if (!precopy->data) {
        error_set(error, ENOMEM, "preparing the rounds of pre-copy");
        free(precopy);
        return NULL;
    }
    if (config->ram &&
        (page_set_init(&precopy->dirty, config->machine, error) < 0 || ram_sender_prepare(config->ram, error) < 0)) {
        precopy_free(precopy);
        return NULL;
    }
    if (config->ram) {
        config->ram->changed = note_changed;
        config->ram->changed_context = precopy;
    }
    return precopy;
}

void precopy_end_throttling(struct precopy *precopy)
{
    if (precopy->throttle)
        vm_throttle(machine_vm(precopy->config.machine), 0);
}

void precopy_end_sessions(struct precopy *precopy)
{
    for (size_t i = 0; i < precopy->config.set->count; i++) {
        if (precopy->session[i])
            precopy->session[i]->device->ops->session_close(precopy->session[i]);
        precopy->session[i] = NULL;
    }
}

void precopy_stop_tracking(struct precopy *precopy)
{
    dirty_tracking_stop(&precopy->tracking);
}

void precopy_free(struct precopy *precopy)
{
    if (!precopy)
        return;
    precopy_end_sessions(precopy);
    precopy_end_throttling(precopy);
    precopy_stop_tracking(precopy);
    page_set_free(&precopy->dirty);
    free(precopy->data);
    free(precopy);
}

int precopy_cancel(struct precopy *precopy, struct error *error)
{
    int result;

    precopy_end_sessions(precopy);
    precopy_end_throttling(precopy);
    result = device_set_recover(precopy->config.set, error);
    if (!fault_is_on(precopy->config.faults, VMM_LOG_LEFT_ON))
        precopy_stop_tracking(precopy);
    return result;
}

struct vfio_data_session *precopy_take_session(struct precopy *precopy, unsigned int index, uint64_t *bytes)
{
    struct vfio_data_session *session = precopy->session[index];

    *bytes = precopy->session_bytes[index];
    precopy->session[index] = NULL;
    return session;
}

static int start_devices(struct precopy *precopy, struct error *error)
{
    struct device_set *set = precopy->config.set;

    for (size_t i = 0; i < set->count; i++)
        precopy->flags_known[i] = device_set_has_pre_copy(set, i) && migration_use_precopy_info_v2(set->device[i]);
    if (device_set_pre_copy(set, error) < 0)
        return -1;
    for (size_t i = 0; i < set->count; i++) {
        struct vfio_device *device = set->device[i];

        if (!device_set_has_pre_copy(set, i))
            continue;
        precopy->session[i] = device->ops->take_session(device);
        if (!precopy->session[i])
            return error_rule(error, "device/no-session", 0,
                              "device %zu (%s): PRE_COPY gave no data transfer session (data_fd)", i, device->name);
    }
    return 0;
}

/* What a device has to send. */
struct pending {
    bool known;
    uint64_t initial; /* which should go before the guest is stopped */
    uint64_t bytes;   /* all that is left, as far as it says */
};

/* What a device says that it has, as far as it can be. */
static uint64_t believe(struct precopy *precopy, size_t index, uint64_t bytes, const char *what)
{
    if (bytes <= DEVICE_BYTES_MAX)
        return bytes;
    if (!precopy->nonsense_said[index])
        event_finding(precopy->config.set->log, "device/precopy-info-nonsense",
                      "device %zu (%s): it says that it has %" PRIu64 " %s", index,
                      precopy->config.set->device[index]->name, bytes, what);
    precopy->nonsense_said[index] = true;
    return DEVICE_BYTES_MAX;
}

/* linux/vfio.h, VFIO_MIG_GET_PRECOPY_INFO and VFIO_DEVICE_FEATURE_MIG_DATA_SIZE: a device may have both, or none. */
static struct pending ask_pending(struct precopy *precopy, size_t index)
{
    struct vfio_device *device = precopy->config.set->device[index];
    struct vfio_precopy_info info = {.argsz = sizeof(info)};
    struct pending pending = {0};
    uint64_t size;

    if (precopy->session[index] && device->ops->session_precopy_info(precopy->session[index], &info, NULL) == 0) {
        pending.known = true;
        precopy->reinit[index] += precopy->flags_known[index] && info.flags & VFIO_PRECOPY_INFO_REINIT;
        pending.initial = believe(precopy, index, info.initial_bytes, "initial bytes");
        pending.bytes = pending.initial + believe(precopy, index, info.dirty_bytes, "dirty bytes");
    }
    if (migration_get_data_size(device, &size, NULL) == 0) {
        pending.known = true;
        size = believe(precopy, index, size, "bytes (MIG_DATA_SIZE)");
        if (pending.bytes < size)
            pending.bytes = size;
    }
    return pending;
}

/* Sends what a device has, until it has nothing for now, or as much as it had at the beginning, or for as long as a wait
 * may be: what it has then is for the next round. */
static int send_device(struct precopy *precopy, size_t index, struct error *error)
{
    struct vfio_data_session *session = precopy->session[index];
    struct vfio_device *device = session->device;
    struct pending pending = ask_pending(precopy, index);
    uint64_t limit = pending.known ? pending.bytes + STREAM_DATA_MAX : UNKNOWN_READ_MAX;
    struct deadline end = deadline_in_ns(precopy->config.timeout_ns);
    enum vfio_data_result result = VFIO_DATA_DATA;

    for (uint64_t done = 0; result == VFIO_DATA_DATA && done < limit && !deadline_expired(end);) {
        uint64_t at = htole64(precopy->session_bytes[index]);
        size_t count;

        result = device->ops->session_read(session, precopy->data, STREAM_DATA_MAX, &count, error);
        if (result == VFIO_DATA_ERROR)
            migration_read_failed(session, precopy->session_bytes[index], error);
        if (result == VFIO_DATA_ERROR)
            return error_prefix(error, "device %zu (%s): saving its state in PRE_COPY", index, device->name);
        if (count && stream_send_parts(precopy->config.stream, STREAM_DEVICE_DATA, (uint32_t)index, &at, sizeof(at),
                                       precopy->data, count, deadline_in_ns(precopy->config.timeout_ns), error) < 0)
            return -1;
        done += count;
        precopy->session_bytes[index] += count;
        meanwhile(precopy);
    }
    if (result == VFIO_DATA_END && !precopy->early_end_said[index]) {
        precopy->early_end_said[index] = true;
        event_finding(
            precopy->config.set->log, "device/end-in-pre-copy",
            "device %zu (%s): its stream came to its end in PRE_COPY, where there is only an end for the time "
            "being (ENOMSG)",
            index, device->name);
    }
    return 0;
}

/* Bandwidth is that of the last rounds that were long enough to tell. */
static void measure(struct precopy *precopy, uint64_t bytes, uint64_t ns)
{
    precopy->measured_bytes += bytes;
    precopy->measured_ns += ns;
    if (precopy->measured_bytes < MEASURED_MIN || !precopy->measured_ns)
        return;
    precopy->bandwidth = (double)precopy->measured_bytes * 1e9 / (double)precopy->measured_ns;
    precopy->measured_bytes = precopy->measured_ns = 0;
}

/* Joins what was written of RAM to what is to be sent. */
static int take_dirty(struct precopy *precopy, struct error *error)
{
    return precopy->config.ram ? dirty_tracking_take(&precopy->tracking, &precopy->dirty, error) : 0;
}

static int do_round(struct precopy *precopy, struct error *error)
{
    const struct precopy_config *config = &precopy->config;
    uint64_t start = clock_now_ns();
    uint64_t sent = config->stream->bytes_sent;
    uint64_t sending = config->stream->send_ns;
    uint64_t pages = page_set_count(&precopy->dirty);
    uint64_t devices_start, end;
    char name[64];

    if (config->ram && !precopy->tracking.incomplete && ram_send_pages(config->ram, &precopy->dirty, true, error) < 0)
        return -1;
    page_set_clear(&precopy->dirty);
    dirty_tracking_note_sent(&precopy->tracking);
    sending = config->stream->send_ns - sending;
    devices_start = clock_now_ns();
    for (size_t i = 0; i < config->set->count; i++)
        if (precopy->session[i] && send_device(precopy, i, error) < 0)
            return -1;
    end = clock_now_ns();
    sent = config->stream->bytes_sent - sent;
    /* Looking for pages that hold anything takes its time where there are few, and says nothing of the bandwidth. */
    measure(precopy, sent, sending + end - devices_start);
    precopy->rounds++;
    snprintf(name, sizeof(name), "round %u", precopy->rounds);
    event_phase(config->set->log, name, start, end, sent);
    snprintf(name, sizeof(name), "precopy.round.%u.pages", precopy->rounds);
    event_fact(config->set->log, name, precopy->tracking.incomplete ? 0 : pages);
    return 0;
}

/* What is left at the end of a round. */
struct rest {
    uint64_t ram;
    uint64_t devices;
    uint64_t initial; /* of devices' */
    uint64_t ns;      /* that it takes to send */
};

static uint64_t time_to_send(const struct precopy *precopy, uint64_t bytes)
{
    double ns = (double)bytes * 1e9 / precopy->bandwidth;

    return ns < ESTIMATE_MAX ? (uint64_t)ns : (uint64_t)ESTIMATE_MAX;
}

static struct rest estimate(struct precopy *precopy)
{
    struct rest rest = {.ram = page_set_count(&precopy->dirty) * RAM_PAGE_SIZE};

    for (size_t i = 0; i < precopy->config.set->count; i++) {
        struct pending pending = ask_pending(precopy, i);

        rest.devices += pending.bytes;
        rest.initial += pending.initial;
    }
    rest.ns = time_to_send(precopy, rest.ram + rest.devices);
    return rest;
}

/* More rounds change nothing of what goes after the stop in any case. */
static bool converged(const struct precopy *precopy, const struct rest *rest)
{
    uint64_t fixed =
        precopy->tracking.incomplete && !precopy->config.limits.give_up ? time_to_send(precopy, rest->ram) : 0;

    return !rest->initial && rest->ns - fixed <= precopy->config.limits.max_downtime_ns;
}

/* Initial bytes that came anew are in no estimate of before, and the rounds go on until they are sent. */
static void log_devices(struct precopy *precopy)
{
    const struct device_set *set = precopy->config.set;
    char name[64];

    for (size_t i = 0; i < set->count; i++) {
        if (!device_set_has_pre_copy(set, i))
            continue;
        snprintf(name, sizeof(name), "precopy.info_version.%zu", i);
        event_fact(set->log, name, precopy->flags_known[i] ? 2 : 1);
        if (precopy->reinit[i])
            event_note(set->log, "device %zu (%s) had initial bytes anew %u times (VFIO_PRECOPY_INFO_REINIT)", i,
                       set->device[i]->name, precopy->reinit[i]);
    }
}

static void log_totals(struct precopy *precopy, uint64_t bytes, const struct rest *rest)
{
    log_devices(precopy);
    event_fact(precopy->config.set->log, "precopy.rounds", precopy->rounds);
    event_fact(precopy->config.set->log, "precopy.bytes", bytes);
    if (precopy->config.limits.throttle)
        event_fact(precopy->config.set->log, "precopy.throttle", precopy->throttle);
    event_fact(precopy->config.set->log, "precopy.estimate_ns", rest->ns);
}

static int no_convergence(struct precopy *precopy, const struct rest *rest, struct error *error)
{
    const struct precopy_limits *limits = &precopy->config.limits;
    char text[256];

    snprintf(text, sizeof(text),
             "no convergence after %u rounds: %" PRIu64 " bytes of RAM and %" PRIu64
             " of devices are left, about %" PRIu64 " us where %" PRIu64 " may be",
             precopy->rounds, rest->ram, rest->devices, rest->ns / 1000u, limits->max_downtime_ns / 1000u);
    if (limits->give_up)
        return error_set(error, 0, "%s; give a longer --max-downtime or more --max-rounds", text);
    event_note(precopy->config.set->log, "%s; the guest was stopped all the same", text);
    return 0;
}

/* A guest that writes as fast as its memory is sent is held back more and more. */
static void throttle(struct precopy *precopy, const struct rest *rest)
{
    unsigned int most = precopy->config.limits.throttle;
    bool shorter = !precopy->last_rest_ns || rest->ns < precopy->last_rest_ns - precopy->last_rest_ns / 4;

    precopy->last_rest_ns = rest->ns;
    if (shorter || precopy->throttle >= most)
        return;
    precopy->throttle = precopy->throttle + THROTTLE_STEP < most ? precopy->throttle + THROTTLE_STEP : most;
    vm_throttle(machine_vm(precopy->config.machine), precopy->throttle);
}

static int attend(struct precopy *precopy, struct error *error)
{
    const struct precopy_config *config = &precopy->config;

    return config->attend ? config->attend(config->attend_context, error) : 0;
}

static int run_rounds(struct precopy *precopy, struct error *error)
{
    uint64_t sent = precopy->config.stream->bytes_sent;
    struct rest rest;
    bool ready;

    if (fault_is_on(precopy->config.faults, VMM_LOG_READ_EARLY) &&
        (dirty_tracking_choose(&precopy->tracking, error) < 0 ||
         dirty_tracking_take(&precopy->tracking, &precopy->dirty, error) < 0))
        return -1;
    if ((precopy->config.ram && dirty_tracking_start(&precopy->tracking, error) < 0) ||
        start_devices(precopy, error) < 0 || take_dirty(precopy, error) < 0)
        return -1;
    precopy->left = page_set_count(&precopy->dirty) * RAM_PAGE_SIZE;
    do {
        if (do_round(precopy, error) < 0 || attend(precopy, error) < 0 || take_dirty(precopy, error) < 0)
            return -1;
        rest = estimate(precopy);
        precopy->left = rest.ram + rest.devices;
        tell_progress(precopy, precopy->rounds, true);
        ready = converged(precopy, &rest);
        if (!ready)
            throttle(precopy, &rest);
    } while (!ready && precopy->rounds < precopy->config.limits.max_rounds);
    log_totals(precopy, precopy->config.stream->bytes_sent - sent, &rest);
    return ready ? 0 : no_convergence(precopy, &rest, error);
}

int precopy_run(struct precopy *precopy, struct error *error)
{
    int result = run_rounds(precopy, error);

    tell_progress(precopy, 0, true);
    precopy->config.progress = NULL;
    return result;
}

int precopy_send_rest(struct precopy *precopy, struct error *error)
{
    if (!precopy->config.ram)
        return 0;
    if (take_dirty(precopy, error) < 0)
        return -1;
    return ram_send_pages(precopy->config.ram, &precopy->dirty, false, error);
}
