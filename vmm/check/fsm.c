/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The finite state machine: every transition, held against the search over the uAPI's rules in vmm/vfio/fsm.h. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "vmm/check/check_context.h"
#include "vmm/check/groups.h"
#include "vmm/vfio/fsm.h"
#include "vmm/vfio/migration.h"
#include "vmm/vfio/vfio_user.h"

#define WALK_LENGTH 200
#define HOLD_NS 20000000

/* Can the device be brought to this state by asking? */
static bool is_offered(const struct check_context *context, unsigned int state)
{
    return state != VFIO_DEVICE_STATE_ERROR && fsm_state_offered(context->flags, state);
}

/* Gives a device in RESUMING the good stream, so that it may be left. */
static int fill_resuming(struct check_context *context, struct error *error)
{
    if (!context->image.size)
        return error_set(error, 0, "%s", context->no_image);
    if (!context->session)
        return error_set(error, 0, "no data transfer session came with RESUMING");
    return migration_write_all(context->session, context->image.data, context->image.size, error);
}

/* To from, ready to be left: in RESUMING the good stream was written. */
static int get_ready(struct check_context *context, unsigned int from, struct error *error)
{
    unsigned int state;

    /* A session that was begun before, in RESUMING or by saving, is none that this begins with. */
    if (check_state(context, &state, error) < 0)
        return -1;
    if (state != VFIO_DEVICE_STATE_RUNNING && check_settle(context, error) < 0)
        return error_prefix(error, "going back to RUNNING");
    if (check_place(context, from, error) < 0)
        return error_prefix(error, "going to %s", migration_state_name(from));
    return from == VFIO_DEVICE_STATE_RESUMING ? fill_resuming(context, error) : 0;
}

struct pair {
    unsigned int from;
    unsigned int to;
    struct fsm_path path;
    struct check_answer answer;
};

typedef void (*judge_pair)(struct check_context *context, const struct pair *pair, struct check_result *result);

/*
 * Tries every pair of states that the device has. The pairs of a state that it cannot be brought to are left out: that it
 * cannot is found as a pair of RUNNING's, or of another state on the way.
 */
static int each_pair(struct check_context *context, bool with_same, judge_pair judge, struct check_result *result,
                     struct error *error)
{
    uint64_t tried = 0;
    uint64_t possible = 0;
    struct error failure = ERROR_INIT;
    bool failed = false;

    for (unsigned int from = 0; from < MIGRATION_STATES; from++) {
        for (unsigned int to = 0; to < MIGRATION_STATES; to++) {
            struct pair pair = {.from = from, .to = to, .path = fsm_find_path(context->flags, from, to)};

            if (!is_offered(context, from) || !pair.path.allowed || (from == to) != with_same)
                continue;
            possible++;
            if (check_time_up(context))
                continue;
            if (get_ready(context, from, failed ? error : &failure) < 0) {
                failed = true;
                continue;
            }
            if (check_set(context, to, &pair.answer, error) < 0)
                return -1;
            tried++;
            check_expect(result, "%s to %s succeeds", migration_state_name(from), migration_state_name(to));
            judge(context, &pair, result);
        }
    }
    check_tried(result, tried, possible);
    if (!failed || result->outcome == CHECK_BROKEN)
        return 0;
    *error = failure;
    return -1;
}

static void judge_success(struct check_context *context, const struct pair *pair, struct check_result *result)
{
    (void)context;
    if (pair->answer.number)
        check_broken(result, "%s; the device is in %s", pair->answer.text, migration_state_name(pair->answer.state));
}

static int run_pairs(struct check_context *context, struct check_result *result, struct error *error)
{
    return each_pair(context, false, judge_success, result, error);
}

static void judge_read_back(struct check_context *context, const struct pair *pair, struct check_result *result)
{
    (void)context;
    check_expect(result, "after SET of %s succeeded (from %s), GET has %s", migration_state_name(pair->to),
                 migration_state_name(pair->from), migration_state_name(pair->to));
    if (!pair->answer.number && pair->answer.state != pair->to)
        check_broken(result, "%s (%u)", migration_state_name(pair->answer.state), pair->answer.state);
}

