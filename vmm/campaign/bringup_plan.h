/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What bringup does with a device: from what probe says of it, the steps that fit it, the simplest first. A step needs an
 * earlier one where it makes no sense without.
 */
#ifndef STOPCOPY_CAMPAIGN_BRINGUP_PLAN_H
#define STOPCOPY_CAMPAIGN_BRINGUP_PLAN_H

#include "vmm/campaign/campaign.h"

#define BRINGUP_PASSED_ON_MAX 32

struct bringup_wishes {
    const char *device;      /* as given, with ,to=DEVICE */
    const char *own;         /* without it */
    const char *destination; /* "" where none is given */
    bool is_test;            /* each step has a server of its own: it can be at both ends */
    const char *hazard;      /* "none", "reset" or "all" */
    unsigned int repeat;     /* migrations of a step, there and back */
    uint64_t at_ops;         /* 0: as many as suit the workload */
    uint64_t memory;         /* bytes of the guest's RAM */
    const char *way;         /* --vfio, NULL where not given */
    size_t passed_on;        /* words for every step that has a guest */
    const char *word[BRINGUP_PASSED_ON_MAX];
};

/* probe's own steps: that of the device, and of the destination's. */
void bringup_plan_probe(struct campaign *campaign, const struct bringup_wishes *wishes);
/* All others. facts: what `probe --json` printed, hostile. */
void bringup_plan_rest(struct campaign *campaign, const struct bringup_wishes *wishes, const json_t *facts);

#endif
