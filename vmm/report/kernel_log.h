/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's kernel log, watched over a run: a warning, a bug, an IOMMU fault or an AER report that comes while a device is
 * tested is a finding (rule "host/kernel-log"), because the driver under test may well be its cause. /dev/kmsg
 * (Documentation/ABI/testing/dev-kmsg).
 */
#ifndef STOPCOPY_KERNEL_LOG_H
#define STOPCOPY_KERNEL_LOG_H

#include <stdbool.h>
#include <stdio.h>

#include "vmm/report/event_log.h"

struct kernel_log {
    int fd;     /* -1: it cannot be read */
    FILE *copy; /* all that comes is written there, too; NULL: nowhere */
};

/* What comes from now on counts. Where the log cannot be read that is an event, not proven. */
void kernel_log_open(struct kernel_log *kernel_log, struct event_log *log);
/* Adds a finding for each line that tells of trouble, at the time that the kernel gave it. */
void kernel_log_collect(struct kernel_log *kernel_log, struct event_log *log);
void kernel_log_close(struct kernel_log *kernel_log);

/* Does this line, without its prefix, tell of trouble? level: of syslog(2), 0 to 7. */
bool kernel_log_is_trouble(unsigned int level, const char *text);

#endif
