/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "vmm/report/event_log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/deadline.h"
#include "lib/io.h"
#include "vmm/report/event_form.h"

#define KEPT_FOR_FINDINGS 2000
#define LINE_TIMEOUT_MS 2000
/* Held events; what comes beyond goes its way at once. */
#define HELD_MAX 1024

/* Kept as text, which takes a tenth of what the JSON objects would. */
struct entry {
    uint64_t time_ns;
    char *text;
};

struct event_log {
    pthread_mutex_t lock;
    char role[EVENT_ROLE_MAX];
    unsigned int leg;
    struct entry *entry;
    size_t count;
    size_t room;
    uint64_t left_out;
    bool has_reader;
    pthread_mutex_t line_lock; /* holds fd: a slow reader keeps nobody from adding events in memory */
    int fd;
    event_finding_watch watch; /* NULL: nobody */
    void *watch_context;
    bool holds;
    json_t *held[HELD_MAX]; /* complete, not checked and not stored */
    size_t held_count;
};

struct event_log *event_log_new(const char *role, int fd)
{
    struct event_log *log = calloc(1, sizeof(*log));

    if (!log)
        return NULL;
    pthread_mutex_init(&log->lock, NULL);
    pthread_mutex_init(&log->line_lock, NULL);
    log->fd = fd;
    log->has_reader = fd >= 0;
    snprintf(log->role, sizeof(log->role), "%s", role);
    return log;
}

void event_log_free(struct event_log *log)
{
    if (!log)
        return;
    event_log_release(log);
    for (size_t i = 0; i < log->count; i++)
        free(log->entry[i].text);
    free(log->entry);
    pthread_mutex_destroy(&log->lock);
    pthread_mutex_destroy(&log->line_lock);
    free(log);
}

void event_log_set_role(struct event_log *log, const char *role)
{
    if (!log)
        return;
    pthread_mutex_lock(&log->lock);
    snprintf(log->role, sizeof(log->role), "%s", role);
    pthread_mutex_unlock(&log->lock);
}

void event_log_set_leg(struct event_log *log, unsigned int leg)
{
    if (!log)
        return;
    pthread_mutex_lock(&log->lock);
    log->leg = leg;
    pthread_mutex_unlock(&log->lock);
}

/* In pieces that fit a pipe whenever it is ready, so that a blocking one does not block. */
static int write_piece(int fd, const char *text, size_t size)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};

    if (poll(&poll_fd, 1, LINE_TIMEOUT_MS) != 1 || !(poll_fd.revents & POLLOUT))
        return -1;
    return io_write_full(fd, text, size, deadline_in_ms(LINE_TIMEOUT_MS), "the event log's reader", NULL);
}

static void write_line(struct event_log *log, const char *text)
{
    size_t length = strlen(text);

    pthread_mutex_lock(&log->line_lock);
    for (size_t done = 0; log->fd >= 0 && done < length;) {
        size_t size = length - done < PIPE_BUF ? length - done : PIPE_BUF;

        if (write_piece(log->fd, text + done, size) < 0)
            log->fd = -1;
        done += size;
    }
    pthread_mutex_unlock(&log->line_lock);
}

/* Takes text over. */
static void append(struct event_log *log, uint64_t time_ns, char *text, bool important)
{
    size_t limit = important ? EVENT_LOG_MAX : EVENT_LOG_MAX - KEPT_FOR_FINDINGS;

    if (log->count >= limit)
        goto left_out;
    if (log->count == log->room) {
        size_t room = log->room ? 2 * log->room : 256;
        struct entry *entry = realloc(log->entry, room * sizeof(*entry));

        if (!entry)
            goto left_out;
        log->entry = entry;
        log->room = room;
    }
    log->entry[log->count++] = (struct entry){.time_ns = time_ns, .text = text};
    return;
left_out:
    log->left_out++;
    free(text);
}

static bool is_important(json_t *event)
{
    const char *kind = json_string_value(json_object_get(event, "kind"));

    return strcmp(kind, "finding") == 0 || strcmp(kind, "outcome") == 0 || strcmp(kind, "not-proven") == 0;
}

void event_log_watch_findings(struct event_log *log, event_finding_watch watch, void *context)
{
    log->watch = watch;
    log->watch_context = context;
}

static void tell_finding(struct event_log *log, json_t *event)
{
    if (!log->watch || strcmp(json_string_value(json_object_get(event, "kind")), "finding"))
        return;
    log->watch(log->watch_context, json_string_value(json_object_get(event, "role")),
               (unsigned int)json_integer_value(json_object_get(event, "leg")),
               json_string_value(json_object_get(event, "rule")), json_string_value(json_object_get(event, "text")));
}

/* An event of the right form. */
static void store(struct event_log *log, json_t *event)
{
    char *text = json_dumps(event, JSON_COMPACT);
    uint64_t time_ns = (uint64_t)json_integer_value(json_object_get(event, "time_ns"));
    char *line = NULL;

    if (text && log->has_reader && asprintf(&line, "%s\n", text) < 0)
        line = NULL;
    pthread_mutex_lock(&log->lock);
    if (text)
        append(log, time_ns, text, is_important(event));
    else
        log->left_out++;
    pthread_mutex_unlock(&log->lock);
    if (line)
        write_line(log, line);
    free(line);
    tell_finding(log, event);
}

