/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening a device, with the process of a test device's server from its start to its end. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/io.h"
#include "vmm/cmd/device_spec.h"

#define PROGRAM_NAME "stopcopy-device"
#define SERVER_FD 3 /* the socket in the server */
#define EXEC_FD 4   /* the pipe that tells why it could not be executed */
#define SERVER_END_MS 5000
/* Devices that one may stand beside. */
#define VFIO_PEERS_MAX 32
#define ARGUMENTS_MAX (24 + 2 * DEVICE_FAULTS_MAX)

/* The server's command line. */
struct arguments {
    char *list[ARGUMENTS_MAX];
    unsigned int count;
    char numbers[8][32];
    unsigned int number_count;
};

static void add(struct arguments *arguments, const char *option, const char *value)
{
    arguments->list[arguments->count++] = (char *)option;
    arguments->list[arguments->count++] = (char *)value;
}

static void add_number(struct arguments *arguments, const char *option, const struct device_option *number,
                       const char *unit)
{
    char *text = arguments->numbers[arguments->number_count];

    if (!number->given)
        return;
    arguments->number_count++;
    snprintf(text, sizeof(arguments->numbers[0]), "%" PRIu64 "%s", number->value, unit);
    add(arguments, option, text);
}

static const char *features_text(uint64_t flags)
{
    static const char *const texts[] = {"none",     "stop-copy",          "p2p",          "stop-copy+p2p",
                                        "pre-copy", "stop-copy+pre-copy", "p2p+pre-copy", "stop-copy+p2p+pre-copy"};

    return texts[flags & 7];
}

static void make_arguments(const struct device_spec *spec, const char *program, struct arguments *arguments)
{
    memset(arguments, 0, sizeof(*arguments));
    arguments->list[arguments->count++] = (char *)program;
    add(arguments, "--fd", "3");
    add(arguments, "--model", spec->model);
    add_number(arguments, "--memory", &spec->memory, "");
    add_number(arguments, "--window", &spec->window, spec->window_trapped ? ",trapped" : "");
    add_number(arguments, "--queues", &spec->queues, "");
    add_number(arguments, "--vectors", &spec->vectors, "");
    add_number(arguments, "--latency", &spec->latency, "ns");
    add_number(arguments, "--dirty-rate", &spec->dirty_rate, "");
    if (spec->features.given)
        add(arguments, "--features", features_text(spec->features.value));
    for (unsigned int i = 0; i < spec->fault_count; i++)
        add(arguments, "--fault", spec->faults[i]);
    if (spec->no_sandbox)
        arguments->list[arguments->count++] = (char *)"--no-sandbox";
}

/* The program beside the one that runs, PROGRAM_NAME (to be looked for in PATH) where there is none. */
static void find_program(const char *program, char path[PATH_MAX])
{
    const char *named = program ? program : getenv("STOPCOPY_DEVICE");
    ssize_t length;
    char *slash;

    if (named && *named) {
        snprintf(path, PATH_MAX, "%s", named);
        return;
    }
    length = readlink("/proc/self/exe", path, PATH_MAX - 1);
    path[length > 0 ? length : 0] = '\0';
    slash = strrchr(path, '/');
    if (slash && (size_t)(slash + 1 - path) + sizeof(PROGRAM_NAME) <= PATH_MAX) {
        strcpy(slash + 1, PROGRAM_NAME);
        if (access(path, X_OK) == 0)
            return;
    }
    strcpy(path, PROGRAM_NAME);
}

