/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A campaign: subcommands of stopcopy that are run one after the other, or beside each other, as processes of their own, so
 * that a hang or a crash of one is contained; with what is due of each, and what came of it. bringup and suite are
 * campaigns. What is known is kept in a folder (journal.h), from which a campaign that was cut off is taken up again.
 */
#ifndef STOPCOPY_CAMPAIGN_H
#define STOPCOPY_CAMPAIGN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

#define CAMPAIGN_STEPS_MAX 4096
#define CAMPAIGN_NAME_MAX 64
#define CAMPAIGN_FOLDER_MAX 2048
#define CAMPAIGN_PATH_MAX 4096 /* of a file in it */
#define CAMPAIGN_WORDS_MAX 128
#define CAMPAIGN_DEVICES_MAX 16

enum step_result {
    STEP_WAITING,
    STEP_RUNNING,
    STEP_PASSED,
    STEP_INCOMPLETE,
    STEP_FAILED,
    STEP_CANNOT,      /* it could not be tried: the command line, the input or the host */
    STEP_HUNG,        /* it did not end in time, or the host went down while it ran */
    STEP_INTERRUPTED, /* the user ended it: it is run again when the campaign is taken up */
    STEP_SKIPPED,     /* it made no sense any more */
};

/* How a step's process came to its end. */
enum step_end {
    STEP_END_STATUS,      /* with an exit status */
    STEP_END_SIGNAL,      /* by a signal of its own making */
    STEP_END_LIMIT,       /* killed at its time limit */
    STEP_END_LOST,        /* nobody saw it: the campaign itself came to its end while it ran */
    STEP_END_INTERRUPTED, /* killed because the user ended the campaign */
};

/* What a step leaves behind beside the text on its standard output. */
enum step_output {
    STEP_OUTPUT_REPORT, /* it takes --report: JSON and HTML in files of its own */
    STEP_OUTPUT_CHECK,  /* the same without HTML */
    STEP_OUTPUT_JSON,   /* its standard output is JSON (probe) */
    STEP_OUTPUT_TEXT,   /* its standard output is text, and all there is (state) */
};

struct campaign_step {
    char name[CAMPAIGN_NAME_MAX]; /* letters, digits, '.', '-': files are named for it */
    char *text;                   /* what it does, for a person */
    char *word[CAMPAIGN_WORDS_MAX + 1];
    size_t words; /* the subcommand is the first */
    enum step_output output;
    int due_status;
    char due_finding[48];               /* the rule that has to be broken, "" where none may be */
    int needs;                          /* the step that must not have failed before, by its number; -1: none */
    char *device[CAMPAIGN_DEVICES_MAX]; /* those that no other step may use at the same time */
    size_t devices;

    enum step_result result;
    enum step_end end;
    int end_number; /* of the status or the signal */
    uint64_t start_ns, ns;
    uint64_t started_at; /* seconds since the epoch, as another boot has another CLOCK_MONOTONIC */
    bool kept;           /* it was done before the campaign was taken up again */
    char *said;          /* its last line, or why it was not run */
    json_t *report;      /* what it wrote, NULL where it wrote nothing that can be read */
};

struct campaign {
    const char *kind; /* "bringup" or "suite" */
    char *subject;    /* the device, or the suite's name */
    char folder[CAMPAIGN_FOLDER_MAX];
    struct campaign_step *step;
    size_t steps;
    uint64_t step_limit_ns;
    unsigned int jobs;
    bool full;          /* a step was left out: no memory, or too many */
    json_t *manifest;   /* what ran on what (docs/report.md) */
    json_t *device;     /* what probe says of the device, NULL where there is nothing */
    json_t *not_proven; /* texts: what the plan leaves out, and why */
};

int campaign_init(struct campaign *campaign, const char *kind, const char *subject, struct error *error);
void campaign_free(struct campaign *campaign);

/*
 * Adds a step after the others. Returns its number, or -1 (and the campaign is full). command: its words, set off by spaces,
 * as in a shell's line without quotes; words that have spaces are added by campaign_add_word().
 */
int campaign_add(struct campaign *campaign, const char *name, const char *text, const char *command, int needs);
void campaign_add_word(struct campaign *campaign, int step, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void campaign_add_words(struct campaign *campaign, int step, const char *words);
/* Nothing else uses the device at the same time. A test device has a server of its own in each step: it is not added. */
void campaign_add_device(struct campaign *campaign, int step, const char *device);
struct campaign_step *campaign_find(struct campaign *campaign, const char *name);
/* Texts that the report has as not proven, each of which makes it incomplete. */
void campaign_not_proven(struct campaign *campaign, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "pass", "fail", ... as in the report. */
const char *step_result_name(enum step_result result);
const char *step_end_name(enum step_end end);
bool step_is_done(const struct campaign_step *step); /* it was run, and is not to be run again */

/* The name of a file of a step, in the campaign's folder: suffix is ".json", ".txt", ... */
void campaign_file(const struct campaign *campaign, const struct campaign_step *step, const char *suffix, char *path,
                   size_t size);
/* Its words as they are run, those for its reports among them: for campaign_words_free(). NULL without memory. */
char **campaign_words(const struct campaign *campaign, const struct campaign_step *step);
void campaign_words_free(char **words);

/* Reads what a step has left behind, and tells its result from that and from how it ended. */
void campaign_judge_step(const struct campaign *campaign, struct campaign_step *step);

/* The plan, for a person; with the command of each step. */
void campaign_print_plan(const struct campaign *campaign, bool with_commands, FILE *file);

#endif
