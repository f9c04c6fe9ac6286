/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pieces of the report's HTML page. Whatever comes from the report is escaped. */
#ifndef STOPCOPY_REPORT_HTML_H
#define STOPCOPY_REPORT_HTML_H

#include <jansson.h>
#include <stdio.h>

/* Text as an element's content or an attribute's value in double quotes. */
void html_text(FILE *file, const char *text);
/* What print writes of an object, escaped. */
typedef void (*html_printer)(const json_t *object, FILE *file);
void html_print_escaped(html_printer print, const json_t *object, FILE *file);
/* The page up to the end of its head, in the colour of the verdict ("pass", ...): the line that print writes, and a text
 * below it ("" for none). */
void html_begin(FILE *file, const char *verdict, html_printer print, const json_t *object, const char *text);

/* The steps of a leg's switchover, from the pause to the resume, as a picture: a row for each phase and each arc. */
void html_print_timeline(const json_t *leg, FILE *file);
/* The migration states of linux/vfio.h with the arcs that a device of a leg was led through, numbered. */
void html_print_states(const json_t *device, FILE *file);
/* What the rounds of pre-copy sent, how fast, and what the guest wrote meanwhile. Nothing where there were none. */
void html_print_rounds(const json_t *leg, FILE *file);

#endif
