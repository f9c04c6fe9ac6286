/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two VMM processes with a connection between them, of which one or its device's server is killed or frozen, or whose
 * connection is cut, when a third party says so.
 *
 *   hurt-pair DIRECTORY SOURCE... -- DESTINATION...
 *
 * Runs both commands, each with an end of one UNIX connection as descriptor 3. DIRECTORY has the FIFOs "do" and "done".
 * A line in "do" is a deed: "kill WHO", "freeze WHO" (SIGSTOP) or "cut WAY". WHO is source, destination, source-device or
 * destination-device, WAY is both, to-source or to-destination. Once it is done, and the process has ended or stopped,
 * "done" gets a line: "done", or why not. What was frozen goes on (SIGCONT) when nobody waits for it any more: a VMM process
 * when the other one has ended, and a server when its own has.
 *
 * Prints the exit statuses of both, 137 for one that was killed, and how many deeds were done. Nothing takes longer than
 * LIMIT_S: then both are killed, and "timeout" is printed in place of the status.
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_S 120
#define PERIOD_MS 1
#define SERVER_NAME "stopcopy-device"

enum side { SOURCE, DESTINATION, SIDES };

struct pair {
    pid_t vmm[SIDES];
    int watch[SIDES]; /* pidfds, -1 once it has ended */
    int end[SIDES];   /* of the connection, as long as it may be cut */
    int status[SIDES];
    pid_t frozen[SIDES]; /* of the side: the VMM or its server */
    bool late;           /* LIMIT_S have passed */
    unsigned int deeds;
};

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(2);
}

static pid_t start(char **command, const int end[SIDES], enum side side)
{
    pid_t pid = fork();

    if (pid)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dup2(end[side], 3) < 0)
        _exit(126);
    execvp(command[0], command);
    _exit(127);
}

/* The state letter and the parent of a process: false where there is none. */
static bool look_at(pid_t pid, char name[32], char *state, pid_t *parent)
{
    char path[32], text[256];
    const char *close_name;
    FILE *file;
    size_t size;
    int number;

    snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
    file = fopen(path, "re");
    if (!file)
        return false;
    size = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[size] = '\0';
    close_name = strrchr(text, ')');
    if (!close_name || sscanf(text, "%*d (%31[^)]", name) != 1 || sscanf(close_name, ") %c %d", state, &number) != 2)
        return false;
    *parent = number;
    return true;
}

/* The server that a VMM process has started, 0 where there is none. */
static pid_t server_of(pid_t vmm)
{
    DIR *directory = opendir("/proc");
    struct dirent *entry;
    pid_t found = 0;

    while (directory && !found && (entry = readdir(directory)) != NULL) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        char name[32], state;
        pid_t parent;

        if (pid > 0 && look_at(pid, name, &state, &parent) && parent == vmm && !strcmp(name, SERVER_NAME))
            found = pid;
    }
    if (directory)
        closedir(directory);
    return found;
}

/* Until the last of its threads has ended, and closed its descriptors. A zombie may have some that have not. */
static bool kill_whole(pid_t pid)
{
    struct pollfd poll_fd = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
    bool ended;

    if (poll_fd.fd < 0)
        return false;
    ended = kill(pid, SIGKILL) == 0 && poll(&poll_fd, 1, LIMIT_S * 1000) == 1;
    close(poll_fd.fd);
    return ended;
}

/* Until it is stopped, or has ended. */
static bool freeze_whole(pid_t pid)
{
    if (kill(pid, SIGSTOP) < 0)
        return false;
    for (int i = 0; i < LIMIT_S * 1000 / PERIOD_MS; i++) {
        char name[32], state;
        pid_t parent;

        if (!look_at(pid, name, &state, &parent) || strchr("TZX", state))
            return true;
        poll(NULL, 0, PERIOD_MS);
    }
    return false;
}

static const char *strike(struct pair *pair, const char *who, bool freeze)
{
    enum side side = strncmp(who, "source", 6) ? DESTINATION : SOURCE;
    pid_t pid = pair->vmm[side];

    if (pair->watch[side] >= 0 && strstr(who, "-device"))
        pid = server_of(pid);
    if (pair->watch[side] < 0 || pid == 0)
        return "there is no such process";
    if (freeze)
        pair->frozen[side] = pid;
    return (freeze ? freeze_whole(pid) : kill_whole(pid)) ? NULL : "the signal had no effect";
}

static void let_go(struct pair *pair)
{
    for (int side = 0; side < SIDES; side++) {
        if (pair->end[side] >= 0)
            close(pair->end[side]);
        pair->end[side] = -1;
    }
}

