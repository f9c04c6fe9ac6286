/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of a run: the guest's work is judged, the reports are written, and the exit status comes out. */
#ifndef STOPCOPY_CONCLUDE_H
#define STOPCOPY_CONCLUDE_H

#include "vmm/cmd/cmd.h"
#include "vmm/cmd/options.h"
#include "vmm/cmd/report_writer.h"
#include "vmm/cmd/snapshot_store.h"
#include "vmm/report/event_log.h"

/* The manifest of this run: the command line is "stopcopy" and the subcommand's words. */
void log_manifest(struct event_log *log, int argc, char **argv, uint64_t seed);

/* Begins to gather what --keep-on-fail keeps: every call to the devices and the kernel's log from now on. */
int keep_begin(struct options *options, struct kernel_log *kernel_log, struct error *error);

/*
 * status: what the processes made of it. writer: who writes the reports' files. What is wrong on the way (a report that cannot be written) is said on standard
 * error.
 */
enum status conclude(const struct options *options, struct event_log *log, struct snapshot_store *store,
                     struct report_writer *writer, enum status status);

#endif
