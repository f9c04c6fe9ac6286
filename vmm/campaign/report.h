/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one report of a campaign. docs/bringup.md lists the members of its JSON (format "stopcopy-campaign-1"). It has the
 * members `verdict`, `status`, `checks`, `findings` and `incomplete_because` of a report, so that TAP and JUnit are made from
 * it as from any other.
 */
#ifndef STOPCOPY_CAMPAIGN_REPORT_H
#define STOPCOPY_CAMPAIGN_REPORT_H

#include <stdio.h>

#include "vmm/campaign/campaign.h"
#include "vmm/report/report.h"

/* NULL without memory. */
json_t *campaign_report(const struct campaign *campaign);

/* One line for a step: its result, its name, its time and what it said. */
void campaign_print_step(const json_t *step, FILE *file);
/* For a person, without the steps, for who printed these as they ended; and all of it. */
/* The verdict in a line, without the line's end. */
void campaign_print_verdict(const json_t *report, FILE *file);
int campaign_print_conclusion(json_t *report, FILE *file);
int campaign_print_text(json_t *report, FILE *file);
int campaign_print_html(json_t *report, FILE *file);
int campaign_print_trace(const struct campaign *campaign, json_t *report, FILE *file);
/* Prints it in the target's format. */
int campaign_write(const struct campaign *campaign, json_t *report, const struct report_target *target,
                   struct error *error);

/* One step of the report. */
json_t *campaign_report_step(const struct campaign *campaign, const struct campaign_step *step);

#endif
