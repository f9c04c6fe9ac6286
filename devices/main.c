/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stopcopy-device: a reference device served over vfio-user. */
#include "config.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "devices/faults/fault.h"
#include "devices/server/server.h"
#include "lib/io.h"
#include "lib/options.h"

#define EXIT_USAGE 2

enum {
    KEY_SOCKET = 0x100,
    KEY_FD,
    KEY_MODEL,
    KEY_QUEUES,
    KEY_MEMORY,
    KEY_WINDOW,
    KEY_LATENCY,
    KEY_VECTORS,
    KEY_FEATURES,
    KEY_DIRTY_RATE,
    KEY_FAULT,
    KEY_ONCE,
    KEY_NO_SANDBOX,
    KEY_LIST,
    KEY_LIST_FAULTS
};

struct arguments {
    struct server_options server;
    bool list;
    bool list_faults;
};

const char *argp_program_version = "stopcopy-device " PACKAGE_VERSION;

static const struct argp_option options[] = {
    {"socket", KEY_SOCKET, "PATH", 0, "listen on a UNIX socket, which is made with mode 0600", 1},
    {"fd", KEY_FD, "N", 0, "serve the client at the connected socket N, and end with it", 1},
    {"once", KEY_ONCE, NULL, 0, "end when the first client has left", 1},
    {"model", KEY_MODEL, "NAME", 0, "the device: dma (default), tally or uart", 2},
    {"queues", KEY_QUEUES, "N", 0, "number of queues (2)", 2},
    {"vectors", KEY_VECTORS, "N", 0,
     "dma: number of MSI-X vectors (as many as queues); uart: 1 for an MSI (none: INTx)", 2},
    {"memory", KEY_MEMORY, "SIZE", 0, "internal memory (16M)", 2},
    {"window", KEY_WINDOW, "SIZE[,trapped]", 0, "memory in BAR2, 0 for none (64K); trapped: not to be mapped", 2},
    {"latency", KEY_LATENCY, "TIME", 0, "how long an operation takes (20us)", 2},
    {"features", KEY_FEATURES, "LIST", 0, "migration: stop-copy, +p2p, +pre-copy, or none (stop-copy+p2p)", 2},
    {"dirty-rate", KEY_DIRTY_RATE, "SIZE", 0, "internal state that changes by itself, a second (0)", 2},
    {"fault", KEY_FAULT, "NAME[,KEY=VALUE]", 0, "put a fault in; may be given more than once", 3},
    {"no-sandbox", KEY_NO_SANDBOX, NULL, 0, "leave this process all system calls, not only those that it needs", 3},
    {"list", KEY_LIST, NULL, 0, "list the models and end", 4},
    {"list-faults", KEY_LIST_FAULTS, NULL, 0, "list the faults and end", 4},
    {0},
};

/* "stop-copy+p2p+pre-copy" */
static int parse_features(const char *text, uint64_t *flags, struct error *error)
{
    static const struct {
        const char *name;
        uint64_t flag;
    } names[] = {
        {"stop-copy", VFIO_MIGRATION_STOP_COPY}, {"p2p", VFIO_MIGRATION_P2P}, {"pre-copy", VFIO_MIGRATION_PRE_COPY}};
    const char *word = text;

    *flags = 0;
    if (!strcmp(text, "none"))
        return 0;
    for (;;) {
        size_t length = strcspn(word, "+");
        uint64_t flag = 0;

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
            if (strlen(names[i].name) == length && !strncmp(word, names[i].name, length))
                flag = names[i].flag;
        if (!flag)
            return error_set(error, EINVAL, "--features: '%.*s' is none of stop-copy, p2p, pre-copy", (int)length,
                             word);
        *flags |= flag;
        if (!word[length])
            break;
        word += length + 1;
    }
    if (!(*flags & VFIO_MIGRATION_STOP_COPY))
        return error_set(error, EINVAL, "--features: '%s' leaves out stop-copy, which the others need", text);
    return 0;
}

static int parse_window(char *text, struct device_options *device, struct error *error)
{
    char *comma = strchr(text, ',');

    if (comma && strcmp(comma, ",trapped"))
        return error_set(error, EINVAL, "--window: '%s' is not 'trapped'", comma + 1);
    if (comma)
        *comma = '\0';
    device->window_trapped = comma != NULL;
    return option_parse_size(text, "--window", &device->window_size, error);
}

