/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a socket carries: one process sends, another receives, in the sizes of the stream's largest records (a header, an offset,
 * 1 MiB, a checksum), from memory that is there into memory that is new, as a migration's is; and into one buffer, as no
 * migration's is.
 *
 *     rate unix|tcp [--runs N] [--mib N] [--one-buffer]
 *
 * Writes the bytes a second of each run.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/deadline.h"
#include "vmm/migrate/channel.h"

#define PIECE (1u << 20)
#define HEAD 32u
#define TAIL 4u

_Noreturn static void die(const char *what)
{
    fprintf(stderr, "rate: %s: %s\n", what, strerror(errno));
    _exit(1);
}

static void tcp_pair(int pair[2])
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(name);
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    if (listener < 0 || bind(listener, (struct sockaddr *)&name, size) < 0 || listen(listener, 1) < 0 ||
        getsockname(listener, (struct sockaddr *)&name, &size) < 0)
        die("listening");
    pair[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (pair[0] < 0 || connect(pair[0], (struct sockaddr *)&name, size) < 0)
        die("connecting");
    pair[1] = accept(listener, NULL, NULL);
    if (pair[1] < 0)
        die("accepting");
    close(listener);
}

static uint8_t *map(size_t size)
{
    uint8_t *memory = MAP_FAILED;
    int fd = memfd_create("bench", MFD_CLOEXEC);

    if (fd >= 0 && ftruncate(fd, (off_t)size) == 0)
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        die("memory");
    return memory;
}

static void send_piece(int socket, uint8_t *memory)
{
    uint8_t head[HEAD] = {1}, tail[TAIL] = {2};
    struct iovec part[] = {{head, HEAD}, {memory, PIECE}, {tail, TAIL}};
    struct iovec *next = part;

    while (next < part + 3) {
        ssize_t count = writev(socket, next, (int)(part + 3 - next));

        if (count < 0)
            die("sending");
        while (next < part + 3 && (size_t)count >= next->iov_len)
            count -= (ssize_t)(next++)->iov_len;
        if (next < part + 3) {
            next->iov_base = (char *)next->iov_base + count;
            next->iov_len -= (size_t)count;
        }
    }
}

static void receive(int socket, uint8_t *data, size_t size)
{
    while (size) {
        ssize_t count = read(socket, data, size);

        if (count <= 0)
            die("receiving");
        data += count;
        size -= (size_t)count;
    }
}

static double run(bool tcp, uint64_t pieces, bool one_buffer)
{
    size_t room = one_buffer ? PIECE : pieces * PIECE;
    uint8_t rest[HEAD];
    int pair[2], status;
    uint8_t *memory;
    uint64_t start;
    pid_t process;

    if (tcp)
        tcp_pair(pair);
    else if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
        die("a pair of sockets");
    channel_tune(pair[0]);
    channel_tune(pair[1]);
    process = fork();
    if (process < 0)
        die("fork");
    if (process == 0) {
        close(pair[0]);
        memory = map(pieces * PIECE);
        memset(memory, 0x5a, pieces * PIECE);
        receive(pair[1], rest, 1);
        for (uint64_t i = 0; i < pieces; i++)
            send_piece(pair[1], memory + i * PIECE);
        receive(pair[1], rest, 1);
        _exit(0);
    }
    close(pair[1]);
    memory = map(room);
    if (write(pair[0], "G", 1) != 1)
        die("starting");
    receive(pair[0], rest, HEAD);
    start = clock_now_ns();
    for (uint64_t i = 0; i < pieces; i++) {
        if (i)
            receive(pair[0], rest, HEAD);
        receive(pair[0], one_buffer ? memory : memory + i * PIECE, PIECE);
        receive(pair[0], rest, TAIL);
    }
    start = clock_now_ns() - start;
    if (write(pair[0], "E", 1) != 1)
        die("ending");
    waitpid(process, &status, 0);
    close(pair[0]);
    munmap(memory, room);
    return (double)(pieces * PIECE) * 1e9 / (double)start;
}

int main(int argc, char **argv)
{
    uint64_t runs = 1, mib = 512;
    bool one_buffer = false;

    if (argc < 2)
        return 2;
    for (int i = 2; i < argc; i++) {
        if (!strcmp(argv[i], "--one-buffer"))
            one_buffer = true;
        else if (!strcmp(argv[i], "--runs") && i + 1 < argc)
            runs = strtoull(argv[++i], NULL, 0);
        else if (!strcmp(argv[i], "--mib") && i + 1 < argc)
            mib = strtoull(argv[++i], NULL, 0);
        else
            return 2;
    }
    for (uint64_t i = 0; i < runs; i++)
        printf("%.0f\n", run(!strcmp(argv[1], "tcp"), mib, one_buffer));
    return 0;
}
