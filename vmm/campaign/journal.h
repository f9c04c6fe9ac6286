/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The journal of a campaign: journal.jsonl in its folder, a line of JSON for each thing that happened, on the disk before
 * the next thing happens. A step that hangs may take the host with it; what was under way then is the step that has a
 * beginning and no end.
 *
 *   {"kind": "campaign", "format": "stopcopy-journal-1", "command": [...]}   the words that it was started by
 *   {"kind": "begin", "step": NAME, "at": SECONDS}
 *   {"kind": "end", "step": NAME, "end": "status"|"signal"|"limit"|"interrupted", "number": N, "start_ns": N, "ns": N}
 *
 * What is read from it is hostile: lines that cannot be are an error, steps that the plan does not have are left out.
 */
#ifndef STOPCOPY_CAMPAIGN_JOURNAL_H
#define STOPCOPY_CAMPAIGN_JOURNAL_H

#include "vmm/campaign/campaign.h"

struct journal {
    int fd;
};

/* Makes the folder, which must not be there yet, and the journal in it. */
int journal_create(struct journal *journal, const char *folder, int words, char *const word[], struct error *error);
/* Opens that of a folder to go on writing to it. */
int journal_open(struct journal *journal, const char *folder, struct error *error);
void journal_close(struct journal *journal);

int journal_begin(struct journal *journal, const struct campaign_step *step, struct error *error);
int journal_end(struct journal *journal, const struct campaign_step *step, struct error *error);

/* The words that a campaign was started by: a new array of strings, NULL with error. */
json_t *journal_command(const char *folder, struct error *error);
/* Gives the campaign's steps what the journal says of them, and judges those that came to an end. */
int journal_replay(struct campaign *campaign, struct error *error);

#endif
