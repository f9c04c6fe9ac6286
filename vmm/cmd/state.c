/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stopcopy state: the migration of one device by hand. */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/options.h"
#include "vmm/cmd/cmd.h"
#include "vmm/cmd/command_error.h"
#include "vmm/cmd/device_spec.h"
#include "vmm/cmd/state_stream.h"
#include "vmm/vfio/migration.h"

#define SET_MAX 64

struct state_options {
    const char *device;
    const char *device_program;
    uint64_t timeout_ns;
    enum kernel_way way;
    bool stay;
    char **words; /* the actions, in order */
    int word_count;
};

/* The device, and the session that it gave last. */
struct by_hand {
    struct vfio_device *device;
    struct vfio_data_session *session;
    bool stay;
};

enum {
    OPTION_DEVICE_PROGRAM = 256,
    OPTION_TIMEOUT,
    OPTION_VFIO,
    OPTION_STAY,
};

static const struct argp_option options[] = {
    {"device-program", OPTION_DEVICE_PROGRAM, "FILE", 0, "The server of test devices (default: stopcopy-device)", 0},
    {"vfio", OPTION_VFIO, "group|cdev", 0, "The way to a device of the kernel's (default: cdev where there is one)", 0},
    {"timeout", OPTION_TIMEOUT, "TIME", 0, "How long the device may take for one answer (default: 5s)", 0},
    {"stay", OPTION_STAY, NULL, 0, "After save and load, leave the device stopped instead of in the state it had", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct state_options *parsed = state->input;
    struct error error = ERROR_INIT;

    switch (key) {
    case OPTION_DEVICE_PROGRAM:
        parsed->device_program = argument;
        return 0;
    case OPTION_VFIO:
        if (device_spec_parse_way(argument, &parsed->way, &error) < 0)
            argp_error(state, "%s", error.text);
        return 0;
    case OPTION_TIMEOUT:
        if (option_parse_time(argument, "--timeout", &parsed->timeout_ns, &error) < 0)
            argp_error(state, "%s", error.text);
        return 0;
    case OPTION_STAY:
        parsed->stay = true;
        return 0;
    case ARGP_KEY_ARGS:
        parsed->device = state->argv[state->next];
        parsed->words = state->argv + state->next + 1;
        parsed->word_count = state->argc - state->next - 1;
        return 0;
    case ARGP_KEY_END:
        if (!parsed->device || !parsed->word_count)
            argp_error(state, "a DEVICE and an ACTION are needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse_option,
    .args_doc = "DEVICE ACTION...",
    .doc = "Moves one device through its migration states by hand, without a guest.\v"
           "DEVICE is test[:KEY=VALUE,...], vfio-user:SOCKET or vfio:BDF. The actions are executed in order:\n"
           "  get                   print the migration state\n"
           "  set STATE[,STATE...]  go to each state; print the state read back\n"
           "                        and the time that it took\n"
           "  save FILE             write the device's stream to FILE, as it is,\n"
           "                        by way of STOP_COPY\n"
           "  load FILE             give the stream in FILE to the device, by way\n"
           "                        of RESUMING and STOP\n"
           "  size                  print the estimated size of the stream\n"
           "  precopy-info          print the bytes left in PRE_COPY\n"
           "  reset                 reset the device\n"
           "A state may also be a number.",
};

static int action_get(struct by_hand *by_hand, const char *argument, struct error *error)
{
    unsigned int state;

    (void)argument;
    if (migration_get_state(by_hand->device, &state, error) < 0)
        return -1;
    printf("%s (%u)\n", migration_state_name(state), state);
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
    printf("%s (%u), %.3f ms\n", migration_state_name(reached), reached, (double)(ended - begun) / 1e6);
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
    printf("%s: %" PRIu64 " bytes in %.3f ms\n", argument, bytes, (double)(clock_now_ns() - begun) / 1e6);
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
    printf("%s: %" PRIu64 " bytes in %.3f ms\n", argument, bytes, (double)(clock_now_ns() - begun) / 1e6);
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
    printf("%" PRIu64 "\n", bytes);
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
    printf("initial_bytes %llu, dirty_bytes %llu%s\n", (unsigned long long)info.initial_bytes,
           (unsigned long long)info.dirty_bytes, info.flags & VFIO_PRECOPY_INFO_REINIT ? ", reinit" : "");
    return 0;
}

static int action_reset(struct by_hand *by_hand, const char *argument, struct error *error)
{
    (void)argument;
    return by_hand->device->ops->reset(by_hand->device, error);
}

static const struct action {
    const char *name;
    const char *argument; /* what must follow, NULL for nothing */
    int (*execute)(struct by_hand *by_hand, const char *argument, struct error *error);
    int (*check)(const char *argument, struct error *error); /* of the argument, before a device is opened */
} actions[] = {
    {"get", NULL, action_get, NULL},     {"set", "STATE[,STATE...]", action_set, check_set},
    {"save", "FILE", action_save, NULL}, {"load", "FILE", action_load, NULL},
    {"size", NULL, action_size, NULL},   {"precopy-info", NULL, action_precopy_info, NULL},
    {"reset", NULL, action_reset, NULL},
};

static const struct action *find_action(const char *name)
{
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
        if (!strcmp(actions[i].name, name))
            return &actions[i];
    return NULL;
}

/* Before anything is done to the device. */
static int check_actions(const struct state_options *parsed, struct error *error)
{
    for (int i = 0; i < parsed->word_count; i++) {
        const struct action *action = find_action(parsed->words[i]);

        if (!action)
            return error_set(error, 0,
                             "there is no action '%s'; there are get, set, save, load, size, precopy-info "
                             "and reset",
                             parsed->words[i]);
        if (action->argument && ++i == parsed->word_count)
            return error_set(error, 0, "%s: %s is missing", action->name, action->argument);
        if (action->check && action->check(parsed->words[i], error) < 0)
            return error_prefix(error, "%s", action->name);
    }
    return 0;
}

static int execute_all(struct by_hand *by_hand, const struct state_options *parsed, struct error *error)
{
    for (int i = 0; i < parsed->word_count; i++) {
        const struct action *action = find_action(parsed->words[i]);
        const char *argument = action->argument ? parsed->words[++i] : NULL;

        if (action->execute(by_hand, argument, error) < 0)
            return error_prefix(error, "%s%s%s", action->name, argument ? " " : "", argument ? argument : "");
        fflush(stdout);
    }
    return 0;
}

static int by_hand_run(const struct state_options *parsed, const struct device_spec *spec)
{
    struct opened_device opened;
    struct by_hand by_hand = {.stay = parsed->stay};
    struct error error = ERROR_INIT;
    int status = STATUS_INTACT;

    if (device_open(spec, parsed->device_program, parsed->timeout_ns, &opened, &error) < 0)
        return command_error("state", &error);
    by_hand.device = opened.device;
    /* What the device refuses is a failure of it, whether or not it may refuse it. */
    if (execute_all(&by_hand, parsed, &error) < 0) {
        command_error("state", &error);
        status = STATUS_BROKEN;
    }
    if (by_hand.session)
        by_hand.device->ops->session_close(by_hand.session);
    if (device_close(&opened, &error) < 0) {
        command_error("state", &error);
        status = STATUS_BROKEN;
    }
    return status;
}

int cmd_state(int argc, char **argv)
{
    static char name[] = "stopcopy state";
    struct state_options parsed = {.timeout_ns = DEVICE_TIMEOUT_NS};
    struct device_spec spec;
    struct error error = ERROR_INIT;
    int status;

    argv[0] = name;
    argp_err_exit_status = STATUS_USAGE;
    if (argp_parse(&argp, argc, argv, 0, NULL, &parsed))
        return STATUS_USAGE;
    if (check_actions(&parsed, &error) < 0 || device_spec_parse(parsed.device, &spec, &error) < 0)
        return command_error("state", &error);
    spec.kernel.way = parsed.way;
    status = by_hand_run(&parsed, &spec);
    device_spec_free(&spec);
    return status;
}
