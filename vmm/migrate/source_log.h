/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The log that a source sends after RUNNING: what it says of itself is taken, what only the destination can know is not. */
#ifndef STOPCOPY_SOURCE_LOG_H
#define STOPCOPY_SOURCE_LOG_H

#include "vmm/migrate/stream.h"
#include "vmm/report/event_log.h"

/*
 * Merges the events of a STREAM_LOG record, hostile input, into log. Left out, each with a note, are events of another
 * role or leg, and of kinds that are evidence of the guest's work or the verdict on it. A device's operations and the
 * destination's measurements are the destination's own: a source's word on them is dropped. Error: rule
 * "stream/invalid" where it is no JSON array.
 */
int source_log_merge(struct event_log *log, unsigned int leg, const struct stream_record *record, struct error *error);

#endif
