/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "devices/server/server.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices/server/connection.h"
#include "devices/server/guard.h"
#include "lib/io.h"
#include "lib/sandbox.h"

#define BACKLOG 8

static int open_stop_fd(struct error *error)
{
    sigset_t signals;
    int fd;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        error_set(error, errno, "signalfd");
    return fd;
}

static bool told_to_stop(int stop_fd)
{
    struct pollfd poll_fd = {.fd = stop_fd, .events = POLLIN};

    return poll(&poll_fd, 1, 0) == 1;
}

/* A socket that nobody listens to any more is taken away; anything else at path is left alone. */
static int remove_stale(const struct sockaddr_un *address, struct error *error)
{
    struct stat status;
    int fd, connected;

    if (lstat(address->sun_path, &status) < 0)
        return 0;
    if (!S_ISSOCK(status.st_mode))
        return error_set(error, EEXIST, "%s is there and is not a socket", address->sun_path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_set(error, errno, "socket");
    connected = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN;
    close(fd);
    if (connected)
        return error_set(error, EADDRINUSE, "another server listens on %s", address->sun_path);
    if (unlink(address->sun_path) < 0)
        return error_set(error, errno, "removing the stale socket %s", address->sun_path);
    return 0;
}

static int open_listener(const char *path, struct error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    mode_t mask;
    int fd, failed;

    if (strlen(path) >= sizeof(address.sun_path))
        return error_set(error, ENAMETOOLONG, "the socket's path %s: %zu bytes are possible", path,
                         sizeof(address.sun_path) - 1);
    strcpy(address.sun_path, path);
    if (remove_stale(&address, error) < 0)
        return -1;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_set(error, errno, "socket");
    /* Mode 0600 from the first moment. */
    mask = umask(0177);
    failed = bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? errno : 0;
    umask(mask);
    if (!failed && listen(fd, BACKLOG) < 0)
        failed = errno;
    if (!failed)
        return fd;
    close(fd);
    return error_set(error, failed, "listening on %s", path);
}

static struct device *make_device(const struct server_options *options, struct device_host *host, struct error *error)
{
    const struct device_model *model = device_model_find(options->device.model);
    struct device *device;

    if (!model) {
        error_set(error, EINVAL, "there is no model '%s'; --list names them", options->device.model);
        return NULL;
    }
    device = model->create(&options->device, host, error);
    for (size_t i = 0; device && i < options->fault_count; i++) {
        struct device *layer = fault_push(&options->faults[i], device, error);

        if (!layer)
            device_destroy(device);
        device = layer;
    }
    return device;
}

static int serve_client(const struct server_options *options, int socket, int stop_fd, struct error *error)
{
    struct connection *connection = malloc(sizeof(*connection));
    struct device *device;
    int result;

    if (!connection)
        return error_set(error, ENOMEM, "a connection");
    connection_init(connection);
    device = make_device(options, &connection->host, error);
    result = device ? connection_serve(socket, stop_fd, device, connection, error) : -1;
    device_destroy(device);
    free(connection);
    return result;
}

/* The next client's socket; -1 with error, or with error->number 0 where we were told to stop. */
static int accept_client(int listener, int stop_fd, struct error *error)
{
    struct pollfd poll_fds[2] = {{.fd = listener, .events = POLLIN}, {.fd = stop_fd, .events = POLLIN}};

    for (;;) {
        int fd;

        if (poll(poll_fds, 2, -1) < 0 && errno != EINTR)
            return error_set(error, errno, "poll");
        if (poll_fds[1].revents)
            return error_set(error, 0, "told to stop");
        fd = poll_fds[0].revents ? accept4(listener, NULL, NULL, SOCK_CLOEXEC) : -1;
        if (fd >= 0)
            return fd;
        if (poll_fds[0].revents && errno != EINTR && errno != EAGAIN && errno != ECONNABORTED)
            return error_set(error, errno, "accept");
    }
}

static int serve_clients(const struct server_options *options, int listener, int stop_fd, struct error *error)
{
    for (;;) {
        int fd = accept_client(listener, stop_fd, error);
        int result;

        if (fd < 0)
            return error->number ? -1 : 0;
        result = serve_client(options, fd, stop_fd, error);
        close(fd);
        if (options->once || told_to_stop(stop_fd))
            return result;
        if (result < 0 && options->dropped)
            options->dropped(error);
    }
}

/* A device that cannot be made is found out before anybody connects. */
static int try_device(const struct server_options *options, struct error *error)
{
    struct connection *connection = malloc(sizeof(*connection));
    struct device *device;

    if (!connection)
        return error_set(error, ENOMEM, "a connection");
    connection_init(connection);
    device = make_device(options, &connection->host, error);
    device_destroy(device);
    free(connection);
    return device ? 0 : -1;
}

/* Everything is open that a device and its clients need: what they send is read from here on. */
static int enter_sandbox(const struct server_options *options, struct error *error)
{
    const char *why;

    if (options->no_sandbox || !sandbox_possible(&why))
        return 0;
    return sandbox_enter(SANDBOX_SERVER | (options->path ? SANDBOX_LISTENS : 0), NULL, 0, error);
}

int server_run(const struct server_options *options, struct error *error)
{
    int stop_fd, listener, result;

    if (try_device(options, error) < 0)
        return -1;
    stop_fd = open_stop_fd(error);
    if (stop_fd < 0)
        return -1;
    guard_install();
    if (!options->path) {
        result = enter_sandbox(options, error) < 0 ? -1 : serve_client(options, options->fd, stop_fd, error);
        close(stop_fd);
        return result;
    }
    listener = open_listener(options->path, error);
    if (listener < 0) {
        close(stop_fd);
        return -1;
    }
    result = enter_sandbox(options, error);
    if (result == 0 && options->listening)
        options->listening(options->path);
    if (result == 0)
        result = serve_clients(options, listener, stop_fd, error);
    unlink(options->path);
    close(listener);
    close(stop_fd);
    return result;
}
