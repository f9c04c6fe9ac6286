/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/report/units.h"

#include <stdio.h>

#include "vmm/report/builder.h"

/* Three digits of a number in the unit that fits it; the first unit takes no fraction. */
static void format_unit(double number, double factor, const char *const *unit, char text[static UNITS_TEXT_MAX])
{
    const char *const *first = unit;
    int decimals;

    for (; number >= factor && unit[1]; unit++)
        number /= factor;
    decimals = unit == first || number >= 99.95 ? 0 : number >= 9.995 ? 1 : 2;
    snprintf(text, UNITS_TEXT_MAX, "%.*f %s", decimals, number, *unit);
}

const char *units_time(json_int_t ns, char text[static UNITS_TEXT_MAX])
{
    static const char *const units[] = {"ns", "us", "ms", "s", NULL};

    format_unit((double)ns, 1000, units, text);
    return text;
}

const char *units_bytes(json_int_t bytes, char text[static UNITS_TEXT_MAX])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", NULL};

    format_unit((double)bytes, 1024, units, text);
    return text;
}

/* A number that may not be known. */
const char *units_time_of(const json_t *object, const char *name, char text[static UNITS_TEXT_MAX])
{
    return report_knows(object, name) ? units_time(report_number(object, name), text) : "not known";
}

const char *units_bytes_of(const json_t *object, const char *name, char text[static UNITS_TEXT_MAX])
{
    return report_knows(object, name) ? units_bytes(report_number(object, name), text) : "not known";
}

const char *units_count_of(const json_t *object, const char *name, char text[static UNITS_TEXT_MAX])
{
    if (!report_knows(object, name))
        return "not known";
    snprintf(text, UNITS_TEXT_MAX, "%lld", report_number(object, name));
    return text;
}
