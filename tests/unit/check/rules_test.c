/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each rule is seen to hold on a device that keeps them all, and to be broken by a device with the one defect. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/check/fake_vfio.h"
#include "vmm/check/runner.h"

#define STOP_COPY VFIO_MIGRATION_STOP_COPY
#define ALL (VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY)

static void run_with(struct fake_source *source, struct check_plan *plan, struct check_run *run)
{
    struct check_opener opener = fake_opener(source);
    struct error error = ERROR_INIT;

    plan->time_limit_ns = 600000000000u;
    plan->stop_hold_ns = 1000000;
    if (!plan->hazard_given)
        plan->hazard = CHECK_HAZARD_BAD_IMAGE;
    cr_assert_eq(check_run_all(&opener, plan, NULL, NULL, run, &error), 0, "%s", error.text);
}

static const struct check_entry *find(const struct check_run *run, const char *rule)
{
    for (size_t i = 0; i < run->count; i++)
        if (!strcmp(run->entry[i].rule->name, rule))
            return &run->entry[i];
    cr_assert_fail("%s was not run", rule);
    return NULL;
}

static const struct {
    enum defect defect;
    const char *rule;
    uint64_t flags;   /* 0: all */
    const char *with; /* another rule that has to run before */
} defects[] = {
    {DEFECT_NONE, "discovery/stop-copy-offered", VFIO_MIGRATION_P2P, NULL},
    {DEFECT_NONE, "discovery/flags-defined", STOP_COPY | 8, NULL},
    {DEFECT_PROBE_FAILS, "discovery/probe-supported", 0, NULL},
    {DEFECT_PROBE_WANTS_DATA, "discovery/probe-without-data", 0, NULL},
    {DEFECT_PROBE_OF_ALL, "discovery/probe-unsupported-refused", 0, NULL},
    {DEFECT_UNKNOWN_FEATURE, "discovery/unknown-feature-refused", 0, NULL},
    {DEFECT_GET_AND_SET, "discovery/get-and-set-refused", 0, NULL},
    {DEFECT_NO_METHOD, "discovery/no-method-refused", 0, NULL},
    {DEFECT_SET_OF_FLAGS, "discovery/set-of-flags-refused", 0, NULL},
    {DEFECT_UNKNOWN_FLAGS, "discovery/unknown-flags-refused", 0, NULL},
    {DEFECT_ARGSZ, "discovery/argsz-too-small-refused", 0, NULL},
    {DEFECT_STATE_KEPT, "discovery/running-at-open", 0, NULL},
    {DEFECT_RESET_UNSAID, "discovery/reset-declared", 0, NULL},
    {DEFECT_NO_WAY_BACK, "fsm/pairs", 0, NULL},
    {DEFECT_STATE_LATE, "fsm/state-read-back", 0, NULL},
    {DEFECT_SAME_STATE_REFUSED, "fsm/same-state", 0, NULL},
    {DEFECT_SESSION_AGAIN, "fsm/data-fd", 0, NULL},
    {DEFECT_TIRES, "fsm/walk", 0, NULL},
    {DEFECT_BACK_TO_PRE_COPY, "fsm/stop-copy-to-pre-copy-refused", 0, NULL},
    {DEFECT_ERROR_TAKEN, "fsm/set-error-refused", 0, NULL},
    {DEFECT_PAST_LAST_TAKEN, "fsm/past-the-last-refused", 0, NULL},
    {DEFECT_OPTIONAL_TAKEN, "fsm/optional-state-refused", STOP_COPY, NULL},
    {DEFECT_REFUSAL_MOVES, "fsm/refusal-keeps-state", 0, NULL},
    {DEFECT_ASYNCHRONOUS, "fsm/no-asynchronous-change", 0, NULL},
    {DEFECT_DATA_AFTER_END, "data/end-of-stream", 0, NULL},
    {DEFECT_ENOMSG_IN_STOP_COPY, "data/no-enomsg-in-stop-copy", 0, NULL},
    {DEFECT_LOADS_ONCE, "data/load", 0, NULL},
    {DEFECT_LOAD_LOSES_BYTE, "data/load-keeps-state", 0, NULL},
    {DEFECT_READ_DROPS, "data/read-segmentation", 0, NULL},
    {DEFECT_WRITE_WANTS_HEADER, "data/write-segmentation", 0, NULL},
    {DEFECT_OLD_SESSION, "data/no-data-after-stop-copy", 0, NULL},
    {DEFECT_OLD_SESSION, "data/no-data-after-resuming", 0, NULL},
    {DEFECT_COUNTER_IN_STREAM, "data/saves-equal", 0, NULL},
    {DEFECT_SIZE_ZERO, "data/size", 0, NULL},
    {DEFECT_SESSION_AGAIN, "precopy/one-session", 0, NULL},
    {DEFECT_EARLY_DROPS, "precopy/left-early", 0, NULL},
    {DEFECT_CANCEL_GOES_ON, "precopy/cancelled", 0, NULL},
    {DEFECT_NO_INFO, "precopy/info-supported", 0, NULL},
    {DEFECT_INFO_ANYWHERE, "precopy/info-outside-refused", 0, NULL},
    {DEFECT_INITIAL_ZERO, "precopy/initial-bytes", 0, NULL},
    {DEFECT_DIRTY_AT_FIRST, "precopy/dirty-bytes", 0, NULL},
    {DEFECT_END_IN_PRE_COPY, "precopy/temporary-end", 0, NULL},
    {DEFECT_ALWAYS_LEFT, "precopy/nothing-left", 0, NULL},
    {DEFECT_RESET_STAYS, "reset/running", 0, NULL},
    {DEFECT_RESET_KEEPS_SESSION, "reset/ends-session", 0, NULL},
    {DEFECT_RESET_HURTS, "reset/usable-after", 0, NULL},
    {DEFECT_LEAK, "reset/descriptors", 0, NULL},
    {DEFECT_REST_KEPT, "load/good-after-refused", 0, NULL},
    {DEFECT_REFUSED_IN_STOP, "load/refusal-leaves-path", 0, NULL},
    {DEFECT_REFUSAL_FORGOTTEN, "load/refused-write-holds", 0, NULL},
    {DEFECT_ERROR_LEFT, "load/error-left-by-reset", 0, NULL},
    {DEFECT_EMPTY_TAKEN, "data/empty-refused", 0, NULL},
    {DEFECT_TRUNCATED_TAKEN, "data/truncated-refused", 0, NULL},
    {DEFECT_EXTENDED_TAKEN, "data/extended-refused", 0, NULL},
    {DEFECT_FOREIGN_TAKEN, "data/foreign-refused", 0, NULL},
    {DEFECT_CHANGED_TAKEN, "data/changed-byte-refused", 0, NULL},
    {DEFECT_CHANGED_HANGS, "data/changed-byte-sane", 0, NULL},
    {DEFECT_SAVED_NO_LOAD, "roles/load-after-save", 0, NULL},
    {DEFECT_LOADED_NO_SAVE, "roles/save-after-load", 0, NULL},
    {DEFECT_EMPTY_WRITE, "server/empty-write", 0, NULL},
    {DEFECT_DIES, "device/keeps-answering", 0, "data/empty-refused"},
};

