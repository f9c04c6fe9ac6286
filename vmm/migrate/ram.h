/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest RAM in the stream, and its digests. Pages are of RAM_PAGE_SIZE bytes; holes and zero pages are not sent. */
#ifndef STOPCOPY_RAM_H
#define STOPCOPY_RAM_H

#include "vmm/board/machine.h"
#include "vmm/migrate/stream.h"

#define RAM_PAGE_SIZE 4096u

struct ram_totals {
    uint64_t pages;
    uint64_t bytes; /* of pages sent */
};

/* What a test-only fault leaves out: the first page with data at or after this offset of range 0, UINT64_MAX none. */
#define RAM_SKIP_NONE UINT64_MAX

/* Sends every page of RAM that holds anything. timeout_ns bounds each record. */
int ram_send(struct machine *machine, struct stream *stream, uint64_t timeout_ns, uint64_t skip_page_from,
             struct ram_totals *totals, struct error *error);

/* Takes over one STREAM_RAM record, checked. */
int ram_receive(struct machine *machine, const struct stream_record *record, struct ram_totals *totals,
                struct error *error);

/* A digest of 64 bits (XXH3) for every page of RAM. */
struct ram_digests {
    unsigned int ranges;
    uint64_t pages[BOARD_RAM_RANGES_MAX];
    uint64_t *digest[BOARD_RAM_RANGES_MAX];
};

int ram_digests_take(struct machine *machine, struct ram_digests *digests, struct error *error);
void ram_digests_free(struct ram_digests *digests);
int ram_digests_send(const struct ram_digests *digests, struct stream *stream, uint64_t timeout_ns,
                     struct error *error);

/* What came of comparing ours with the source's, as STREAM_DIGESTS records come in. */
struct ram_comparison {
    uint64_t compared;
    uint64_t different;
    uint64_t first_different; /* guest physical address, where different > 0 */
};

int ram_digests_compare(const struct ram_digests *ours, struct machine *machine, const struct stream_record *record,
                        struct ram_comparison *comparison, struct error *error);

#endif
