/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reference devices' table against the search by the uAPI's rules. They share no logic, so that where they agree about
 * every pair of every set of flags, neither has an error that the other has not.
 */
#include <criterion/criterion.h>

#include "devices/fsm.h"
#include "stopcopy/vfio_compat.h"
#include "vmm/vfio/fsm.h"

static const uint64_t defined[] = {
    VFIO_MIGRATION_STOP_COPY,
    VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P,
    VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_PRE_COPY,
    VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY,
};

#define DEFINED (sizeof(defined) / sizeof(defined[0]))

static void compare(uint64_t flags, unsigned int from, unsigned int to)
{
    struct fsm_path path = fsm_find_path(flags, from, to);
    int next = fsm_next(flags, from, to);
    bool opens = false;
    unsigned int state = from;

    cr_assert_eq(next >= 0, path.allowed, "flags %d, %u to %u: the table %s it, the search does not", (int)flags, from,
                 to, next >= 0 ? "allows" : "refuses");
    if (!path.allowed)
        return;
    for (unsigned int i = 0; i < path.length; i++) {
        next = fsm_next(flags, state, to);
        cr_assert_eq(next, (int)path.state[i], "flags %d, %u to %u, step %u: the table goes to %d, the search to %u",
                     (int)flags, from, to, i, next, path.state[i]);
        opens |= !fsm_is_saving(state) && fsm_is_saving((unsigned int)next);
        opens |= next == VFIO_DEVICE_STATE_RESUMING;
        state = (unsigned int)next;
    }
    cr_assert_eq(state, to);
    cr_assert_eq(fsm_next(flags, state, to), (int)to, "the table goes on after its end");
    cr_assert_eq(path.opens_session, opens, "flags %d, %u to %u: the session", (int)flags, from, to);
}

Test(fsm_cross, every_pair_goes_the_same_way)
{
    for (size_t i = 0; i < DEFINED; i++)
        for (unsigned int from = 0; from < MIGRATION_STATES; from++)
            for (unsigned int to = 0; to < MIGRATION_STATES; to++)
                compare(defined[i], from, to);
}

Test(fsm_cross, both_have_the_same_states)
{
    for (size_t i = 0; i < DEFINED; i++)
        for (unsigned int state = 0; state < 300; state++)
            cr_assert_eq(fsm_offers(defined[i], state), fsm_state_offered(defined[i], state), "flags %d, state %u",
                         (int)defined[i], state);
}

Test(fsm_cross, numbers_past_the_last_state_are_refused_by_both)
{
    static const unsigned int numbers[] = {8, 9, 16, 255, 256, 0x7fffffff, 0x80000000, 0xffffffff};

    for (size_t i = 0; i < DEFINED; i++)
        for (size_t j = 0; j < sizeof(numbers) / sizeof(numbers[0]); j++)
            for (unsigned int state = 0; state < MIGRATION_STATES; state++) {
                compare(defined[i], state, numbers[j]);
                compare(defined[i], numbers[j], state);
                compare(defined[i], numbers[j], numbers[j]);
            }
}
