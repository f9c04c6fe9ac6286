/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rules that put a device to work: each finds what it is for, and nothing in devices that are as they should be. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/check/shim.h"
#include "vmm/check/groups.h"
#include "vmm/check/traffic.h"
#include "vmm/vfio/dirty_log.h"
#include "vmm/vfio/migration.h"

#define HOLD_NS 30000000u

static const struct check_group *const groups[] = {&check_stop_group,  &check_p2p_group,  &check_dirty_group,
                                                   &check_guest_group, &check_race_group, &check_nomem_group};
#define GROUPS (sizeof(groups) / sizeof(groups[0]))

/* The device is closed and opened by one step. */
static struct vfio_device *open_again(void *opaque, struct error *error)
{
    (void)error;
    shim_reopen(opaque);
    return &((struct shim *)opaque)->device;
}

static void leave_open(void *opaque, struct vfio_device *device)
{
    (void)opaque, (void)device;
}

static struct check_context make_context(struct vfio_device *device, uint64_t seed)
{
    struct check_context context = {.device = device,
                                    .dma_logging = true,
                                    .can_reset = true,
                                    .seed = seed,
                                    .random = seed,
                                    .stop_hold_ns = HOLD_NS,
                                    .deadline = deadline_in_ms(120000),
                                    .rule_deadline = deadline_in_ms(60000),
                                    .hazard = CHECK_HAZARD_BAD_IMAGE};
    struct error error = ERROR_INIT;

    cr_assert_eq(migration_get_flags(device, &context.flags, &error), 0, "%s", error.text);
    context.dma_logging = device_log_probe(device, &error) == 1;
    context.tells_peers = true;
    context.traffic = check_traffic_open(&context, &context.no_traffic);
    return context;
}

static const struct check_rule *find(const char *name)
{
    for (size_t i = 0; i < GROUPS; i++)
        for (size_t j = 0; j < groups[i]->count; j++)
            if (!strcmp(groups[i]->rules[j].name, name))
                return &groups[i]->rules[j];
    cr_assert_fail("no rule %s", name);
    return NULL;
}

static struct check_result run_on(struct shim *shim, const struct check_rule *rule, uint64_t seed)
{
    const struct check_opener opener = {.opaque = shim, .open = open_again, .close = leave_open};
    struct check_context context = make_context(&shim->device, seed);
    struct check_result result = {.outcome = CHECK_OK};
    struct error error = ERROR_INIT;

    context.opener = &opener;
    cr_assert_not_null(context.traffic, "%s", context.no_traffic);
    cr_assert_eq(rule->run(&context, &result, &error), 0, "%s: %s", rule->name, error.text);
    cr_assert_eq(check_settle(&context, &error), 0, "%s: %s", rule->name, error.text);
    check_traffic_close(context.traffic);
    return result;
}

static void expect_ok(struct shim *shim, const struct check_rule *rule, uint64_t seed)
{
    struct check_result result = run_on(shim, rule, seed);

    cr_assert(result.outcome == CHECK_OK || result.outcome == CHECK_NOT_APPLICABLE, "%s, seed %d: %s%s%s", rule->name,
              (int)seed, result.reason, result.finding_count ? result.finding[0].expected : "",
              result.finding_count ? result.finding[0].seen : "");
}

static void run_clean(const char *spec, uint64_t seeds)
{
    uint32_t missing = strstr(spec, "pre-copy") ? 0 : CHECK_NEEDS_PRE_COPY;
    struct shim shim;

    shim_open(&shim, spec);
    for (uint64_t seed = 1; seed <= seeds; seed++)
        for (size_t i = 0; i < GROUPS; i++)
            for (size_t j = 0; j < groups[i]->count; j++)
                if (!(groups[i]->rules[j].needs & missing))
                    expect_ok(&shim, &groups[i]->rules[j], seed);
    shim_close(&shim);
}

static uint64_t clean_seeds(void)
{
    const char *seeds = getenv("CHECK_SEEDS");

    return seeds ? strtoull(seeds, NULL, 10) : 1;
}

Test(rules_work, find_nothing_in_the_dma_device, .timeout = 600)
{
    run_clean("test:queues=3,memory=2M", clean_seeds());
}