static int run_read_back(struct check_context *context, struct check_result *result, struct error *error)
{
    int status = each_pair(context, false, judge_read_back, result, error);

    /* It showed already where a pair was to be begun. */
    if (status == 0 || strcmp(error->rule, "fsm/state-read-back"))
        return status;
    check_expect(result, "after SET of a state succeeded, GET has that state");
    check_broken(result, "%s", error->text);
    return 0;
}

static void judge_same(struct check_context *context, const struct pair *pair, struct check_result *result)
{
    judge_success(context, pair, result);
    if (!pair->answer.number && pair->answer.state != pair->to)
        check_broken(result, "it left the state for %s", migration_state_name(pair->answer.state));
    check_expect(result, "%s to itself: data_fd is -1", migration_state_name(pair->from));
    if (pair->answer.session)
        check_broken(result, "a data transfer session came with it");
}

static int run_same_state(struct check_context *context, struct check_result *result, struct error *error)
{
    return each_pair(context, true, judge_same, result, error);
}

static void judge_session(struct check_context *context, const struct pair *pair, struct check_result *result)
{
    (void)context;
    check_expect(result, "%s to %s: %s", migration_state_name(pair->from), migration_state_name(pair->to),
                 pair->path.opens_session ? "a new data_fd" : "data_fd is -1");
    if (!pair->answer.number && pair->answer.session != pair->path.opens_session)
        check_broken(result, pair->answer.session ? "there is a data_fd" : "data_fd is -1");
}

static int run_data_fd(struct check_context *context, struct check_result *result, struct error *error)
{
    if (vfio_user_get_agreement(context->device)) {
        check_not_applicable(result, "vfio-user has no data_fd: its messages name no session");
        return 0;
    }
    return each_pair(context, false, judge_session, result, error);
}

/* Asks for a state that must be refused, from every state that can be asked for; judges the refusal or what it leaves. */
static int each_refusal(struct check_context *context, unsigned int to, bool judge_state, struct check_result *result,
                        struct error *error)
{
    for (unsigned int from = 0; from < MIGRATION_STATES; from++) {
        struct check_answer answer;

        if (!is_offered(context, from) || (from == VFIO_DEVICE_STATE_RESUMING && !context->image.size))
            continue;
        if (check_time_up(context))
            return error_set(error, 0, "the rule's time was up");
        if (get_ready(context, from, error) < 0 || check_set(context, to, &answer, error) < 0)
            return -1;
        if (!judge_state) {
            check_expect(result, "SET of %s (%u) in %s: refused with an errno", migration_state_name(to), to,
                         migration_state_name(from));
            if (!answer.number)
                check_broken(result, "it succeeded; the device is in %s", migration_state_name(answer.state));
        } else if (answer.number) {
            check_expect(result, "after SET of %s (%u) was refused in %s: still %s, or ERROR", migration_state_name(to),
                         to, migration_state_name(from), migration_state_name(from));
            if (answer.state != from && answer.state != VFIO_DEVICE_STATE_ERROR)
                check_broken(result, "%s (%u)", migration_state_name(answer.state), answer.state);
        }
    }
    return 0;
}

static int run_error_refused(struct check_context *context, struct check_result *result, struct error *error)
{
    return each_refusal(context, VFIO_DEVICE_STATE_ERROR, false, result, error);
}

static const unsigned int past_the_last[] = {MIGRATION_STATES, MIGRATION_STATES + 1, 255, 0x7fffffff, 0xffffffff};

static int run_past_last(struct check_context *context, struct check_result *result, struct error *error)
{
    for (size_t i = 0; i < sizeof(past_the_last) / sizeof(past_the_last[0]); i++)
        if (each_refusal(context, past_the_last[i], false, result, error) < 0)
            return -1;
    return 0;
}

static int run_optional_refused(struct check_context *context, struct check_result *result, struct error *error)
{
    bool any = false;

    for (unsigned int state = 1; state < MIGRATION_STATES; state++) {
        if (fsm_state_offered(context->flags, state))
            continue;
        any = true;
        if (each_refusal(context, state, false, result, error) < 0)
            return -1;
    }
    if (!any)
        check_not_applicable(result, "it offers every optional state");
    return 0;
}