/* In the new process, where only what is safe after a fork of many threads may be called. Does not return. */
static void become_server(const struct arguments *arguments, int socket, int status_fd, pid_t parent)
{
    sigset_t none;
    int number;

    /* Away from the descriptors that they go to. */
    socket = fcntl(socket, F_DUPFD, EXEC_FD + 1);
    status_fd = fcntl(status_fd, F_DUPFD_CLOEXEC, EXEC_FD + 1);
    if (socket < 0 || status_fd < 0 || dup2(socket, SERVER_FD) < 0 || dup3(status_fd, EXEC_FD, O_CLOEXEC) < 0)
        goto fail;
    status_fd = EXEC_FD;
    if (close_range(EXEC_FD + 1, UINT_MAX, 0) < 0)
        goto fail;
    /* It ends with us. A Ctrl-C is for us alone: we still have to speak with it. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || setpgid(0, 0) < 0)
        goto fail;
    if (getppid() != parent)
        _exit(1);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    execvp(arguments->list[0], arguments->list);
fail:
    number = errno;
    if (write(status_fd, &number, sizeof(number)) < 0)
        _exit(2);
    _exit(1);
}

/* Starts the server and returns its process; socket is its end of the connection. */
static pid_t start_server(const struct arguments *arguments, int socket, struct error *error)
{
    int pipe_fds[2];
    int number = 0;
    pid_t parent = getpid();
    pid_t child;
    ssize_t count;

    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return error_set(error, errno, "pipe");
    child = fork();
    if (child == 0)
        become_server(arguments, socket, pipe_fds[1], parent);
    close(pipe_fds[1]);
    if (child < 0) {
        error_set(error, errno, "fork");
        close(pipe_fds[0]);
        return -1;
    }
    do
        count = read(pipe_fds[0], &number, sizeof(number));
    while (count < 0 && errno == EINTR);
    close(pipe_fds[0]);
    if (count == 0)
        return child;
    waitpid(child, NULL, 0);
    return error_set(error, count == sizeof(number) ? number : EIO,
                     "the server of test devices, %s, cannot be started (--device-program names another)",
                     arguments->list[0]);
}

static int check_end(int status, bool killed, struct error *error)
{
    if (killed)
        return error_set(error, 0,
                         "its server did not end within %d ms after the connection was closed, and was killed",
                         SERVER_END_MS);
    if (WIFSIGNALED(status))
        return error_set(error, 0, "its server was ended by signal %d (%s)", WTERMSIG(status),
                         strsignal(WTERMSIG(status)));
    if (WEXITSTATUS(status))
        return error_set(error, 0, "its server ended with status %d", WEXITSTATUS(status));
    return 0;
}

/* Waits for the end of the process, and then kills it. */
static int await_server(pid_t server, struct error *error)
{
    struct deadline deadline = deadline_in_ms(SERVER_END_MS);
    struct pollfd poll_fd = {.events = POLLIN};
    bool killed = false;
    int status = 0;
    int count = 0;

    poll_fd.fd = (int)syscall(SYS_pidfd_open, server, 0);
    if (poll_fd.fd >= 0) {
        do
            count = poll(&poll_fd, 1, deadline_poll_ms(deadline));
        while (count < 0 && errno == EINTR);
        close(poll_fd.fd);
    }
    if (count <= 0 && waitpid(server, &status, WNOHANG) == 0) {
        kill(server, SIGKILL);
        killed = true;
    }
    if (count > 0 || killed)
        while (waitpid(server, &status, 0) < 0 && errno == EINTR)
            ;
    return check_end(status, killed, error);
}

static int open_test(const struct device_spec *spec, const char *program, uint64_t timeout_ns,
                     struct opened_device *opened, struct error *error)
{
    char path[PATH_MAX];
    struct arguments arguments;
    struct error end = ERROR_INIT;
    int pair[2];

    find_program(program, path);
    make_arguments(spec, path, &arguments);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return error_set(error, errno, "socketpair");
    opened->server = start_server(&arguments, pair[1], error);
    close(pair[1]);
    if (opened->server < 0) {
        close(pair[0]);
        opened->server = 0;
        return error_prefix(error, "%s", spec->name);
    }
    opened->device = vfio_user_adopt(pair[0], spec->name, spec->dma_by_message, timeout_ns, error);
    if (opened->device)
        return 0;
    /* A server that refused its command line has said why. */
    if (await_server(opened->server, &end) < 0 && (!error || error->number != EPROTO))
        error_set(error, 0, "%s: %s", spec->name, end.text);
    opened->server = 0;
    return -1;
}

int device_open_beside(const struct device_spec *spec, const char *program, uint64_t timeout_ns,
                       struct vfio_device *const *peers, size_t peer_count, struct opened_device *opened,
                       struct error *error)
{
    struct vfio_device *inner[VFIO_PEERS_MAX];

    *opened = (struct opened_device){.device = NULL};
    for (size_t i = 0; i < peer_count && i < VFIO_PEERS_MAX; i++)
        inner[i] = uapi_log_inner(peers[i]);
    if (peer_count > VFIO_PEERS_MAX)
        peer_count = VFIO_PEERS_MAX;
    switch (spec->kind) {
    case DEVICE_TEST:
        if (open_test(spec, program, timeout_ns, opened, error) < 0)
            return -1;
        break;
    case DEVICE_VFIO_USER:
        opened->device = vfio_user_open(spec->target, spec->dma_by_message, timeout_ns, error);
        break;
    case DEVICE_VFIO:
        opened->device = kernel_open(&kernel_host_real, spec->name, spec->target, &spec->kernel, inner, peer_count,
                                     timeout_ns, error);
        break;
    }
    if (opened->device && spec->logged)
        opened->device = uapi_log_wrap(opened->device, spec->log_fd, spec->log_side, spec->log_index, error);
    if (opened->device && spec->logged && spec->keeps_streams)
        uapi_log_keep_streams(opened->device, spec->keep_fd);
    return opened->device ? 0 : -1;
}

int device_log_open(const char *path, struct error *error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);

    return fd < 0 ? error_set(error, errno, "--uapi-log %s", path) : fd;
}

int device_open(const struct device_spec *spec, const char *program, uint64_t timeout_ns, struct opened_device *opened,
                struct error *error)
{
    return device_open_beside(spec, program, timeout_ns, NULL, 0, opened, error);
}

int device_close(struct opened_device *opened, struct error *error)
{
    char name[sizeof(opened->device->name)] = "";
    pid_t server = opened->server;

    if (opened->device)
        memcpy(name, opened->device->name, sizeof(name));
    vfio_device_close(opened->device);
    *opened = (struct opened_device){.device = NULL};
    if (server && await_server(server, error) < 0)
        return error_prefix(error, "%s", name);
    return 0;
}
