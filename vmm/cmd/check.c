/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stopcopy check: the rules of the uAPI against one device, without KVM. */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/options.h"
#include "vmm/check/print.h"
#include "vmm/cmd/cmd.h"
#include "vmm/cmd/command_error.h"
#include "vmm/cmd/device_spec.h"
#include "vmm/report/baseline.h"
#include "vmm/report/report.h"
#include "vmm/vfio/migration.h"

#define REPORTS_MAX 8
#define TIME_LIMIT_NS 600000000000u
#define REOPEN_MS 2000
#define STOP_HOLD_NS 100000000u

struct check_options {
    const char *device;
    const char *other;
    const char *device_program;
    const char *known;
    const char *uapi_log;
    const char *explain;
    bool list;
    bool markdown;
    uint64_t timeout_ns;
    struct check_plan plan;
    const char *baseline;
    json_t *baseline_report;
    int words; /* as it was called */
    char **word;
    size_t report_count;
    struct report_target report[REPORTS_MAX];
};

/* What opens the device: a struct check_opener's. */
struct opener_state {
    const struct check_options *options;
    const struct device_spec *spec;
    const struct device_spec *other;
    struct opened_device opened;
    bool opened_before;
};

enum {
    OPTION_DEVICE_PROGRAM = 256,
    OPTION_TIMEOUT,
    OPTION_ONLY,
    OPTION_SKIP,
    OPTION_LIST,
    OPTION_MARKDOWN,
    OPTION_EXPLAIN,
    OPTION_SEED,
    OPTION_KNOWN,
    OPTION_HAZARD,
    OPTION_TIME_LIMIT,
    OPTION_STOP_HOLD,
    OPTION_UAPI_LOG,
    OPTION_OTHER,
    OPTION_REPORT,
    OPTION_BASELINE,
};

static const struct argp_option options[] = {
    {"only", OPTION_ONLY, "GLOB", 0, "Try only the rules with such names (repeat)", 0},
    {"skip", OPTION_SKIP, "GLOB", 0, "Leave the rules with such names out (repeat)", 0},
    {"known", OPTION_KNOWN, "FILE", 0, "Accepted deviations: a rule on each line, and why after a #", 0},
    {"hazard", OPTION_HAZARD, "none|reset|all", 0,
     "What may be done to the device: reset it, and (all) give it bad streams (default: all; reset for vfio:)", 0},
    {"time-limit", OPTION_TIME_LIMIT, "TIME", 0, "How long all of it may take (default: 10min)", 0},
    {"stop-hold", OPTION_STOP_HOLD, "TIME", 0, "How long a stopped device is watched (default: 100ms)", 0},
    {"seed", OPTION_SEED, "N", 0, "What is picked by chance (default: 1)", 0},
    {"other", OPTION_OTHER, "DEVICE", 0, "A device of another kind, whose stream has to be refused", 0},
    {"report", OPTION_REPORT, "FORMAT[:FILE]", 0, "text, json, tap or junit (repeat; default: text)", 0},
    {"baseline", OPTION_BASELINE, "FILE", 0, "Compare with an earlier report, in JSON", 0},
    {"list", OPTION_LIST, NULL, 0, "Print the rules, and try none", 1},
    {"markdown", OPTION_MARKDOWN, NULL, 0, "With --list: as the page docs/rules.md", 1},
    {"explain", OPTION_EXPLAIN, "RULE", 0, "Print what a rule rests on, and what usually breaks it", 1},
    {"device-program", OPTION_DEVICE_PROGRAM, "FILE", 0, "The server of test devices (default: stopcopy-device)", 2},
    {"timeout", OPTION_TIMEOUT, "TIME", 0, "How long the device may take for one answer (default: 5s)", 2},
    {"uapi-log", OPTION_UAPI_LOG, "FILE", 0, "Write every call to the device to FILE, a line of JSON each", 2},
    {NULL, 0, NULL, 0, NULL, 0},
};

static void take_time(struct argp_state *state, const char *argument, const char *option, uint64_t *ns)
{
    struct error error = ERROR_INIT;

    if (option_parse_time(argument, option, ns, &error) < 0)
        argp_error(state, "%s", error.text);
}

static void take_pattern(struct argp_state *state, const char *argument, const char *option, const char **patterns,
                         size_t *count)
{
    if (*count == CHECK_PATTERNS_MAX)
        argp_error(state, "%s more than %d times", option, CHECK_PATTERNS_MAX);
    patterns[(*count)++] = argument;
}

