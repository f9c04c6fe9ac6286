/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/check/check_context.h"
#include "vmm/check/traffic.h"
#include "vmm/vfio/migration.h"

/* splitmix64 */
uint64_t check_random(struct check_context *context, uint64_t limit)
{
    uint64_t value = context->random += 0x9e3779b97f4a7c15u;

    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    value ^= value >> 31;
    return limit ? value % limit : 0;
}

bool check_time_up(const struct check_context *context)
{
    return deadline_expired(context->rule_deadline) || deadline_expired(context->deadline);
}

bool check_is_served(const struct check_context *context)
{
    struct vfio_device *device = context->device;

    return device->ops->gone_fd(device) >= 0 && !device->ops->gone_reason;
}

void check_close_session(struct check_context *context)
{
    if (context->session)
        context->device->ops->session_close(context->session);
    context->session = NULL;
}

static bool take_session(struct check_context *context)
{
    struct vfio_data_session *session = context->device->ops->take_session(context->device);

    if (!session)
        return false;
    check_close_session(context);
    context->session = session;
    return true;
}

int check_state(struct check_context *context, unsigned int *state, struct error *error)
{
    return migration_get_state(context->device, state, error);
}

/* A connection that is lost is no answer of the device's. */
static bool is_gone(const struct error *error)
{
    return error->number == ECONNRESET || error->number == EPIPE || error->number == ETIMEDOUT ||
           error->number == EPROTO;
}

int check_set(struct check_context *context, unsigned int state, struct check_answer *answer, struct error *error)
{
    struct error refusal = ERROR_INIT;

    *answer = (struct check_answer){.number = 0};
    if (migration_set_state(context->device, state, &refusal) < 0) {
        answer->number = refusal.number ? refusal.number : EIO;
        snprintf(answer->text, sizeof(answer->text), "%.*s", (int)sizeof(answer->text) - 1, refusal.text);
        if (is_gone(&refusal)) {
            *error = refusal;
            return -1;
        }
    }
    answer->session = take_session(context);
    return check_state(context, &answer->state, error);
}

int check_go(struct check_context *context, unsigned int state, struct error *error)
{
    struct check_answer answer;

    if (check_set(context, state, &answer, error) < 0)
        return -1;
    if (answer.number) {
        error_set(error, 0, "%s", answer.text);
        error->number = answer.number;
        return -1;
    }
    if (answer.state != state)
        return error_rule(error, "fsm/state-read-back", 0, "set to %s it is in %s", migration_state_name(state),
                          migration_state_name(answer.state));
    return 0;
}

int check_reset(struct check_context *context, struct error *error)
{
    if (!context->can_reset)
        return error_set(error, ENOTTY, "%s: it has no reset", context->device->name);
    return context->device->ops->reset(context->device, error);
}

int check_reopen(struct check_context *context, struct error *error)
{
    check_close_session(context);
    check_traffic_close(context->traffic);
    context->traffic = NULL;
    if (context->device)
        context->opener->close(context->opener->opaque, context->device);
    context->device = context->opener->open(context->opener->opaque, error);
    if (!context->device)
        return -1;
    context->traffic = check_traffic_open(context, &context->no_traffic);
    return 0;
}

/* To RUNNING, where a transition leads there. */
static int run_again(struct check_context *context, struct error *error)
{
    unsigned int state;

    if (check_state(context, &state, error) < 0)
        return -1;
    if (state == VFIO_DEVICE_STATE_RUNNING)
        return 0;
    /* A transfer into the device can only be ended by a reset. */
    if (state == VFIO_DEVICE_STATE_RESUMING || state == VFIO_DEVICE_STATE_ERROR)
        return error_set(error, 0, "it is in %s", migration_state_name(state));
    return check_go(context, VFIO_DEVICE_STATE_RUNNING, error);
}

int check_settle(struct check_context *context, struct error *error)
{
    check_close_session(context);
    if (!context->device)
        return check_reopen(context, error);
    if (!context->flags || run_again(context, error) == 0)
        return 0;
    if (check_reset(context, error) == 0 && run_again(context, error) == 0)
        return 0;
    if (check_reopen(context, error) < 0)
        return -1;
    return run_again(context, error);
}

int check_place(struct check_context *context, unsigned int state, struct error *error)
{
    unsigned int now;

    if (check_state(context, &now, error) < 0)
        return -1;
    if (now == state)
        return 0;
    if (now != VFIO_DEVICE_STATE_RUNNING && now != VFIO_DEVICE_STATE_STOP && check_settle(context, error) < 0)
        return -1;
    return check_go(context, state, error);
}

int check_descriptors(pid_t pid)
{
    char path[32];
    DIR *directory;
    int count = 0;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    directory = opendir(path);
    if (!directory)
        return -1;
    while (readdir(directory))
        count++;
    closedir(directory);
    return count - 2;
}