static int run_refusal_stays(struct check_context *context, struct check_result *result, struct error *error)
{
    for (unsigned int state = 0; state < MIGRATION_STATES; state++)
        if (!is_offered(context, state) && each_refusal(context, state, true, result, error) < 0)
            return -1;
    return each_refusal(context, MIGRATION_STATES, true, result, error);
}

static int run_stop_copy_to_pre_copy(struct check_context *context, struct check_result *result, struct error *error)
{
    static const unsigned int states[] = {VFIO_DEVICE_STATE_PRE_COPY, VFIO_DEVICE_STATE_PRE_COPY_P2P};

    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        struct check_answer answer;

        if (!is_offered(context, states[i]))
            continue;
        if (get_ready(context, VFIO_DEVICE_STATE_STOP_COPY, error) < 0 ||
            check_set(context, states[i], &answer, error) < 0)
            return -1;
        check_expect(result, "STOP_COPY to %s: refused with an errno", migration_state_name(states[i]));
        if (!answer.number)
            check_broken(result, "it succeeded; the device is in %s", migration_state_name(answer.state));
        check_expect(result, "STOP_COPY, or ERROR, after %s was refused", migration_state_name(states[i]));
        if (answer.number && answer.state != VFIO_DEVICE_STATE_STOP_COPY && answer.state != VFIO_DEVICE_STATE_ERROR)
            check_broken(result, "%s (%u)", migration_state_name(answer.state), answer.state);
    }
    return 0;
}

static int run_no_asynchronous_change(struct check_context *context, struct check_result *result, struct error *error)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    for (unsigned int from = 0; from < MIGRATION_STATES; from++) {
        struct deadline deadline;
        unsigned int state = from;

        if (!is_offered(context, from) || (from == VFIO_DEVICE_STATE_RESUMING && !context->image.size))
            continue;
        if (get_ready(context, from, error) < 0)
            return -1;
        check_expect(result, "%s for as long as nothing is asked of it", migration_state_name(from));
        deadline = deadline_in_ns(HOLD_NS);
        while (state == from && !deadline_expired(deadline)) {
            nanosleep(&pause, NULL);
            if (check_state(context, &state, error) < 0)
                return -1;
        }
        if (state != from)
            check_broken(result, "%s (%u)", migration_state_name(state), state);
    }
    check_note(result, "each state was watched for %d ms", HOLD_NS / 1000000);
    return 0;
}

/* A state to go to next: any that is offered and allowed. */
static unsigned int pick_next(struct check_context *context, unsigned int from)
{
    unsigned int to;

    do
        to = (unsigned int)check_random(context, MIGRATION_STATES);
    while (!is_offered(context, to) || !fsm_find_path(context->flags, from, to).allowed ||
           (to == VFIO_DEVICE_STATE_RESUMING && !context->image.size));
    return to;
}

static int run_walk(struct check_context *context, struct check_result *result, struct error *error)
{
    unsigned int state = VFIO_DEVICE_STATE_RUNNING;
    unsigned int steps;

    for (steps = 0; steps < WALK_LENGTH && !check_time_up(context); steps++) {
        unsigned int to = pick_next(context, state);
        struct check_answer answer;

        if (check_set(context, to, &answer, error) < 0)
            return -1;
        check_expect(result, "step %u of a walk: %s to %s succeeds", steps + 1, migration_state_name(state),
                     migration_state_name(to));
        if (answer.number || answer.state != to) {
            check_broken(result, "%s; the device is in %s", answer.number ? answer.text : "it did",
                         migration_state_name(answer.state));
            return 0;
        }
        if (to == VFIO_DEVICE_STATE_RESUMING && state != to && fill_resuming(context, error) < 0)
            return -1;
        state = to;
    }
    check_tried(result, steps, WALK_LENGTH);
    return 0;
}

#define ARCS "linux/vfio.h, enum vfio_device_mig_state: "
#define STATE "linux/vfio.h, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE: "

