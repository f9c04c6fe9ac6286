/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's progress at every stop and at the end, and the plan it is judged by, kept in a memfd, which the VMM
 * processes of one run inherit and write to, and whoever judges reads.
 */
#ifndef STOPCOPY_SNAPSHOT_STORE_H
#define STOPCOPY_SNAPSHOT_STORE_H

#include "vmm/proof/proof.h"

struct snapshot_store {
    int fd;
};

int snapshot_store_open(struct snapshot_store *store, struct error *error);
void snapshot_store_close(struct snapshot_store *store);

int snapshot_store_put_plan(struct snapshot_store *store, const struct proof_plan *plan, struct error *error);
/* Returns 1 with the plan, 0 where none was put, -1. */
int snapshot_store_get_plan(struct snapshot_store *store, struct proof_plan *plan, struct error *error);

/* A struct snapshot_sink's put: context is the store. */
int snapshot_store_put(void *context, unsigned int index, bool end, const struct proof_snapshot *snapshot,
                       struct error *error);
/* Snapshot number index, in order. Returns 1 with it (end: it is the last), 0 where there is none, -1. */
int snapshot_store_get(struct snapshot_store *store, unsigned int index, bool *end, struct proof_snapshot *snapshot,
                       struct error *error);

#endif
