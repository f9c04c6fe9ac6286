/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rules of `stopcopy check`: each is a sentence of the uAPI that a device is held to, with the function that tries it.
 *
 * A rule is a row of a table (one table a group, all of them named in rules.c) and a function over a struct
 * check_context (check_context.h). Before it runs, the framework has the device in RUNNING, without a session. After it
 * has run, the framework closes the session that the context still holds and brings the device back to RUNNING, by
 * transitions, by a reset, or by opening it again; so a rule may stop wherever it finds something.
 */
#ifndef STOPCOPY_CHECK_RULE_H
#define STOPCOPY_CHECK_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

struct check_context;

enum check_level {
    CHECK_MUST,     /* the uAPI's text demands or forbids it: it alone sets the exit status */
    CHECK_SHOULD,   /* recommended, or demanded where drivers in use are known to differ */
    CHECK_OBSERVED, /* worth knowing, no sentence of the uAPI is broken by it */
};

/* What a rule may do to a device. Each includes those above it. */
enum check_hazard {
    CHECK_HAZARD_NONE,
    CHECK_HAZARD_RESET,     /* it resets the function */
    CHECK_HAZARD_HANG,      /* kernels are known to spin on it, with the device's lock held */
    CHECK_HAZARD_BAD_IMAGE, /* it gives the device a stream that no device wrote */
};

/* What a rule needs. Without it the rule does not apply and is skipped with the reason. */
#define CHECK_NEEDS_MIGRATION 0x01u   /* VFIO_MIGRATION_STOP_COPY, in a set of flags that the uAPI defines */
#define CHECK_NEEDS_P2P 0x02u         /* VFIO_MIGRATION_P2P */
#define CHECK_NEEDS_PRE_COPY 0x04u    /* VFIO_MIGRATION_PRE_COPY */
#define CHECK_NEEDS_NO_PRE_COPY 0x08u /* not VFIO_MIGRATION_PRE_COPY */
#define CHECK_NEEDS_DMA_LOGGING 0x10u /* VFIO_DEVICE_FEATURE_DMA_LOGGING_START */
#define CHECK_NEEDS_RESET 0x20u       /* VFIO_DEVICE_FLAGS_RESET */
/* These are no property of the device: where it is missing the rule is not proven, and check is incomplete. */
#define CHECK_NEEDS_TRAFFIC 0x100u /* a driver that puts the device to work (traffic.h) */
#define CHECK_NEEDS_FOREIGN 0x200u /* the stream of a device of another kind */

/* What a device declares of itself beyond the uAPI: then a rule may be held against it as a `must`. */
#define CHECK_DECLARES_CHECKSUM 0x1u   /* every byte of its stream is under a checksum */
#define CHECK_DECLARES_REPEATABLE 0x2u /* two saves of a stopped device are equal */
#define CHECK_DECLARES_EXACT_SIZE 0x4u /* MIG_DATA_SIZE of a stopped device is the length of its stream */

enum check_outcome {
    CHECK_OK,             /* what was tried held */
    CHECK_BROKEN,         /* see the findings */
    CHECK_NOT_APPLICABLE, /* skip: the device has not what the rule is about */
    CHECK_NOT_TRIED,      /* skip: it applies, and could not be tried: the check is incomplete */
};

#define CHECK_TEXT_MAX 400
#define CHECK_FINDINGS_MAX 8
#define CHECK_NOTES_MAX 8

struct check_finding {
    char expected[CHECK_TEXT_MAX];
    char seen[CHECK_TEXT_MAX];
};

struct check_result {
    enum check_outcome outcome;    /* CHECK_OK at first */
    char reason[CHECK_TEXT_MAX];   /* of a skip */
    char expected[CHECK_TEXT_MAX]; /* of the next finding */
    size_t finding_count;
    struct check_finding finding[CHECK_FINDINGS_MAX];
    size_t findings_more; /* that there was no room for */
    size_t note_count;
    char note[CHECK_NOTES_MAX][CHECK_TEXT_MAX]; /* observed, whatever the outcome */
    uint64_t tried;                             /* single cases, where a rule has many: check_tried */
    uint64_t possible;
    uint64_t ns;
};

/* What must come now: said before the device is asked, kept until it is said again. */
void check_expect(struct check_result *result, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* It did not: a finding with the expectation and what was seen in its place. */
void check_broken(struct check_result *result, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The device has not what the rule is about: ends the rule, unless something was found to be broken before. */
void check_not_applicable(struct check_result *result, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* It could not be tried, and why: ends the rule, unless something was found to be broken before. */
void check_not_tried(struct check_result *result, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Something worth knowing that breaks no rule. */
void check_note(struct check_result *result, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Of possible cases that there are, so many were tried. */
void check_tried(struct check_result *result, uint64_t tried, uint64_t possible);

struct check_rule {
    const char *name; /* "fsm/stop-copy-to-pre-copy-refused": the group, a slash, what holds */
    enum check_level level;
    uint32_t must_if;   /* CHECK_DECLARES_*: of a device that declares all of these it is a `must`; 0: level is all */
    const char *basis;  /* the sentence of the uAPI that it rests on, retold, with its place */
    const char *causes; /* what usually causes it to be broken */
    const char *field;  /* where it was met, in words; NULL where nowhere yet */
    enum check_hazard hazard;
    const char *cost; /* an estimate: "about 50 transitions" */
    uint32_t needs;   /* CHECK_NEEDS_* */
    bool looks_back;  /* it asks nothing of the device, and is run whatever became of it */

    /*
     * Tries it. Returns 0 with the result filled in. -1 with error where the rule could not be carried out (a device
     * that does not get to STOP_COPY at all is another rule's finding): it is then skipped, as not tried, with the
     * error as the reason. A finding that was recorded before stays.
     */
    int (*run)(struct check_context *context, struct check_result *result, struct error *error);
};

struct check_group {
    const struct check_rule *rules;
    size_t count;
};

/* All rules, group by group in the order in which they run. */
extern const struct check_group *const check_groups[];
extern const size_t check_group_count;

/* The rule of a name, NULL where there is none. */
const struct check_rule *check_rule_find(const char *name);
/* The number-th rule of all, NULL after the last. */
const struct check_rule *check_rule_at(size_t number);

const char *check_level_name(enum check_level level);    /* "must", "should", "observed" */
const char *check_hazard_name(enum check_hazard hazard); /* "none", "reset", "hang", "bad image" */

#endif
