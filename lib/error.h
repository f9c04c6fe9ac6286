/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors as values. A function that can fail takes a struct error * last, returns 0 or -1 (or a pointer or NULL), and on
 * failure leaves in it what failed, on what, and why. Callers add context on the way up. Nothing prints but cmd/.
 */
#ifndef STOPCOPY_ERROR_H
#define STOPCOPY_ERROR_H

#include <stdarg.h>

#define ERROR_TEXT_MAX 768
#define ERROR_RULE_MAX 48

struct error {
    int number;                /* an errno, 0 where none fits */
    char rule[ERROR_RULE_MAX]; /* the rule that was broken, "" where the failure breaks none */
    char text[ERROR_TEXT_MAX];
};

#define ERROR_INIT                                                                                                     \
    {                                                                                                                  \
        .number = 0                                                                                                    \
    }

/* Sets the error. number: errno to carry, 0 for none; where not 0 its text is appended (": No such file ..."). Always
 * returns -1, so that `return error_set(...)` reads well. error may be NULL. */
int error_set(struct error *error, int number, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* As error_set, with the rule that was broken: "device/arc-refused", say. */
int error_rule(struct error *error, const char *rule, int number, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts "context: " before the error's text. Returns -1. */
int error_prefix(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
