/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What bringup and suite share: options, carrying a campaign out, what is shown meanwhile, and its reports. */
#ifndef STOPCOPY_CMD_CAMPAIGN_RUN_H
#define STOPCOPY_CMD_CAMPAIGN_RUN_H

#include <argp.h>
#include <stdbool.h>

#include "vmm/campaign/campaign.h"
#include "vmm/campaign/journal.h"
#include "vmm/report/report.h"

#define CAMPAIGN_REPORTS_MAX 8
#define CAMPAIGN_SKIP_STATUSES_MAX 16

struct campaign_options {
    const char *command; /* "bringup" or "suite" */
    const char *folder;  /* NULL: one named for the time */
    const char *resume;  /* the folder of the one to be taken up, NULL: none */
    bool plan;
    uint64_t step_limit_ns;
    uint64_t seed;
    size_t report_count;
    struct report_target report[CAMPAIGN_REPORTS_MAX];
    const char *baseline; /* NULL: none */
    json_t *baseline_report;
    size_t skip_statuses;
    int skip_status[CAMPAIGN_SKIP_STATUSES_MAX];

    struct journal journal;
    char made[64];    /* the name of the folder where none was given */
    char planned[64]; /* a folder that --plan alone uses, "" for none */
    json_t *words;    /* of the command that is taken up */
    char **word;      /* the same as argv */
    bool on_terminal; /* what is shown may be overwritten, and have colours */
    bool coloured;
};

#define CAMPAIGN_OPTIONS_INIT(name)                                                                                    \
    {                                                                                                                  \
        .command = name, .step_limit_ns = UINT64_C(900000000000), .seed = 1, .journal = {.fd = -1 }                    \
    }

enum {
    CAMPAIGN_OPTION_PLAN = 256,
    CAMPAIGN_OPTION_FOLDER,
    CAMPAIGN_OPTION_RESUME,
    CAMPAIGN_OPTION_STEP_LIMIT,
    CAMPAIGN_OPTION_REPORT,
    CAMPAIGN_OPTION_BASELINE,
    CAMPAIGN_OPTION_SKIP_STATUS,
    CAMPAIGN_OPTION_NEXT,
};

/* clang-format off */
#define CAMPAIGN_OPTIONS                                                                                               \
    {"plan", CAMPAIGN_OPTION_PLAN, NULL, 0,                                                                            \
     "Print what would be done, and do none of it", 1},                                                                \
    {"folder", CAMPAIGN_OPTION_FOLDER, "DIR", 0,                                                                       \
     "Where the reports of the steps go: a folder that is made (default: named for the time)", 1},                     \
    {"resume", CAMPAIGN_OPTION_RESUME, "DIR", 0,                                                                       \
     "Go on with the one that has this folder: what was done is not done again", 1},                                   \
    {"step-limit", CAMPAIGN_OPTION_STEP_LIMIT, "TIME", 0,                                                              \
     "How long a step may take (default: 15min)", 1},                                                                  \
    {"report", CAMPAIGN_OPTION_REPORT, "FORMAT[:FILE]", 0,                                                             \
     "text, json, tap, junit, trace or html (repeat; default: text)", 1},                                              \
    {"baseline", CAMPAIGN_OPTION_BASELINE, "FILE", 0,                                                                  \
     "Compare with an earlier report, in JSON", 1},                                                                    \
    {"skip-status", CAMPAIGN_OPTION_SKIP_STATUS, "N", 0,                                                               \
     "Exit with 125 instead of status N, with which git bisect run skips a commit (repeat)", 1}
/* clang-format on */

/* Takes one of these options. Returns false where it is none of them. */
bool campaign_parse_option(int key, char *argument, struct argp_state *state, struct campaign_options *options);

/* --resume: the words of the first time, for another parse; a status where there are none. */
int campaign_resume_words(struct campaign_options *options, int *argc, char ***argv);
/* After that parse: what was said this time goes before what was said the first time. */
void campaign_resume_options(struct campaign_options *options, const struct campaign_options *now);

/* Makes or opens the folder. Returns a status. */
int campaign_open(struct campaign *campaign, struct campaign_options *options, int argc, char **argv,
                  struct error *error);
/*
 * Carries it out. rest: adds the steps that follow from those there are, the first of which is then a probe; NULL where all
 * are there. Returns the exit status.
 */
int campaign_carry_out(struct campaign *campaign, struct campaign_options *options,
                       void (*rest)(struct campaign *campaign, void *context), void *context, struct error *error);
void campaign_close(struct campaign *campaign, struct campaign_options *options);

#endif
