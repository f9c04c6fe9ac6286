/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/io.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

int io_wait(int fd, short events, struct deadline deadline, const char *what, struct error *error)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};

    /* poll(2) waits for nothing at all where it is closed. */
    if (fd < 0)
        return error_set(error, EBADF, "%s", what);
    for (;;) {
        int count = poll(&poll_fd, 1, deadline_poll_ms(deadline));

        if (count > 0)
            return 0;
        if (count == 0)
            return error_set(error, ETIMEDOUT, "waiting to %s %s", events == POLLIN ? "read from" : "write to", what);
        if (errno != EINTR)
            return error_set(error, errno, "poll on %s", what);
    }
}

static bool would_block(int number)
{
    return number == EAGAIN || number == EWOULDBLOCK || number == EINTR;
}

int io_read_full_or_end(int fd, void *data, size_t size, struct deadline deadline, const char *what, bool *ended,
                        struct error *error)
{
    size_t done = 0;

    *ended = false;
    while (done < size) {
        ssize_t count;

        if (io_wait(fd, POLLIN, deadline, what, error) < 0)
            return -1;
        count = read(fd, (char *)data + done, size - done);
        if (count < 0 && would_block(errno))
            continue;
        if (count < 0)
            return error_set(error, errno, "reading from %s", what);
        if (count == 0 && done == 0) {
            *ended = true;
            return 0;
        }
        if (count == 0)
            return error_set(error, ECONNRESET, "%s closed the connection after %zu of %zu bytes", what, done, size);
        done += (size_t)count;
    }
    return 0;
}

int io_read_full(int fd, void *data, size_t size, struct deadline deadline, const char *what, struct error *error)
{
    bool ended;

    if (io_read_full_or_end(fd, data, size, deadline, what, &ended, error) < 0)
        return -1;
    if (ended)
        return error_set(error, ECONNRESET, "%s closed the connection after 0 of %zu bytes", what, size);
    return 0;
}

int io_write_full(int fd, const void *data, size_t size, struct deadline deadline, const char *what,
                  struct error *error)
{
    size_t done = 0;

    while (done < size) {
        /* MSG_DONTWAIT, because POLLOUT promises room for some bytes only, and the deadline must hold. */
        ssize_t count = send(fd, (const char *)data + done, size - done, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (count < 0 && errno == ENOTSOCK)
            count = write(fd, (const char *)data + done, size - done);
        if (count < 0 && !would_block(errno))
            return error_set(error, errno, "writing to %s", what);
        if (count < 0 && io_wait(fd, POLLOUT, deadline, what, error) < 0)
            return -1;
        if (count > 0)
            done += (size_t)count;
    }
    return 0;
}

/* Takes count bytes off the front of the vector. */
static void advance(struct iovec **vector, size_t *vector_count, size_t count)
{
    while (*vector_count && count >= (*vector)->iov_len) {
        count -= (*vector)->iov_len;
        (*vector)++;
        (*vector_count)--;
    }
    if (*vector_count) {
        (*vector)->iov_base = (char *)(*vector)->iov_base + count;
        (*vector)->iov_len -= count;
    }
}

int io_send(int socket, struct iovec *vector, size_t vector_count, const int *fds, size_t fd_count,
            struct deadline deadline, const char *what, struct error *error)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int) * IO_FDS_MAX)];
    } control;

    if (fd_count > IO_FDS_MAX)
        return error_set(error, EMSGSIZE, "sending %zu descriptors to %s", fd_count, what);
    while (vector_count) {
        struct msghdr message = {.msg_iov = vector, .msg_iovlen = vector_count};
        ssize_t count;

        if (fd_count) {
            memset(&control, 0, sizeof(control));
            control.header.cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
            control.header.cmsg_level = SOL_SOCKET;
            control.header.cmsg_type = SCM_RIGHTS;
            memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * fd_count);
            message.msg_control = &control;
            message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        }
        count = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0 && !would_block(errno))
            return error_set(error, errno, "sending to %s", what);
        if (count < 0 && io_wait(socket, POLLOUT, deadline, what, error) < 0)
            return -1;
        if (count > 0) {
            fd_count = 0;
            advance(&vector, &vector_count, (size_t)count);
        }
    }
    return 0;
}

static int take_descriptors(struct msghdr *message, int *fds, size_t *fd_count)
{
    size_t room = *fd_count;
    int overflow = message->msg_flags & MSG_CTRUNC ? -1 : 0;

    *fd_count = 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
        size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < count; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(fd));
            if (*fd_count < room) {
                fds[(*fd_count)++] = fd;
            } else {
                close(fd);
                overflow = -1;
            }
        }
    }
    if (overflow)
        while (*fd_count)
            close(fds[--*fd_count]);
    return overflow;
}

ssize_t io_receive(int socket, void *data, size_t size, int *fds, size_t *fd_count, struct deadline deadline,
                   const char *what, struct error *error)
{
    char control[CMSG_SPACE(sizeof(int) * IO_FDS_MAX)] __attribute__((aligned(8)));
    struct iovec vector = {.iov_base = data, .iov_len = size};

    for (;;) {
        struct msghdr message = {
            .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
        /* Tried before waiting: an answer is often there already, and a poll costs as much as the read. */
        ssize_t count = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

        if (count < 0 && !would_block(errno))
            return error_set(error, errno, "receiving from %s", what);
        if (count < 0) {
            if (io_wait(socket, POLLIN, deadline, what, error) < 0)
                return -1;
            continue;
        }
        if (take_descriptors(&message, fds, fd_count) < 0)
            return error_set(error, EMSGSIZE, "more descriptors than agreed on came from %s", what);
        return count;
    }
}

void io_raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

void io_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

bool io_readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    return poll(&poll_fd, 1, 0) > 0;
}

uint64_t io_eventfd_count(int fd)
{
    char name[64], line[128];
    unsigned long long count = 0;
    FILE *file;

    snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", fd);
    file = fopen(name, "re");
    if (!file)
        return io_readable(fd);
    while (fgets(line, sizeof(line), file)) {
        if (sscanf(line, "eventfd-count: %llx", &count) == 1)
            break;
    }
    fclose(file);
    return count;
}