/* kind, role, leg and time. */
static int complete(struct event_log *log, json_t *event, const char *kind)
{
    char role[EVENT_ROLE_MAX];
    unsigned int leg;

    pthread_mutex_lock(&log->lock);
    memcpy(role, log->role, sizeof(role));
    leg = log->leg;
    pthread_mutex_unlock(&log->lock);
    if (json_object_set_new(event, "kind", event_text(kind)) < 0 ||
        json_object_set_new(event, "role", event_text(role)) < 0 ||
        json_object_set_new(event, "time_ns", event_number(clock_now_ns())) < 0)
        return -1;
    if (json_object_get(event, "leg"))
        return 0;
    return json_object_set_new(event, "leg", event_number(leg));
}

static void count_left_out(struct event_log *log)
{
    pthread_mutex_lock(&log->lock);
    log->left_out++;
    pthread_mutex_unlock(&log->lock);
}

/* Where the log holds events of this kind, takes it over. */
static bool hold(struct event_log *log, const char *kind, json_t *event)
{
    static const char *const timings[] = {"phase", "arc", "fact", "device", "note"};
    bool held = false;

    for (size_t i = 0; i < sizeof(timings) / sizeof(timings[0]) && !held; i++)
        held = strcmp(kind, timings[i]) == 0;
    if (!held)
        return false;
    pthread_mutex_lock(&log->lock);
    held = log->holds && log->held_count < HELD_MAX;
    if (held)
        log->held[log->held_count++] = event;
    pthread_mutex_unlock(&log->lock);
    return held;
}

/* An event with all its members, which is taken over. */
static void take(struct event_log *log, const char *kind, json_t *event)
{
    struct error error = ERROR_INIT;

    if (event_form_check(event, &error) == 0)
        store(log, event);
    else if (strcmp(kind, "not-proven") != 0)
        event_not_proven(log, true, "an event was not recorded: %s", error.text);
    else
        count_left_out(log);
    json_decref(event);
}

void event_log_hold(struct event_log *log)
{
    if (!log)
        return;
    pthread_mutex_lock(&log->lock);
    log->holds = true;
    pthread_mutex_unlock(&log->lock);
}

void event_log_release(struct event_log *log)
{
    json_t *held[HELD_MAX];
    size_t count;

    if (!log)
        return;
    pthread_mutex_lock(&log->lock);
    log->holds = false;
    count = log->held_count;
    memcpy(held, log->held, count * sizeof(held[0]));
    log->held_count = 0;
    pthread_mutex_unlock(&log->lock);
    for (size_t i = 0; i < count; i++)
        take(log, "held", held[i]);
}

void event_log_add(struct event_log *log, const char *kind, json_t *members)
{
    if (!log) {
        json_decref(members);
        return;
    }
    if (!members)
        members = json_object();
    if (!members || complete(log, members, kind) < 0) {
        count_left_out(log);
        json_decref(members);
    } else if (!hold(log, kind, members)) {
        take(log, kind, members);
    }
}

int event_log_merge(struct event_log *log, json_t *event, struct error *error)
{
    int result = event_form_check(event, error);

    if (result == 0 && log)
        store(log, event);
    json_decref(event);
    return result;
}

int event_log_merge_line(struct event_log *log, const char *line, size_t size, struct error *error)
{
    json_error_t json_error;
    json_t *event = json_loadb(line, size, JSON_REJECT_DUPLICATES, &json_error);

    if (!event)
        return error_set(error, 0, "an event that is no JSON: %s", json_error.text);
    return event_log_merge(log, event, error);
}

static int compare_entries(const void *first, const void *second)
{
    const struct entry *const *a = first, *const *b = second;

    if ((*a)->time_ns != (*b)->time_ns)
        return (*a)->time_ns < (*b)->time_ns ? -1 : 1;
    return *a < *b ? -1 : 1; /* in the order in which they came */
}

static json_t *entries_in_order(const struct event_log *log)
{
    const struct entry **order = calloc(log->count + 1, sizeof(struct entry *));
    json_t *events = order ? json_array() : NULL;

    for (size_t i = 0; events && i < log->count; i++)
        order[i] = &log->entry[i];
    if (events)
        qsort(order, log->count, sizeof(struct entry *), compare_entries);
    for (size_t i = 0; events && i < log->count; i++) {
        if (json_array_append_new(events, json_loads(order[i]->text, 0, NULL)) < 0) {
            json_decref(events);
            events = NULL;
        }
    }
    free(order);
    return events;
}

static int add_left_out(const struct event_log *log, json_t *events)
{
    json_t *text = json_sprintf("%llu events were left out of the log, which holds %d",
                                (unsigned long long)log->left_out, EVENT_LOG_MAX);
    json_t *event = json_pack("{s:s, s:s, s:i, s:o, s:o, s:b}", "kind", "not-proven", "role", log->role, "leg",
                              (int)log->leg, "time_ns", event_number(clock_now_ns()), "text", text, "about_device", 1);

    return json_array_append_new(events, event);
}

json_t *event_log_events(struct event_log *log)
{
    json_t *events;

    if (!log)
        return json_array();
    event_log_release(log);
    pthread_mutex_lock(&log->lock);
    events = entries_in_order(log);
    if (events && log->left_out && add_left_out(log, events) < 0) {
        json_decref(events);
        events = NULL;
    }
    pthread_mutex_unlock(&log->lock);
    return events;
}
