/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text of numbers, and numbers of text. */
#ifndef GUEST_BASE_TEXT_H
#define GUEST_BASE_TEXT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Writes at most size bytes with the NUL, always NUL-terminated where size is not 0, and returns the length written.
 * Knows %s %c %% and %u %d %x with l or z and a "#" before x.
 */
size_t text_format(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
size_t text_format_list(char *text, size_t size, const char *format, va_list arguments);

/* Reads a number without sign; base 0 takes C's forms. Returns how many characters it has, 0 where there is none or it
 * does not fit. */
size_t number_parse(const char *text, uint64_t *value, int base);

#endif
