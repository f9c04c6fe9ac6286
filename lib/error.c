/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/error.h"

#include <stdio.h>
#include <string.h>

static void set_text(struct error *error, int number, const char *format, va_list arguments)
{
    int length = vsnprintf(error->text, sizeof(error->text), format, arguments);

    error->number = number;
    if (length < 0)
        error->text[0] = '\0';
    else if (number && (size_t)length < sizeof(error->text))
        snprintf(error->text + length, sizeof(error->text) - (size_t)length, ": %s", strerror(number));
}

int error_set(struct error *error, int number, const char *format, ...)
{
    va_list arguments;

    if (!error)
        return -1;
    va_start(arguments, format);
    error->rule[0] = '\0';
    set_text(error, number, format, arguments);
    va_end(arguments);
    return -1;
}

int error_rule(struct error *error, const char *rule, int number, const char *format, ...)
{
    va_list arguments;

    if (!error)
        return -1;
    va_start(arguments, format);
    snprintf(error->rule, sizeof(error->rule), "%s", rule);
    set_text(error, number, format, arguments);
    va_end(arguments);
    return -1;
}

int error_prefix(struct error *error, const char *format, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list arguments;
    int length;

    if (!error)
        return -1;
    va_start(arguments, format);
    length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof(text))
        return -1;
    snprintf(text + length, sizeof(text) - (size_t)length, ": %.*s", (int)(sizeof(text) - (size_t)length - 3),
             error->text);
    memcpy(error->text, text, sizeof(text));
    return -1;
}
