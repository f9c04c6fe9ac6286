/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cmd/user_command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEANWHILE_MS 1000
/* Where the process cannot be waited for by a descriptor. */
#define LOOK_MS 20

void user_environment_add(struct user_environment *environment, const char *name, const char *format, ...)
{
    char value[1024];
    va_list arguments;
    char *variable;

    va_start(arguments, format);
    vsnprintf(value, sizeof(value), format, arguments);
    va_end(arguments);
    if (environment->count == USER_COMMAND_VARIABLES || asprintf(&variable, "%s=%s", name, value) < 0)
        return;
    environment->variable[environment->count++] = variable;
}

void user_environment_free(struct user_environment *environment)
{
    while (environment->count)
        free(environment->variable[--environment->count]);
}

/* Ours with the others; the strings stay their owners'. */
static char **join_environment(const struct user_environment *environment)
{
    size_t own = 0, count = 0;
    char **joined;

    while (environ[own])
        own++;
    joined = calloc(own + environment->count + 1, sizeof(*joined));
    if (!joined)
        return NULL;
    for (unsigned int i = 0; i < environment->count; i++)
        joined[count++] = environment->variable[i];
    for (size_t i = 0; i < own; i++)
        if (strncmp(environ[i], "STOPCOPY_", 9) || !strncmp(environ[i], "STOPCOPY_DEVICE=", 16))
            joined[count++] = environ[i];
    return joined;
}

static int spawn(const char *command, char **environment, pid_t *child)
{
    char *const words[] = {"sh", "-c", (char *)command, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, pipe;
    int result;

    sigemptyset(&none);
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &pipe);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    result = posix_spawn(child, "/bin/sh", &files, &attributes, words, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return result;
}

pid_t user_command_start(const char *command, const struct user_environment *environment, struct error *error)
{
    char **joined = join_environment(environment);
    pid_t child = -1;
    int number = joined ? spawn(command, joined, &child) : ENOMEM;

    free(joined);
    return number ? error_set(error, number, "starting the command '%.200s'", command) : child;
}

static int check_end(int status, bool killed, struct error *error)
{
    if (killed)
        return error_set(error, 0, "it did not end in time, and was killed");
    if (WIFSIGNALED(status))
        return error_set(error, 0, "it was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    if (WEXITSTATUS(status))
        return error_set(error, 0, "it ended with status %d", WEXITSTATUS(status));
    return 0;
}

int user_command_wait(pid_t command, struct deadline deadline, void (*meanwhile)(void *context), void *context,
                      struct error *error)
{
    struct pollfd poll_fd = {.events = POLLIN, .fd = (int)syscall(SYS_pidfd_open, command, 0)};
    int period = poll_fd.fd < 0 ? LOOK_MS : MEANWHILE_MS;
    bool killed = false;
    int status = 0;

    while (waitpid(command, &status, WNOHANG) == 0) {
        int left = deadline_poll_ms(deadline);

        if (!left) {
            kill(-command, SIGKILL);
            killed = true;
            waitpid(command, &status, 0);
            break;
        }
        poll(&poll_fd, 1, left < period ? left : period);
        if (meanwhile)
            meanwhile(context);
    }
    if (poll_fd.fd >= 0)
        close(poll_fd.fd);
    return check_end(status, killed, error);
}
