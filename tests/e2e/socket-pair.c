/* SPDX-License-Identifier: GPL-2.0-or-later */
/* socket-pair COMMAND... -- COMMAND...: runs both, each with an end of one UNIX connection as descriptor 3. The status is the
 * first's, or where that is 0 the second's. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t start(char **command, int end, int other)
{
    pid_t pid = fork();

    if (pid)
        return pid;
    close(other);
    if (end != 3 && (dup2(end, 3) < 0 || close(end) < 0))
        _exit(126);
    execvp(command[0], command);
    _exit(127);
}

int main(int argc, char **argv)
{
    int split = 1, pair[2], status[2] = {0};
    pid_t pid[2];

    while (split < argc && strcmp(argv[split], "--"))
        split++;
    if (split < 2 || split + 1 >= argc || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) {
        fprintf(stderr, "socket-pair COMMAND... -- COMMAND...\n");
        return 2;
    }
    argv[split] = NULL;
    pid[0] = start(argv + 1, pair[0], pair[1]);
    pid[1] = start(argv + split + 1, pair[1], pair[0]);
    close(pair[0]);
    close(pair[1]);
    for (int i = 0; i < 2; i++)
        if (pid[i] < 0 || waitpid(pid[i], &status[i], 0) < 0 || !WIFEXITED(status[i]))
            return 1;
    return WEXITSTATUS(status[0]) ? WEXITSTATUS(status[0]) : WEXITSTATUS(status[1]);
}
