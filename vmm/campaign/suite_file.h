/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A suite file: YAML that describes matrices of devices, modes, workloads, faults and other options. Each combination of a
 * matrix's values is a step. docs/suite.md has the keys.
 *
 * The file is hostile: its size, its matrices and steps are bounded; keys are those that are known, and what they become is
 * one word "--KEY=VALUE" each, of options that neither run a command nor name a file to write.
 */
#ifndef STOPCOPY_CAMPAIGN_SUITE_FILE_H
#define STOPCOPY_CAMPAIGN_SUITE_FILE_H

#include "vmm/campaign/campaign.h"

#define SUITE_BYTES_MAX (1u << 20)
#define SUITE_MATRICES_MAX 64
#define SUITE_AXES_MAX 40
#define SUITE_VALUES_MAX 256
#define SUITE_VALUE_MAX 512 /* bytes of a value */

/* Adds the steps of the file's text to the campaign, and sets its jobs where the file does. name: for errors, which have the
 * line. */
int suite_parse(struct campaign *campaign, const char *text, size_t size, const char *name, struct error *error);

#endif
