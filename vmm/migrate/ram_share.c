/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/migrate/ram_share.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "lib/io.h"

int ram_share_possible(int socket, struct error *error)
{
    int domain = 0;
    socklen_t size = sizeof(domain);

    if (getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX)
        return 0;
    return error_set(error, EOPNOTSUPP,
                     "RAM can be shared over a UNIX socket only, which takes its memfds along: give unix:PATH, or copy "
                     "it (--ram copy)");
}

int ram_share_send(struct machine *machine, struct stream *stream, struct deadline deadline, struct error *error)
{
    unsigned int ranges = machine_board(machine)->ram_ranges;
    struct buffer payload = BUFFER_INIT;
    int fds[BOARD_RAM_RANGES_MAX];
    struct stat status;
    int result = 0;

    for (unsigned int range = 0; range < ranges && result == 0; range++) {
        fds[range] = machine_ram_fd(machine, range);
        if (fstat(fds[range], &status) < 0) {
            result = error_set(error, errno, "the memfd of RAM range %u", range);
            break;
        }
        buffer_put_u64(&payload, status.st_dev);
        buffer_put_u64(&payload, status.st_ino);
        buffer_put_u64(&payload, (uint64_t)status.st_size);
    }
    if (result == 0 && payload.failed)
        result = error_set(error, ENOMEM, "RAM_SHARED");
    if (result == 0)
        result =
            stream_send_fds(stream, STREAM_RAM_SHARED, 0, payload.data, payload.size, fds, ranges, deadline, error);
    buffer_free(&payload);
    return result;
}

static int invalid(struct error *error, const char *what, unsigned int range)
{
    return error_rule(error, "stream/invalid", 0, "RAM_SHARED: descriptor %u is %s", range, what);
}

/* Memory that the source could cut off would kill this process with SIGBUS; a file could be anybody's. */
static int check_descriptor(const struct ram_shared *shared, unsigned int range, struct error *error)
{
    int fd = shared->fd[range];
    int seals = fcntl(fd, F_GET_SEALS);
    struct stat status;

    if (seals < 0)
        return invalid(error, "not a memfd", range);
    if (!(seals & F_SEAL_SHRINK))
        return invalid(error, "not sealed against shrinking (F_SEAL_SHRINK)", range);
    if ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDWR || seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
        return invalid(error, "not writable", range);
    if (fstat(fd, &status) < 0 || status.st_size < 0)
        return invalid(error, "without a size", range);
    if (status.st_dev != shared->identity[range].device || status.st_ino != shared->identity[range].inode ||
        (uint64_t)status.st_size != shared->identity[range].size)
        return invalid(error, "not the one that the record describes", range);
    for (unsigned int other = 0; other < range; other++)
        if (shared->identity[other].device == shared->identity[range].device &&
            shared->identity[other].inode == shared->identity[range].inode)
            return invalid(error, "the same memory as one before it", range);
    return 0;
}

int ram_shared_receive(struct ram_shared *shared, const struct stream_record *record, const int *fds, size_t fd_count,
                       struct error *error)
{
    struct cursor cursor = cursor_over(record->data, record->size);

    *shared = (struct ram_shared){.ranges = (unsigned int)fd_count};
    for (unsigned int range = 0; range < shared->ranges; range++) {
        shared->fd[range] = fds[range];
        shared->identity[range].device = cursor_get_u64(&cursor);
        shared->identity[range].inode = cursor_get_u64(&cursor);
        shared->identity[range].size = cursor_get_u64(&cursor);
    }
    if (!cursor_at_end(&cursor) || !shared->ranges) {
        error_rule(error, "stream/invalid", 0, "RAM_SHARED: %zu descriptors came with %zu bytes", fd_count,
                   record->size);
        goto fail;
    }
    for (unsigned int range = 0; range < shared->ranges; range++)
        if (check_descriptor(shared, range, error) < 0)
            goto fail;
    return 0;
fail:
    ram_shared_close(shared);
    return -1;
}

void ram_shared_close(struct ram_shared *shared)
{
    for (unsigned int range = 0; range < shared->ranges; range++)
        io_close(&shared->fd[range]);
    shared->ranges = 0;
}

int ram_shared_check(const struct ram_shared *shared, struct machine *machine, struct event_log *log,
                     struct error *error)
{
    unsigned int ranges = machine_board(machine)->ram_ranges;

    for (unsigned int range = 0; range < ranges; range++) {
        struct stat status;

        if (fstat(machine_ram_fd(machine, range), &status) < 0)
            return error_set(error, errno, "the memfd of RAM range %u", range);
        if (status.st_dev != shared->identity[range].device || status.st_ino != shared->identity[range].inode)
            return error_rule(error, "ram/not-shared", 0, "RAM range %u is not the source's memory", range);
    }
    event_fact(log, "ram.shared_ranges", ranges);
    return 0;
}

uint64_t ram_digests_changed(const struct ram_digests *before, const struct ram_digests *after, struct machine *machine,
                             uint64_t *first)
{
    uint64_t changed = 0;

    *first = 0;
    for (unsigned int range = 0; range < before->ranges && range < after->ranges; range++)
        for (uint64_t page = 0; page < before->pages[range]; page++) {
            if (before->digest[range][page] == after->digest[range][page])
                continue;
            if (!changed++)
                *first = machine_board(machine)->ram[range].start + page * RAM_PAGE_SIZE;
        }
    return changed;
}

void ram_share_check_unwritten(struct machine *machine, const struct ram_digests *at_stop, struct event_log *log)
{
    struct ram_digests now = {0};
    struct error error = ERROR_INIT;
    uint64_t start = clock_now_ns();
    uint64_t pages = 0, changed, first;

    if (ram_digests_take(machine, &now, &error) < 0) {
        event_not_proven(log, false, "whether shared RAM was written while the guest was stopped: %s", error.text);
        return;
    }
    for (unsigned int range = 0; range < now.ranges; range++)
        pages += now.pages[range];
    changed = ram_digests_changed(at_stop, &now, machine, &first);
    ram_digests_free(&now);
    event_phase(log, "verify-unwritten", start, clock_now_ns(), 0);
    event_fact(log, "ram.pages_unchanged", pages - changed);
    if (changed)
        event_finding(log, "ram/written-while-stopped",
                      "%" PRIu64 " of %" PRIu64 " pages of shared RAM were written between the guest's stop and its "
                      "resumption here, the first at 0x%" PRIx64,
                      changed, pages, first);
}