Test(check, holds_on_a_device_without_a_defect)
{
    static const uint64_t flags[] = {STOP_COPY, STOP_COPY | VFIO_MIGRATION_P2P, STOP_COPY | VFIO_MIGRATION_PRE_COPY,
                                     ALL};

    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        struct fake_source source = {.flags = flags[i]};
        struct check_plan plan = {.seed = i};
        struct check_run run;

        run_with(&source, &plan, &run);
        for (size_t j = 0; j < run.count; j++) {
            const struct check_entry *entry = &run.entry[j];

            cr_expect_neq(entry->result.outcome, CHECK_BROKEN, "%s: expected %s, seen %s", entry->rule->name,
                          entry->result.finding[0].expected, entry->result.finding[0].seen);
            /* Nothing puts the fake to work. */
            cr_expect(entry->result.outcome != CHECK_NOT_TRIED || entry->rule->needs & CHECK_NEEDS_TRAFFIC, "%s: %s",
                      entry->rule->name, entry->result.reason);
        }
        check_run_free(&run);
    }
}

Test(check, finds_each_defect_by_its_rule)
{
    for (size_t i = 0; i < sizeof(defects) / sizeof(defects[0]); i++) {
        struct fake_source source = {.defect = defects[i].defect, .flags = defects[i].flags ? defects[i].flags : ALL};
        struct check_plan plan = {.seed = i, .only_count = 1, .only = {defects[i].rule}};
        const struct check_entry *entry;
        struct check_run run;

        if (defects[i].with)
            plan.only[plan.only_count++] = defects[i].with;
        run_with(&source, &plan, &run);
        entry = find(&run, defects[i].rule);
        cr_expect_eq(entry->result.outcome, CHECK_BROKEN, "defect %d, %s: %s", (int)defects[i].defect, defects[i].rule,
                     entry->result.reason);
        if (entry->result.outcome == CHECK_BROKEN)
            cr_expect(entry->result.finding[0].expected[0] && entry->result.finding[0].seen[0]);
        cr_expect_eq(check_run_status(&run) == 1, entry->level == CHECK_MUST, "%s: status %d", defects[i].rule,
                     check_run_status(&run));
        check_run_free(&run);
    }
}

