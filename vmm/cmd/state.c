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
#include "vmm/cmd/state_actions.h"

/* A line of a script. */
#define LINE_WORDS 2
#define LINE_SIZE 4096

struct state_options {
    const char *device;
    const char *device_program;
    uint64_t timeout_ns;
    enum kernel_way way;
    bool stay;
    bool keep_going;
    const char *uapi_log;
    bool json;
    char **words; /* the actions, in order; none: they are read from standard input */
    int word_count;
};

enum {
    OPTION_DEVICE_PROGRAM = 256,
    OPTION_TIMEOUT,
    OPTION_VFIO,
    OPTION_STAY,
    OPTION_JSON,
    OPTION_UAPI_LOG,
    OPTION_KEEP_GOING = 'k',
};

static const struct argp_option options[] = {
    {"device-program", OPTION_DEVICE_PROGRAM, "FILE", 0, "The server of test devices (default: stopcopy-device)", 0},
    {"vfio", OPTION_VFIO, "group|cdev", 0, "The way to a device of the kernel's (default: cdev where there is one)", 0},
    {"timeout", OPTION_TIMEOUT, "TIME", 0, "How long the device may take for one answer (default: 5s)", 0},
    {"stay", OPTION_STAY, NULL, 0, "After save and load, leave the device stopped instead of in the state it had", 0},
    {"keep-going", OPTION_KEEP_GOING, NULL, 0, "Go on after an action that failed", 0},
    {"uapi-log", OPTION_UAPI_LOG, "FILE", 0, "Write every call to the device to FILE, a line of JSON each", 0},
    {"json", OPTION_JSON, NULL, 0, "A JSON object in a line for each action", 0},
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
    case OPTION_UAPI_LOG:
        parsed->uapi_log = argument;
        return 0;
    case OPTION_KEEP_GOING:
        parsed->keep_going = true;
        return 0;
    case OPTION_JSON:
        parsed->json = true;
        return 0;
    case ARGP_KEY_ARGS:
        parsed->device = state->argv[state->next];
        parsed->words = state->argv + state->next + 1;
        parsed->word_count = state->argc - state->next - 1;
        return 0;
    case ARGP_KEY_END:
        if (!parsed->device)
            argp_error(state, "a DEVICE is needed");
        if (parsed->word_count == 1 && !strcmp(parsed->words[0], "-"))
            parsed->word_count = 0;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse_option,
    .args_doc = "DEVICE [ACTION...|-]",
    .doc = "Moves one device through its migration states by hand, without a guest.\v"
           "DEVICE is test[:KEY=VALUE,...], vfio-user:SOCKET or vfio:BDF. The actions are executed in order,\n"
           "up to the first that fails; without any, or with -, they are read from standard input, one a line, where\n"
           "what follows # is a comment:\n"
           "  get                   print the migration state\n"
           "  set STATE[,STATE...]  go to each state; print the state read back\n"
           "                        and the time that it took\n"
           "  save FILE             write the device's stream to FILE, as it is,\n"
           "                        by way of STOP_COPY\n"
           "  load FILE             give the stream in FILE to the device, by way\n"
           "                        of RESUMING and STOP\n"
           "  read N                read up to N bytes of the data session once\n"
           "  size                  print the estimated size of the stream\n"
           "  precopy-info          print the bytes left in PRE_COPY\n"
           "  reset                 reset the device\n"
           "A state may also be a number.\n\n"
           "Examples:\n"
           "  stopcopy state test get set STOP_COPY\n"
           "  stopcopy state test save state.bin load state.bin",
};

/* Before anything is done to the device. */
static int check_action(const struct state_action *action, const char *name, const char *argument, struct error *error)
{
    if (!action)
        return error_set(
            error, 0, "there is no action '%.40s'; there are get, set, save, load, read, size, precopy-info and reset",
            name);
    if (action->argument && !argument)
        return error_set(error, 0, "%s: %s is missing", action->name, action->argument);
    if (action->check && action->check(argument, error) < 0)
        return error_prefix(error, "%s", action->name);
    return 0;
}

static int check_words(const struct state_options *parsed, struct error *error)
{
    for (int i = 0; i < parsed->word_count; i++) {
        const char *name = parsed->words[i];
        const struct state_action *action = state_action_find(name);
        bool last = i + 1 == parsed->word_count;
        const char *argument = action && action->argument && !last ? parsed->words[++i] : NULL;

        if (check_action(action, name, argument, error) < 0)
            return -1;
    }
    return 0;
}

