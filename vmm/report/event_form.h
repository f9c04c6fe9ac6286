/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The form of events: what the table in event_log.h says, checked. */
#ifndef STOPCOPY_EVENT_FORM_H
#define STOPCOPY_EVENT_FORM_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

#define EVENT_LEGS_MAX 10000
#define EVENT_DEVICES_MAX 256
#define EVENT_ROLE_MAX 32

/* The event has kind, role, leg, time_ns and the members of its kind with the right types and within bounds. Text that
 * is not printable is changed in place. */
int event_form_check(json_t *event, struct error *error);

/* Control characters and what is not UTF-8 become '?'. */
void event_make_printable(char *text);

/* Values for members: text as is printable (at most EVENT_TEXT_MAX), a hex number, a number (at most that of a signed
 * 64 bit integer, JSON has no more here). NULL without memory, which the json functions that take them over pass on. */
json_t *event_text(const char *text);
json_t *event_hex(uint64_t value);
json_t *event_number(uint64_t value);

#endif
