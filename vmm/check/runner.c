/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fnmatch.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/check/runner.h"
#include "vmm/check/traffic.h"
#include "vmm/cmd/cmd.h"
#include "vmm/vfio/fsm.h"
#include "vmm/vfio/migration.h"
#include "vmm/vfio/vfio_user.h"

/* No rule may have more of the time than this part of it. */
#define RULE_SHARE 16

static bool fits(const char *const *patterns, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (!fnmatch(patterns[i], name, 0))
            return true;
    return false;
}

bool check_plan_selects(const struct check_plan *plan, const struct check_rule *rule)
{
    return (!plan->only_count || fits(plan->only, plan->only_count, rule->name)) &&
           !fits(plan->skip, plan->skip_count, rule->name);
}

static int validate_patterns(const char *const *patterns, size_t count, const char *option, struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        const struct check_rule *rule;
        bool any = false;

        for (size_t number = 0; !any && (rule = check_rule_at(number)); number++)
            any = !fnmatch(patterns[i], rule->name, 0);
        if (!any)
            return error_set(error, 0, "%s %s: no rule has such a name (stopcopy check --list has them)", option,
                             patterns[i]);
    }
    return 0;
}

int check_plan_validate(const struct check_plan *plan, struct error *error)
{
    if (validate_patterns(plan->only, plan->only_count, "--only", error) < 0)
        return -1;
    return validate_patterns(plan->skip, plan->skip_count, "--skip", error);
}

static uint32_t get_declared(const struct vfio_device *device)
{
    const struct vfio_user_agreement *agreement = vfio_user_get_agreement(device);

    if (!agreement || !agreement->stopcopy)
        return 0;
    return (agreement->checksum ? CHECK_DECLARES_CHECKSUM : 0u) |
           (agreement->repeatable ? CHECK_DECLARES_REPEATABLE : 0u) |
           (agreement->exact_size ? CHECK_DECLARES_EXACT_SIZE : 0u);
}

static bool tells_peers(const struct vfio_device *device)
{
    const struct vfio_user_agreement *agreement = vfio_user_get_agreement(device);

    return agreement && agreement->peer_mappings;
}

static bool has_feature(struct vfio_device *device, uint32_t feature)
{
    uint64_t payload[8] = {0};

    return device->ops->feature(device, VFIO_DEVICE_FEATURE_PROBE | feature, payload, sizeof(payload), NULL) == 0;
}

/* What the device is: asked once. */
static int discover(struct check_context *context, struct error *error)
{
    struct vfio_device *device = context->device;
    struct vfio_device_info_summary info;
    struct error unsaid = ERROR_INIT;

    if (device->ops->get_info(device, &info, error) < 0 || migration_get_flags(device, &context->flags, error) < 0)
        return -1;
    context->can_reset = info.flags & VFIO_DEVICE_FLAGS_RESET;
    /* What can be done for a device depends on it, so it is not left at the word of a driver that forgot the flag. */
    if (!context->can_reset && context->flags && context->hazard >= CHECK_HAZARD_RESET)
        context->can_reset = context->reset_unsaid = device->ops->reset(device, &unsaid) == 0;
    context->dma_logging = has_feature(device, VFIO_DEVICE_FEATURE_DMA_LOGGING_START | VFIO_DEVICE_FEATURE_SET);
    context->tells_peers = tells_peers(device);
    context->declares = get_declared(device);
    return 0;
}

static bool server_is_gone(struct check_context *context)
{
    struct pollfd poll_fd = {.events = POLLIN};

    if (!context->device)
        return true;
    poll_fd.fd = context->device->ops->gone_fd(context->device);
    return poll_fd.fd >= 0 && poll(&poll_fd, 1, 0) > 0;
}

/* A server that went away in the middle of a rule is a finding of its own, whatever the rule was about. */
static void note_lost(struct check_context *context, const char *when, const struct error *error)
{
    if (context->lost_count++)
        return;
    snprintf(context->lost, sizeof(context->lost), "during %s: %.300s", when,
             error->text[0] ? error->text : "its server went away");
}

