/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection in the middle of a migration that can be hurt: forwards between a source and a destination, and cuts it
 * or changes one byte at a place of choice of what the source sends.
 *
 *   stream-proxy LISTEN CONNECT [cut|change AT]
 *
 * LISTEN and CONNECT are paths of UNIX sockets. Prints how many bytes the source sent.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define WAIT_MS 60000

struct proxy {
    int source, destination;
    bool cut, change;
    uint64_t at;
    uint64_t sent;
};

static struct sockaddr_un address(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(name.sun_path)) {
        fprintf(stderr, "stream-proxy: path too long\n");
        exit(2);
    }
    strcpy(name.sun_path, path);
    return name;
}

static int accept_source(const char *path)
{
    struct sockaddr_un name = address(path);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    struct pollfd poll_fd = {.fd = listener, .events = POLLIN};

    if (bind(listener, (struct sockaddr *)&name, sizeof(name)) < 0 || listen(listener, 1) < 0 ||
        poll(&poll_fd, 1, WAIT_MS) != 1) {
        perror("stream-proxy: waiting for the source");
        exit(2);
    }
    return accept(listener, NULL, NULL);
}

static int connect_destination(const char *path)
{
    struct sockaddr_un name = address(path);

    for (int tries = 0; tries < WAIT_MS / 20; tries++) {
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);

        if (connect(fd, (struct sockaddr *)&name, sizeof(name)) == 0)
            return fd;
        close(fd);
        poll(NULL, 0, 20);
    }
    fprintf(stderr, "stream-proxy: nobody listens on %s\n", path);
    exit(2);
}

static bool write_all(int fd, const char *data, size_t size)
{
    while (size) {
        ssize_t count = send(fd, data, size, MSG_NOSIGNAL);

        if (count <= 0)
            return false;
        data += count;
        size -= (size_t)count;
    }
    return true;
}

/* Forwards one piece of what the source sends. Returns false when the connection is over. */
static bool forward_source(struct proxy *proxy)
{
    static char data[65536];
    ssize_t count = read(proxy->source, data, sizeof(data));
    size_t size = count > 0 ? (size_t)count : 0;

    if (count <= 0)
        return false;
    if (proxy->change && proxy->at >= proxy->sent && proxy->at < proxy->sent + size)
        data[proxy->at - proxy->sent] ^= 0x10;
    if (proxy->cut && proxy->at < proxy->sent + size) {
        write_all(proxy->destination, data, proxy->at > proxy->sent ? proxy->at - proxy->sent : 0);
        return false;
    }
    proxy->sent += size;
    return write_all(proxy->destination, data, size);
}

static bool forward_destination(struct proxy *proxy)
{
    char data[4096];
    ssize_t count = read(proxy->destination, data, sizeof(data));

    return count > 0 && write_all(proxy->source, data, (size_t)count);
}

int main(int argc, char **argv)
{
    struct proxy proxy = {.at = 0};

    if (argc != 3 && argc != 5) {
        fprintf(stderr, "usage: stream-proxy LISTEN CONNECT [cut|change AT]\n");
        return 2;
    }
    if (argc == 5) {
        proxy.cut = !strcmp(argv[3], "cut");
        proxy.change = !strcmp(argv[3], "change");
        proxy.at = strtoull(argv[4], NULL, 0);
    }
    proxy.source = accept_source(argv[1]);
    proxy.destination = connect_destination(argv[2]);
    for (;;) {
        struct pollfd poll_fd[2] = {{proxy.source, POLLIN, 0}, {proxy.destination, POLLIN, 0}};

        if (poll(poll_fd, 2, WAIT_MS) <= 0)
            break;
        if ((poll_fd[0].revents && !forward_source(&proxy)) || (poll_fd[1].revents && !forward_destination(&proxy)))
            break;
    }
    printf("%" PRIu64 "\n", proxy.sent);
    unlink(argv[1]);
    return 0;
}