Test(check, has_a_defect_for_every_rule_that_needs_no_work)
{
    const struct check_rule *rule;

    for (size_t i = 0; (rule = check_rule_at(i)); i++) {
        /* Failing allocations are a kernel's. */
        bool covered = rule->needs & CHECK_NEEDS_TRAFFIC || rule->needs & CHECK_NEEDS_DMA_LOGGING ||
                       !strncmp(rule->name, "nomem/", 6);

        /* This asks a server, which a device of this process is not. */
        covered |= !strcmp(rule->name, "server/unmap-of-nothing-refused");
        for (size_t j = 0; !covered && j < sizeof(defects) / sizeof(defects[0]); j++)
            covered = !strcmp(defects[j].rule, rule->name);
        cr_expect(covered, "%s is not seen to fail", rule->name);
        cr_expect_lt(strlen(rule->name), ERROR_RULE_MAX);
        cr_expect(rule->basis && rule->causes && rule->cost, "%s", rule->name);
        cr_expect_eq(check_rule_find(rule->name), rule, "%s is there twice", rule->name);
    }
}

static void write_file(char path[static 64], const char *text)
{
    int fd;

    strcpy(path, "/tmp/known.XXXXXX");
    fd = mkstemp(path);
    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

Test(check, takes_accepted_deviations_for_known)
{
    struct fake_source source = {.defect = DEFECT_EMPTY_TAKEN, .flags = ALL};
    struct check_plan plan = {.only_count = 1, .only = {"data/*-refused"}};
    struct error error = ERROR_INIT;
    struct check_run run;
    char path[64];

    write_file(path, "# of firmware 1\n\n  data/empty-*   # to be mended  \n");
    cr_assert_eq(check_known_read(path, &plan.known, &error), 0, "%s", error.text);
    unlink(path);
    run_with(&source, &plan, &run);
    cr_expect_eq(find(&run, "data/empty-refused")->result.outcome, CHECK_BROKEN);
    cr_expect_str_eq(find(&run, "data/empty-refused")->known, "to be mended");
    cr_expect_eq(check_run_status(&run), 0);
    check_run_free(&run);
    check_known_free(&plan.known);
}

Test(check, is_incomplete_where_a_must_was_left_out_by_default_only)
{
    struct fake_source source = {.flags = ALL};
    struct check_plan plan = {.only_count = 1, .only = {"data/*"}, .hazard = CHECK_HAZARD_RESET, .hazard_given = true};
    struct check_opener opener = fake_opener(&source);
    struct error error = ERROR_INIT;
    struct check_run run;

    run_with(&source, &plan, &run);
    cr_expect_eq(find(&run, "data/truncated-refused")->result.outcome, CHECK_NOT_TRIED);
    cr_expect_eq(check_run_status(&run), 0);
    check_run_free(&run);
    plan.hazard_given = false;
    cr_assert_eq(check_run_all(&opener, &plan, NULL, NULL, &run, &error), 0);
    cr_expect_eq(check_run_status(&run), 7);
    check_run_free(&run);
}

Test(check, is_incomplete_without_migration)
{
    struct fake_source source = {.flags = 0};
    struct check_plan plan = {.seed = 1};
    struct check_run run;

    run_with(&source, &plan, &run);
    cr_expect_eq(find(&run, "fsm/pairs")->result.outcome, CHECK_NOT_APPLICABLE);
    cr_expect_eq(find(&run, "discovery/unknown-feature-refused")->result.outcome, CHECK_OK);
    check_run_free(&run);
}
