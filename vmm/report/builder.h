/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A report in the making: the events sorted into legs, and what is concluded from them. */
#ifndef STOPCOPY_REPORT_BUILDER_H
#define STOPCOPY_REPORT_BUILDER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct report_leg {
    json_t *object; /* the leg's object in the report; NULL where no event is of this leg */
    json_t *pause;  /* the chain events at its pause */
    bool succeeded; /* an outcome of its own says that the guest went over */
};

struct report_builder {
    json_t *report;
    struct report_leg *leg;
    size_t leg_count;
    json_t *end;          /* the chain events at the end */
    json_t *outcomes;     /* the outcome events, in order */
    bool too_many_chains; /* more chain events of an instant than a guest has chains */
    /* What the expect events name; the most where there are several. */
    bool expected;
    bool guest;
    json_int_t migrations;
    json_int_t devices;
};

/* Members of an object, for reading: 0, "" or NULL where there is none of the type. */
json_int_t report_number(const json_t *object, const char *name);
const char *report_text(const json_t *object, const char *name);
bool report_knows(const json_t *object, const char *name); /* neither missing nor null */

/* legs.c: takes an event of a leg into its object. Returns -1 without memory. */
int report_leg_add(struct report_builder *builder, const char *kind, json_t *event);
/* The last leg with an object, NULL where there is none. */
struct report_leg *report_last_leg(const struct report_builder *builder);
/* The device's object in a leg, NULL where there is none. */
json_t *report_leg_device(const struct report_leg *leg, json_int_t index);

/* guest.c: the operations of a list of chain events; what the guest did in each leg; and "guest" of the report. */
json_int_t report_sum_operations(const json_t *chains);
void report_leg_operations(struct report_builder *builder);
json_t *report_guest(const struct report_builder *builder);
/* The event of the same chain in a list, NULL where there is none. */
json_t *report_find_chain(const json_t *chains, const json_t *chain);
/* Its digest is what the model has. */
bool report_chain_is_right(const json_t *chain);
bool report_chain_has_digest(const json_t *chain);
/* switchover.c: the steps of a leg's downtime; null where it has no pause, or no resumption. */
json_t *report_switchover(const json_t *phases);
/* verdict.c: "dma, device in slot 1, queue 0". Returns name. */
const char *report_name_chain(const json_t *chain, char name[static 96]);

/* print_text.c: the verdict in a line, without the line's end; and the words of a manifest's command, as a shell takes them,
 * each after a space. */
void report_print_verdict(const json_t *report, FILE *file);
void report_print_command(const json_t *manifest, FILE *file);

/* verdict.c: sets verdict, status, incomplete_because, and adds findings that the evidence makes where nobody did. */
void report_judge(struct report_builder *builder);

#endif
