/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whole reads and writes on sockets and files, with a deadline, and file descriptors over UNIX sockets. */
#ifndef STOPCOPY_IO_H
#define STOPCOPY_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lib/deadline.h"
#include "lib/error.h"

#define IO_FDS_MAX 32

/* Waits until poll(2) has something for events (POLLIN or POLLOUT). Errors: ETIMEDOUT at the deadline, or poll's errno. */
int io_wait(int fd, short events, struct deadline deadline, const char *what, struct error *error);

/*
 * Reads exactly size bytes. what names the peer or the file for the error. The descriptor may be blocking or not; it
 * must support poll(2). Errors: ETIMEDOUT at the deadline, ECONNRESET with the text "closed the connection after N of M
 * bytes" at an early end, or the errno of read(2).
 */
int io_read_full(int fd, void *data, size_t size, struct deadline deadline, const char *what, struct error *error);

/* As io_read_full, but an end of file before the first byte is no error: *ended is then true. */
int io_read_full_or_end(int fd, void *data, size_t size, struct deadline deadline, const char *what, bool *ended,
                        struct error *error);

/* Writes exactly size bytes; never raises SIGPIPE on a socket. Errors as for io_read_full. */
int io_write_full(int fd, const void *data, size_t size, struct deadline deadline, const char *what,
                  struct error *error);

/* Sends all of the vector with the descriptors (fd_count up to IO_FDS_MAX, 0 for none) attached to its first byte. The
 * descriptors stay the caller's. The vector may be changed. Sockets only. */
int io_send(int socket, struct iovec *vector, size_t vector_count, const int *fds, size_t fd_count,
            struct deadline deadline, const char *what, struct error *error);

/*
 * Receives up to size bytes (at least 1) and any descriptors with them, each with close-on-exec set. At most *fd_count
 * are kept, more are closed and fail with EMSGSIZE; *fd_count is then how many came. Returns the number of bytes, 0 at
 * the end of the connection, -1 with error. UNIX sockets only.
 */
ssize_t io_receive(int socket, void *data, size_t size, int *fds, size_t *fd_count, struct deadline deadline,
                   const char *what, struct error *error);

/* Can something be read at once, or was the other end closed? */
bool io_readable(int fd);

/*
 * Raises the limit of open descriptors to the hard limit: a vector's trigger is one, and 2048 vectors are over the soft
 * limit that most systems set. Where it cannot be raised it stays.
 */
void io_raise_descriptor_limit(void);

/* Closes *fd where it is not -1, and sets it to -1. */
void io_close(int *fd);

/* The count of an eventfd, which stays as it is (/proc/self/fdinfo); where that cannot be read, whether it is over 0. For
 * messages. */
uint64_t io_eventfd_count(int fd);

#endif
