/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What comes beside a transition, or in the middle of a transfer. The requests of one connection to a server are served
 * one after the other, so that with a server all of it is a sequence; with the kernel a thread of its own does it.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vmm/check/groups.h"
#include "vmm/check/traffic.h"
#include "vmm/check/workplace.h"

#define ROUNDS 20u
#define READS 5u
#define READ_PART 4096u

#define BASIS_RESET                                                                                                    \
    "linux/vfio.h, enum vfio_device_mig_state, RESUMING -> STOP and any -> ERROR: VFIO_DEVICE_RESET returns "          \
    "the state to RUNNING, where the device is fully operational; to abort a RESUMING session the device "             \
    "must be reset"
#define BASIS_CLOSE                                                                                                    \
    "linux/vfio.h, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE: closing the data_fd is the user's, and the driver "           \
    "must not change the state but for a SET or VFIO_DEVICE_RESET; the arcs that end a session do not depend "         \
    "on what was read"

/* Reads, or writes, a little of the session that is open. Where there is none, or it has no more, that is no matter. */
static void transfer_part(struct check_context *context, const struct buffer *image)
{
    const struct vfio_device_ops *ops = context->device->ops;
    struct error error = ERROR_INIT;
    uint8_t part[READ_PART];
    size_t count;

    if (context->session && image)
        (void)ops->session_write(context->session, image->data, image->size / 2, &error);
    else if (context->session)
        (void)ops->session_read(context->session, part, sizeof(part), &count, &error);
}

static void judge_running(struct check_context *context, const char *after, struct check_result *result)
{
    struct error error = ERROR_INIT;
    unsigned int state;

    check_expect(result, "%s it is in RUNNING", after);
    if (check_state(context, &state, &error) < 0)
        check_broken(result, "%s", error.text);
    else if (state != VFIO_DEVICE_STATE_RUNNING)
        check_broken(result, "it is in %s", migration_state_name(state));
}

/* The device was reset, or opened anew: it is in RUNNING, and works for a driver that starts from nothing. */
static void judge_fresh(struct check_context *context, const char *after, struct check_result *result)
{
    struct error error = ERROR_INIT;
    struct workplace place;

    judge_running(context, after, result);
    if (result->outcome != CHECK_OK)
        return;
    check_expect(result, "%s it works", after);
    if (workplace_open(context, &place, &error) < 0)
        check_broken(result, "%s", error.text);
    workplace_close(&place);
}

/* The states in which a transfer may be under way, and RUNNING. */
static const unsigned int busy_states[] = {VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_PRE_COPY,
                                           VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_STOP_COPY,
                                           VFIO_DEVICE_STATE_RESUMING};

/* From the middle of its work to state, and a part of the transfer. */
static int begin_transfer(struct workplace *place, unsigned int state, struct error *error)
{
    struct check_context *context = place->context;

    if (work_submit(place->work, error) < 0)
        return -1;
    if (state != VFIO_DEVICE_STATE_RUNNING && check_go(context, state, error) < 0)
        return -1;
    transfer_part(context, state == VFIO_DEVICE_STATE_RESUMING ? &context->image : NULL);
    return 0;
}

static bool offered(const struct check_context *context, unsigned int state)
{
    return state != VFIO_DEVICE_STATE_PRE_COPY || context->flags & VFIO_MIGRATION_PRE_COPY;
}

static int reset_in(struct check_context *context, unsigned int state, struct check_result *result, struct error *error)
{
    struct workplace place;
    char after[64];
    int status = workplace_open(context, &place, error);

    snprintf(after, sizeof(after), "after a reset in %s, at work,", migration_state_name(state));
    if (status == 0)
        status = begin_transfer(&place, state, error);
    if (status == 0)
        status = check_reset(context, error);
    /* Before it is told to go there. */
    if (status == 0)
        judge_running(context, after, result);
    check_close_session(context);
    workplace_close(&place);
    if (status == 0 && result->outcome == CHECK_OK)
        judge_fresh(context, after, result);
    return status;
}

static int run_reset_at_work(struct check_context *context, struct check_result *result, struct error *error)
{
    for (size_t i = 0; i < sizeof(busy_states) / sizeof(busy_states[0]) && result->outcome == CHECK_OK; i++)
        if (offered(context, busy_states[i]) && reset_in(context, busy_states[i], result, error) < 0)
            return -1;
    return 0;
}

/* Everything that was set up goes with the device: its mappings and its eventfds are not taken away before. */
static int close_in(struct check_context *context, unsigned int state, struct check_result *result, struct error *error)
{
    struct workplace place;
    char after[64];
    int status = workplace_open(context, &place, error);

    snprintf(after, sizeof(after), "closed in %s, at work, and opened again", migration_state_name(state));
    if (status == 0)
        status = begin_transfer(&place, state, error);
    if (status < 0) {
        workplace_close(&place);
        return -1;
    }
    status = check_reopen(context, error);
    workplace_abandon(&place);
    if (status == 0)
        judge_fresh(context, after, result);
    return status;
}