static void take_hazard(struct argp_state *state, const char *argument, struct check_plan *plan)
{
    static const char *const names[] = {[CHECK_HAZARD_NONE] = "none",
                                        [CHECK_HAZARD_RESET] = "reset",
                                        [CHECK_HAZARD_HANG] = NULL,
                                        [CHECK_HAZARD_BAD_IMAGE] = "all"};

    for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!names[i] || strcmp(argument, names[i]))
            continue;
        plan->hazard = (enum check_hazard)i;
        plan->hazard_given = true;
        return;
    }
    argp_error(state, "--hazard %s: there are none, reset and all", argument);
}

static void take_report(struct argp_state *state, const char *argument, struct check_options *parsed)
{
    struct report_target *target = &parsed->report[parsed->report_count];
    struct error error = ERROR_INIT;

    if (parsed->report_count == REPORTS_MAX)
        argp_error(state, "--report more than %d times", REPORTS_MAX);
    if (report_parse_target(argument, target, &error) < 0)
        argp_error(state, "%s", error.text);
    if (!strcmp(target->format, "trace") || !strcmp(target->format, "html"))
        argp_error(state, "--report %s: the formats of a check are text, json, tap and junit", argument);
    parsed->report_count++;
}

static error_t parse_plan(int key, char *argument, struct argp_state *state)
{
    struct check_options *parsed = state->input;
    struct check_plan *plan = &parsed->plan;
    struct error error = ERROR_INIT;

    switch (key) {
    case OPTION_ONLY:
        take_pattern(state, argument, "--only", plan->only, &plan->only_count);
        return 0;
    case OPTION_SKIP:
        take_pattern(state, argument, "--skip", plan->skip, &plan->skip_count);
        return 0;
    case OPTION_SEED:
        if (option_parse_number(argument, "--seed", 0, UINT64_MAX, &plan->seed, &error) < 0)
            argp_error(state, "%s", error.text);
        return 0;
    case OPTION_HAZARD:
        take_hazard(state, argument, plan);
        return 0;
    case OPTION_TIME_LIMIT:
        take_time(state, argument, "--time-limit", &plan->time_limit_ns);
        return 0;
    case OPTION_STOP_HOLD:
        take_time(state, argument, "--stop-hold", &plan->stop_hold_ns);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct check_options *parsed = state->input;

    switch (key) {
    case OPTION_DEVICE_PROGRAM:
        parsed->device_program = argument;
        return 0;
    case OPTION_TIMEOUT:
        take_time(state, argument, "--timeout", &parsed->timeout_ns);
        return 0;
    case OPTION_LIST:
        parsed->list = true;
        return 0;
    case OPTION_MARKDOWN:
        parsed->markdown = true;
        return 0;
    case OPTION_EXPLAIN:
        parsed->explain = argument;
        return 0;
    case OPTION_KNOWN:
        parsed->known = argument;
        return 0;
    case OPTION_UAPI_LOG:
        parsed->uapi_log = argument;
        return 0;
    case OPTION_OTHER:
        parsed->other = argument;
        return 0;
    case OPTION_REPORT:
        take_report(state, argument, parsed);
        return 0;
    case OPTION_BASELINE:
        parsed->baseline = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (parsed->device)
            argp_error(state, "one DEVICE only");
        parsed->device = argument;
        return 0;
    case ARGP_KEY_END:
        if (parsed->markdown && !parsed->list)
            argp_error(state, "--markdown goes with --list");
        if (!parsed->device && !parsed->list && !parsed->explain)
            argp_error(state, "a DEVICE is missing");
        return 0;
    default:
        return parse_plan(key, argument, state);
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse_option,
    .args_doc = "DEVICE",
    .doc =
        "Tries the rules of the uAPI on one device, without KVM and without a guest.\v"
        "DEVICE is test[:KEY=VALUE,...], vfio-user:SOCKET or vfio:BDF. What it held is lost: it is saved, loaded and "
        "reset. Exit status: 0 every rule that applies held; 1 a must was broken; 7 nothing is broken, and a must "
        "could not be tried; 2 the command line is wrong or the device cannot be opened.\n\n"
        "Examples:\n"
        "  stopcopy check test\n"
        "  stopcopy check vfio-user:/run/a.sock --skip 'reset/*' --report json:check.json\n"
        "  stopcopy check --explain fsm/pairs",
};

/* A socket that is not there yet, or that the server before left behind. */
static bool is_starting(int number)
{
    return number == ENOENT || number == ECONNREFUSED || number == ECONNRESET || number == EPIPE;
}

/* A server that ends with its client may be started anew by whoever started it: it gets some time for that. */
static struct vfio_device *open_device(void *opaque, struct error *error)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    struct opener_state *state = opaque;
    struct deadline deadline = deadline_in_ms(state->opened_before ? REOPEN_MS : 0);

    while (device_open(state->spec, state->options->device_program, state->options->timeout_ns, &state->opened, error) <
           0) {
        if (!is_starting(error->number) || deadline_expired(deadline))
            return NULL;
        nanosleep(&pause, NULL);
    }
    state->opened_before = true;
    return state->opened.device;
}

static void close_device(void *opaque, struct vfio_device *device)
{
    struct opener_state *state = opaque;

    (void)device;
    /* A server that died is a finding of the rule in which it did. */
    device_close(&state->opened, NULL);
}

static pid_t get_server(void *opaque)
{
    const struct opener_state *state = opaque;

    return state->opened.server;
}

static int add_to_image(void *context, const void *data, size_t size, struct error *error)
{
    struct buffer *image = context;

    buffer_put(image, data, size);
    return image->failed || image->size > CHECK_IMAGE_MAX ? error_set(error, E2BIG, "the stream is too long") : 0;
}

/* A stream of a device of another kind, which is opened for it and closed again. */
static int save_other(void *opaque, struct buffer *image, struct error *error)
{
    const struct opener_state *state = opaque;
    struct opened_device opened;
    struct vfio_data_session *session = NULL;
    uint8_t piece[4096];
    uint64_t bytes;
    int result = -1;

    if (device_open(state->other, state->options->device_program, state->options->timeout_ns, &opened, error) < 0)
        return -1;
    if (migration_set_state(opened.device, VFIO_DEVICE_STATE_STOP_COPY, error) < 0)
        goto out;
    session = opened.device->ops->take_session(opened.device);
    if (!session)
        error_set(error, 0, "%s: no data transfer session came with STOP_COPY", opened.device->name);
    else
        result = migration_read_all(session, piece, sizeof(piece), add_to_image, image, &bytes, error);
    if (session)
        opened.device->ops->session_close(session);
out:
    /* The stream is whole, however its server ends. */
    device_close(&opened, NULL);
    return result;
}

static int print_string(json_t *text, FILE *file)
{
    return fputs(json_string_value(text), file) == EOF ? -1 : 0;
}

/* With what every report has: the command to run it again, and the comparison with an earlier one. */
static json_t *build_report(const struct check_options *parsed, const struct check_run *run)
{
    json_t *report = check_build_json(run);
    struct error error = ERROR_INIT;

    json_object_set_new(report, "manifest", report_manifest("check", parsed->words, parsed->word, parsed->plan.seed));
    json_object_set_new(report, "baseline", json_null());
    if (parsed->baseline_report && baseline_add(report, parsed->baseline_report, parsed->baseline, &error) < 0)
        command_error("check", &error);
    return report;
}

/* The text, printed into memory first, as a report's file is written whole. */
static int write_text(const struct check_run *run, const json_t *report, const char *file, struct error *error)
{
    char *text = NULL;
    size_t size;
    FILE *memory = open_memstream(&text, &size);
    int printed = -1;
    json_t *json = NULL;
    int result = -1;

    /* The verdict is the last line. */
    if (memory) {
        baseline_print_text(report, memory);
        printed = check_print_text(run, memory);
    }
    if (memory && fclose(memory) == 0 && printed == 0)
        json = json_string(text);
    if (json)
        result = report_write_by(json, print_string, file, error);
    else
        error_set(error, ENOMEM, "making the report");
    json_decref(json);
    free(text);
    return result;
}

static int write_reports(const struct check_options *parsed, const struct check_run *run, json_t *json, int status)
{
    struct error error = ERROR_INIT;

    for (size_t i = 0; i < parsed->report_count; i++) {
        const struct report_target *target = &parsed->report[i];
        bool text = !strcmp(target->format, "text");

        if ((text ? write_text(run, json, target->file, &error) : report_write(json, target, &error)) == 0)
            continue;
        command_error("check", &error);
        status = status ? status : STATUS_USAGE;
    }
    return status;
}

/* Each line as it comes, where text goes to a person. */
static void print_progress(void *opaque, const struct check_run *run, const struct check_entry *entry)
{
    (void)opaque, (void)run;
    check_print_line(entry, stdout);
    fflush(stdout);
}

static int check_device(struct check_options *parsed, const struct device_spec *spec, const struct device_spec *other)
{
    struct opener_state state = {.options = parsed, .spec = spec, .other = other};
    const struct check_opener opener = {.opaque = &state,
                                        .open = open_device,
                                        .close = close_device,
                                        .server = get_server,
                                        .foreign_image = save_other};
    struct check_run run;
    struct error error = ERROR_INIT;
    bool live = !parsed->report_count;
    json_t *report;
    int status;

    if (check_run_all(&opener, &parsed->plan, live ? print_progress : NULL, NULL, &run, &error) < 0)
        return command_error("check", &error);
    status = check_run_status(&run);
    report = build_report(parsed, &run);
    if (live) {
        baseline_print_text(report, stdout);
        if (check_print_conclusion(&run, stdout) < 0)
            status = status ? status : STATUS_USAGE;
    }
    status = write_reports(parsed, &run, report, status);
    json_decref(report);
    check_run_free(&run);
    return status;
}

/* Of the devices that there always are, one that is of another kind. */
static const char *default_other(const struct device_spec *spec)
{
    return spec->kind == DEVICE_TEST && !strcmp(spec->model, "tally") ? "test:model=uart" : "test:model=tally";
}

static int check_named(struct check_options *parsed)
{
    struct device_spec spec, other;
    struct error error = ERROR_INIT;
    int status;

    if (parsed->baseline && !(parsed->baseline_report = baseline_read(parsed->baseline, &error)))
        return command_error("check", &error);
    if (parsed->known && check_known_read(parsed->known, &parsed->plan.known, &error) < 0)
        return command_error("check", &error);
    if (check_plan_validate(&parsed->plan, &error) < 0 || device_spec_parse(parsed->device, &spec, &error) < 0) {
        check_known_free(&parsed->plan.known);
        return command_error("check", &error);
    }
    if (!parsed->plan.hazard_given)
        parsed->plan.hazard = spec.kind == DEVICE_VFIO ? CHECK_HAZARD_RESET : CHECK_HAZARD_BAD_IMAGE;
    spec.logged = parsed->uapi_log != NULL;
    spec.log_side = "check";
    if (spec.logged && (spec.log_fd = device_log_open(parsed->uapi_log, &error)) < 0) {
        status = command_error("check", &error);
    } else if (device_spec_parse(parsed->other ? parsed->other : default_other(&spec), &other, &error) < 0) {
        status = command_error("check", &error);
    } else {
        status = check_device(parsed, &spec, &other);
        device_spec_free(&other);
    }
    device_spec_free(&spec);
    check_known_free(&parsed->plan.known);
    return status;
}

static int explain(const char *name)
{
    const struct check_rule *rule = check_rule_find(name);
    struct error error = ERROR_INIT;

    if (rule)
        return check_print_rule(rule, stdout) < 0 ? STATUS_USAGE : STATUS_INTACT;
    error_set(&error, 0, "there is no rule '%s' (stopcopy check --list has them)", name);
    return command_error("check", &error);
}

int cmd_check(int argc, char **argv)
{
    static char name[] = "stopcopy check", own[] = "check";
    struct check_options parsed = {
        .timeout_ns = DEVICE_TIMEOUT_NS,
        .plan = {.seed = 1, .time_limit_ns = TIME_LIMIT_NS, .stop_hold_ns = STOP_HOLD_NS},
    };

    parsed.words = argc;
    parsed.word = argv;
    argv[0] = name;
    argp_err_exit_status = STATUS_USAGE;
    if (argp_parse(&argp, argc, argv, 0, NULL, &parsed))
        return STATUS_USAGE;
    argv[0] = own;
    if (parsed.explain)
        return explain(parsed.explain);
    if (parsed.list)
        return (parsed.markdown ? check_print_markdown(stdout) : check_print_list(stdout)) < 0 ? STATUS_USAGE
                                                                                               : STATUS_INTACT;
    return check_named(&parsed);
}