/* What the action said, in one line. */
static void print_json(struct by_hand *by_hand, const char *name, const char *argument, const struct error *error)
{
    json_t *line = json_pack("{s:s,s:s*,s:b,s:O}", "action", name, "argument", argument, "ok", !error, "answers",
                             by_hand->answers);

    if (line && error) {
        const char *symbol = error->number ? strerrorname_np(error->number) : NULL;

        json_object_set_new(line, "error", json_string(error->text));
        if (symbol)
            json_object_set_new(line, "errno", json_string(symbol));
        if (error->rule[0])
            json_object_set_new(line, "rule", json_string(error->rule));
    }
    json_dumpf(line, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(line);
    json_array_clear(by_hand->answers);
}

/* What the device answered is said with the name of its errno, which a driver's source has. */
static void print_failure(struct error *error)
{
    const char *symbol = error->number ? strerrorname_np(error->number) : NULL;
    struct error said = *error;

    if (symbol)
        error_set(&said, 0, "%.700s (%s)", error->text, symbol);
    command_error("state", &said);
}

/* Does one. What the device refuses is a failure of it, whether or not it may refuse it. */
static enum status execute(struct by_hand *by_hand, const char *name, const char *argument)
{
    const struct state_action *action = state_action_find(name);
    struct error error = ERROR_INIT;
    bool failed = action->execute(by_hand, argument, &error) < 0;

    if (failed)
        error_prefix(&error, "%s%s%s", name, argument ? " " : "", argument ? argument : "");
    if (by_hand->answers)
        print_json(by_hand, name, argument, failed ? &error : NULL);
    if (failed)
        print_failure(&error);
    fflush(stdout);
    return failed ? STATUS_BROKEN : STATUS_INTACT;
}

static enum status execute_words(struct by_hand *by_hand, const struct state_options *parsed)
{
    enum status status = STATUS_INTACT;

    for (int i = 0; i < parsed->word_count && (status == STATUS_INTACT || parsed->keep_going); i++) {
        const char *name = parsed->words[i];
        const char *argument = state_action_find(name)->argument ? parsed->words[++i] : NULL;
        enum status one = execute(by_hand, name, argument);

        status = status ? status : one;
    }
    return status;
}

/* One line of a script: at most an action and its argument. */
static enum status execute_line(struct by_hand *by_hand, char *line, unsigned int number)
{
    char *word[LINE_WORDS + 1] = {NULL};
    struct error error = ERROR_INIT;
    char *rest = line;
    int count = 0;

    line[strcspn(line, "#\n")] = '\0';
    while (rest && count <= LINE_WORDS) {
        char *next = strsep(&rest, " \t\r");

        if (*next)
            word[count++] = next;
    }
    if (!count)
        return STATUS_INTACT;
    if (check_action(state_action_find(word[0]), word[0], word[1], &error) == 0 &&
        count > (state_action_find(word[0])->argument ? 2 : 1))
        error_set(&error, 0, "%s: '%s' is too much", word[0], word[count - 1]);
    if (error.text[0]) {
        error_prefix(&error, "line %u", number);
        command_error("state", &error);
        return STATUS_USAGE;
    }
    return execute(by_hand, word[0], word[1]);
}

static enum status execute_script(struct by_hand *by_hand, bool keep_going)
{
    enum status status = STATUS_INTACT;
    char line[LINE_SIZE];

    for (unsigned int number = 1; (status == STATUS_INTACT || keep_going) && fgets(line, sizeof(line), stdin);
         number++) {
        enum status one = execute_line(by_hand, line, number);

        status = status ? status : one;
    }
    return status;
}

static int by_hand_run(const struct state_options *parsed, const struct device_spec *spec)
{
    struct opened_device opened;
    struct by_hand by_hand = {.stay = parsed->stay, .answers = parsed->json ? json_array() : NULL};
    struct error error = ERROR_INIT;
    enum status status;

    if (device_open(spec, parsed->device_program, parsed->timeout_ns, &opened, &error) < 0) {
        json_decref(by_hand.answers);
        return command_error("state", &error);
    }
    by_hand.device = opened.device;
    status = parsed->word_count ? execute_words(&by_hand, parsed) : execute_script(&by_hand, parsed->keep_going);
    if (by_hand.session)
        by_hand.device->ops->session_close(by_hand.session);
    if (device_close(&opened, &error) < 0) {
        command_error("state", &error);
        status = status ? status : STATUS_BROKEN;
    }
    json_decref(by_hand.answers);
    return (int)status;
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
    if (check_words(&parsed, &error) < 0 || device_spec_parse(parsed.device, &spec, &error) < 0)
        return command_error("state", &error);
    spec.kernel.way = parsed.way;
    spec.logged = parsed.uapi_log != NULL;
    spec.log_side = "state";
    if (spec.logged && (spec.log_fd = device_log_open(parsed.uapi_log, &error)) < 0)
        status = command_error("state", &error);
    else
        status = by_hand_run(&parsed, &spec);
    device_spec_free(&spec);
    return status;
}