static int run_close_at_work(struct check_context *context, struct check_result *result, struct error *error)
{
    for (size_t i = 0; i < sizeof(busy_states) / sizeof(busy_states[0]) && result->outcome == CHECK_OK; i++)
        if (offered(context, busy_states[i]) && close_in(context, busy_states[i], result, error) < 0)
            return -1;
    return 0;
}

/* The session is closed with some of its data unread; the device goes on as if it had been read. */
static int run_session_closed(struct check_context *context, struct check_result *result, struct error *error)
{
    static const unsigned int states[] = {VFIO_DEVICE_STATE_STOP_COPY, VFIO_DEVICE_STATE_PRE_COPY};
    struct workplace place;
    int status = workplace_open(context, &place, error);

    for (size_t i = 0; i < 2 && status == 0 && result->outcome == CHECK_OK; i++) {
        struct error fault = ERROR_INIT;

        if (!offered(context, states[i]))
            continue;
        status = begin_transfer(&place, states[i], error);
        check_close_session(context);
        check_expect(result, "with the session closed in the middle of %s it goes to RUNNING and goes on with its work",
                     migration_state_name(states[i]));
        if (status == 0 && workplace_go_on(&place, &fault) < 0)
            check_broken(result, "%s", fault.text);
    }
    workplace_close(&place);
    return status;
}

/* Asks for the sizes between pieces of the data while the device works, then gives the migration up. */
static int pre_copy_round(struct workplace *place, struct check_result *result, struct error *error)
{
    struct check_context *context = place->context;
    struct error fault = ERROR_INIT;

    if (check_go(context, VFIO_DEVICE_STATE_PRE_COPY, error) < 0)
        return -1;
    for (unsigned int i = 0; i < READS && result->outcome == CHECK_OK; i++) {
        struct vfio_precopy_info info = {.argsz = sizeof(info)};

        check_expect(result, "PRECOPY_INFO is answered between reads while the device works");
        if (!context->session || context->device->ops->session_precopy_info(context->session, &info, &fault) < 0)
            check_broken(result, "%s", context->session ? fault.text : "no session came with PRE_COPY");
        transfer_part(context, NULL);
        check_expect(result, "it works on in PRE_COPY");
        if (work_submit(place->work, &fault) < 0 || work_step(place->work, &fault) < 0)
            check_broken(result, "%s", fault.text);
    }
    check_expect(result, "given up, it goes to RUNNING and goes on with its work");
    if (result->outcome == CHECK_OK && workplace_go_on(place, &fault) < 0)
        check_broken(result, "%s", fault.text);
    return 0;
}

static int run_pre_copy_at_work(struct check_context *context, struct check_result *result, struct error *error)
{
    struct workplace place;
    int status = workplace_open(context, &place, error);

    for (unsigned int i = 0; i < 3 && status == 0 && result->outcome == CHECK_OK; i++)
        status = pre_copy_round(&place, result, error);
    workplace_close(&place);
    return status;
}

/* A thread that resets the device again and again. */
struct resetter {
    struct vfio_device *device;
    atomic_bool end;
    atomic_uint resets;
};

static void *reset_on(void *opaque)
{
    struct resetter *resetter = opaque;

    while (!atomic_load(&resetter->end)) {
        struct error error = ERROR_INIT;

        if (resetter->device->ops->reset(resetter->device, &error) == 0)
            atomic_fetch_add(&resetter->resets, 1);
    }
    return NULL;
}

static int run_reset_beside(struct check_context *context, struct check_result *result, struct error *error)
{
    struct resetter resetter = {.device = context->device};
    unsigned int rounds = 0;
    int status = 0;
    pthread_t thread;

    if (check_is_served(context)) {
        check_not_applicable(result, "a server takes the requests of one connection one after the other");
        return 0;
    }
    if (pthread_create(&thread, NULL, reset_on, &resetter))
        return error_set(error, 0, "a thread cannot be started");
    /* What a transition answers here is no matter: it may come before or after a reset. */
    for (; (rounds < ROUNDS || atomic_load(&resetter.resets) < ROUNDS) && status == 0 && !check_time_up(context);
         rounds++) {
        struct check_answer answer;

        status = check_set(context, busy_states[rounds % 2 ? 0 : 3], &answer, error);
    }
    atomic_store(&resetter.end, true);
    pthread_join(thread, NULL);
    check_close_session(context);
    check_note(result, "%u resets beside %u transitions", atomic_load(&resetter.resets), rounds);
    if (status == 0 && check_reset(context, error) == 0)
        judge_fresh(context, "after resets beside transitions", result);
    return status;
}

