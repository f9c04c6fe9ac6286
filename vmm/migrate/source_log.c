/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/migrate/source_log.h"

#include <string.h>

/* outcome, chain and check are not among them. An expectation can only ask for more. */
static const char *const kinds[] = {"manifest", "expect",     "phase", "arc",    "finding", "note",
                                    "console",  "not-proven", "fact",  "device", NULL};
static const char *const destination_facts[] = {
    "downtime_ns",        "downtime_error_ns",    "total_ns",          "guest.blackout_ns",
    "ram.pages_verified", "ram.pages_unverified", "ram.shared_ranges", NULL};
static const char *const destination_numbers[] = {"ops_before", "ops_after", "in_flight_at_stop", NULL};

static const char *text_of(const json_t *event, const char *name)
{
    const char *text = json_string_value(json_object_get(event, name));

    return text ? text : "";
}

static bool is_among(const char *word, const char *const *words)
{
    for (; *words; words++)
        if (!strcmp(word, *words))
            return true;
    return false;
}

static bool is_the_sources(const json_t *event, unsigned int leg)
{
    const json_t *number = json_object_get(event, "leg");

    return !strcmp(text_of(event, "role"), "source") && is_among(text_of(event, "kind"), kinds) &&
           json_is_integer(number) && json_integer_value(number) == (json_int_t)leg;
}

static void merge_event(struct event_log *log, unsigned int leg, json_t *event)
{
    struct error error = ERROR_INIT;

    if (!is_the_sources(event, leg)) {
        event_note(log, "an event of the source's log was left out: a source has no say in it");
        return;
    }
    if (!strcmp(text_of(event, "kind"), "fact") && is_among(text_of(event, "name"), destination_facts))
        return;
    if (!strcmp(text_of(event, "kind"), "device"))
        for (const char *const *name = destination_numbers; *name; name++)
            json_object_del(event, *name);
    if (event_log_merge(log, json_incref(event), &error) < 0)
        event_note(log, "an event of the source's log was left out: %s", error.text);
}

int source_log_merge(struct event_log *log, unsigned int leg, const struct stream_record *record, struct error *error)
{
    json_error_t where;
    json_t *events = json_loadb(record->data, record->size, JSON_REJECT_DUPLICATES, &where);
    json_t *event;
    size_t index;

    if (!json_is_array(events)) {
        json_decref(events);
        return error_rule(error, "stream/invalid", 0, "the source's log is no JSON array");
    }
    json_array_foreach (events, index, event)
        merge_event(log, leg, event);
    json_decref(events);
    return 0;
}
