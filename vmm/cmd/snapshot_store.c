/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cmd/snapshot_store.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/io.h"

/* The plan is first; then the entries, by leg. An entry that was never written is a hole, and reads as zeros. */
struct entry {
    uint32_t present;
    uint32_t end;
    struct proof_snapshot snapshot;
};

struct plan_entry {
    uint64_t present;
    struct proof_plan plan;
};

int snapshot_store_open(struct snapshot_store *store, struct error *error)
{
    store->fd = memfd_create("stopcopy-snapshots", MFD_CLOEXEC);
    return store->fd < 0 ? error_set(error, errno, "making room for the guest's progress") : 0;
}

void snapshot_store_close(struct snapshot_store *store)
{
    io_close(&store->fd);
}

static int put_at(struct snapshot_store *store, const void *data, size_t size, off_t offset, struct error *error)
{
    ssize_t count = pwrite(store->fd, data, size, offset);

    if (count == (ssize_t)size)
        return 0;
    return error_set(error, count < 0 ? errno : ENOSPC, "keeping the guest's progress");
}

/* Returns 1 when all of it was there, 0 past the end. */
static int get_at(struct snapshot_store *store, void *data, size_t size, off_t offset, struct error *error)
{
    ssize_t count = pread(store->fd, data, size, offset);

    if (count < 0)
        return error_set(error, errno, "reading the guest's progress");
    return count == (ssize_t)size;
}

int snapshot_store_put_plan(struct snapshot_store *store, const struct proof_plan *plan, struct error *error)
{
    struct plan_entry entry = {.present = 1, .plan = *plan};

    return put_at(store, &entry, sizeof(entry), 0, error);
}

int snapshot_store_get_plan(struct snapshot_store *store, struct proof_plan *plan, struct error *error)
{
    struct plan_entry entry;
    int found = get_at(store, &entry, sizeof(entry), 0, error);

    if (found <= 0 || !entry.present)
        return found < 0 ? -1 : 0;
    *plan = entry.plan;
    return 1;
}

static off_t entry_offset(unsigned int index)
{
    return (off_t)(sizeof(struct plan_entry) + (uint64_t)index * sizeof(struct entry));
}

int snapshot_store_put(void *context, unsigned int index, bool end, const struct proof_snapshot *snapshot,
                       struct error *error)
{
    struct entry entry = {.present = 1, .end = end, .snapshot = *snapshot};

    return put_at(context, &entry, sizeof(entry), entry_offset(index), error);
}

int snapshot_store_get(struct snapshot_store *store, unsigned int index, bool *end, struct proof_snapshot *snapshot,
                       struct error *error)
{
    struct entry entry;
    int found = get_at(store, &entry, sizeof(entry), entry_offset(index), error);

    if (found <= 0 || !entry.present)
        return found < 0 ? -1 : 0;
    *end = entry.end;
    *snapshot = entry.snapshot;
    return 1;
}
