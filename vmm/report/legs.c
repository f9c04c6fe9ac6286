/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What belongs to one migration. */
#include <string.h>

#include "stopcopy/guest_abi.h"
#include "vmm/report/builder.h"

/* Where the facts that have members of their own go. */
static const struct {
    const char *fact;
    const char *object; /* NULL: the leg itself */
    const char *member;
} known_facts[] = {
    {"downtime_ns", NULL, "downtime_ns"},
    {"total_ns", NULL, "total_ns"},
    {"guest.blackout_ns", NULL, "blackout_ns"},
    {"ram.bytes", "ram", "bytes"},
    {"ram.pages", "ram", "pages"},
    {"ram.pages_verified", "ram", "pages_verified"},
    {"ram.pages_unverified", "ram", "pages_unverified"},
};

static json_t *new_leg(json_int_t number)
{
    return json_pack("{s:I, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:{s:n, s:n, s:n, s:n}, s:[], s:[], s:n, s:{}}", "leg",
                     number, "outcome", "status", "downtime_ns", "total_ns", "blackout_ns", "ops_before", "ops_after",
                     "ram", "bytes", "pages", "pages_verified", "pages_unverified", "devices", "phases", "switchover",
                     "facts");
}

static struct report_leg *get_leg(struct report_builder *builder, json_t *event)
{
    json_int_t number = report_number(event, "leg");
    struct report_leg *leg;

    if (number < 0 || (size_t)number >= builder->leg_count)
        return NULL;
    leg = &builder->leg[number];
    if (!leg->object) {
        leg->object = new_leg(number);
        leg->pause = json_array();
    }
    return leg->object && leg->pause ? leg : NULL;
}

struct report_leg *report_last_leg(const struct report_builder *builder)
{
    for (size_t i = builder->leg_count; i > 0; i--) {
        if (builder->leg[i - 1].object)
            return &builder->leg[i - 1];
    }
    return NULL;
}

json_t *report_leg_device(const struct report_leg *leg, json_int_t index)
{
    json_t *device;
    size_t i;

    json_array_foreach (json_object_get(leg->object, "devices"), i, device) {
        if (report_number(device, "index") == index)
            return device;
    }
    return NULL;
}

/* Devices are kept in the order of their indexes. */
static json_t *get_device(struct report_leg *leg, json_int_t index)
{
    json_t *devices = json_object_get(leg->object, "devices");
    json_t *device = report_leg_device(leg, index);
    size_t at = 0;

    if (device)
        return device;
    device = json_pack("{s:I, s:n, s:n, s:n, s:n, s:n, s:[]}", "index", index, "name", "state_bytes", "ops_before",
                       "ops_after", "in_flight_at_stop", "arcs");
    while (at < json_array_size(devices) && report_number(json_array_get(devices, at), "index") < index)
        at++;
    if (json_array_insert_new(devices, at, device) < 0)
        return NULL;
    return device;
}

static int add_device(struct report_leg *leg, json_t *event)
{
    static const char *const members[] = {"name", "state_bytes", "ops_before", "ops_after", "in_flight_at_stop"};
    json_t *device = get_device(leg, report_number(event, "index"));

    for (size_t i = 0; device && i < sizeof(members) / sizeof(members[0]); i++) {
        json_t *value = json_object_get(event, members[i]);

        if (value && json_object_set(device, members[i], value) < 0)
            return -1;
    }
    return device ? 0 : -1;
}

static int add_arc(struct report_leg *leg, json_t *event)
{
    json_t *device = get_device(leg, report_number(event, "device"));
    json_t *arc = json_pack("{s:O, s:O, s:O, s:O, s:O}", "from", json_object_get(event, "from"), "to",
                            json_object_get(event, "to"), "ns", json_object_get(event, "ns"), "start_ns",
                            json_object_get(event, "start_ns"), "role", json_object_get(event, "role"));

    if (!device) {
        json_decref(arc);
        return -1;
    }
    return json_array_append_new(json_object_get(device, "arcs"), arc);
}

static int add_phase(struct report_leg *leg, json_t *event)
{
    json_t *phase = json_pack("{s:O, s:O, s:O, s:O, s:O}", "name", json_object_get(event, "name"), "start_ns",
                              json_object_get(event, "start_ns"), "end_ns", json_object_get(event, "end_ns"), "bytes",
                              json_object_get(event, "bytes"), "role", json_object_get(event, "role"));

    return json_array_append_new(json_object_get(leg->object, "phases"), phase);
}

static int add_fact(struct report_leg *leg, json_t *event)
{
    const char *name = report_text(event, "name");
    json_t *value = json_object_get(event, "value");

    for (size_t i = 0; i < sizeof(known_facts) / sizeof(known_facts[0]); i++) {
        json_t *object = known_facts[i].object ? json_object_get(leg->object, known_facts[i].object) : leg->object;

        if (strcmp(known_facts[i].fact, name) == 0)
            return json_object_set(object, known_facts[i].member, value);
    }
    return json_object_set(json_object_get(leg->object, "facts"), name, value);
}

static int add_outcome(struct report_leg *leg, json_t *event)
{
    const char *who = report_text(event, "who");

    if (report_number(event, "status") == 0 && (strcmp(who, "destination") == 0 || strcmp(who, "finished") == 0))
        leg->succeeded = true;
    if (json_object_set(leg->object, "outcome", json_object_get(event, "who")) < 0)
        return -1;
    return json_object_set(leg->object, "status", json_object_get(event, "status"));
}

static int add_chain(struct report_builder *builder, struct report_leg *leg, json_t *event)
{
    json_t *chains = strcmp(report_text(event, "when"), "end") == 0 ? builder->end : leg->pause;

    if (json_array_size(chains) >= PROGRESS_CHAINS_MAX) {
        builder->too_many_chains = true;
        return 0;
    }
    return json_array_append(chains, event);
}

int report_leg_add(struct report_builder *builder, const char *kind, json_t *event)
{
    struct report_leg *leg = get_leg(builder, event);

    if (!leg)
        return -1;
    if (strcmp(kind, "phase") == 0)
        return add_phase(leg, event);
    if (strcmp(kind, "arc") == 0)
        return add_arc(leg, event);
    if (strcmp(kind, "fact") == 0)
        return add_fact(leg, event);
    if (strcmp(kind, "device") == 0)
        return add_device(leg, event);
    if (strcmp(kind, "chain") == 0)
        return add_chain(builder, leg, event);
    return add_outcome(leg, event);
}
