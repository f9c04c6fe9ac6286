/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the downtime went: the steps of it, which of them the guest waited for, and what is left between them. */
#include <criterion/criterion.h>
#include <string.h>

#include "vmm/report/builder.h"

struct phase {
    const char *name;
    int start, end;
    int critical;
};

static json_t *make_phases(const struct phase *phase)
{
    json_t *phases = json_array();

    for (; phase->name; phase++)
        json_array_append_new(phases, json_pack("{s:s, s:s, s:i, s:i, s:i}", "name", phase->name, "role", "source",
                                                "start_ns", phase->start, "end_ns", phase->end, "bytes", 0));
    return phases;
}

static const json_t *find(const json_t *switchover, const char *name)
{
    json_t *step;
    size_t i;

    json_array_foreach (json_object_get(switchover, "steps"), i, step)
        if (!strcmp(report_text(step, "name"), name))
            return step;
    return NULL;
}

Test(switchover, the_critical_path_is_followed_from_the_end)
{
    /* Not in order, as events of two processes may come. */
    static const struct phase phases[] = {{"round 1", 0, 900, -1},
                                          {"pause", 1000, 1100, 1},
                                          {"resume", 2000, 2100, 1},
                                          {"load", 1150, 1950, -1},
                                          {"wait-ready", 1700, 1980, -1},
                                          {"ram", 1120, 1300, 1},
                                          {"slow", 1250, 1900, 1},
                                          {"quick", 1300, 1400, 0},
                                          {"verify", 1920, 1970, 1},
                                          {"cleanup", 2100, 3000, -1},
                                          {NULL, 0, 0, 0}};
    json_t *list = make_phases(phases);
    json_t *switchover = report_switchover(list);
    const json_t *previous = NULL;
    json_t *step;
    size_t i;

    cr_expect_eq(report_number(switchover, "ns"), 1100);
    cr_expect_eq(report_number(switchover, "verifying_ns"), 50);
    /* 1100 to 1120, 1900 to 1920, 1970 to 2000. */
    cr_expect_eq(report_number(switchover, "between_ns"), 70);
    for (const struct phase *phase = phases; phase->name; phase++) {
        const json_t *found = find(switchover, phase->name);

        cr_expect_eq(found != NULL, phase->critical >= 0, "%s", phase->name);
        if (!found)
            continue;
        cr_expect_eq(json_is_true(json_object_get(found, "critical")), phase->critical, "%s", phase->name);
        cr_expect_eq(report_number(found, "at_ns"), phase->start - 1000);
        cr_expect_eq(report_number(found, "ns"), phase->end - phase->start);
    }
    json_array_foreach (json_object_get(switchover, "steps"), i, step) {
        cr_expect(!previous || report_number(previous, "at_ns") <= report_number(step, "at_ns"));
        previous = step;
    }
    json_decref(switchover);
    json_decref(list);
}

Test(switchover, without_a_pause_or_a_resumption_there_is_none)
{
    static const struct phase cases[][3] = {{{NULL, 0, 0, 0}},
                                            {{"pause", 10, 20, 0}, {NULL, 0, 0, 0}},
                                            {{"resume", 10, 20, 0}, {NULL, 0, 0, 0}},
                                            {{"pause", 30, 40, 0}, {"resume", 10, 20, 0}, {NULL, 0, 0, 0}}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *list = make_phases(cases[i]);
        json_t *switchover = report_switchover(list);

        cr_expect(json_is_null(switchover), "%zu", i);
        json_decref(switchover);
        json_decref(list);
    }
}
