/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The search, against the uAPI's text and against properties of every path. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "stopcopy/vfio_compat.h"
#include "vmm/vfio/fsm.h"

#define P2P (VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P)
#define PRE (VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_PRE_COPY)
#define ALL (P2P | VFIO_MIGRATION_PRE_COPY)

static const uint64_t defined[] = {VFIO_MIGRATION_STOP_COPY, P2P, PRE, ALL};

/* "STOP>RUNNING_P2P>RUNNING", "" where no way is gone, "refused". */
static const char *path_text(uint64_t flags, const char *from, const char *to)
{
    static char text[256];
    struct fsm_path path = fsm_find_path(flags, (unsigned int)migration_state_from_name(from),
                                         (unsigned int)migration_state_from_name(to));

    if (!path.allowed)
        return "refused";
    text[0] = '\0';
    for (unsigned int i = 0; i < path.length; i++) {
        strcat(text, i ? ">" : "");
        strcat(text, migration_state_name(path.state[i]));
    }
    return text;
}

Test(fsm, the_flag_sets_that_the_text_defines)
{
    for (uint64_t flags = 0; flags < 16; flags++)
        cr_assert_eq(fsm_flags_defined(flags), flags == 1 || flags == 3 || flags == 5 || flags == 7);
    cr_assert_not(fsm_flags_defined(UINT64_C(1) << 63 | 1));
}

Test(fsm, states_are_offered_by_the_flags)
{
    static const unsigned int counts[] = {5, 6, 6, 8};

    for (size_t i = 0; i < 4; i++) {
        unsigned int count = 0;

        for (unsigned int state = 0; state < 64; state++)
            count += fsm_state_offered(defined[i], state);
        cr_assert_eq(count, counts[i]);
        cr_assert_not(fsm_state_offered(defined[i], UINT32_MAX));
    }
    cr_assert_not(fsm_state_offered(PRE, VFIO_DEVICE_STATE_PRE_COPY_P2P));
    cr_assert_not(fsm_state_offered(P2P, VFIO_DEVICE_STATE_PRE_COPY_P2P));
    cr_assert(fsm_state_offered(0, VFIO_DEVICE_STATE_RUNNING));
    cr_assert_not(fsm_state_offered(0, VFIO_DEVICE_STATE_STOP));
    cr_assert_not(fsm_state_offered(VFIO_MIGRATION_P2P, VFIO_DEVICE_STATE_RUNNING_P2P));
}