static const struct check_rule rules[] = {
    {
        .name = "fsm/pairs",
        .level = CHECK_MUST,
        .basis = ARCS "whatever two states, the way between them is a combination of the arcs that are listed: the "
                      "shortest one, with no state of the saving group between its ends",
        .causes = "a table of transitions with a hole, or a driver that knows single arcs only",
        .field = "servers that refuse STOP to RUNNING, so that a source cannot resume; A to B to A that fails",
        .cost = "at most 41 transitions, each from its own state",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_pairs,
    },
    {
        .name = "fsm/state-read-back",
        .level = CHECK_MUST,
        .basis = STATE "the device has fully gone over to the new state before the request returns, and GET has the "
                       "state it is in",
        .causes = "a change of state that is only begun, or a state that is noted before it is reached",
        .cost = "as fsm/pairs",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_read_back,
    },
    {
        .name = "fsm/same-state",
        .level = CHECK_MUST,
        .basis = ARCS "the shortest path is taken, and from a state to itself it has no arc: nothing happens, and "
                      "data_fd is -1",
        .causes = "a table without its diagonal",
        .field = "vfio-user servers that start another transfer, or fail",
        .cost = "at most 7 transitions",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_same_state,
    },
    {
        .name = "fsm/data-fd",
        .level = CHECK_MUST,
        .basis = STATE "a new data_fd comes with the arcs that enter the saving group or RESUMING; moving within the "
                       "group goes on with the one that there is",
        .causes = "a transfer that is begun again at PRE_COPY to STOP_COPY",
        .cost = "as fsm/pairs",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_data_fd,
    },
    {
        .name = "fsm/walk",
        .level = CHECK_MUST,
        .basis = ARCS "what may be asked for depends on the state that a device is in, and not on how it got there",
        .causes = "something left over of an earlier transfer: a buffer, a flag, a descriptor",
        .field = "devices that migrate once, and not there and back",
        .cost = "200 transitions",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_walk,
    },
    {
        .name = "fsm/stop-copy-to-pre-copy-refused",
        .level = CHECK_MUST,
        .basis = ARCS "STOP_COPY to PRE_COPY and to PRE_COPY_P2P are not permitted and return an error",
        .causes = "a way back that is searched for by the shortest path alone",
        .field = "seen in servers with a table of their own; in Linux 6.12 vfio_mig_get_next_state() does not return "
                 "where a "
                 "device has all the flags",
        .hazard = CHECK_HAZARD_HANG,
        .cost = "2 transitions",
        .needs = CHECK_NEEDS_MIGRATION | CHECK_NEEDS_PRE_COPY,
        .run = run_stop_copy_to_pre_copy,
    },
    {
        .name = "fsm/set-error-refused",
        .level = CHECK_MUST,
        .basis = ARCS "ERROR cannot be given as the state to go to",
        .causes = "a table with ERROR as an ordinary state",
        .cost = "a request in each state",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_error_refused,
    },
    {
        .name = "fsm/past-the-last-refused",
        .level = CHECK_MUST,
        .basis = STATE "the new state is one of enum vfio_device_mig_state; a number that is none cannot be reached",
        .causes = "a number from outside that indexes a table",
        .field = "the number just past the last state read beyond a server's table",
        .cost = "5 requests in each state",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_past_last,
    },
    {
        .name = "fsm/optional-state-refused",
        .level = CHECK_MUST,
        .basis = ARCS "the optional states cannot be used with SET where the device does not support them",
        .causes = "a table of all states whose flags are not looked at",
        .cost = "a request for each missing state in each state",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_optional_refused,
    },
    {
        .name = "fsm/refusal-keeps-state",
        .level = CHECK_MUST,
        .basis =
            STATE "after a failure the state is the one before or another along the path, or ERROR; a request that "
                  "has no path leaves nothing but the one before",
        .causes = "a request that is checked only on the way",
        .cost = "about 15 requests in each state",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_refusal_stays,
    },
    {
        .name = "fsm/no-asynchronous-change",
        .level = CHECK_MUST,
        .basis = STATE "the driver does not change the state but for the user's requests and a reset",
        .causes = "a transfer that ends its state when all was read, a timer, a firmware event",
        .field = "servers that leave STOP_COPY at the end of the stream",
        .cost = "20 ms in each state",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_no_asynchronous_change,
    },
};

const struct check_group check_fsm_group = {rules, sizeof(rules) / sizeof(rules[0])};
