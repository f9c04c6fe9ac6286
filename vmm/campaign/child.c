/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/campaign/child.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/io.h"

#define KILL_MS 10000

static _Noreturn void become(char *const *words, int in, int out, int err, pid_t parent)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
        dup2(err, STDERR_FILENO) < 0)
        _exit(127);
    execv("/proc/self/exe", words);
    _exit(127);
}

int child_start(struct child *child, char *const *words, const char *out, const char *err, struct error *error)
{
    const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW;
    int files[3] = {open("/dev/null", O_RDONLY | O_CLOEXEC), open(out, flags, 0666), open(err, flags, 0666)};
    pid_t parent = getpid(), pid = -1;

    *child = (struct child){.fd = -1};
    if (files[0] < 0 || files[1] < 0 || files[2] < 0) {
        error_set(error, errno, "opening %s and %s", out, err);
        goto out;
    }
    fflush(NULL);
    pid = fork();
    if (pid == 0)
        become(words, files[0], files[1], files[2], parent);
    if (pid < 0) {
        error_set(error, errno, "starting stopcopy %s", words[1]);
        goto out;
    }
    setpgid(pid, pid);
    child->pid = pid;
    child->fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (child->fd < 0) {
        error_set(error, errno, "watching the process of stopcopy %s", words[1]);
        child_kill(child);
        pid = -1;
    }
out:
    for (size_t i = 0; i < 3; i++)
        io_close(&files[i]);
    return pid < 0 ? -1 : 0;
}

static void forget(struct child *child)
{
    io_close(&child->fd);
    child->pid = 0;
}

bool child_ended(struct child *child, int *status)
{
    if (waitpid(child->pid, status, WNOHANG) != child->pid)
        return false;
    /* What it has left of its group has no one to answer to. */
    kill(-child->pid, SIGKILL);
    forget(child);
    return true;
}

/* A short file of /proc in one line, "" where it cannot be read. */
static void read_short(const char *process, const char *name, char *text, size_t size)
{
    char path[64];
    int fd;
    ssize_t count;

    snprintf(path, sizeof(path), "/proc/%.20s/%s", process, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    count = fd < 0 ? -1 : read(fd, text, size - 1);
    text[count > 0 ? count : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    io_close(&fd);
}

void child_describe(const struct child *child, char *text, size_t size)
{
    DIR *processes = opendir("/proc");
    struct dirent *entry;
    size_t used = 0;

    text[0] = '\0';
    while (processes && used < size && (entry = readdir(processes))) {
        char stat[512], wait[128], state = '?', *end;
        int group = 0;

        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        read_short(entry->d_name, "stat", stat, sizeof(stat));
        end = strrchr(stat, ')'); /* a process may have any name */
        if (!end || sscanf(end + 1, " %c %*d %d", &state, &group) != 2 || group != child->pid)
            continue;
        read_short(entry->d_name, "wchan", wait, sizeof(wait));
        used += (size_t)snprintf(text + used, size - used, "%s%.20s %c in %s", used ? ", " : "", entry->d_name, state,
                                 *wait && strcmp(wait, "0") != 0 ? wait : "no wait that the kernel tells of");
    }
    if (processes)
        closedir(processes);
}

bool child_kill(struct child *child)
{
    struct deadline deadline = deadline_in_ms(KILL_MS);
    bool ended = false;
    int status;

    kill(-child->pid, SIGKILL);
    kill(child->pid, SIGKILL);
    while (!ended && !deadline_expired(deadline)) {
        struct pollfd poll_fd = {.fd = child->fd, .events = POLLIN};

        poll(&poll_fd, 1, child->fd < 0 ? 20 : deadline_poll_ms(deadline));
        ended = waitpid(child->pid, &status, WNOHANG) == child->pid;
    }
    forget(child);
    return ended;
}
