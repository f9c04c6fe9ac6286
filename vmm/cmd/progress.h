/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Long work on a terminal: one line of standard error, which is written anew, and gone at the end. */
#ifndef STOPCOPY_CMD_PROGRESS_H
#define STOPCOPY_CMD_PROGRESS_H

#include "vmm/migrate/precopy.h"

/* For struct source_config, where standard error is a terminal. */
void progress_show(void *context, const struct precopy_progress *progress);

#endif
