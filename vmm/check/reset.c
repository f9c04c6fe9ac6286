/* SPDX-License-Identifier: GPL-2.0-or-later */
/* VFIO_DEVICE_RESET from every state, and what is left over after many cycles. */
#include <errno.h>
#include <unistd.h>

#include "vmm/check/check_context.h"
#include "vmm/check/groups.h"
#include "vmm/vfio/fsm.h"
#include "vmm/vfio/migration.h"
#include "vmm/vfio/vfio_user.h"

#define WARM_UP 3
#define CYCLES 24

/* What is looked at after the reset out of a state. */
typedef int (*judge_reset)(struct check_context *context, unsigned int from, struct check_result *result,
                           struct error *error);

static int each_state(struct check_context *context, judge_reset judge, struct check_result *result,
                      struct error *error)
{
    for (unsigned int from = 1; from < MIGRATION_STATES; from++) {
        struct error refusal = ERROR_INIT;

        if (!fsm_state_offered(context->flags, from))
            continue;
        if (check_settle(context, error) < 0 || check_place(context, from, error) < 0)
            return -1;
        check_expect(result, "VFIO_DEVICE_RESET in %s succeeds", migration_state_name(from));
        if (check_reset(context, &refusal) < 0)
            check_broken(result, "%s", refusal.text);
        else if (judge(context, from, result, error) < 0)
            return -1;
    }
    return 0;
}

static int judge_running(struct check_context *context, unsigned int from, struct check_result *result,
                         struct error *error)
{
    unsigned int state;

    check_expect(result, "RUNNING after VFIO_DEVICE_RESET in %s", migration_state_name(from));
    if (check_state(context, &state, error) < 0)
        return -1;
    if (state != VFIO_DEVICE_STATE_RUNNING)
        check_broken(result, "%s (%u)", migration_state_name(state), state);
    return 0;
}

static int run_running(struct check_context *context, struct check_result *result, struct error *error)
{
    return each_state(context, judge_running, result, error);
}

static int judge_session(struct check_context *context, unsigned int from, struct check_result *result,
                         struct error *error)
{
    bool saving = from == VFIO_DEVICE_STATE_PRE_COPY || from == VFIO_DEVICE_STATE_PRE_COPY_P2P ||
                  from == VFIO_DEVICE_STATE_STOP_COPY;
    struct vfio_data_session *stray;
    enum vfio_data_result got;
    uint8_t data[64] = {0};
    size_t count = 0;

    if (!saving && from != VFIO_DEVICE_STATE_RESUMING)
        return 0;
    stray = vfio_user_stray_session(context->device, saving);
    if (stray) {
        check_close_session(context);
        context->session = stray;
    }
    if (!context->session)
        return 0;
    check_expect(result, "the session of %s is ended by the reset", migration_state_name(from));
    if (!saving) {
        if (context->device->ops->session_write(context->session, data, sizeof(data), error) > 0)
            check_broken(result, "it took data");
    } else {
        got = context->device->ops->session_read(context->session, data, sizeof(data), &count, error);
        if (got == VFIO_DATA_DATA || (got == VFIO_DATA_END && count))
            check_broken(result, "it gave %zu bytes", count);
    }
    check_close_session(context);
    return 0;
}

static int run_sessions(struct check_context *context, struct check_result *result, struct error *error)
{
    return each_state(context, judge_session, result, error);
}

/* One migration to itself: saved and loaded. */
static int cycle(struct check_context *context, struct error *error)
{
    struct buffer image = BUFFER_INIT;
    struct check_load load;
    int status = -1;

    if (check_save(context, NULL, &image, error) < 0 ||
        check_load_image(context, image.data, image.size, NULL, &load, error) < 0)
        goto out;
    if (load.step != CHECK_LOAD_ACCEPTED)
        error_set(error, load.number, "what was saved is refused");
    else
        status = check_go(context, VFIO_DEVICE_STATE_RUNNING, error);
out:
    buffer_free(&image);
    check_close_session(context);
    return status;
}

static int judge_usable(struct check_context *context, unsigned int from, struct check_result *result,
                        struct error *error)
{
    struct error refusal = ERROR_INIT;

    (void)error;
    check_expect(result, "after VFIO_DEVICE_RESET in %s it can be saved, and loaded", migration_state_name(from));
    if (cycle(context, &refusal) < 0)
        check_broken(result, "%s", refusal.text);
    return 0;
}

