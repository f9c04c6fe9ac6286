/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cmd/state_actions.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "lib/options.h"
#include "vmm/cmd/state_stream.h"
#include "vmm/vfio/migration.h"

#define SET_MAX 64
#define READ_MAX (64u << 20)
#define STATE_DIGEST_SIZE 17

void state_say(struct by_hand *by_hand, json_t *members, const char *format, ...)
{
    va_list arguments;

    if (by_hand->answers) {
        json_array_append_new(by_hand->answers, members);
        return;
    }
    json_decref(members);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

static int action_get(struct by_hand *by_hand, const char *argument, struct error *error)
{
    unsigned int state;

    (void)argument;
    if (migration_get_state(by_hand->device, &state, error) < 0)
        return -1;
    state_say(by_hand, json_pack("{s:s,s:I}", "state", migration_state_name(state), "number", (json_int_t)state),
              "%s (%u)", migration_state_name(state), state);
    return 0;
}

/* The session of the state just entered takes the place of the one before. */
static void take_session(struct by_hand *by_hand)
{
    struct vfio_data_session *session = by_hand->device->ops->take_session(by_hand->device);

    if (!session)
        return;
    if (by_hand->session)
        by_hand->device->ops->session_close(by_hand->session);
    by_hand->session = session;
}

/* After a failed arc the device may be in any state along the path: says which. */
static int fail_arc(struct by_hand *by_hand, struct error *error)
{
    struct error failed = *error;
    struct error ignored;
    unsigned int state;

    if (migration_get_state(by_hand->device, &state, &ignored) < 0)
        return -1;
    error_set(error, 0, "%s; the device is in %s (%u)", failed.text, migration_state_name(state), state);
    error->number = failed.number;
    memcpy(error->rule, failed.rule, sizeof(error->rule));
    return -1;
}

static int set_state(struct by_hand *by_hand, unsigned int state, struct error *error)
{
    uint64_t begun = clock_now_ns();
    uint64_t ended;
    unsigned int reached;

    if (migration_set_state(by_hand->device, state, error) < 0)
        return fail_arc(by_hand, error);
    ended = clock_now_ns();
    take_session(by_hand);
    if (migration_get_state(by_hand->device, &reached, error) < 0)
        return -1;
    state_say(by_hand,
              json_pack("{s:s,s:I,s:I}", "state", migration_state_name(reached), "number", (json_int_t)reached, "ns",
                        (json_int_t)(ended - begun)),
              "%s (%u), %.3f ms", migration_state_name(reached), reached, (double)(ended - begun) / 1e6);
    if (reached != state)
        return error_rule(error, "device/state-read-back", 0, "%s: it was set to %s (%u), and is in %s (%u)",
                          by_hand->device->name, migration_state_name(state), state, migration_state_name(reached),
                          reached);
    return 0;
}

static int parse_state(const char *word, unsigned int *state, struct error *error)
{
    int named = migration_state_from_name(word);
    uint64_t number;

    if (named >= 0) {
        *state = (unsigned int)named;
        return 0;
    }
    if (option_parse_number(word, "state", 0, UINT32_MAX, &number, NULL) < 0)
        return error_set(error, 0,
                         "there is no state '%s'; there are STOP, RUNNING, STOP_COPY, RESUMING, RUNNING_P2P, "
                         "PRE_COPY, PRE_COPY_P2P, ERROR and numbers",
                         word);
    *state = (unsigned int)number;
    return 0;
}

/* Fills in the states of "STATE,STATE,..." and returns how many, or -1. */
static int parse_states(const char *argument, unsigned int states[SET_MAX], struct error *error)
{
    char *words = strdup(argument);
    char *rest = words;
    int count = 0;

    if (!words)
        return error_set(error, ENOMEM, "set");
    while (rest && count >= 0) {
        if (count == SET_MAX)
            count = error_set(error, 0, "set: more than %d states", SET_MAX);
        else if (parse_state(strsep(&rest, ","), &states[count], error) < 0)
            count = -1;
        else
            count++;
    }
    free(words);
    return count;
}

static int check_set(const char *argument, struct error *error)
{
    unsigned int states[SET_MAX];

    return parse_states(argument, states, error);
}

static int action_set(struct by_hand *by_hand, const char *argument, struct error *error)
{
    unsigned int states[SET_MAX];
    int count = parse_states(argument, states, error);

    for (int i = 0; i < count; i++)
        if (set_state(by_hand, states[i], error) < 0)
            return -1;
    return count < 0 ? -1 : 0;
}

/* Goes to state unless it is there, and has the session that belongs to it. */
static int enter(struct by_hand *by_hand, unsigned int state, unsigned int before, struct error *error)
{
    if (before != state && set_state(by_hand, state, error) < 0)
        return -1;
    take_session(by_hand);
    if (!by_hand->session)
        return error_rule(error, "device/session-missing", 0, "%s: no data transfer session came with %s",
                          by_hand->device->name, migration_state_name(state));
    return 0;
}

/* Where the device goes after save and load: where it was, or to RUNNING from where no way leads back. */
static unsigned int way_back(unsigned int before)
{
    return before == VFIO_DEVICE_STATE_STOP || before == VFIO_DEVICE_STATE_RUNNING_P2P ? before
                                                                                       : VFIO_DEVICE_STATE_RUNNING;
}

static void say_bytes(struct by_hand *by_hand, const char *path, uint64_t bytes, uint64_t ns)
{
    state_say(by_hand, json_pack("{s:I,s:I}", "bytes", (json_int_t)bytes, "ns", (json_int_t)ns),
              "%s: %" PRIu64 " bytes in %.3f ms", path, bytes, (double)ns / 1e6);
}

static int action_save(struct by_hand *by_hand, const char *argument, struct error *error)
{
    unsigned int before;
    uint64_t begun;
    uint64_t bytes;

    if (migration_get_state(by_hand->device, &before, error) < 0 ||
        enter(by_hand, VFIO_DEVICE_STATE_STOP_COPY, before, error) < 0)
        return -1;
    begun = clock_now_ns();
    if (state_stream_save(by_hand->session, argument, &bytes, error) < 0)
        return -1;
    say_bytes(by_hand, argument, bytes, clock_now_ns() - begun);
    return by_hand->stay || before == VFIO_DEVICE_STATE_STOP_COPY ? 0 : set_state(by_hand, way_back(before), error);
}

static int action_load(struct by_hand *by_hand, const char *argument, struct error *error)
{
    unsigned int before;
    uint64_t begun;
    uint64_t bytes;

    if (migration_get_state(by_hand->device, &before, error) < 0 ||
        enter(by_hand, VFIO_DEVICE_STATE_RESUMING, before, error) < 0)
        return -1;
    begun = clock_now_ns();
    if (state_stream_load(by_hand->session, argument, &bytes, error) < 0)
        return fail_arc(by_hand, error);
    say_bytes(by_hand, argument, bytes, clock_now_ns() - begun);
    /* This arc is where the device must refuse a bad stream. */
    if (set_state(by_hand, VFIO_DEVICE_STATE_STOP, error) < 0)
        return -1;
    if (by_hand->stay || way_back(before) == VFIO_DEVICE_STATE_STOP)
        return 0;
    return set_state(by_hand, way_back(before), error);
}

static int action_size(struct by_hand *by_hand, const char *argument, struct error *error)
{
    uint64_t bytes;

    (void)argument;
    if (migration_get_data_size(by_hand->device, &bytes, error) < 0)
        return -1;
    state_say(by_hand, json_pack("{s:I}", "bytes", (json_int_t)bytes), "%" PRIu64, bytes);
    return 0;
}

static int action_precopy_info(struct by_hand *by_hand, const char *argument, struct error *error)
{
    struct vfio_precopy_info info = {.argsz = sizeof(info)};

    (void)argument;
    take_session(by_hand);
    if (!by_hand->session)
        return error_set(error, 0, "%s: precopy-info needs a data transfer session: set PRE_COPY before",
                         by_hand->device->name);
    if (by_hand->device->ops->session_precopy_info(by_hand->session, &info, error) < 0)
        return -1;
    state_say(by_hand,
              json_pack("{s:I,s:I,s:I}", "initial_bytes", (json_int_t)info.initial_bytes, "dirty_bytes",
                        (json_int_t)info.dirty_bytes, "flags", (json_int_t)info.flags),
              "initial_bytes %llu, dirty_bytes %llu%s", (unsigned long long)info.initial_bytes,
              (unsigned long long)info.dirty_bytes, info.flags & VFIO_PRECOPY_INFO_REINIT ? ", reinit" : "");
    return 0;
}

static int action_reset(struct by_hand *by_hand, const char *argument, struct error *error)
{
    (void)argument;
    return by_hand->device->ops->reset(by_hand->device, error);
}

static int parse_count(const char *argument, uint64_t *count, struct error *error)
{
    return option_parse_number(argument, "read", 1, READ_MAX, count, error);
}

static int check_read(const char *argument, struct error *error)
{
    uint64_t count;

    return parse_count(argument, &count, error);
}

static const char *data_result_name(enum vfio_data_result result)
{
    return result == VFIO_DATA_END ? "end" : result == VFIO_DATA_AGAIN ? "again" : "data";
}

/* One read of the session, as it is, with what came of it. */
static int action_read(struct by_hand *by_hand, const char *argument, struct error *error)
{
    char digest[STATE_DIGEST_SIZE];
    enum vfio_data_result result;
    uint64_t size = 0;
    size_t count = 0;
    void *data;

    take_session(by_hand);
    if (!by_hand->session)
        return error_set(error, 0, "%s: read needs a data transfer session: set PRE_COPY or STOP_COPY before",
                         by_hand->device->name);
    if (parse_count(argument, &size, error) < 0)
        return -1;
    data = malloc(size);
    if (!data)
        return error_set(error, ENOMEM, "a buffer of %" PRIu64 " bytes", size);
    result = by_hand->device->ops->session_read(by_hand->session, data, size, &count, error);
    if (result != VFIO_DATA_ERROR) {
        snprintf(digest, sizeof(digest), "%016llx", (unsigned long long)XXH3_64bits(data, count));
        state_say(by_hand,
                  json_pack("{s:I,s:s,s:s}", "bytes", (json_int_t)count, "digest", digest, "result",
                            data_result_name(result)),
                  "%zu bytes, %s, xxh3 %s", count, data_result_name(result), digest);
    }
    free(data);
    return result == VFIO_DATA_ERROR ? -1 : 0;
}

static const struct state_action actions[] = {
    {"get", NULL, action_get, NULL},
    {"set", "STATE[,STATE...]", action_set, check_set},
    {"save", "FILE", action_save, NULL},
    {"load", "FILE", action_load, NULL},
    {"read", "N", action_read, check_read},
    {"size", NULL, action_size, NULL},
    {"precopy-info", NULL, action_precopy_info, NULL},
    {"reset", NULL, action_reset, NULL},
};

const struct state_action *state_action_find(const char *name)
{
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
        if (!strcmp(actions[i].name, name))
            return &actions[i];
    return NULL;
}
