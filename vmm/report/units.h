/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers as a person reads them, in the unit that fits: "83.2 ms", "1.00 GiB". */
#ifndef STOPCOPY_REPORT_UNITS_H
#define STOPCOPY_REPORT_UNITS_H

#include <jansson.h>

#define UNITS_TEXT_MAX 32

/* Each returns text. */
const char *units_time(json_int_t ns, char text[static UNITS_TEXT_MAX]);
const char *units_bytes(json_int_t bytes, char text[static UNITS_TEXT_MAX]);
/* A member of an object, "not known" where it has none. */
const char *units_time_of(const json_t *object, const char *name, char text[static UNITS_TEXT_MAX]);
const char *units_bytes_of(const json_t *object, const char *name, char text[static UNITS_TEXT_MAX]);
const char *units_count_of(const json_t *object, const char *name, char text[static UNITS_TEXT_MAX]);

#endif