Test(fsm, paths_that_the_text_implies)
{
    static const struct {
        uint64_t flags;
        const char *from;
        const char *to;
        const char *path;
    } cases[] = {
        {1, "RUNNING", "STOP", "STOP"},
        {1, "RUNNING", "STOP_COPY", "STOP>STOP_COPY"},
        {1, "RUNNING", "RESUMING", "STOP>RESUMING"},
        {1, "STOP_COPY", "RESUMING", "STOP>RESUMING"},
        {1, "RESUMING", "RUNNING", "STOP>RUNNING"},
        {1, "RUNNING", "PRE_COPY", "refused"},
        {1, "RUNNING", "RUNNING_P2P", "refused"},
        {P2P, "RUNNING", "STOP", "RUNNING_P2P>STOP"},
        {P2P, "RESUMING", "RUNNING", "STOP>RUNNING_P2P>RUNNING"},
        {P2P, "RUNNING_P2P", "STOP_COPY", "STOP>STOP_COPY"},
        /* Where P2P is not supported, its states are passed through unseen. */
        {PRE, "PRE_COPY", "STOP_COPY", "STOP_COPY"},
        {PRE, "PRE_COPY", "STOP", "RUNNING>STOP"},
        {PRE, "STOP", "PRE_COPY", "RUNNING>PRE_COPY"},
        {PRE, "PRE_COPY", "PRE_COPY_P2P", "refused"},
        /* Within the saving group its states may be interior. */
        {ALL, "PRE_COPY", "STOP_COPY", "PRE_COPY_P2P>STOP_COPY"},
        /* Else not: the ways through the group would be as short or shorter. */
        {ALL, "RUNNING", "PRE_COPY_P2P", "RUNNING_P2P>PRE_COPY_P2P"},
        {ALL, "PRE_COPY", "RUNNING_P2P", "RUNNING>RUNNING_P2P"},
        {ALL, "PRE_COPY", "STOP", "RUNNING>RUNNING_P2P>STOP"},
        {ALL, "PRE_COPY_P2P", "RUNNING", "RUNNING_P2P>RUNNING"},
        {ALL, "PRE_COPY_P2P", "STOP", "RUNNING_P2P>STOP"},
        {ALL, "PRE_COPY", "RESUMING", "RUNNING>RUNNING_P2P>STOP>RESUMING"},
        {ALL, "RESUMING", "PRE_COPY", "STOP>RUNNING_P2P>RUNNING>PRE_COPY"},
        {ALL, "RUNNING", "STOP_COPY", "RUNNING_P2P>STOP>STOP_COPY"},
        /* These are not permitted, though there would be ways. */
        {ALL, "STOP_COPY", "PRE_COPY", "refused"},
        {ALL, "STOP_COPY", "PRE_COPY_P2P", "refused"},
        {PRE, "STOP_COPY", "PRE_COPY", "refused"},
        {ALL, "RUNNING", "ERROR", "refused"},
        {ALL, "ERROR", "RUNNING", "refused"},
        {ALL, "ERROR", "ERROR", "refused"},
        {ALL, "STOP_COPY", "STOP_COPY", ""},
        {2, "RUNNING", "STOP", "refused"},
        {0, "RUNNING", "RUNNING", "refused"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_str_eq(path_text(cases[i].flags, cases[i].from, cases[i].to), cases[i].path,
                         "flags %d, %s to %s: %s instead of %s", (int)cases[i].flags, cases[i].from, cases[i].to,
                         path_text(cases[i].flags, cases[i].from, cases[i].to), cases[i].path);
}

static bool saving(unsigned int state)
{
    return state == VFIO_DEVICE_STATE_STOP_COPY || state == VFIO_DEVICE_STATE_PRE_COPY ||
           state == VFIO_DEVICE_STATE_PRE_COPY_P2P;
}

static void check_pair(uint64_t flags, unsigned int from, unsigned int to)
{
    struct fsm_path path = fsm_find_path(flags, from, to);
    bool possible = fsm_state_offered(flags, from) && fsm_state_offered(flags, to) && from && to;
    bool backwards = from == VFIO_DEVICE_STATE_STOP_COPY && saving(to) && to != from;

    cr_assert_eq(path.allowed, possible && !backwards, "flags %d, %u to %u", (int)flags, from, to);
    if (!path.allowed) {
        cr_assert_eq(path.length, 0);
        cr_assert_not(path.opens_session);
        return;
    }
    cr_assert_eq(path.length == 0, from == to);
    cr_assert_eq(path.opens_session, (saving(to) && !saving(from)) || (to == VFIO_DEVICE_STATE_RESUMING && from != to));
    if (path.length)
        cr_assert_eq(path.state[path.length - 1], to);
    for (unsigned int i = 0; i < path.length; i++) {
        cr_assert(fsm_state_offered(flags, path.state[i]));
        cr_assert_neq(path.state[i], from);
        if (i + 1 < path.length) {
            cr_assert(!saving(path.state[i]) || (saving(from) && saving(to)));
            cr_assert_neq(path.state[i], VFIO_DEVICE_STATE_RESUMING);
        }
    }
    /* What is left of a path is the path from there: the states in between are invisible, and change nothing. */
    for (unsigned int i = 0; i + 1 < path.length; i++)
        cr_assert_eq(fsm_find_path(flags, path.state[i], to).length, path.length - i - 1);
}

Test(fsm, every_pair_of_every_flag_set_keeps_the_rules)
{
    for (size_t i = 0; i < 4; i++)
        for (unsigned int from = 0; from < MIGRATION_STATES; from++)
            for (unsigned int to = 0; to < MIGRATION_STATES; to++)
                check_pair(defined[i], from, to);
}

Test(fsm, numbers_past_the_last_state_are_refused)
{
    static const unsigned int numbers[] = {8, 9, 255, 0x7fffffff, UINT32_MAX};

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        cr_assert_not(fsm_find_path(ALL, VFIO_DEVICE_STATE_RUNNING, numbers[i]).allowed);
        cr_assert_not(fsm_find_path(ALL, numbers[i], VFIO_DEVICE_STATE_RUNNING).allowed);
        cr_assert_not(fsm_find_path(ALL, numbers[i], numbers[i]).allowed);
    }
}