/* A good stream to load, of a device that has done nothing yet. */
static void save_image(struct check_context *context)
{
    struct error error = ERROR_INIT;

    if (!fsm_flags_defined(context->flags)) {
        snprintf(context->no_image, sizeof(context->no_image), "it has no migration");
    } else if (check_save(context, NULL, &context->image, &error) < 0) {
        snprintf(context->no_image, sizeof(context->no_image), "there is no good stream of it: %.300s", error.text);
        buffer_clear(&context->image);
    } else if (!context->image.size) {
        snprintf(context->no_image, sizeof(context->no_image), "its stream is empty");
    }
    if (server_is_gone(context))
        note_lost(context, "the first save", &error);
    if (check_settle(context, &error) < 0)
        snprintf(context->unusable, sizeof(context->unusable), "no longer usable since it was saved: %.300s",
                 error.text);
}

static const struct {
    uint32_t need;
    const char *reason;
} needs[] = {
    {CHECK_NEEDS_MIGRATION, "it has no migration, or flags that the uAPI does not define"},
    {CHECK_NEEDS_P2P, "it does not offer VFIO_MIGRATION_P2P"},
    {CHECK_NEEDS_PRE_COPY, "it does not offer VFIO_MIGRATION_PRE_COPY"},
    {CHECK_NEEDS_NO_PRE_COPY, "it offers VFIO_MIGRATION_PRE_COPY"},
    {CHECK_NEEDS_DMA_LOGGING, "it does not log its DMA"},
    {CHECK_NEEDS_RESET, "it has no VFIO_DEVICE_RESET"},
};

static uint32_t get_provided(const struct check_context *context)
{
    bool migration = fsm_flags_defined(context->flags);

    return (migration ? CHECK_NEEDS_MIGRATION : 0) | (context->flags & VFIO_MIGRATION_P2P ? CHECK_NEEDS_P2P : 0) |
           (context->flags & VFIO_MIGRATION_PRE_COPY ? CHECK_NEEDS_PRE_COPY : CHECK_NEEDS_NO_PRE_COPY) |
           (context->dma_logging ? CHECK_NEEDS_DMA_LOGGING : 0) | (context->can_reset ? CHECK_NEEDS_RESET : 0) |
           (context->traffic ? CHECK_NEEDS_TRAFFIC : 0);
}

/* Is the rule to be run? Fills in the result where it is not. */
static bool is_ready(const struct check_context *context, const struct check_plan *plan, struct check_entry *entry)
{
    const struct check_rule *rule = entry->rule;
    uint32_t missing = rule->needs & ~get_provided(context);

    if (rule->looks_back)
        return true;
    for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
        if (!(missing & needs[i].need))
            continue;
        check_not_applicable(&entry->result, "%s", needs[i].reason);
        return false;
    }
    if (rule->hazard > context->hazard) {
        check_not_tried(&entry->result, "left out: its hazard is '%s' (--hazard)", check_hazard_name(rule->hazard));
        entry->left_out = plan->hazard_given;
    } else if (context->unusable[0]) {
        check_not_tried(&entry->result, "%s", context->unusable);
    } else if (missing & CHECK_NEEDS_TRAFFIC) {
        check_not_tried(&entry->result, "%s", context->no_traffic ? context->no_traffic : "nothing puts it to work");
    } else if (deadline_expired(context->deadline)) {
        check_not_tried(&entry->result, "the time was up (--time-limit)");
    } else {
        return true;
    }
    return false;
}

static uint64_t hash_name(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 0x100000001b3u;
    return hash;
}

static void run_rule(struct check_context *context, struct check_entry *entry, uint64_t budget_ns)
{
    const struct check_rule *rule = entry->rule;
    uint64_t begun = clock_now_ns();
    struct error error = ERROR_INIT;

    context->random = context->seed ^ hash_name(rule->name);
    context->rule_deadline = deadline_in_ns(budget_ns);
    if (rule->run(context, &entry->result, &error) < 0)
        check_not_tried(&entry->result, "%s", error.text);
    if (rule->looks_back)
        return;
    if (server_is_gone(context))
        note_lost(context, rule->name, &error);
    entry->result.ns = clock_now_ns() - begun;
    context->rule_deadline = deadline_in_ns(budget_ns);
    if (!context->unusable[0] && check_settle(context, &error) < 0)
        snprintf(context->unusable, sizeof(context->unusable), "no longer usable since rule %s: %.300s", rule->name,
                 error.text);
}