/* The session's descriptor once more, for whoever outlives it: -1 where a session has none, which is no matter then. */
static int another_descriptor(struct check_context *context, struct check_result *result)
{
    const struct vfio_device_ops *ops = context->device->ops;
    int fd = context->session && ops->session_descriptor ? ops->session_descriptor(context->session) : -1;

    fd = fd < 0 ? -1 : dup(fd);
    if (fd < 0)
        check_not_applicable(result, "a session of this device has no descriptor that others could hold");
    return fd;
}

/* Without waiting: the descriptor does not block, but a driver may take that for what it likes. */
static ssize_t read_now(int fd, void *data, size_t size)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    return poll(&poll_fd, 1, 0) == 1 ? read(fd, data, size) : 0;
}

/* A thread that uses a data_fd again and again, while its session comes to its end. */
struct user {
    int fd;
    atomic_bool end;
    atomic_uint uses;
};

static void *use_session(void *opaque)
{
    struct user *user = opaque;
    uint8_t part[READ_PART];

    while (!atomic_load(&user->end)) {
        struct vfio_precopy_info info = {.argsz = sizeof(info)};

        /* What they answer is no matter: the session may have ended. */
        (void)!read_now(user->fd, part, sizeof(part));
        (void)ioctl(user->fd, VFIO_MIG_GET_PRECOPY_INFO, &info);
        atomic_fetch_add(&user->uses, 1);
    }
    return NULL;
}

/* One session, used by another thread until it was left, and closed by that. Returns the uses, -1 where it failed. */
static long use_beside(struct check_context *context, const unsigned int *states, size_t count,
                       struct check_result *result, struct error *error)
{
    struct user user = {.fd = another_descriptor(context, result)};
    int status = 0;
    pthread_t thread;

    if (user.fd < 0)
        return 0;
    if (pthread_create(&thread, NULL, use_session, &user)) {
        close(user.fd);
        return error_set(error, 0, "a thread cannot be started");
    }
    for (size_t i = 0; i < count && status == 0; i++) {
        unsigned int before = atomic_load(&user.uses);
        struct check_answer answer;

        while (atomic_load(&user.uses) == before && !check_time_up(context))
            usleep(100);
        status = check_set(context, states[i], &answer, error);
    }
    atomic_store(&user.end, true);
    pthread_join(thread, NULL);
    close(user.fd);
    check_close_session(context);
    return status < 0 ? -1 : (long)atomic_load(&user.uses);
}

static int run_session_beside(struct check_context *context, struct check_result *result, struct error *error)
{
    static const unsigned int from_pre_copy[] = {VFIO_DEVICE_STATE_STOP_COPY, VFIO_DEVICE_STATE_STOP,
                                                 VFIO_DEVICE_STATE_RUNNING};
    bool pre_copy = context->flags & VFIO_MIGRATION_PRE_COPY;
    unsigned int first = pre_copy ? VFIO_DEVICE_STATE_PRE_COPY : VFIO_DEVICE_STATE_STOP_COPY;
    struct workplace place;
    unsigned int rounds = 0;
    long uses = 0;
    int status = workplace_open(context, &place, error);

    while (rounds < ROUNDS && status == 0 && result->outcome == CHECK_OK && !check_time_up(context)) {
        struct error fault = ERROR_INIT;
        long more;

        check_expect(result, "after a session that was left while another thread used it there can be another one");
        if (begin_transfer(&place, first, rounds ? &fault : error) < 0) {
            status = rounds ? 0 : -1;
            if (rounds)
                check_broken(result, "%s", fault.text);
            break;
        }
        rounds++;
        /* Each second time straight from where it is, as a migration that is given up. */
        more = rounds % 2 ? use_beside(context, from_pre_copy + !pre_copy, 3 - !pre_copy, result, error)
                          : use_beside(context, from_pre_copy + 2, 1, result, error);
        status = more < 0 ? -1 : 0;
        uses += more;
    }
    if (status == 0 && result->outcome == CHECK_OK) {
        struct error fault = ERROR_INIT;

        check_note(result, "%u sessions, each left while another thread used it, %ld times in all", rounds, uses);
        check_expect(result, "after sessions that were left while another thread used them it goes on with its work");
        if (workplace_go_on(&place, &fault) < 0)
            check_broken(result, "%s", fault.text);
    }
    workplace_close(&place);
    return status;
}

static int run_kept_past_close(struct check_context *context, struct check_result *result, struct error *error)
{
    uint8_t part[READ_PART];
    ssize_t count;
    int fd, status;

    if (check_go(context, VFIO_DEVICE_STATE_STOP_COPY, error) < 0)
        return -1;
    fd = another_descriptor(context, result);
    if (fd < 0)
        return 0;
    status = check_reopen(context, error);
    check_expect(result, "a data_fd that was kept when its device was closed gives no data of the device any more");
    count = status == 0 ? read_now(fd, part, sizeof(part)) : 0;
    if (count > 0)
        check_broken(result, "read() gave %zd bytes", count);
    else
        check_note(result, "read() gives %s", count < 0 ? strerror(errno) : "no bytes");
    close(fd);
    return status;
}

