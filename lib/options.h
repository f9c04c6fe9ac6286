/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The words of a command line: sizes, times, numbers, and lists of KEY=VALUE. */
#ifndef STOPCOPY_OPTIONS_H
#define STOPCOPY_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

/* "4096", "64K", "256M", "2G" (powers of 1024, either case, a trailing "B" or "iB" allowed). what names the option. */
int option_parse_size(const char *text, const char *what, uint64_t *bytes, struct error *error);
/* "50us", "20ms", "1.5s", "300ns", "2min"; a bare 0 is allowed. Nanoseconds. */
int option_parse_time(const char *text, const char *what, uint64_t *ns, struct error *error);
/* A number from minimum to maximum, decimal or 0x. */
int option_parse_number(const char *text, const char *what, uint64_t minimum, uint64_t maximum, uint64_t *number,
                        struct error *error);

struct option_pair {
    char *key;
    char *value; /* "" where there was no '=' */
};

/*
 * Splits "a=1,b,c=x" in place: text is changed and the pairs point into it. Returns how many, up to maximum, or -1. An
 * empty text has none; an empty key is an error.
 */
int option_split(char *text, const char *what, struct option_pair *pairs, size_t maximum, struct error *error);

#endif