static int parse_fd(const char *text, int *fd, struct error *error)
{
    int type = 0;
    socklen_t size = sizeof(type);
    uint64_t number;

    if (option_parse_number(text, "--fd", 0, 1u << 20, &number, error) < 0)
        return -1;
    *fd = (int)number;
    if (getsockopt(*fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
        return error_set(error, errno, "--fd %d", *fd);
    if (type != SOCK_STREAM)
        return error_set(error, EPROTOTYPE, "--fd %d", *fd);
    return 0;
}

static int parse_fault(const char *text, struct server_options *server, struct error *error)
{
    if (server->fault_count == FAULTS_MAX)
        return error_set(error, E2BIG, "--fault: up to %u", FAULTS_MAX);
    return fault_parse(text, &server->faults[server->fault_count++], error);
}

static int take_option(int key, char *text, struct arguments *arguments, struct error *error)
{
    struct server_options *server = &arguments->server;
    struct device_options *device = &server->device;

    switch (key) {
    case KEY_SOCKET:
        server->path = text;
        return 0;
    case KEY_FD:
        return parse_fd(text, &server->fd, error);
    case KEY_MODEL:
        device->model = text;
        return 0;
    case KEY_QUEUES:
        return option_parse_number(text, "--queues", 1, UINT32_MAX, &device->queues, error);
    case KEY_VECTORS:
        return option_parse_number(text, "--vectors", 1, UINT32_MAX, &device->vectors, error);
    case KEY_MEMORY:
        return option_parse_size(text, "--memory", &device->memory_size, error);
    case KEY_WINDOW:
        return parse_window(text, device, error);
    case KEY_LATENCY:
        return option_parse_time(text, "--latency", &device->latency_ns, error);
    case KEY_FEATURES:
        return parse_features(text, &device->migration_flags, error);
    case KEY_DIRTY_RATE:
        return option_parse_size(text, "--dirty-rate", &device->dirty_rate, error);
    case KEY_FAULT:
        return parse_fault(text, server, error);
    case KEY_ONCE:
        server->once = true;
        return 0;
    case KEY_NO_SANDBOX:
        server->no_sandbox = true;
        return 0;
    case KEY_LIST:
        arguments->list = true;
        return 0;
    case KEY_LIST_FAULTS:
        arguments->list_faults = true;
        return 0;
    default:
        return 1;
    }
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    struct error error = ERROR_INIT;
    int taken = take_option(key, text, arguments, &error);

    if (taken < 0)
        argp_error(state, "%s", error.text);
    if (taken <= 0)
        return 0;
    if (key == ARGP_KEY_ARG)
        argp_error(state, "'%s' is too much", text);
    if (key == ARGP_KEY_END && !arguments->list && !arguments->list_faults &&
        (arguments->server.path == NULL) == (arguments->server.fd < 0))
        argp_error(state, "give either --socket or --fd");
    return ARGP_ERR_UNKNOWN;
}

static void list_models(void)
{
    for (const struct device_model *const *model = device_models; *model; model++)
        printf("%-8s %s\n%-8s options: %s\n", (*model)->name, (*model)->description, "", (*model)->options);
}

static void list_faults(void)
{
    for (const struct fault_row *row = fault_table(); row->name; row++)
        if (fault_row_is_of_device(row))
            printf("%s%s%s\n    %s\n", row->name, *row->options ? "," : "", row->options, row->text);
}

static void listening(const char *path)
{
    printf("listening on %s\n", path);
    fflush(stdout);
}

static void dropped(const struct error *error)
{
    fprintf(stderr, "stopcopy-device: dropped a client: %s\n", error->text);
}

/* With --fd the device is its parent's: it must not outlive it, even where others hold the socket too. */
static void follow_parent(int fd)
{
    pid_t parent = getppid();

    fcntl(fd, F_SETFD, FD_CLOEXEC);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        raise(SIGTERM);
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        .options = options,
        .parser = parse_option,
        .doc = "A reference device for the migration of passed-through devices, served over vfio-user.\v"
               "Examples:\n"
               "  stopcopy-device --socket /run/user/1000/a.sock --queues 2\n"
               "  stopcopy-device --socket a.sock --fault read-short,byte=4096",
    };
    struct arguments arguments = {.server = {.fd = -1, .listening = listening, .dropped = dropped}};
    struct error error = ERROR_INIT;

    argp_err_exit_status = EXIT_USAGE;
    device_options_defaults(&arguments.server.device);
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    if (arguments.list)
        list_models();
    if (arguments.list_faults)
        list_faults();
    if (arguments.list || arguments.list_faults)
        return EXIT_SUCCESS;
    io_raise_descriptor_limit();
    if (arguments.server.fd >= 0)
        follow_parent(arguments.server.fd);
    if (server_run(&arguments.server, &error) < 0) {
        fprintf(stderr, "stopcopy-device: %s\n", error.text);
        return error.number == EINVAL ? EXIT_USAGE : EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