Test(rules_work, find_nothing_in_one_that_asks_for_its_memory, .timeout = 600)
{
    run_clean("test:dma=message,memory=1M,features=stop-copy+p2p+pre-copy", clean_seeds());
}

/* A defect of struct shim, and the rule that finds it. */
struct wrong {
    const char *rule;
    size_t offset;    /* of the bool */
    const char *seen; /* words of the finding */
    bool like_the_kernel;
    const char *spec; /* NULL: one that serves most */
};

static void expect_broken(struct shim *shim, const char *rule, const char *words)
{
    struct check_result result = run_on(shim, find(rule), 1);

    cr_assert_eq(result.outcome, CHECK_BROKEN, "%s: %d %s", rule, (int)result.outcome, result.reason);
    cr_assert_not_null(strstr(result.finding[0].seen, words), "%s: %s", rule, result.finding[0].seen);
}

#define WRONG(name, member, words, ...)                                                                                \
    {                                                                                                                  \
        .rule = name, .offset = offsetof(struct shim, member), .seen = words, ##__VA_ARGS__                            \
    }

static const struct wrong wrongs[] = {
    WRONG("stop/no-dma", write_in_stop, "IOVA 0x500fff"),
    WRONG("stop/no-interrupt", interrupt_in_stop, "came"),
    WRONG("stop/config-answers", config_in_stop, "the shim"),
    WRONG("stop/config-answers", config_changes, "0x13"),
    WRONG("stop/interrupts-can-be-set-up", set_irqs_in_stop, "the shim"),
    WRONG("stop/work-goes-on", loses_work, "guest/operation-stuck"),
    WRONG("stop/work-goes-on-after-load", loses_work, "guest/operation-stuck"),
    WRONG("stop/no-extra-interrupt", interrupt_in_stop, "with nothing to be done"),
    /* Of the shim's defects none is asked for that matters here: the server below has the one. */
    WRONG("stop/state-holds", report_full, "they differ", .spec = "test:memory=1M,fault=state-advances"),
    WRONG("dirty/cleared-by-report", report_keeps, "it has"),
    WRONG("dirty/second-start-refused", start_twice, "it succeeds"),
    WRONG("dirty/report-unstarted-refused", report_unstarted, "it succeeds"),
    WRONG("dirty/stop-unstarted-refused", stop_unstarted, "it succeeds"),
    WRONG("dirty/bad-start-refused", start_anything, "it succeeds"),
    WRONG("stop/no-dma-unmapped", runs_on, "guest/", .spec = "test:memory=1M,latency=1ms"),
    WRONG("p2p/quiesced", writes_to_peer, "while it was there the byte at IOVA 0x70000000"),
    WRONG("dirty/report-outside-of-ranges", outside_clears, "of them are not"),
    WRONG("guest/no-driver", needs_driver, "the shim"),
    WRONG("guest/bus-master-off", needs_master, "the shim"),
    WRONG("guest/decoding-off", needs_decoding, "the shim"),
    WRONG("guest/d3hot", needs_d0, "the shim"),
    WRONG("guest/interrupts-masked", unmask_forgotten, "guest/"),
    WRONG("guest/after-reset", flr_stops, "it is in STOP"),
    WRONG("race/reset-at-work", reset_stops, "it is in STOP"),
    WRONG("race/reset-beside-transition", reset_breaks, "it is in ERROR", .like_the_kernel = true),
    WRONG("race/close-at-work", close_forgotten, "it is in STOP"),
    WRONG("race/session-closed-at-work", session_closed, "the shim"),
    WRONG("race/session-beside-transition", session_breaks, "the shim", .like_the_kernel = true),
    WRONG("race/session-kept-past-close", descriptor_kept, "read() gave", .like_the_kernel = true),
    WRONG("race/pre-copy-at-work", loses_work, "no operation completed",
          .spec = "test:memory=1M,features=stop-copy+pre-copy"),
};

/* Every SLICES-th of them: each waits for most of its time, and the tests of a suite run side by side. */
#define SLICES 4
static void find_slice(size_t first)
{
    for (size_t i = first; i < sizeof(wrongs) / sizeof(wrongs[0]); i += SLICES) {
        struct shim shim;

        shim_open(&shim, wrongs[i].spec ? wrongs[i].spec : "test:memory=1M");
        *(bool *)((char *)&shim + wrongs[i].offset) = true;
        shim.like_the_kernel = wrongs[i].like_the_kernel;
        expect_broken(&shim, wrongs[i].rule, wrongs[i].seen);
        shim_close(&shim);
    }
}

