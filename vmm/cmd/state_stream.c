/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cmd/state_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/vfio/migration.h"

#define BUFFER_SIZE (1u << 20)
#define PROGRESS_NS 250000000u

/* Bytes so far on a terminal, a few times a second. */
struct progress {
    bool shown;
    uint64_t begun_ns;
    uint64_t next_ns;
    uint64_t bytes;
};

static struct progress progress_begin(void)
{
    uint64_t now = clock_now_ns();

    return (struct progress){.begun_ns = now, .next_ns = now + PROGRESS_NS};
}

static void progress_add(struct progress *progress, size_t count)
{
    uint64_t now = clock_now_ns();

    progress->bytes += count;
    if (now < progress->next_ns || !isatty(STDERR_FILENO))
        return;
    progress->next_ns = now + PROGRESS_NS;
    progress->shown = true;
    fprintf(stderr, "\r%" PRIu64 " MiB, %.0f MiB/s ", progress->bytes >> 20,
            (double)progress->bytes / 1048576.0 / ((double)(now - progress->begun_ns) / 1e9));
}

static void progress_end(const struct progress *progress)
{
    if (progress->shown)
        fprintf(stderr, "\r\033[K");
}

/* The file that is written. */
struct sink {
    int fd;
    const char *path;
    struct progress progress;
};

static int write_file(int fd, const void *data, size_t size, const char *path, struct error *error)
{
    for (size_t done = 0; done < size;) {
        ssize_t count = write(fd, (const char *)data + done, size - done);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return error_set(error, errno, "writing to %s", path);
        done += (size_t)count;
    }
    return 0;
}

static int sink_write(void *context, const void *data, size_t size, struct error *error)
{
    struct sink *sink = context;

    progress_add(&sink->progress, size);
    return write_file(sink->fd, data, size, sink->path, error);
}

static int save_to(struct vfio_data_session *session, int fd, const char *path, uint64_t *bytes, struct error *error)
{
    struct sink sink = {.fd = fd, .path = path, .progress = progress_begin()};
    void *buffer = malloc(BUFFER_SIZE);
    int status;

    if (!buffer)
        return error_set(error, ENOMEM, "a buffer of %u bytes", BUFFER_SIZE);
    status = migration_read_all(session, buffer, BUFFER_SIZE, sink_write, &sink, bytes, error);
    progress_end(&sink.progress);
    free(buffer);
    return status;
}

/* A pipe or a device is written to, and not replaced. */
static bool is_special(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && !S_ISREG(status.st_mode);
}

static int save_to_special(struct vfio_data_session *session, const char *path, uint64_t *bytes, struct error *error)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int status;

    if (fd < 0)
        return error_set(error, errno, "%s cannot be opened", path);
    status = save_to(session, fd, path, bytes, error);
    close(fd);
    return status;
}

int state_stream_save(struct vfio_data_session *session, const char *path, uint64_t *bytes, struct error *error)
{
    char temporary[PATH_MAX];
    int status;
    int fd;

    if (is_special(path))
        return save_to_special(session, path, bytes, error);
    if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= (int)sizeof(temporary))
        return error_set(error, ENAMETOOLONG, "%s", path);
    fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return error_set(error, errno, "%s cannot be made", temporary);
    status = save_to(session, fd, temporary, bytes, error);
    if (status == 0 && fsync(fd) < 0)
        status = error_set(error, errno, "writing to %s", temporary);
    if (close(fd) < 0 && status == 0)
        status = error_set(error, errno, "writing to %s", temporary);
    if (status == 0 && rename(temporary, path) < 0)
        status = error_set(error, errno, "%s cannot take the place of %s", temporary, path);
    if (status < 0)
        unlink(temporary);
    return status;
}

static int load_from(struct vfio_data_session *session, int fd, const char *path, uint64_t *bytes, struct error *error)
{
    struct progress progress = progress_begin();
    char *buffer = malloc(BUFFER_SIZE);
    int status = -1;

    if (!buffer)
        return error_set(error, ENOMEM, "a buffer of %u bytes", BUFFER_SIZE);
    for (;;) {
        ssize_t count = read(fd, buffer, BUFFER_SIZE);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            error_set(error, errno, "reading from %s", path);
        if (count == 0)
            status = 0;
        if (count <= 0 || migration_write_all(session, buffer, (size_t)count, error) < 0)
            break;
        progress_add(&progress, (size_t)count);
    }
    *bytes = progress.bytes;
    progress_end(&progress);
    free(buffer);
    return status;
}

int state_stream_load(struct vfio_data_session *session, const char *path, uint64_t *bytes, struct error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int status;

    if (fd < 0)
        return error_set(error, errno, "%s cannot be opened", path);
    status = load_from(session, fd, path, bytes, error);
    close(fd);
    return status;
}