static int run_usable(struct check_context *context, struct check_result *result, struct error *error)
{
    return each_state(context, judge_usable, result, error);
}

/* Everything that opens something: saving, loading, a PRE_COPY that is given up, a reset. */
static int full_cycle(struct check_context *context, struct error *error)
{
    if (cycle(context, error) < 0)
        return -1;
    if (context->flags & VFIO_MIGRATION_PRE_COPY && (check_go(context, VFIO_DEVICE_STATE_PRE_COPY, error) < 0 ||
                                                     check_go(context, VFIO_DEVICE_STATE_RUNNING, error) < 0))
        return -1;
    check_close_session(context);
    if (check_go(context, VFIO_DEVICE_STATE_STOP, error) < 0 ||
        check_go(context, VFIO_DEVICE_STATE_RESUMING, error) < 0 || check_reset(context, error) < 0)
        return -1;
    check_close_session(context);
    return 0;
}

static int run_descriptors(struct check_context *context, struct check_result *result, struct error *error)
{
    pid_t server = context->opener->server ? context->opener->server(context->opener->opaque) : 0;
    int ours = -1;
    int theirs = -1;
    unsigned int i;

    for (i = 0; i < WARM_UP + CYCLES && (i <= WARM_UP || !check_time_up(context)); i++) {
        if (i == WARM_UP) {
            ours = check_descriptors(getpid());
            theirs = server ? check_descriptors(server) : -1;
        }
        if (full_cycle(context, error) < 0)
            return -1;
    }
    check_tried(result, i - WARM_UP, CYCLES);
    check_expect(result, "%d descriptors open here after %u cycles, as before", ours, i - WARM_UP);
    if (ours >= 0 && check_descriptors(getpid()) > ours)
        check_broken(result, "%d", check_descriptors(getpid()));
    check_expect(result, "%d descriptors open in the server's process after %u cycles, as before", theirs, i - WARM_UP);
    if (theirs >= 0 && check_descriptors(server) > theirs)
        check_broken(result, "%d", check_descriptors(server));
    if (theirs < 0)
        check_note(result, "what the device's server has open cannot be seen");
    return 0;
}

#define ARCS "linux/vfio.h, enum vfio_device_mig_state: "
#define NEEDS (CHECK_NEEDS_MIGRATION | CHECK_NEEDS_RESET)

static const struct check_rule rules[] = {
    {
        .name = "reset/running",
        .level = CHECK_MUST,
        .basis =
            ARCS "VFIO_DEVICE_RESET returns the state to RUNNING; it is the only way out of ERROR and of a RESUMING "
                 "that is to be given up",
        .causes = "a reset of the device that does not reach the migration driver's state",
        .field = "vfio-user servers whose state stays, or ends as another, over a reset",
        .cost = "a reset in each state",
        .hazard = CHECK_HAZARD_RESET,
        .needs = NEEDS,
        .run = run_running,
    },
    {
        .name = "reset/ends-session",
        .level = CHECK_MUST,
        .basis = ARCS "the session belongs to the saving group or to RESUMING: what leaves these ends it",
        .causes = "buffers that are freed only when the state is set",
        .cost = "a reset in each state",
        .hazard = CHECK_HAZARD_RESET,
        .needs = NEEDS,
        .run = run_sessions,
    },
    {
        .name = "reset/usable-after",
        .level = CHECK_MUST,
        .basis =
            ARCS "after VFIO_DEVICE_RESET the device is in RUNNING, where every transition of its flags is open to it",
        .causes = "something left over of the transfer that the reset cut short",
        .field = "resets that race with, or do not clean up, a transfer",
        .cost = "a reset, a save and a load in each state",
        .hazard = CHECK_HAZARD_RESET,
        .needs = NEEDS,
        .run = run_usable,
    },
    {
        .name = "reset/descriptors",
        .level = CHECK_SHOULD,
        .basis = "the uAPI does not speak of it: what a transfer took has to be given back at its end",
        .causes = "a descriptor or an event that is made for each transfer, and closed only with the device",
        .field = "servers and clients that leak descriptors over repeated migrations",
        .cost = "27 saves, loads and resets",
        .hazard = CHECK_HAZARD_RESET,
        .needs = NEEDS,
        .run = run_descriptors,
    },
};

const struct check_group check_reset_group = {rules, sizeof(rules) / sizeof(rules[0])};