Test(rules_work, find_what_they_are_for_0, .timeout = 300)
{
    find_slice(0);
}

Test(rules_work, find_what_they_are_for_1, .timeout = 300)
{
    find_slice(1);
}

Test(rules_work, find_what_they_are_for_2, .timeout = 300)
{
    find_slice(2);
}

Test(rules_work, find_what_they_are_for_3, .timeout = 300)
{
    find_slice(3);
}

static const char *const log_rules[] = {"dirty/every-page",       "dirty/each-range-alone",   "dirty/page-sizes",
                                        "dirty/report-in-pieces", "dirty/mapped-after-start", "dirty/until-stopped"};
#define LOG_RULES (sizeof(log_rules) / sizeof(log_rules[0]))

static bool is_seen_to_fail(const struct check_rule *rule)
{
    for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++)
        if (!strcmp(wrongs[i].rule, rule->name))
            return true;
    for (size_t i = 0; i < LOG_RULES; i++)
        if (!strcmp(log_rules[i], rule->name))
            return true;
    return false;
}

/* Those of failing allocations need a kernel of which they can be asked. */
Test(rules_work, are_all_seen_to_fail)
{
    for (size_t i = 0; i < GROUPS; i++)
        for (size_t j = 0; j < groups[i]->count; j++)
            if (groups[i] != &check_nomem_group)
                cr_expect(is_seen_to_fail(&groups[i]->rules[j]), "%s", groups[i]->rules[j].name);
}

Test(rules_work, find_a_page_that_is_not_in_the_log, .timeout = 120)
{
    for (size_t i = 0; i < LOG_RULES; i++) {
        struct shim shim;

        shim_open(&shim, "test:memory=1M");
        shim.report_drops = 97;
        /* Few bits are set where pages are large. */
        if (!strcmp(log_rules[i], "dirty/page-sizes"))
            shim.report_drops = 5;
        expect_broken(&shim, log_rules[i], "of them are not");
        shim_close(&shim);
    }
}

Test(rules_work, find_nothing_where_a_session_has_a_descriptor)
{
    static const char *const rules[] = {"race/session-beside-transition", "race/session-kept-past-close"};

    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        struct check_result result;
        struct shim shim;

        shim_open(&shim, "test:memory=1M,features=stop-copy+p2p+pre-copy");
        cr_assert_eq(run_on(&shim, find(rules[i]), 1).outcome, CHECK_NOT_APPLICABLE, "%s", rules[i]);
        shim.like_the_kernel = true;
        result = run_on(&shim, find(rules[i]), 1);
        cr_assert_eq(result.outcome, CHECK_OK, "%s: %s", rules[i], result.finding_count ? result.finding[0].seen : "");
        cr_assert_not_null(strstr(result.note[0], i ? "no bytes" : "20 sessions"), "%s", result.note[0]);
        shim_close(&shim);
    }
}

Test(rules_work, do_not_judge_by_a_log_that_is_always_full)
{
    static const char *const rules[] = {"dirty/every-page", "dirty/cleared-by-report"};

    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        struct check_result result;
        struct shim shim;

        shim_open(&shim, "test:memory=1M");
        shim.report_full = true;
        result = run_on(&shim, find(rules[i]), 1);
        cr_assert_eq(result.outcome, CHECK_NOT_TRIED, "%s", rules[i]);
        cr_assert_not_null(strstr(result.reason, "cannot discriminate"), "%s", result.reason);
        shim_close(&shim);
    }
}

Test(rules_work, have_nothing_to_say_of_the_memory_of_a_device_without_dma)
{
    struct shim shim;

    shim_open(&shim, "test:model=uart");
    cr_assert_eq(run_on(&shim, find("stop/no-dma"), 1).outcome, CHECK_NOT_APPLICABLE);
    expect_ok(&shim, find("stop/no-interrupt"), 1);
    expect_ok(&shim, find("stop/config-answers"), 1);
    expect_ok(&shim, find("stop/work-goes-on"), 1);
    expect_ok(&shim, find("stop/work-goes-on-after-load"), 1);
    shim_close(&shim);
}
