/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest RAM in the stream, and its digests. Holes and pages of zeros are not sent, but where the destination has had data. */
#ifndef STOPCOPY_RAM_TRANSFER_H
#define STOPCOPY_RAM_TRANSFER_H

#include "vmm/board/machine.h"
#include "vmm/migrate/page_set.h"
#include "vmm/migrate/stream.h"

struct ram_totals {
    uint64_t pages;
    uint64_t bytes; /* of pages sent */
};

#define RAM_SKIP_NONE UINT64_MAX

struct ram_sender {
    struct machine *machine;
    struct stream *stream;
    uint64_t timeout_ns; /* of each record */
    /* A test-only fault: the first page with data at or after this offset of range 0 is never sent. */
    uint64_t skip_from;
    uint64_t skipped; /* which one that was */
    struct ram_totals totals;
    void (*meanwhile)(void *context); /* called after each record; NULL: nobody is */
    void *meanwhile_context;
    /* What sending in several rounds needs, NULL and empty before ram_sender_prepare. */
    void *copy;           /* of pages that the guest may write to while they are sent */
    struct page_set sent; /* pages that hold data at the destination */
    /* Of each page as it was sent last, so that a page that changed behind every dirty log shows. */
    uint64_t *digest[BOARD_RAM_RANGES_MAX];
    /* Hears of each page that is sent and is not as it was sent last. NULL: nobody does. */
    void (*changed)(void *context, unsigned int range, uint64_t page);
    void *changed_context;
};

void ram_sender_init(struct ram_sender *sender, struct machine *machine, struct stream *stream, uint64_t timeout_ns);
void ram_sender_free(struct ram_sender *sender);
/* Before RAM is sent in several rounds. */
int ram_sender_prepare(struct ram_sender *sender, struct error *error);

/* Sends every page of RAM that holds anything, of a guest that is stopped, in one go. */
int ram_send_all(struct ram_sender *sender, struct error *error);
/*
 * Sends those of these pages that hold anything, and says of those that the destination has data of that they are zero by
 * now. live: the guest may write meanwhile. What is read then may be half old and half new; such a page is in the dirty
 * log again.
 */
int ram_send_pages(struct ram_sender *sender, const struct page_set *pages, bool live, struct error *error);

/* Compares what was sent in rounds with what RAM holds at last: rule "ram/log-missed" where pages changed after they
 * were sent, and no dirty log had them. */
struct ram_digests;
struct event_log;
void ram_sender_judge_logs(const struct ram_sender *sender, const struct ram_digests *last, struct event_log *log);

/* Takes over one STREAM_RAM record, checked. */
int ram_receive(struct machine *machine, const struct stream_record *record, struct ram_totals *totals,
                struct error *error);
/* Takes over one STREAM_RAM_ZERO record, checked. */
int ram_receive_zero(struct machine *machine, const struct stream_record *record, struct error *error);

/* A digest of 64 bits (XXH3) for every page of RAM. */
struct ram_digests {
    unsigned int ranges;
    uint64_t pages[BOARD_RAM_RANGES_MAX];
    uint64_t *digest[BOARD_RAM_RANGES_MAX];
};

int ram_digests_take(struct machine *machine, struct ram_digests *digests, struct error *error);
/* The same, which calls `meanwhile` after every 256 MiB or so. */
int ram_digests_take_slowly(struct machine *machine, struct ram_digests *digests, void (*meanwhile)(void *context),
                            void *context, struct error *error);
void ram_digests_free(struct ram_digests *digests);
int ram_digests_send(const struct ram_digests *digests, struct stream *stream, uint64_t timeout_ns,
                     struct error *error);

/* What came of comparing ours with the source's, as STREAM_DIGESTS records come in. */
struct ram_comparison {
    uint64_t compared;
    uint64_t changed; /* left out: ours was written since */
    uint64_t different;
    uint64_t first_different; /* guest physical address, where different > 0 */
    /* Which page is due next: each comes once. */
    unsigned int next_range;
    uint64_t next_page;
};

/* changed: the pages that are left out, NULL for none. */
int ram_digests_compare(const struct ram_digests *ours, const struct page_set *changed, struct machine *machine,
                        const struct stream_record *record, struct ram_comparison *comparison, struct error *error);

#endif
