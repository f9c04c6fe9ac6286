/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/campaign/bringup_plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "stopcopy/vfio_compat.h"
#include "vmm/cmd/cmd.h"
#include "vmm/proof/proof.h"
#include "vmm/proof/workload.h"

/* Enough operations for the device to be at work before and after, and few enough for a bring-up to be short. */
static const struct {
    enum workload_id id;
    uint64_t at_ops;
} usual[] = {{WORKLOAD_DMA, 3000}, {WORKLOAD_UART, 200}, {WORKLOAD_EDU, 20}, {WORKLOAD_TALLY, 200}};

#define USUAL_AT_OPS_WITHOUT_DEVICE 1000u
/* An operation at a time takes so much longer. */
#define ALONE_DIVISOR 5u
#define WORKLOADS_MAX 3

struct plan {
    struct campaign *campaign;
    const struct bringup_wishes *wishes;
    const char *workload; /* that the device has a driver for, NULL: none */
    uint64_t at_ops;
    uint64_t flags; /* VFIO_MIGRATION_* */
    bool
        both_ends; /* there is a destination to migrate to; else the guest goes by a file and comes back to the device */
    int probe, run, plain;
};

/* One choice of work for the guest. */
struct load {
    const char *name;
    const char *text;
    char words[160]; /* of the command line */
    uint64_t at_ops;
};

void bringup_plan_probe(struct campaign *campaign, const struct bringup_wishes *wishes)
{
    int step = campaign_add(campaign, "probe", "what the device is and supports; nothing of it is changed",
                            "probe --json", -1);

    campaign_add_word(campaign, step, "%s", wishes->own);
    campaign_add_device(campaign, step, wishes->own);
    if (wishes->way)
        campaign_add_word(campaign, step, "--vfio=%s", wishes->way);
    campaign->step[step].output = STEP_OUTPUT_JSON;
    if (!*wishes->destination)
        return;
    step = campaign_add(campaign, "probe.destination", "the same of the destination's", "probe --json", step);
    campaign_add_word(campaign, step, "%s", wishes->destination);
    campaign_add_device(campaign, step, wishes->destination);
    if (wishes->way)
        campaign_add_word(campaign, step, "--vfio=%s", wishes->way);
    if (step >= 0)
        campaign->step[step].output = STEP_OUTPUT_JSON;
}

static void add_check(struct plan *plan, const char *name, const char *text, const char *device)
{
    int step = campaign_add(plan->campaign, name, text, "check", plan->probe);

    if (step < 0)
        return;
    campaign_add_word(plan->campaign, step, "%s", device);
    campaign_add_word(plan->campaign, step, "--hazard=%s", plan->wishes->hazard);
    campaign_add_device(plan->campaign, step, device);
    plan->campaign->step[step].output = STEP_OUTPUT_CHECK;
}

/* A step with a guest: the words that all of these have. */
static int add_guest(struct plan *plan, const char *name, const char *text, const char *command, const char *device,
                     int needs)
{
    const struct bringup_wishes *wishes = plan->wishes;
    int step = campaign_add(plan->campaign, name, text, command, needs);

    campaign_add_word(plan->campaign, step, "--device=%s", device);
    campaign_add_device(plan->campaign, step, wishes->own);
    if (*wishes->destination)
        campaign_add_device(plan->campaign, step, wishes->destination);
    for (size_t i = 0; i < wishes->passed_on; i++)
        campaign_add_word(plan->campaign, step, "%s", wishes->word[i]);
    return step;
}

static void due(struct plan *plan, int step, int status)
{
    if (step >= 0)
        plan->campaign->step[step].due_status = status;
}

/* The loads that fit the device: everything at once, it alone, it against a guest that writes much memory. */
static size_t list_loads(const struct plan *plan, struct load loads[static WORKLOADS_MAX])
{
    uint64_t working_set = plan->wishes->memory / 4 / 1048576;
    bool dma = plan->workload && !strcmp(plan->workload, "dma");

    loads[0] = (struct load){.name = "all", .text = "every workload that fits", .at_ops = plan->at_ops};
    if (!plan->workload)
        return 1;
    loads[1] = (struct load){.name = "alone", .text = "the device's workload alone, an operation at a time"};
    loads[1].at_ops = dma ? plan->at_ops / ALONE_DIVISOR + 1 : plan->at_ops;
    snprintf(loads[1].words, sizeof(loads[1].words), "--workload=%s%s", plan->workload, dma ? ",depth=1" : "");
    loads[2] = (struct load){.name = "busy",
                             .text = "the device's workload as deep as it goes, and much memory written",
                             .at_ops = plan->at_ops};
    snprintf(loads[2].words, sizeof(loads[2].words), "--workload=%s%s --workload=memory,size=%" PRIu64 "M",
             plan->workload, dma ? ",depth=256" : "", working_set ? working_set : 1);
    return WORKLOADS_MAX;
}

