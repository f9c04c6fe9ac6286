/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The destination's proof that its RAM is what the source's was: a digest of every page, compared with the source's.
 * full: taken before the guest starts. deferred: taken while it runs, behind logs of all that writes to RAM, so that the
 * guest does not wait; pages written meanwhile cannot be verified, and are counted.
 */
#ifndef STOPCOPY_VERIFICATION_H
#define STOPCOPY_VERIFICATION_H

#include "vmm/migrate/dirty_tracking.h"
#include "vmm/migrate/ram.h"

enum verify_mode {
    VERIFY_OFF,
    VERIFY_FULL,
    VERIFY_DEFERRED,
};

struct verification {
    enum verify_mode mode;
    struct machine *machine;
    struct event_log *log;
    void (*meanwhile)(
        void *context); /* called from time to time while the guest waits for the digests; NULL: nothing */
    void *context;
    bool shared; /* RAM is the source's own: what is proven is that nobody wrote between its stop and the start here */
    struct ram_digests digests;
    struct ram_comparison comparison;
    struct dirty_tracking tracking;
    struct page_set changed; /* deferred: since the guest started */
};

/* Before the guest starts, its devices in STOP. Of the verification meanwhile and context are the caller's, the rest is set. */
int verification_begin(struct verification *verification, enum verify_mode mode, bool shared, struct machine *machine,
                       struct device_set *set, struct error *error);
/* Once it runs. */
int verification_go_on(struct verification *verification, struct error *error);
/* A STREAM_DIGESTS record of the source. */
int verification_compare(struct verification *verification, const struct stream_record *record, struct error *error);
/* What came of it goes to the event log: rule "ram/page-differs", or what was not proven. */
void verification_conclude(struct verification *verification);
/* Stops the logs. May be called before anything else was. */
void verification_end(struct verification *verification);

#endif
