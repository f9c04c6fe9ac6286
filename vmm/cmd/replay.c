/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stopcopy replay: does again what a log of a device's calls has, or runs the command of a report. */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/cmd/cmd.h"
#include "vmm/cmd/command_error.h"
#include "vmm/cmd/device_spec.h"
#include "vmm/cmd/replay_device.h"
#include "vmm/cmd/replay_import.h"

#define WORDS_MAX 256

struct replay_options {
    const char *file;
    const char *device;
    bool trust;
    const char *name; /* of --import's device, NULL: the first */
    size_t imports;
    const char *import[REPLAY_IMPORTS_MAX];
    const char *side; /* NULL: the first line's */
};

enum {
    OPTION_SIDE = 256,
    OPTION_TRUST,
    OPTION_IMPORT,
    OPTION_NAME,
};

static const struct argp_option options[] = {
    {"side", OPTION_SIDE, "SIDE", 0, "Whose calls: source, destination, ... (default: those of the first line)", 0},
    {"import", OPTION_IMPORT, "FILE", 0,
     "Print what QEMU's trace events and strace say was done to a device, as a log (repeat; docs/capture-qemu.md)", 0},
    {"name", OPTION_NAME, "NAME", 0, "With --import: the device, as QEMU names it (default: the first)", 0},
    {"trust", OPTION_TRUST, NULL, 0, "Run a report's command with its own commands (--at, --on-finding), too", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct replay_options *parsed = state->input;

    switch (key) {
    case OPTION_TRUST:
        parsed->trust = true;
        return 0;
    case OPTION_IMPORT:
        if (parsed->imports == REPLAY_IMPORTS_MAX)
            argp_error(state, "--import more than %d times", REPLAY_IMPORTS_MAX);
        parsed->import[parsed->imports++] = argument;
        return 0;
    case OPTION_NAME:
        parsed->name = argument;
        return 0;
    case OPTION_SIDE:
        parsed->side = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (parsed->device)
            argp_error(state, "'%s' is too much", argument);
        if (parsed->file)
            parsed->device = argument;
        else
            parsed->file = argument;
        return 0;
    case ARGP_KEY_END:
        if (parsed->file && parsed->imports)
            argp_error(state, "--import prints a log, which is replayed by itself");
        if (!parsed->file && !parsed->imports)
            argp_error(state, "a FILE is needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse_option,
    .args_doc = "LOG DEVICE\nREPORT\n--import FILE...",
    .doc =
        "LOG (--uapi-log): does to DEVICE what was done to device 0 of the log, and says where its answers are others. "
        "REPORT (--report json): runs its command again. --import: makes a log of what another VMM did.\v"
        "Exit status of a log: 0 every answer was the same; 1 one was not; 2 it cannot be read.\n\n"
        "Examples:\n"
        "  stopcopy replay report.json\n"
        "  stopcopy replay calls.jsonl vfio-user:/run/a.sock\n"
        "  stopcopy replay --import qemu.log --import qemu.strace",
};

/* Line by line: a log of any length. */
static int drive(const struct replay_options *parsed, FILE *file, struct replay *replay, struct error *error)
{
    const char *side = parsed->side;
    char *first_side = NULL, *line = NULL;
    unsigned int number = 0;
    size_t room = 0;
    int result = 0;

    while (result == 0 && getline(&line, &room, file) > 0) {
        json_error_t where;
        json_t *json = json_loads(line, JSON_REJECT_DUPLICATES, &where);
        const char *whose = json_string_value(json_object_get(json, "side"));

        number++;
        if (!whose)
            result = error_set(error, 0, "%s: line %u is no line of a log: %s", parsed->file, number, where.text);
        else if (!side)
            side = first_side = strdup(whose);
        if (whose && side && !strcmp(whose, side) && !json_integer_value(json_object_get(json, "device")))
            replay_line(replay, number, json);
        json_decref(json);
    }
    free(first_side);
    free(line);
    return result;
}

static int replay_log(const struct replay_options *parsed, FILE *file)
{
    struct error error = ERROR_INIT;
    struct opened_device opened;
    struct replay replay = {0};
    struct device_spec spec;
    int result;

    if (!parsed->device) {
        error_set(&error, 0, "%s is a log of a device's calls: name the DEVICE to drive by it", parsed->file);
        return command_error("replay", &error);
    }
    if (device_spec_parse(parsed->device, &spec, &error) < 0)
        return command_error("replay", &error);
    result = device_open(&spec, NULL, DEVICE_TIMEOUT_NS, &opened, &error);
    device_spec_free(&spec);
    if (result < 0)
        return command_error("replay", &error);
    replay.device = opened.device;
    result = drive(parsed, file, &replay, &error);
    replay_end(&replay);
    device_close(&opened, NULL);
    if (result < 0)
        return command_error("replay", &error);
    printf("%" PRIu64 " calls done again, %" PRIu64 " left out, %" PRIu64 " answers were others\n", replay.done,
           replay.left_out, replay.different);
    return replay.different ? STATUS_BROKEN : STATUS_INTACT;
}

/* Does a word of a command have the shell run something, or begin anew? */
static bool is_risky(const char *word, size_t index)
{
    return !strcmp(word, "--at") || !strncmp(word, "--at=", 5) || !strncmp(word, "--on-f", 6) ||
           (index == 1 && !strcmp(word, "replay"));
}

/* Whoever made the report says what is executed: it is this program with the words of its command, and nothing else. */
static int replay_report(const struct replay_options *parsed, const json_t *report)
{
    const json_t *command = json_object_get(json_object_get(report, "manifest"), "command");
    struct error error = ERROR_INIT;
    char *words[WORDS_MAX + 1] = {NULL};
    size_t count = json_array_size(command);

    if (count < 2 || count > WORDS_MAX) {
        error_set(&error, 0, "%s is neither a log of --uapi-log nor a report with a command", parsed->file);
        return command_error("replay", &error);
    }
    fprintf(stderr, "stopcopy replay: runs what %s names, which another may have written:", parsed->file);
    for (size_t i = 0; i < count; i++) {
        words[i] = (char *)json_string_value(json_array_get(command, i));
        if (!words[i]) {
            error_set(&error, 0, "%s: a word of its command is no text", parsed->file);
            return command_error("replay", &error);
        }
        if (is_risky(words[i], i) && !parsed->trust) {
            fprintf(stderr, "\n");
            error_set(&error, 0, "%s: its command has '%.40s', which runs others: --trust allows that", parsed->file,
                      words[i]);
            return command_error("replay", &error);
        }
        fprintf(stderr, " %s", words[i]);
    }
    fprintf(stderr, "\n");
    execv("/proc/self/exe", words);
    error_set(&error, errno, "running it");
    return command_error("replay", &error);
}

int cmd_replay(int argc, char **argv)
{
    static char name[] = "stopcopy replay";
    struct replay_options parsed = {.file = NULL};
    struct error error = ERROR_INIT;
    json_t *whole;
    FILE *file;
    int status;

    argv[0] = name;
    argp_err_exit_status = STATUS_USAGE;
    if (argp_parse(&argp, argc, argv, 0, NULL, &parsed))
        return STATUS_USAGE;
    if (parsed.imports) {
        if (replay_import(parsed.import, parsed.imports, parsed.name, stdout, &error) < 0 || fflush(stdout) != 0)
            return command_error("replay", &error);
        return STATUS_INTACT;
    }
    file = fopen(parsed.file, "re");
    if (!file) {
        error_set(&error, errno, "%s", parsed.file);
        return command_error("replay", &error);
    }
    /* A log has more than one object. */
    whole = json_loadf(file, 0, NULL);
    rewind(file);
    status = json_is_object(whole) && !json_object_get(whole, "op") ? replay_report(&parsed, whole)
                                                                    : replay_log(&parsed, file);
    json_decref(whole);
    fclose(file);
    return status;
}
