/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/migrate/verification.h"

#include <inttypes.h>

int verification_begin(struct verification *verification, enum verify_mode mode, bool shared, struct machine *machine,
                       struct device_set *set, struct error *error)
{
    uint64_t start = clock_now_ns();

    *verification = (struct verification){.meanwhile = verification->meanwhile,
                                          .context = verification->context,
                                          .mode = mode,
                                          .shared = shared,
                                          .machine = machine,
                                          .log = set->log,
                                          .tracking = {.machine = machine, .set = set}};
    if (mode == VERIFY_OFF)
        return 0;
    if (mode == VERIFY_FULL) {
        if (ram_digests_take_slowly(machine, &verification->digests, verification->meanwhile, verification->context,
                                    error) < 0)
            return -1;
        event_phase(verification->log, "verify", start, clock_now_ns(), 0);
        return 0;
    }
    /* The first taking of the logs has every page, whatever was written: what counts begins after it. */
    if (page_set_init(&verification->changed, machine, error) < 0 ||
        dirty_tracking_start(&verification->tracking, error) < 0 ||
        dirty_tracking_take(&verification->tracking, &verification->changed, error) < 0)
        return -1;
    page_set_clear(&verification->changed);
    event_phase(verification->log, "verify-prepare", start, clock_now_ns(), 0);
    return 0;
}

int verification_go_on(struct verification *verification, struct error *error)
{
    uint64_t start = clock_now_ns();
    int result;

    if (verification->mode != VERIFY_DEFERRED)
        return 0;
    /* A page that is written before, while or after its digest is taken is in the logs that are read last. */
    result = ram_digests_take(verification->machine, &verification->digests, error);
    if (result == 0)
        result = dirty_tracking_take(&verification->tracking, &verification->changed, error);
    dirty_tracking_stop(&verification->tracking);
    event_phase(verification->log, "verify", start, clock_now_ns(), 0);
    return result;
}

int verification_compare(struct verification *verification, const struct stream_record *record, struct error *error)
{
    const struct page_set *changed = verification->mode == VERIFY_DEFERRED ? &verification->changed : NULL;

    return ram_digests_compare(&verification->digests, changed, verification->machine, record,
                               &verification->comparison, error);
}

void verification_conclude(struct verification *verification)
{
    const struct ram_comparison *comparison = &verification->comparison;
    uint64_t pages = 0;

    if (verification->mode == VERIFY_OFF) {
        event_not_proven(verification->log, false,
                         verification->shared
                             ? "RAM is the source's own memory; that nobody wrote to it between the stop and the start "
                               "was not compared (--verify off)"
                             : "RAM was not compared with the source's (--verify off)");
        return;
    }
    for (unsigned int range = 0; range < verification->digests.ranges; range++)
        pages += verification->digests.pages[range];
    event_fact(verification->log, "ram.pages_verified", comparison->compared);
    event_fact(verification->log, "ram.pages_unverified", pages - comparison->compared);
    if (comparison->different && verification->shared)
        event_finding(verification->log, "ram/written-while-stopped",
                      "%" PRIu64 " of %" PRIu64 " pages of shared RAM were written between the source's stop and the "
                      "start here, the first at 0x%" PRIx64,
                      comparison->different, comparison->compared, comparison->first_different);
    else if (comparison->different)
        event_finding(verification->log, "ram/page-differs",
                      "%" PRIu64 " of %" PRIu64 " pages of RAM differ from the source's, the first at 0x%" PRIx64,
                      comparison->different, comparison->compared, comparison->first_different);
    else if (comparison->compared + comparison->changed != pages)
        event_not_proven(verification->log, true,
                         "RAM: digests of %" PRIu64 " of %" PRIu64 " pages came from the source",
                         comparison->compared + comparison->changed, pages);
    if (comparison->changed)
        event_not_proven(verification->log, false,
                         "RAM: %" PRIu64 " of %" PRIu64 " pages were written before they could be verified%s",
                         comparison->changed, pages,
                         verification->tracking.incomplete ? ", as far as is known: a device has no dirty log" : "");
}

void verification_end(struct verification *verification)
{
    if (!verification->machine)
        return;
    dirty_tracking_stop(&verification->tracking);
    ram_digests_free(&verification->digests);
    page_set_free(&verification->changed);
}