static const struct check_rule rules[] = {
    {
        .name = "race/reset-at-work",
        .level = CHECK_MUST,
        .basis = BASIS_RESET,
        .causes = "what belongs to the session, or to operations in flight, is not dropped by a reset",
        .field = "a reset that raced with a migration transition",
        .hazard = CHECK_HAZARD_RESET,
        .cost = "5 resets",
        .needs = CHECK_NEEDS_MIGRATION | CHECK_NEEDS_RESET | CHECK_NEEDS_TRAFFIC,
        .run = run_reset_at_work,
    },
    {
        .name = "race/reset-beside-transition",
        .level = CHECK_MUST,
        .basis = BASIS_RESET " (with the kernel alone: two threads; with a server race/reset-at-work is as near as it "
                             "comes)",
        .causes = "the reset's own path does not take the lock of the state machine, or takes it in another order",
        .field = "a deferred reset that raced with a migration transition",
        .hazard = CHECK_HAZARD_RESET,
        .cost = "20 transitions or more, beside 20 resets or more",
        .needs = CHECK_NEEDS_MIGRATION | CHECK_NEEDS_RESET | CHECK_NEEDS_TRAFFIC,
        .run = run_reset_beside,
    },
    {
        .name = "race/close-at-work",
        .level = CHECK_SHOULD,
        .basis = "linux/vfio.h does not say in which state a device is opened. Every variant driver of the kernel sets "
                 "RUNNING there, whatever its last user left behind, and a VMM takes it for granted",
        .causes = "closing does not end the transfer, or leaves the state machine where it was for the next user",
        .hazard = CHECK_HAZARD_RESET,
        .cost = "5 times closed and opened",
        .needs = CHECK_NEEDS_MIGRATION | CHECK_NEEDS_TRAFFIC,
        .run = run_close_at_work,
    },
    {
        .name = "race/session-closed-at-work",
        .level = CHECK_MUST,
        .basis = BASIS_CLOSE,
        .causes = "the end of the transfer is waited for, or is where the device is set going again",
        .cost = "2 transfers",
        .needs = CHECK_NEEDS_MIGRATION | CHECK_NEEDS_TRAFFIC,
        .run = run_session_closed,
    },
    {
        .name = "race/pre-copy-at-work",
        .level = CHECK_MUST,
        .basis = "linux/vfio.h, enum vfio_device_mig_state: in PRE_COPY the device is running normally, but tracking "
                 "changes of its internal state; VFIO_MIG_GET_PRECOPY_INFO is valid there; PRE_COPY -> RUNNING ends "
                 "the session, and the device is fully operational",
        .causes = "the tracking of changes gets into the way of the work; the device is not told that it was given up",
        .field = "a PRE_COPY that was cancelled and that the device was not told of",
        .cost = "3 pre-copies",
        .needs = CHECK_NEEDS_MIGRATION | CHECK_NEEDS_PRE_COPY | CHECK_NEEDS_TRAFFIC,
        .run = run_pre_copy_at_work,
    },
    {
        .name = "race/session-beside-transition",
        .level = CHECK_MUST,
        .basis = BASIS_CLOSE " (with the kernel alone, whose session is a descriptor: read() and "
                             "VFIO_MIG_GET_PRECOPY_INFO by one thread, the transitions that end it by another)",
        .causes =
            "the session's own lock and that of the state machine are taken in another order; the end of a session "
            "frees what a read uses",
        .field = "a reset, or the end of a session, that raced with a transition",
        .cost = "20 sessions",
        .needs = CHECK_NEEDS_MIGRATION | CHECK_NEEDS_TRAFFIC,
        .run = run_session_beside,
    },
    {
        .name = "race/session-kept-past-close",
        .level = CHECK_MUST,
        .basis =
            "linux/vfio.h, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE: data_fd is that of one session, and any change of "
            "the state out of its states ends it. Closing the device does, and a device that is opened again is "
            "its new user's (with the kernel alone, whose session is a descriptor)",
        .causes = "the descriptor's file has the state's buffer or a pointer to the device, and close does not take it "
                  "away",
        .field = "a cached data_fd that dangled",
        .hazard = CHECK_HAZARD_RESET,
        .cost = "1 transfer, 1 time closed and opened",
        .needs = CHECK_NEEDS_MIGRATION | CHECK_NEEDS_TRAFFIC,
        .run = run_kept_past_close,
    },
};

const struct check_group check_race_group = {rules, sizeof(rules) / sizeof(rules[0])};