static const char *find_known(const struct check_plan *plan, const struct check_rule *rule)
{
    for (size_t i = 0; i < plan->known.count; i++)
        if (!fnmatch(plan->known.rules[i].rule, rule->name, 0))
            return plan->known.rules[i].comment;
    return NULL;
}

static int make_entries(const struct check_plan *plan, uint32_t declares, struct check_run *run, struct error *error)
{
    const struct check_rule *rule;

    run->entry = calloc(CHECK_RULES_MAX, sizeof(*run->entry));
    if (!run->entry)
        return error_set(error, ENOMEM, "the results");
    for (size_t i = 0; (rule = check_rule_at(i)); i++) {
        if (run->count == CHECK_RULES_MAX || !check_plan_selects(plan, rule))
            continue;
        run->entry[run->count++] = (struct check_entry){
            .rule = rule,
            .level = rule->must_if && !(rule->must_if & ~declares) ? CHECK_MUST : rule->level,
            .known = find_known(plan, rule),
        };
    }
    return 0;
}

static void run_entries(struct check_context *context, const struct check_plan *plan, check_progress progress,
                        void *opaque, struct check_run *run)
{
    uint64_t budget_ns = plan->time_limit_ns / RULE_SHARE;

    for (size_t i = 0; i < run->count; i++) {
        struct check_entry *entry = &run->entry[i];

        if (is_ready(context, plan, entry))
            run_rule(context, entry, budget_ns);
        if (progress)
            progress(opaque, run, entry);
    }
}

int check_run_all(const struct check_opener *opener, const struct check_plan *plan, check_progress progress,
                  void *opaque, struct check_run *run, struct error *error)
{
    struct check_context context = {
        .opener = opener,
        .seed = plan->seed,
        .deadline = deadline_in_ns(plan->time_limit_ns),
        .rule_deadline = deadline_in_ns(plan->time_limit_ns),
        .stop_hold_ns = plan->stop_hold_ns,
        .hazard = plan->hazard,
    };
    uint64_t begun = clock_now_ns();
    int result = -1;

    *run = (struct check_run){.seed = plan->seed};
    if (check_reopen(&context, error) < 0 || discover(&context, error) < 0 ||
        make_entries(plan, context.declares, run, error) < 0)
        goto out;
    snprintf(run->device, sizeof(run->device), "%s", context.device->name);
    snprintf(run->backend, sizeof(run->backend), "%s", context.device->ops->name);
    run->flags = context.flags;
    run->declares = context.declares;
    save_image(&context);
    run->image_size = context.image.size;
    run_entries(&context, plan, progress, opaque, run);
    memcpy(run->unusable, context.unusable, sizeof(run->unusable));
    run->ns = clock_now_ns() - begun;
    result = 0;
out:
    check_close_session(&context);
    check_traffic_close(context.traffic);
    if (context.device)
        opener->close(opener->opaque, context.device);
    buffer_free(&context.image);
    if (result < 0)
        check_run_free(run);
    return result;
}

void check_run_free(struct check_run *run)
{
    free(run->entry);
    run->entry = NULL;
    run->count = 0;
}

bool check_entry_is_finding(const struct check_entry *entry)
{
    return entry->result.outcome == CHECK_BROKEN && !entry->known;
}

bool check_entry_is_incomplete(const struct check_entry *entry)
{
    return entry->result.outcome == CHECK_NOT_TRIED && entry->level == CHECK_MUST && !entry->left_out;
}

int check_run_status(const struct check_run *run)
{
    bool incomplete = !fsm_flags_defined(run->flags);
    bool held = false;

    for (size_t i = 0; i < run->count; i++) {
        const struct check_entry *entry = &run->entry[i];

        if (check_entry_is_finding(entry) && entry->level == CHECK_MUST)
            return STATUS_BROKEN;
        incomplete |= check_entry_is_incomplete(entry);
        held |= entry->result.outcome == CHECK_OK;
    }
    return incomplete || !held ? STATUS_INCOMPLETE : STATUS_INTACT;
}
