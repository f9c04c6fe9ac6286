/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

uint64_t fuzz_number(struct fuzz_input *input, size_t bytes)
{
    uint64_t number = 0;

    for (size_t i = 0; i < bytes && input->size; i++) {
        number |= (uint64_t)*input->data++ << 8 * i;
        input->size--;
    }
    return number;
}

const uint8_t *fuzz_bytes(struct fuzz_input *input, size_t *size)
{
    const uint8_t *data = input->data;

    if (*size > input->size)
        *size = input->size;
    input->data += *size;
    input->size -= *size;
    return data;
}

int fuzz_pair(int *other)
{
    int room = 4 << 20;
    int pair[2];

    fuzz_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "a pair of sockets");
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    *other = pair[0];
    return pair[1];
}

int fuzz_socket(const void *data, size_t size, int *other)
{
    int socket = fuzz_pair(other);

    /* What has no room is cut off. */
    (void)!send(*other, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    shutdown(*other, SHUT_WR);
    return socket;
}

void fuzz_assert(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "fuzz: this must not be: %s\n", what);
    abort();
}
