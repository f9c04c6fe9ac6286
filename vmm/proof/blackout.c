/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The blackout, from the gaps between the guest's clock samples. */
#include "vmm/proof/proof.h"

#define NS_PER_S 1000000000ull
#define GAP_MIN_NS (PROGRESS_GAP_MIN_US * 1000ull)

static uint64_t cycles_to_ns(uint64_t cycles, uint64_t hz)
{
    unsigned __int128 ns = (unsigned __int128)cycles * NS_PER_S / hz;

    return ns > UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}

/* The gap must lie between the pause and the last sample; what the guest publishes may be anything. */
static bool gap_fits(const struct progress_gap *gap, uint64_t paused_at, const struct progress_clock *resumed)
{
    return gap->start >= paused_at && gap->end > gap->start && gap->end <= resumed->last_tsc;
}

/*
 * The first gap entered after the pause that began at or after the last sample. It may begin after it, where the vCPU
 * was paused between taking a sample and publishing it; one that began before it was entered late. Up to the sample that
 * was published late there may be a gap, too, and ours then follows without a sample between: the longer of the two.
 */
static uint64_t gap_cycles(const struct progress_clock *paused, const struct progress_clock *resumed)
{
    uint64_t number = paused->gap_count, longest = 0, end = 0;

    if (resumed->gap_count < number)
        return 0;
    if (resumed->gap_count - number > PROGRESS_GAPS)
        return gap_fits(&resumed->longest, paused->last_tsc, resumed) ? resumed->longest.end - resumed->longest.start
                                                                      : 0;
    for (; number < resumed->gap_count; number++) {
        const struct progress_gap *gap = &resumed->gaps[number % PROGRESS_GAPS];

        if (!gap_fits(gap, paused->last_tsc, resumed))
            continue;
        if (end && gap->start != end)
            break;
        if (gap->end - gap->start > longest)
            longest = gap->end - gap->start;
        end = gap->end;
    }
    return longest;
}

static uint64_t vcpu_blackout_ns(const struct progress_clock *paused, const struct progress_clock *resumed, uint64_t hz)
{
    uint64_t cycles, ns;

    if (!hz || resumed->last_tsc <= paused->last_tsc)
        return 0;
    cycles = gap_cycles(paused, resumed);
    if (cycles)
        return cycles_to_ns(cycles, hz);
    if (resumed->gap_count != paused->gap_count)
        return 0; /* gaps were entered, and ours is not to be found among them */
    ns = cycles_to_ns(resumed->last_tsc - paused->last_tsc, hz);
    return ns < GAP_MIN_NS ? ns : GAP_MIN_NS;
}

uint64_t proof_blackout_ns(const struct proof_snapshot *paused, const struct proof_snapshot *resumed)
{
    uint64_t longest = 0;

    for (uint32_t i = 0; i < paused->vcpus && i < resumed->vcpus; i++) {
        uint64_t ns = vcpu_blackout_ns(&paused->clock[i], &resumed->clock[i], resumed->tsc_hz);

        if (ns > longest)
            longest = ns;
    }
    return longest;
}

bool proof_resume_watch(struct proof_resume *resume, const struct proof_snapshot *paused,
                        const struct proof_snapshot *now)
{
    bool all = now->vcpus >= paused->vcpus;

    for (uint32_t i = 0; i < paused->vcpus && i < now->vcpus; i++) {
        uint64_t sample = now->clock[i].last_tsc;

        if (!resume->first[i] && sample > paused->clock[i].last_tsc)
            resume->first[i] = sample;
        all &= resume->first[i] && sample > resume->first[i];
    }
    return all;
}
