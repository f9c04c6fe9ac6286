/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs what is left of a campaign. A step is begun when the one that it needs did not fail, as many at a time as the
 * campaign has jobs, no two of them on one device. A step that does not end by the campaign's limit is killed, said to hang,
 * and no further one is begun: whatever holds it may hold the next one, too.
 */
#ifndef STOPCOPY_CAMPAIGN_RUNNER_H
#define STOPCOPY_CAMPAIGN_RUNNER_H

#include "vmm/campaign/campaign.h"
#include "vmm/campaign/journal.h"

#define RUNNER_JOBS_MAX 64

struct runner_watch {
    void (*begins)(void *context, const struct campaign *campaign, const struct campaign_step *step);
    void (*ended)(void *context, const struct campaign *campaign, const struct campaign_step *step);
    void *context;
};

/* SIGINT and SIGTERM end it: what is under way is killed and can be run again. Returns -1 where a step could not be begun or the
 * journal not be written; the steps have their results in any case. */
int runner_run(struct campaign *campaign, struct journal *journal, const struct runner_watch *watch,
               struct error *error);

#endif