/* What was sent stays readable; more is not sent, or is not taken. */
static const char *cut(struct pair *pair, const char *way)
{
    if (pair->end[SOURCE] < 0)
        return "there is no connection any more";
    if (strcmp(way, "to-source"))
        shutdown(pair->end[SOURCE], SHUT_WR);
    if (strcmp(way, "to-destination"))
        shutdown(pair->end[DESTINATION], SHUT_WR);
    let_go(pair);
    return NULL;
}

static const char *act(struct pair *pair, const char *deed)
{
    pair->deeds++;
    if (!strncmp(deed, "cut ", 4))
        return cut(pair, deed + 4);
    /* Who waits for a process that dies sees its end of the connection close. */
    let_go(pair);
    if (!strncmp(deed, "kill ", 5))
        return strike(pair, deed + 5, false);
    if (!strncmp(deed, "freeze ", 7))
        return strike(pair, deed + 7, true);
    return "no such deed";
}

static void take_deed(struct pair *pair, int from, int answers)
{
    char line[128];
    ssize_t count = read(from, line, sizeof(line) - 1);
    const char *why;

    if (count <= 0)
        return;
    line[count] = '\0';
    line[strcspn(line, "\n")] = '\0';
    why = act(pair, line);
    if (why)
        fprintf(stderr, "hurt-pair: %s: %s\n", line, why);
    dprintf(answers, "%s\n", why ? why : "done");
}

static void take_end(struct pair *pair, enum side side)
{
    enum side other = side == SOURCE ? DESTINATION : SOURCE;

    if (waitpid(pair->vmm[side], &pair->status[side], 0) < 0)
        die("hurt-pair: waitpid");
    close(pair->watch[side]);
    pair->watch[side] = -1;
    let_go(pair);
    /* Its own server, which it has ended or which ends with it, and the other VMM, which it has waited for. */
    if (pair->frozen[side] && pair->frozen[side] != pair->vmm[side])
        kill(pair->frozen[side], SIGCONT);
    if (pair->frozen[other] == pair->vmm[other])
        kill(pair->frozen[other], SIGCONT);
}

static void end_all(struct pair *pair)
{
    pair->late = true;
    for (int side = 0; side < SIDES; side++)
        if (pair->watch[side] >= 0)
            kill(pair->vmm[side], SIGKILL);
}

static void attend(struct pair *pair, int deeds, int answers)
{
    time_t limit = time(NULL) + LIMIT_S;

    while (pair->watch[SOURCE] >= 0 || pair->watch[DESTINATION] >= 0) {
        struct pollfd poll_fd[] = {
            {pair->watch[SOURCE], POLLIN, 0}, {pair->watch[DESTINATION], POLLIN, 0}, {deeds, POLLIN, 0}};

        if (poll(poll_fd, 3, 1000) > 0) {
            if (poll_fd[2].revents)
                take_deed(pair, deeds, answers);
            for (int side = 0; side < SIDES; side++)
                if (poll_fd[side].revents)
                    take_end(pair, (enum side)side);
        }
        if (!pair->late && time(NULL) > limit)
            end_all(pair);
    }
}

static int open_fifo(const char *directory, const char *name)
{
    char path[4096];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    /* For writing as well, so that it has no end while nobody else has it open. */
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        die(path);
    return fd;
}

static void print_status(const struct pair *pair, enum side side)
{
    int status = pair->status[side];

    if (pair->late)
        printf("timeout ");
    else
        printf("%d ", WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

int main(int argc, char **argv)
{
    struct pair pair = {.deeds = 0};
    char **command[SIDES] = {argv + 2};
    int split = 2, deeds, answers;

    while (split < argc && strcmp(argv[split], "--"))
        split++;
    if (split < 3 || split + 1 >= argc) {
        fprintf(stderr, "usage: hurt-pair DIRECTORY SOURCE... -- DESTINATION...\n");
        return 2;
    }
    argv[split] = NULL;
    command[DESTINATION] = argv + split + 1;
    deeds = open_fifo(argv[1], "do");
    answers = open_fifo(argv[1], "done");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.end) < 0)
        die("hurt-pair: socketpair");
    /* Away from the descriptor that the commands get. */
    for (int side = 0; side < SIDES; side++) {
        int end = fcntl(pair.end[side], F_DUPFD_CLOEXEC, 10);

        if (end < 0)
            die("hurt-pair: fcntl");
        close(pair.end[side]);
        pair.end[side] = end;
    }
    for (int side = 0; side < SIDES; side++) {
        pair.vmm[side] = start(command[side], pair.end, (enum side)side);
        if (pair.vmm[side] < 0)
            die("hurt-pair: fork");
        pair.watch[side] = (int)syscall(SYS_pidfd_open, pair.vmm[side], 0);
        if (pair.watch[side] < 0)
            die("hurt-pair: pidfd_open");
    }
    attend(&pair, deeds, answers);
    print_status(&pair, SOURCE);
    print_status(&pair, DESTINATION);
    printf("%u\n", pair.deeds);
    return 0;
}
