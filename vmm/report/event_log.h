/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event log: everything that a report says comes from here, so that no two reports can disagree. Every process of a
 * run keeps one; they are sent on as JSON and merged by time. Thread safe.
 *
 * An event is a kind, the process's role, a time, and members that depend on the kind:
 *
 *   phase      name, start_ns, end_ns, bytes        a step with its duration ("pause", "ram", "device-state", ...)
 *   arc        device, from, to, ns, start_ns       one change of state of one device
 *   finding    rule, text                           a rule was broken
 *   note       text                                 worth saying, no rule broken
 *   not-proven text, device (0/1)                   device 1: it concerns the device and makes the verdict incomplete
 *   outcome    who ("source", "destination", "none", "unknown", "finished"), status, text
 *   fact       name, value                          e.g. "downtime_ns", "ram.bytes", "guest.blackout_ns"
 *   device     index, name, ...                     state_bytes, ops_before, ops_after, in_flight_at_stop
 *   chain      one workload chain at an instant: when ("pause", "end"), workload, device, index, operations, digest, ...
 *   manifest   versions, kernel, CPU, command line, seed
 */
#ifndef STOPCOPY_EVENT_LOG_H
#define STOPCOPY_EVENT_LOG_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"

struct event_log;

/* role: "source", "destination", "run", "migrate", ... fd: where each event is also written as one line of JSON as it
 * happens, -1 for nowhere; it stays the caller's. NULL only without memory. */
struct event_log *event_log_new(const char *role, int fd);
void event_log_free(struct event_log *log);
/* The role of later events: a destination becomes a source. */
void event_log_set_role(struct event_log *log, const char *role);
/* The leg that later events belong to: 0 for the first migration, 1 for the way back, ... */
void event_log_set_leg(struct event_log *log, unsigned int leg);

/* members: a JSON object with the kind's own members, taken over (may be NULL). Adds kind, role, leg, time. */
void event_log_add(struct event_log *log, const char *kind, json_t *members);

/* Shorthands. Times are clock_now_ns(). */
void event_phase(struct event_log *log, const char *name, uint64_t start_ns, uint64_t end_ns, uint64_t bytes);
void event_arc(struct event_log *log, unsigned int device, const char *from, const char *to, uint64_t start_ns,
               uint64_t end_ns);
void event_finding(struct event_log *log, const char *rule, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void event_note(struct event_log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
void event_not_proven(struct event_log *log, bool about_device, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* who runs the guest now; status as in the exit statuses. */
void event_outcome(struct event_log *log, const char *who, int status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void event_fact(struct event_log *log, const char *name, uint64_t value);
/* An error as a finding where it names a rule, else as a note. */
void event_error(struct event_log *log, const struct error *error);

/* All events so far as a JSON array (a new reference to a copy). */
json_t *event_log_events(struct event_log *log);
/* Takes over an event of another process, as parsed: hostile input, checked for its form. */
int event_log_merge(struct event_log *log, json_t *event, struct error *error);

#endif
