/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event log: everything that a report says comes from here, so that no two reports can disagree. Every process of a
 * run keeps one; they are sent on as JSON, one event to a line, and merged by time. Thread safe. Every function takes a
 * log that is NULL and does nothing then.
 *
 * An event is a JSON object with `kind`, `role` (of the process), `leg` (the migration it belongs to, from 0), `time_ns`
 * (CLOCK_MONOTONIC) and the members of its kind. Numbers are integers, not negative; hex numbers are strings, "0x" and 16
 * digits; members in brackets may be left out. Further members of scalar types are kept, and mean nothing to the reports.
 *
 *   expect      guest, migrations, devices          what has to be shown before the verdict can be a pass: a guest whose
 *                                                   work is judged (bool), how many migrations, how many devices at work
 *   manifest    version, kernel, cpu, command, seed, time   command: array of strings; seed: hex; time: UTC, ISO 8601
 *   phase       name, start_ns, end_ns, bytes       a step with its duration ("pause", "ram", "device-state", ...)
 *   arc         device, from, to, start_ns, ns      one change of state of one device
 *   finding     rule, text                          a rule was broken
 *   note        text                                worth saying, no rule broken
 *   console     text                                a line of the guest's console
 *   not-proven  text, about_device                  bool: it concerns the device and makes the verdict incomplete
 *   outcome     who, status, text                   who runs the guest: "source", "destination", "none", "unknown", or
 *                                                   "finished" when the guest has done all its work and been judged;
 *                                                   status: the exit status. Every migration has one of its own
 *   fact        name, value                         one number: see below
 *   device      index, [name], [state_bytes], [ops_before], [ops_after], [in_flight_at_stop]
 *                                                   of one leg; several events of a leg and an index add up to one,
 *                                                   and each may bring what its process knows
 *   chain       when, workload, device, index, parameter, operations, digest, [expected], submitted, interrupts,
 *               [repeats]
 *                                                   one workload chain at an instant: when is "pause" or "end"; device is
 *                                                   the PCI slot; digest and expected are hex, and expected is left out
 *                                                   where the model did not get there
 *   check       rule, result, text                  a rule of `stopcopy check` was tried: "pass", "fail" or "skip"
 *
 * Facts that reports know: downtime_ns, total_ns, guest.blackout_ns, ram.bytes (sent), ram.pages (sent),
 * ram.pages_verified and ram.pages_unverified (by digest, on the destination). Every other is listed with its name.
 */
#ifndef STOPCOPY_EVENT_LOG_H
#define STOPCOPY_EVENT_LOG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

struct event_log;
struct proof_chain; /* vmm/proof/proof.h */

/* Events over this number are left out, counted, and said to be not proven; the last of them are kept for findings,
 * outcomes and what is not proven. */
#define EVENT_LOG_MAX 100000
#define EVENT_TEXT_MAX 2048

/* role: "source", "destination", "run", "migrate", ... fd: where each event is also written as one line of JSON as it
 * happens, -1 for nowhere; it stays the caller's, who ignores SIGPIPE. A reader that takes nothing for two seconds is
 * written to no more. NULL only without memory. */
struct event_log *event_log_new(const char *role, int fd);
void event_log_free(struct event_log *log);
/* The role of later events: a destination becomes a source. */
void event_log_set_role(struct event_log *log, const char *role);
/* The leg that later events belong to: 0 for the first migration, 1 for the way back, ... */
void event_log_set_leg(struct event_log *log, unsigned int leg);

/*
 * From now on phases, arcs, facts, notes and numbers of devices are only kept: to give them their form and to write them to the
 * reader takes longer than many of the steps that they time. The log is released by hand, and by whoever reads or frees it;
 * findings and all the rest go their way at once. Either may be called again.
 */
void event_log_hold(struct event_log *log);
void event_log_release(struct event_log *log);

/* Calls watch with each finding as it is recorded, in the thread that does so. The texts are valid until it returns. To be
 * called before events are added. */
typedef void (*event_finding_watch)(void *context, const char *role, unsigned int leg, const char *rule,
                                    const char *text);
void event_log_watch_findings(struct event_log *log, event_finding_watch watch, void *context);

/* members: a JSON object with the kind's own members, taken over (may be NULL). Adds kind, role, time, and leg where
 * members have none. An event that has not the members of its kind is recorded as a not-proven entry that says so. */
void event_log_add(struct event_log *log, const char *kind, json_t *members);

/* Shorthands. Times are clock_now_ns(). Text is cut at EVENT_TEXT_MAX and made printable. */
void event_phase(struct event_log *log, const char *name, uint64_t start_ns, uint64_t end_ns, uint64_t bytes);
void event_arc(struct event_log *log, unsigned int device, const char *from, const char *to, uint64_t start_ns,
               uint64_t end_ns);
void event_finding(struct event_log *log, const char *rule, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A finding about a leg that is not the current one. */
void event_finding_of_leg(struct event_log *log, unsigned int leg, const char *rule, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void event_note(struct event_log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
void event_not_proven(struct event_log *log, bool about_device, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* who runs the guest now; status as in the exit statuses. */
void event_outcome(struct event_log *log, const char *who, int status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void event_fact(struct event_log *log, const char *name, uint64_t value);
/* An error as a finding where it names a rule, else as a note. */
void event_error(struct event_log *log, const struct error *error);
/* result: "pass", "fail" (add a finding as well) or "skip" with the reason as text. */
void event_check(struct event_log *log, const char *rule, const char *result, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* What has to be shown: given by the command as it starts. Without it no report is a pass. */
struct event_expectation {
    bool guest;
    unsigned int migrations;
    unsigned int devices;
};
void event_expect(struct event_log *log, const struct event_expectation *expectation);

/* This program's version, the kernel, the CPU, the time; and the command line and the seed. */
void event_manifest(struct event_log *log, int argc, char *const argv[], uint64_t seed);

#define EVENT_UNKNOWN UINT64_MAX

/* One device in one leg; EVENT_UNKNOWN where the caller does not know a number. */
struct event_device_numbers {
    uint64_t state_bytes;       /* of the device's stream */
    uint64_t ops_before;        /* done since the last leg's pause */
    uint64_t ops_after;         /* done until the next leg's pause, or the end */
    uint64_t in_flight_at_stop; /* handed to the device and not seen done at the pause */
};
#define EVENT_DEVICE_NUMBERS_UNKNOWN                                                                                   \
    {                                                                                                                  \
        EVENT_UNKNOWN, EVENT_UNKNOWN, EVENT_UNKNOWN, EVENT_UNKNOWN                                                     \
    }

/* name: as the user gave it, NULL where not known here. */
void event_device(struct event_log *log, unsigned int leg, unsigned int index, const char *name,
                  const struct event_device_numbers *numbers);
/* when: "pause" or "end". expected: what the model has, NULL where it has nothing. */
void event_chain(struct event_log *log, unsigned int leg, const char *when, const struct proof_chain *chain,
                 const uint64_t *expected);

/* All events so far as a JSON array in the order of time (a new reference to a copy), with an entry for what was left
 * out. NULL without memory. */
json_t *event_log_events(struct event_log *log);
/* Takes over an event of another process, as parsed: hostile input, checked for its form. The reference is taken in any
 * case. */
int event_log_merge(struct event_log *log, json_t *event, struct error *error);
/* As event_log_merge, from one line of JSON. */
int event_log_merge_line(struct event_log *log, const char *line, size_t size, struct error *error);

#endif
