/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of the devices' state machine, held against the arcs and rules of the uAPI written down once more. */
#include <criterion/criterion.h>

#include "devices/fsm.h"
#include "stopcopy/vfio_compat.h"

#define S VFIO_DEVICE_STATE_STOP
#define R VFIO_DEVICE_STATE_RUNNING
#define C VFIO_DEVICE_STATE_STOP_COPY
#define L VFIO_DEVICE_STATE_RESUMING
#define RP VFIO_DEVICE_STATE_RUNNING_P2P
#define P VFIO_DEVICE_STATE_PRE_COPY
#define PP VFIO_DEVICE_STATE_PRE_COPY_P2P
#define E VFIO_DEVICE_STATE_ERROR
#define PATH_MAX_STATES 6

static const uint64_t stop_copy = VFIO_MIGRATION_STOP_COPY;
static const uint64_t p2p = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P;
static const uint64_t pre_copy = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_PRE_COPY;
static const uint64_t all = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY;

/* The whole way, up to a 0; *path is 0 where it is refused. */
static void find_path(uint64_t flags, unsigned int from, unsigned int to, unsigned int path[PATH_MAX_STATES])
{
    unsigned int count = 0;

    do {
        int next = fsm_next(flags, from, to);

        cr_assert_lt(count, PATH_MAX_STATES - 1, "the way does not end");
        path[count] = next < 0 ? 0 : (unsigned int)next;
        from = path[count++];
    } while (from && from != to);
    path[count] = 0;
}

static void expect_path(uint64_t flags, unsigned int from, unsigned int to, const unsigned int *expected)
{
    unsigned int path[PATH_MAX_STATES];

    find_path(flags, from, to, path);
    for (unsigned int i = 0;; i++) {
        cr_expect_eq(path[i], expected[i], "flags %llu, %s to %s, step %u: %s", (unsigned long long)flags,
                     migration_state_name(from), migration_state_name(to), i, migration_state_name(path[i]));
        if (!path[i] || path[i] != expected[i])
            return;
    }
}

#define EXPECT_PATH(flags, from, to, ...) expect_path(flags, from, to, (const unsigned int[]){__VA_ARGS__, 0, 0})

Test(fsm, ways_of_a_full_device)
{
    EXPECT_PATH(all, R, S, RP, S);
    EXPECT_PATH(all, S, R, RP, R);
    EXPECT_PATH(all, R, C, RP, S, C);
    EXPECT_PATH(all, R, L, RP, S, L);
    EXPECT_PATH(all, R, PP, RP, PP);
    EXPECT_PATH(all, P, C, PP, C);
    EXPECT_PATH(all, P, S, R, RP, S);
    EXPECT_PATH(all, P, RP, R, RP);
    EXPECT_PATH(all, P, L, R, RP, S, L);
    EXPECT_PATH(all, PP, R, RP, R);
    EXPECT_PATH(all, PP, S, RP, S);
    EXPECT_PATH(all, PP, C, C);
    EXPECT_PATH(all, RP, P, R, P);
    EXPECT_PATH(all, S, P, RP, R, P);
    EXPECT_PATH(all, S, PP, RP, PP);
    EXPECT_PATH(all, C, R, S, RP, R);
    EXPECT_PATH(all, C, L, S, L);
    EXPECT_PATH(all, L, C, S, C);
    EXPECT_PATH(all, L, R, S, RP, R);
    EXPECT_PATH(all, L, P, S, RP, R, P);
}

Test(fsm, states_not_offered_are_gone_through)
{
    EXPECT_PATH(stop_copy, R, S, S);
    EXPECT_PATH(stop_copy, S, R, R);
    EXPECT_PATH(stop_copy, R, C, S, C);
    EXPECT_PATH(stop_copy, C, R, S, R);
    EXPECT_PATH(pre_copy, P, C, C);
    EXPECT_PATH(pre_copy, P, S, R, S);
    EXPECT_PATH(pre_copy, S, P, R, P);
    EXPECT_PATH(pre_copy, L, P, S, R, P);
    EXPECT_PATH(p2p, R, C, RP, S, C);
}

Test(fsm, refusals)
{
    const uint64_t sets[] = {stop_copy, p2p, pre_copy, all};

    for (unsigned int i = 0; i < 4; i++) {
        for (unsigned int state = 0; state < 16; state++) {
            cr_expect_lt(fsm_next(sets[i], E, state), 0);
            cr_expect_lt(fsm_next(sets[i], state, E), 0);
            cr_expect(state < 8 || fsm_next(sets[i], R, state) < 0);
            cr_expect(state < 8 || fsm_next(sets[i], state, R) < 0);
        }
        cr_expect_lt(fsm_next(sets[i], C, P), 0);
        cr_expect_lt(fsm_next(sets[i], C, PP), 0);
        cr_expect_lt(fsm_next(sets[i], R, ~0u), 0);
    }
    for (unsigned int from = 1; from < 8; from++) {
        cr_expect_lt(fsm_next(stop_copy, from, RP), 0);
        cr_expect_lt(fsm_next(stop_copy, from, P), 0);
        cr_expect_lt(fsm_next(p2p, from, P), 0);
        cr_expect_lt(fsm_next(p2p, from, PP), 0);
        cr_expect_lt(fsm_next(pre_copy, from, RP), 0);
        cr_expect_lt(fsm_next(pre_copy, from, PP), 0);
    }
    cr_expect_lt(fsm_next(0, R, S), 0);
}

/* Every way ends, is made of the arcs that the uAPI lists, and has no saving state inside it but between saving states.
 */
Test(fsm, every_way_is_made_of_arcs)
{
    static const unsigned int arcs[][2] = {{RP, S}, {C, S},   {L, S}, {P, R},  {RP, R}, {PP, RP}, {R, RP}, {S, RP},
                                           {R, P},  {RP, PP}, {S, C}, {P, PP}, {PP, P}, {PP, C},  {S, L}};

    for (unsigned int from = 1; from < 8; from++) {
        for (unsigned int to = 1; to < 8; to++) {
            unsigned int path[PATH_MAX_STATES], state = from;

            find_path(all, from, to, path);
            for (unsigned int i = 0; path[i]; i++) {
                bool known = path[i] == state && from == to;

                for (unsigned int arc = 0; arc < sizeof(arcs) / sizeof(arcs[0]); arc++)
                    known |= arcs[arc][0] == state && arcs[arc][1] == path[i];
                cr_expect(known, "%s to %s takes %s to %s", migration_state_name(from), migration_state_name(to),
                          migration_state_name(state), migration_state_name(path[i]));
                if (path[i] != to && fsm_is_saving(path[i]))
                    cr_expect(fsm_is_saving(from) && fsm_is_saving(to));
                state = path[i];
            }
        }
    }
}

Test(fsm, same_state)
{
    for (unsigned int state = 1; state < 8; state++)
        cr_expect_eq(fsm_next(all, state, state), (int)state);
}