static void add_migration(struct plan *plan, const char *mode, const struct load *load)
{
    char name[CAMPAIGN_NAME_MAX], text[160], command[64];
    int step;

    snprintf(name, sizeof(name), "%s.%s", mode, load->name);
    snprintf(text, sizeof(text), "%u migration%s%s by %s: %s", plan->wishes->repeat,
             plan->wishes->repeat > 1 ? "s" : "", plan->wishes->repeat > 1 ? ", there and back," : "", mode,
             load->text);
    snprintf(command, sizeof(command), "migrate --mode=%s --repeat=%u", mode, plan->wishes->repeat);
    step = add_guest(plan, name, text, command, plan->wishes->device, plan->plain >= 0 ? plan->plain : plan->run);
    campaign_add_words(plan->campaign, step, load->words);
    campaign_add_word(plan->campaign, step, "--at-ops=%" PRIu64, load->at_ops);
    if (!plan->both_ends)
        campaign_add_word(plan->campaign, step, "--same-device");
    /* What the plainest cannot do, the others cannot either. */
    if (plan->plain < 0)
        plan->plain = step;
}

static void add_migrations(struct plan *plan)
{
    static const char *const modes[] = {"stop-copy", "pre-copy"};
    struct load loads[WORKLOADS_MAX];
    size_t count = list_loads(plan, loads);

    for (size_t mode = 0; mode < 2; mode++) {
        /* The flag is what pre-copy of the device needs; pre-copy of RAM alone is tried once. */
        bool offered = mode == 0 || plan->flags & VFIO_MIGRATION_PRE_COPY;

        for (size_t i = 0; i < (offered ? count : 1); i++)
            add_migration(plan, modes[mode], &loads[i]);
    }
}

/* The guest goes into a file, and comes out of it again: all of a migration, and one device is enough. */
static void add_file(struct plan *plan)
{
    const struct bringup_wishes *wishes = plan->wishes;
    int step = add_guest(plan, "file.save", "the guest is saved in a file", "source", wishes->device,
                         plan->plain >= 0 ? plan->plain : plan->run);

    campaign_add_word(plan->campaign, step, "--to=file:%s/guest.saved", plan->campaign->folder);
    campaign_add_word(plan->campaign, step, "--at-ops=%" PRIu64, plan->at_ops);
    if (plan->plain < 0)
        plan->plain = step;
    step = campaign_add(plan->campaign, "file.load", "it comes out of the file, and does the rest of its work", "dest",
                        step);
    campaign_add_word(plan->campaign, step, "--device=%s", wishes->device);
    campaign_add_device(plan->campaign, step, *wishes->destination ? wishes->destination : wishes->own);
    if (wishes->way)
        campaign_add_word(plan->campaign, step, "--vfio=%s", wishes->way);
    campaign_add_word(plan->campaign, step, "--from=file:%s/guest.saved", plan->campaign->folder);
    campaign_add_word(plan->campaign, step, "--at-ops=%" PRIu64, plan->at_ops);
}

/*
 * A destination that died has left its device wherever it was, in RESUMING, say. A PCI function is reset when it is closed; an
 * mdev, or a server, may keep that state for whoever comes next.
 */
static void add_reset(struct plan *plan, const char *after)
{
    const struct bringup_wishes *wishes = plan->wishes;
    char name[CAMPAIGN_NAME_MAX];
    int step;

    if (wishes->is_test)
        return;
    snprintf(name, sizeof(name), "%s.reset", after);
    step = campaign_add(plan->campaign, name, "the destination's device is reset, and is in RUNNING", "state",
                        plan->plain);
    if (step < 0)
        return;
    if (wishes->way)
        campaign_add_word(plan->campaign, step, "--vfio=%s", wishes->way);
    campaign_add_word(plan->campaign, step, "%s", wishes->destination);
    campaign_add_words(plan->campaign, step, "reset get");
    campaign_add_device(plan->campaign, step, wishes->destination);
    plan->campaign->step[step].output = STEP_OUTPUT_TEXT;
    /* Without it whatever comes after would meet what is left. */
    plan->plain = step;
}

