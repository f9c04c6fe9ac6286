/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stopcopy inspect: what is in a file, and what is wrong with it. */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/io.h"
#include "vmm/cmd/cmd.h"
#include "vmm/cmd/command_error.h"
#include "vmm/cmd/inspect_device.h"
#include "vmm/cmd/inspect_stream.h"
#include "vmm/migrate/channel_file.h"

#define PIECE 65536
/* Type, of a migration's first record: HELLO. */
#define FIRST_TYPE 1u

struct inspect_options {
    const char *file;
    const char *extract;
    bool json;
    bool records;
};

enum {
    OPTION_JSON = 256,
    OPTION_RECORDS,
    OPTION_EXTRACT,
};

static const struct argp_option options[] = {
    {"json", OPTION_JSON, NULL, 0, "One JSON object", 0},
    {"records", OPTION_RECORDS, NULL, 0, "List every record of a migration's stream", 0},
    {"extract", OPTION_EXTRACT, "DIR", 0,
     "Write each device's raw stream, the board's tree and the states to new files in DIR", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct inspect_options *parsed = state->input;

    switch (key) {
    case OPTION_JSON:
        parsed->json = true;
        return 0;
    case OPTION_RECORDS:
        parsed->records = true;
        return 0;
    case OPTION_EXTRACT:
        parsed->extract = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (parsed->file)
            argp_error(state, "one FILE only");
        parsed->file = argument;
        return 0;
    case ARGP_KEY_END:
        if (!parsed->file)
            argp_error(state, "a FILE is needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse_option,
    .args_doc = "FILE",
    .doc = "Says what is in a stream that was saved in a file, and what is wrong with it, without trusting it.\v"
           "FILE is a migration's, as stopcopy source --to file:FILE makes it, or a device's own, as stopcopy state "
           "DEVICE save FILE does. Exit status: 0 nothing is wrong; 1 something is; 2 it cannot be read.\n\n"
           "Examples:\n"
           "  stopcopy inspect guest.saved --records\n"
           "  stopcopy inspect guest.saved --extract parts",
};

static uint64_t number(const json_t *object, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(object, name));
}

static void print_device(const json_t *device, const char *indent)
{
    const char *wrong = json_string_value(json_object_get(device, "wrong"));
    const char *model = json_string_value(json_object_get(device, "model"));
    json_t *section;
    size_t index;

    printf("%" PRIu64 " bytes, xxh3 %s, %s%s\n", number(device, "bytes"),
           json_string_value(json_object_get(device, "digest")),
           model ? "reference device " : "not a reference device's", model ? model : "");
    json_array_foreach (json_object_get(device, "sections"), index, section)
        printf("%s  %10" PRIu64 "  %-13s %6" PRIu64 " x  %10" PRIu64 " bytes\n", indent, number(section, "at"),
               json_string_value(json_object_get(section, "name")), number(section, "count"), number(section, "bytes"));
    if (wrong)
        printf("%s  WRONG at byte %" PRIu64 ": %s\n", indent, number(device, "wrong_at"), wrong);
}

static void print_migration(const json_t *result)
{
    const json_t *board = json_object_get(result, "board");
    const json_t *ram = json_object_get(result, "ram");
    const json_t *vcpus = json_object_get(result, "vcpus");
    json_t *entry;
    size_t index;

    printf("migration stream, version %" PRIu64 ": %" PRIu64 " records, %" PRIu64 " bytes\n", number(result, "version"),
           number(result, "records"), number(result, "bytes"));
    if (board)
        printf("board: %" PRIu64 " vCPUs, %" PRIu64 " MiB, %" PRIu64 " devices\n", number(board, "vcpus"),
               number(board, "memory") >> 20, number(board, "devices"));
    printf("RAM: %" PRIu64 " bytes in %" PRIu64 " records, %" PRIu64 " of zeroes; %" PRIu64 " digests\n",
           number(ram, "bytes"), number(ram, "records"), number(ram, "zero_records"), number(ram, "digests"));
    printf("vCPUs: %" PRIu64 " states, %" PRIu64 " bytes\n", number(vcpus, "count"), number(vcpus, "bytes"));
    json_array_foreach (json_object_get(result, "devices"), index, entry) {
        printf("device %" PRIu64 ": ", number(entry, "index"));
        print_device(entry, "  ");
    }
    json_array_foreach (json_object_get(result, "list"), index, entry)
        printf("  %8zu  at %10" PRIu64 "  %-12s %3" PRIu64 "  %8" PRIu64 " bytes\n", index, number(entry, "at"),
               json_string_value(json_object_get(entry, "type")), number(entry, "instance"), number(entry, "bytes"));
    json_array_foreach (json_object_get(result, "wrong"), index, entry)
        printf("WRONG in record %" PRIu64 ", at byte %" PRIu64 ": %s\n", number(entry, "record"), number(entry, "at"),
               json_string_value(json_object_get(entry, "text")));
    if (!json_array_size(json_object_get(result, "wrong")))
        printf("nothing is wrong with it\n");
}

/* A device's own stream. */
static json_t *inspect_own(int fd, const char *name, struct error *error)
{
    struct inspect_device device;
    json_t *result = NULL;
    char piece[PIECE];
    ssize_t count = 0;

    if (inspect_device_begin(&device) < 0)
        error_set(error, ENOMEM, "%s", name);
    else
        while ((count = read(fd, piece, sizeof(piece))) > 0)
            inspect_device_feed(&device, piece, (size_t)count);
    inspect_device_finish(&device);
    if (count < 0)
        error_set(error, errno, "%s", name);
    else if (device.sections)
        result = inspect_device_json(&device);
    json_object_set_new(result, "format", json_string("device"));
    inspect_device_free(&device);
    return result;
}

static int open_folder(const char *path, struct error *error)
{
    int fd;

    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return error_set(error, errno, "--extract: %s", path);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? error_set(error, errno, "--extract: %s", path) : fd;
}

static json_t *inspect(const struct inspect_options *parsed, int fd, int folder, struct error *error)
{
    uint8_t first[4] = {0};

    if (pread(fd, first, sizeof(first), 0) == sizeof(first) && first[0] == FIRST_TYPE && !first[1] && !first[2] &&
        !first[3])
        return inspect_stream(fd, parsed->file, parsed->records, folder, error);
    return inspect_own(fd, parsed->file, error);
}

static int print(const struct inspect_options *parsed, const json_t *result)
{
    bool migration = !strcmp(json_string_value(json_object_get(result, "format")), "migration");
    const json_t *wrong = json_object_get(result, "wrong");

    if (parsed->json) {
        json_dumpf(result, stdout, JSON_INDENT(1));
        putchar('\n');
    } else if (migration) {
        print_migration(result);
    } else {
        printf("device's stream: ");
        print_device(result, "");
    }
    return json_is_string(wrong) || json_array_size(wrong) ? STATUS_BROKEN : STATUS_INTACT;
}

int cmd_inspect(int argc, char **argv)
{
    static char name[] = "stopcopy inspect";
    struct inspect_options parsed = {.file = NULL};
    struct error error = ERROR_INIT;
    json_t *result = NULL;
    int folder = -1;
    int status, fd;

    argv[0] = name;
    argp_err_exit_status = STATUS_USAGE;
    if (argp_parse(&argp, argc, argv, 0, NULL, &parsed))
        return STATUS_USAGE;
    fd = channel_file_open(parsed.file, &error);
    if (fd >= 0 && (!parsed.extract || (folder = open_folder(parsed.extract, &error)) >= 0))
        result = inspect(&parsed, fd, folder, &error);
    status = result ? print(&parsed, result) : command_error("inspect", &error);
    json_decref(result);
    io_close(&folder);
    io_close(&fd);
    return status;
}
