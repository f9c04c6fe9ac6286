/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest RAM that is handed over as it is: the source's memfds go to the destination by SCM_RIGHTS, nothing is copied. Both
 * ends have the same pages mapped, so until COMMIT the destination writes to none of them, and digests of all pages at the
 * stop, and at the start or the resumption, prove that nobody did.
 */
#ifndef STOPCOPY_RAM_SHARE_H
#define STOPCOPY_RAM_SHARE_H

#include "vmm/migrate/ram.h"
#include "vmm/report/event_log.h"

/* Descriptors go over UNIX sockets only. Error: the reason why RAM cannot be shared over this one. */
int ram_share_possible(int socket, struct error *error);

/* STREAM_RAM_SHARED: for each range its memfd, and what it is. */
int ram_share_send(struct machine *machine, struct stream *stream, struct deadline deadline, struct error *error);

/* What came of it. */
struct ram_shared {
    unsigned int ranges; /* 0: RAM is not shared */
    int fd[BOARD_RAM_RANGES_MAX];
    struct {
        uint64_t device, inode, size; /* as the source's fstat(2) has them */
    } identity[BOARD_RAM_RANGES_MAX];
};

/* Takes over the record's descriptors, even on failure. Rule "stream/invalid" where these are not the memfds that it
 * describes: one for each range, no two the same, of its size, sealed against shrinking. */
int ram_shared_receive(struct ram_shared *shared, const struct stream_record *record, const int *fds, size_t fd_count,
                       struct error *error);
void ram_shared_close(struct ram_shared *shared);
/* Is the machine's RAM, range by range, the source's own (st_dev, st_ino)? Rule "ram/not-shared". The fact
 * ram.shared_ranges goes to the log. */
int ram_shared_check(const struct ram_shared *shared, struct machine *machine, struct event_log *log,
                     struct error *error);

/* The pages whose digests have changed, and the guest physical address of the first. */
uint64_t ram_digests_changed(const struct ram_digests *before, const struct ram_digests *after, struct machine *machine,
                             uint64_t *first);
/* Takes all digests again, before the guest goes on where it was stopped: rule "ram/written-while-stopped". The fact
 * ram.pages_unchanged goes to the log. */
void ram_share_check_unwritten(struct machine *machine, const struct ram_digests *at_stop, struct event_log *log);

#endif