static void add_death(struct plan *plan, const char *name, const char *text, const char *at)
{
    int step = add_guest(plan, name, text, "migrate", plan->wishes->device, plan->plain);

    campaign_add_word(plan->campaign, step, "--at=destination/%s:kill -KILL $STOPCOPY_DESTINATION_PID", at);
    campaign_add_word(plan->campaign, step, "--at-ops=%" PRIu64, plan->at_ops);
    due(plan, step, STATUS_ON_SOURCE);
    add_reset(plan, name);
}

/* Failures that any VMM may meet, and that put nothing wrong into the device: the guest goes on where it was. */
static void add_failures(struct plan *plan)
{
    int step = add_guest(plan, "fail.cancel", "pre-copy is cancelled after a round: the guest goes on at the source",
                         "migrate --mode=pre-copy --max-rounds=1 --max-downtime=1ns --on-no-convergence=give-up",
                         plan->wishes->device, plan->plain);

    campaign_add_word(plan->campaign, step, "--at-ops=%" PRIu64, plan->at_ops);
    due(plan, step, STATUS_ON_SOURCE);
    if (strcmp(plan->wishes->hazard, "none") != 0) {
        add_death(plan, "fail.while-loading", "the destination dies while it loads: the guest goes on at the source",
                  "load");
        add_death(plan, "fail.when-loaded", "the destination dies when it is ready: the guest goes on at the source",
                  "ready");
    } else {
        campaign_not_proven(plan->campaign,
                            "what a destination that dies leaves of the device: --hazard reset allows it");
    }
    step = add_guest(plan, "after-failures", "a migration as at first: nothing is left of the failures", "migrate",
                     plan->wishes->device, plan->plain);
    campaign_add_word(plan->campaign, step, "--at-ops=%" PRIu64, plan->at_ops);
}

static void add_run(struct plan *plan)
{
    plan->run =
        add_guest(plan, "run", "a guest works the device; nothing is migrated", "run", plan->wishes->own, plan->probe);
    campaign_add_word(plan->campaign, plan->run, "--ops=%" PRIu64, plan->at_ops);
}

static void read_facts(struct plan *plan, const json_t *facts)
{
    const json_t *pci = json_object_get(facts, "pci"), *migration = json_object_get(facts, "migration");
    const struct proof_workload *workload =
        json_is_object(pci) ? proof_workload_of((uint16_t)json_integer_value(json_object_get(pci, "vendor")),
                                                (uint16_t)json_integer_value(json_object_get(pci, "device")))
                            : NULL;

    plan->flags = (uint64_t)json_integer_value(json_object_get(migration, "flags"));
    plan->at_ops = USUAL_AT_OPS_WITHOUT_DEVICE;
    if (workload)
        plan->workload = proof_workload_name(workload->id);
    for (size_t i = 0; workload && i < sizeof(usual) / sizeof(usual[0]); i++)
        if (usual[i].id == workload->id)
            plan->at_ops = usual[i].at_ops;
    if (plan->wishes->at_ops)
        plan->at_ops = plan->wishes->at_ops;
}

void bringup_plan_rest(struct campaign *campaign, const struct bringup_wishes *wishes, const json_t *facts)
{
    struct plan plan = {.campaign = campaign, .wishes = wishes, .run = -1, .plain = -1};

    plan.probe = (int)campaign->steps - 1;
    plan.both_ends = wishes->is_test || *wishes->destination;
    read_facts(&plan, facts);
    if (!plan.workload)
        campaign_not_proven(campaign, "the guest has no driver for this device, which is idle in every step: "
                                      "docs/writing-a-guest-driver.md");
    add_check(&plan, "check", "the rules of the uAPI, one by one", wishes->own);
    if (*wishes->destination)
        add_check(&plan, "check.destination", "the same of the destination's", wishes->destination);
    add_run(&plan);
    if (!(plan.flags & VFIO_MIGRATION_STOP_COPY)) {
        campaign_not_proven(campaign, "the device cannot be migrated: probe says what is missing");
        return;
    }
    if (!plan.both_ends) {
        campaign_not_proven(campaign, "a migration to another device, live, and its failures: ,to=DEVICE names one");
        add_migrations(&plan);
        add_file(&plan);
        return;
    }
    add_migrations(&plan);
    add_file(&plan);
    add_failures(&plan);
}
