/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TCP on the loopback address, at a port that is free:
 *
 *   tcp listen PORT-FILE COMMAND...   runs the command with a listening socket as descriptor 3
 *   tcp talk PORT end|hold            connects, sends standard input, and closes, or holds until the other end closes
 *   tcp answer PORT-FILE end|hold     the same for whoever connects
 *   tcp record PORT-FILE PORT         passes one connection on to PORT; what came from it goes to standard output
 *
 * The port that is listened on goes to PORT-FILE.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_MS 60000

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(2);
}

static int listen_at(const char *port_file)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(name);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char written[256];
    FILE *file;

    if (bind(fd, (struct sockaddr *)&name, size) < 0 || listen(fd, 1) < 0 ||
        getsockname(fd, (struct sockaddr *)&name, &size) < 0)
        fail("tcp: listening");
    /* Whoever waits for the file finds it whole. */
    snprintf(written, sizeof(written), "%s.part", port_file);
    file = fopen(written, "w");
    if (!file || fprintf(file, "%u\n", ntohs(name.sin_port)) < 0 || fclose(file) || rename(written, port_file))
        fail(port_file);
    return fd;
}

static int accept_one(const char *port_file)
{
    struct pollfd poll_fd = {.fd = listen_at(port_file), .events = POLLIN};
    int fd = -1;

    if (poll(&poll_fd, 1, WAIT_MS) == 1)
        fd = accept(poll_fd.fd, NULL, NULL);
    if (fd < 0)
        fail("tcp: waiting for a connection");
    close(poll_fd.fd);
    return fd;
}

static int connect_to(const char *port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    name.sin_port = htons((uint16_t)atoi(port));
    if (connect(fd, (struct sockaddr *)&name, sizeof(name)) < 0)
        fail("tcp: connecting");
    return fd;
}

/* Reads what is there, and passes it on where it is to go. Returns false at the end. */
static bool pass(int from, int to, int copy)
{
    char data[65536];
    ssize_t count = read(from, data, sizeof(data));

    if (count <= 0)
        return false;
    if (copy >= 0 && write(copy, data, (size_t)count) != count)
        fail("tcp: recording");
    for (ssize_t done = 0, part; to >= 0 && done < count; done += part) {
        part = send(to, data + done, (size_t)(count - done), MSG_NOSIGNAL);
        if (part < 0)
            return false;
    }
    return true;
}

static int talk(int fd, const char *how)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    while (pass(STDIN_FILENO, fd, -1))
        ;
    if (!strcmp(how, "hold"))
        while (poll(&poll_fd, 1, WAIT_MS) == 1 && pass(fd, -1, -1))
            ;
    close(fd);
    return 0;
}

static int record(const char *port_file, const char *port)
{
    int source = accept_one(port_file);
    int destination = connect_to(port);
    struct pollfd poll_fd[2] = {{.fd = source, .events = POLLIN}, {.fd = destination, .events = POLLIN}};

    while (poll(poll_fd, 2, WAIT_MS) > 0) {
        if (poll_fd[0].revents && !pass(source, destination, STDOUT_FILENO)) {
            shutdown(destination, SHUT_WR);
            poll_fd[0].fd = -1;
        }
        if (poll_fd[1].revents && !pass(destination, source, -1)) {
            shutdown(source, SHUT_WR);
            poll_fd[1].fd = -1;
        }
        if (poll_fd[0].fd < 0 && poll_fd[1].fd < 0)
            break;
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 4 && !strcmp(argv[1], "listen")) {
        int fd = listen_at(argv[2]);

        if (fd != 3 && (dup2(fd, 3) < 0 || close(fd) < 0))
            fail("tcp: dup2");
        execvp(argv[3], argv + 3);
        fail(argv[3]);
    }
    if (argc == 4 && !strcmp(argv[1], "talk"))
        return talk(connect_to(argv[2]), argv[3]);
    if (argc == 4 && !strcmp(argv[1], "answer"))
        return talk(accept_one(argv[2]), argv[3]);
    if (argc == 4 && !strcmp(argv[1], "record"))
        return record(argv[2], argv[3]);
    fprintf(stderr, "tcp listen PORT-FILE COMMAND... | talk PORT end|hold | answer PORT-FILE end|hold | "
                    "record PORT-FILE PORT\n");
    return 2;
}
