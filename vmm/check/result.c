/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vmm/check/rule.h"

const char *check_level_name(enum check_level level)
{
    static const char *const names[] = {
        [CHECK_MUST] = "must", [CHECK_SHOULD] = "should", [CHECK_OBSERVED] = "observed"};

    return names[level];
}

const char *check_hazard_name(enum check_hazard hazard)
{
    static const char *const names[] = {[CHECK_HAZARD_NONE] = "none",
                                        [CHECK_HAZARD_RESET] = "reset",
                                        [CHECK_HAZARD_HANG] = "hang",
                                        [CHECK_HAZARD_BAD_IMAGE] = "bad image"};

    return names[hazard];
}

static void set_text(char text[static CHECK_TEXT_MAX], const char *format, va_list arguments)
{
    if (vsnprintf(text, CHECK_TEXT_MAX, format, arguments) < 0)
        text[0] = '\0';
    /* Part of it may come from the device's server. */
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

void check_expect(struct check_result *result, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    set_text(result->expected, format, arguments);
    va_end(arguments);
}

void check_broken(struct check_result *result, const char *format, ...)
{
    struct check_finding *finding = &result->finding[result->finding_count];
    va_list arguments;

    result->outcome = CHECK_BROKEN;
    if (result->finding_count == CHECK_FINDINGS_MAX) {
        result->findings_more++;
        return;
    }
    memcpy(finding->expected, result->expected, sizeof(finding->expected));
    va_start(arguments, format);
    set_text(finding->seen, format, arguments);
    va_end(arguments);
    result->finding_count++;
}

static void skip(struct check_result *result, enum check_outcome outcome, const char *format, va_list arguments)
{
    set_text(result->reason, format, arguments);
    if (result->outcome != CHECK_BROKEN)
        result->outcome = outcome;
}

void check_not_applicable(struct check_result *result, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    skip(result, CHECK_NOT_APPLICABLE, format, arguments);
    va_end(arguments);
}

void check_not_tried(struct check_result *result, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    skip(result, CHECK_NOT_TRIED, format, arguments);
    va_end(arguments);
}

void check_note(struct check_result *result, const char *format, ...)
{
    va_list arguments;

    if (result->note_count == CHECK_NOTES_MAX)
        return;
    va_start(arguments, format);
    set_text(result->note[result->note_count++], format, arguments);
    va_end(arguments);
}

void check_tried(struct check_result *result, uint64_t tried, uint64_t possible)
{
    result->tried = tried;
    result->possible = possible;
}
