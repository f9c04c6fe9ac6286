/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The arcs are those that the comment above enum vfio_device_mig_state in linux/vfio.h lists; everything else is
 * searched for by its two rules: the shortest path, without states of the saving group between its ends.
 */
#include "vmm/vfio/fsm.h"

#include "stopcopy/vfio_compat.h"

#define STATE(name) VFIO_DEVICE_STATE_##name

/* Their order does not matter, as by the two rules no path has another of its length. */
static const struct {
    unsigned int from;
    unsigned int to;
} arcs[] = {
    {STATE(RUNNING), STATE(PRE_COPY)},
    {STATE(RUNNING_P2P), STATE(PRE_COPY_P2P)},
    {STATE(STOP), STATE(STOP_COPY)},
    {STATE(PRE_COPY), STATE(PRE_COPY_P2P)},
    {STATE(PRE_COPY_P2P), STATE(PRE_COPY)},
    {STATE(PRE_COPY_P2P), STATE(STOP_COPY)},
    {STATE(PRE_COPY_P2P), STATE(RUNNING_P2P)},
    {STATE(PRE_COPY), STATE(RUNNING)},
    {STATE(STOP_COPY), STATE(STOP)},
    {STATE(RUNNING), STATE(RUNNING_P2P)},
    {STATE(RUNNING_P2P), STATE(RUNNING)},
    {STATE(RUNNING_P2P), STATE(STOP)},
    {STATE(STOP), STATE(RUNNING_P2P)},
    {STATE(STOP), STATE(RESUMING)},
    {STATE(RESUMING), STATE(STOP)},
};

bool fsm_flags_defined(uint64_t flags)
{
    return flags & VFIO_MIGRATION_STOP_COPY &&
           !(flags & ~(uint64_t)(VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY));
}

bool fsm_state_offered(uint64_t flags, unsigned int state)
{
    uint64_t needed;

    switch (state) {
    case STATE(ERROR):
    case STATE(RUNNING):
        return true;
    case STATE(STOP):
    case STATE(STOP_COPY):
    case STATE(RESUMING):
        needed = VFIO_MIGRATION_STOP_COPY;
        break;
    case STATE(RUNNING_P2P):
        needed = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P;
        break;
    case STATE(PRE_COPY):
        needed = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_PRE_COPY;
        break;
    case STATE(PRE_COPY_P2P):
        needed = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY;
        break;
    default:
        return false;
    }
    return (flags & needed) == needed;
}

static bool in_saving_group(unsigned int state)
{
    return state == STATE(PRE_COPY) || state == STATE(PRE_COPY_P2P) || state == STATE(STOP_COPY);
}

static bool arc_removed(uint64_t flags, unsigned int from, unsigned int to)
{
    bool touches =
        from == STATE(PRE_COPY) || to == STATE(PRE_COPY) || from == STATE(PRE_COPY_P2P) || to == STATE(PRE_COPY_P2P);

    return touches && !(flags & VFIO_MIGRATION_PRE_COPY);
}

/* Requests that are refused whatever arcs there are. */
static bool refused(uint64_t flags, unsigned int from, unsigned int to)
{
    if (!fsm_flags_defined(flags) || !fsm_state_offered(flags, from) || !fsm_state_offered(flags, to))
        return true;
    if (from == STATE(ERROR) || to == STATE(ERROR))
        return true;
    return from == STATE(STOP_COPY) && (to == STATE(PRE_COPY) || to == STATE(PRE_COPY_P2P));
}

/*
 * Breadth first from from: fills in previous[], the state that each reached one was reached from. The P2P states take
 * part where the device does not have them, too: they are then as RUNNING and PRE_COPY, and are passed through unseen.
 */
static bool search(uint64_t flags, unsigned int from, unsigned int to, unsigned int previous[MIGRATION_STATES])
{
    bool within_group = in_saving_group(from) && in_saving_group(to);
    bool reached[MIGRATION_STATES] = {false};
    unsigned int queue[MIGRATION_STATES] = {from};
    unsigned int queued = 1;

    reached[from] = true;
    for (unsigned int next = 0; next < queued; next++) {
        unsigned int state = queue[next];

        if (state == to)
            return true;
        /* A path may end here, and not go on. */
        if (state != from && in_saving_group(state) && !within_group)
            continue;
        for (unsigned int i = 0; i < sizeof(arcs) / sizeof(arcs[0]); i++) {
            if (arcs[i].from != state || reached[arcs[i].to] || arc_removed(flags, state, arcs[i].to))
                continue;
            reached[arcs[i].to] = true;
            previous[arcs[i].to] = state;
            queue[queued++] = arcs[i].to;
        }
    }
    return false;
}

struct fsm_path fsm_find_path(uint64_t flags, unsigned int from, unsigned int to)
{
    struct fsm_path path = {.allowed = false};
    unsigned int previous[MIGRATION_STATES];
    unsigned int backwards[MIGRATION_STATES];
    unsigned int length = 0;

    if (refused(flags, from, to) || !search(flags, from, to, previous))
        return path;
    path.allowed = true;
    for (unsigned int state = to; state != from; state = previous[state])
        if (fsm_state_offered(flags, state))
            backwards[length++] = state;
    while (length)
        path.state[path.length++] = backwards[--length];
    path.opens_session =
        (in_saving_group(to) && !in_saving_group(from)) || (to == STATE(RESUMING) && from != STATE(RESUMING));
    return path;
}
