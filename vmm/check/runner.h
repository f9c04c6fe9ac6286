/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs the rules that were chosen against one device. */
#ifndef STOPCOPY_CHECK_RUNNER_H
#define STOPCOPY_CHECK_RUNNER_H

#include "vmm/check/check_context.h"

#define CHECK_RULES_MAX 256
#define CHECK_PATTERNS_MAX 32

/* The accepted deviations of a device: rules that may be broken, each with a comment. */
struct check_known {
    size_t count;
    struct check_known_rule {
        char rule[ERROR_RULE_MAX];
        char comment[CHECK_TEXT_MAX];
    } * rules;
};

/* One rule on a line, as a name or a glob, then a comment after '#'; empty lines and lines of comment alone are allowed.
 * A name that fits no rule is an error. */
int check_known_read(const char *path, struct check_known *known, struct error *error);
void check_known_free(struct check_known *known);

struct check_plan {
    /* Globs over the rules' names: the rules to run (none: all), and those of them that are left out. */
    size_t only_count;
    const char *only[CHECK_PATTERNS_MAX];
    size_t skip_count;
    const char *skip[CHECK_PATTERNS_MAX];
    uint64_t seed;
    uint64_t time_limit_ns;
    uint64_t stop_hold_ns;
    enum check_hazard hazard;
    bool hazard_given; /* the user chose it: what it leaves out keeps nothing from being complete */
    struct check_known known;
};

bool check_plan_selects(const struct check_plan *plan, const struct check_rule *rule);
/* A pattern of --only or --skip that fits no rule is an error. */
int check_plan_validate(const struct check_plan *plan, struct error *error);

/* What became of one rule. */
struct check_entry {
    const struct check_rule *rule;
    enum check_level level; /* of this device */
    const char *known;      /* the comment of the accepted deviation, NULL where it is none */
    bool left_out;          /* the user chose not to have it tried: a skip that leaves nothing incomplete */
    struct check_result result;
};

struct check_run {
    char device[128];
    char backend[16];
    uint64_t seed;
    uint64_t flags;
    uint32_t declares;
    size_t image_size;
    size_t count;
    struct check_entry *entry;
    char unusable[CHECK_TEXT_MAX]; /* "" or: no longer usable since rule X: why */
    uint64_t ns;
};

/* Called as each rule has been run; may be NULL. */
typedef void (*check_progress)(void *opaque, const struct check_run *run, const struct check_entry *entry);

/*
 * Opens the device and runs the rules in order. Returns 0 with run filled in (to be freed); -1 where the device cannot be
 * opened or asked what it is.
 */
int check_run_all(const struct check_opener *opener, const struct check_plan *plan, check_progress progress,
                  void *opaque, struct check_run *run, struct error *error);
void check_run_free(struct check_run *run);

/* Broken, and no accepted deviation. */
bool check_entry_is_finding(const struct check_entry *entry);
/* A `must` that applies to the device and that was not proven either way. */
bool check_entry_is_incomplete(const struct check_entry *entry);
/* The exit status: 1 a `must` was broken; 7 one could not be tried, or the device has no migration, or no rule was
 * proven to hold; else 0. */
int check_run_status(const struct check_run *run);

#endif
