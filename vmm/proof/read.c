/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading the progress area: everything in it may be nonsense, and may change while it is read. */
#include <stdint.h>
#include <string.h>

#include "vmm/proof/proof.h"

#define RULE "guest/progress"
#define READ_TRIES 100
#define PCI_SLOTS 32u
#define TSC_HZ_MIN 1000000ull       /* 1 MHz */
#define TSC_HZ_MAX 1000000000000ull /* 1 THz */

static uint32_t load32(const uint32_t *value)
{
    return __atomic_load_n(value, __ATOMIC_ACQUIRE);
}

static uint64_t load64(const uint64_t *value)
{
    return __atomic_load_n(value, __ATOMIC_ACQUIRE);
}

static void copy_text(char *to, const char *from, size_t size)
{
    size_t length = 0;

    for (; length < size - 1; length++) {
        char c = __atomic_load_n(&from[length], __ATOMIC_RELAXED);

        if (c == '\0')
            break;
        to[length] = c >= ' ' && c <= '~' ? c : '?';
    }
    memset(to + length, 0, size - length);
}

static void read_failure(const struct progress_failure *from, struct progress_failure *to)
{
    copy_text(to->rule, from->rule, sizeof(to->rule));
    copy_text(to->text, from->text, sizeof(to->text));
    to->expected = load64(&from->expected);
    to->seen = load64(&from->seen);
}

/* The slot that generation names is whole as long as generation stands. */
static int read_value(const struct progress_chain *from, struct proof_chain *to, uint32_t number, struct error *error)
{
    for (unsigned int i = 0; i < READ_TRIES; i++) {
        uint32_t generation = load32(&from->generation);
        const struct progress_chain_value *slot = &from->slot[generation & 1];

        to->operations = load64(&slot->operations);
        to->digest = load64(&slot->digest);
        if (load32(&from->generation) == generation)
            return 0;
    }
    return error_rule(error, RULE, 0, "chain %u of the guest's progress area changed at each of %d looks", number,
                      READ_TRIES);
}

static int read_chain(const struct progress_chain *from, struct proof_chain *to, uint32_t number, struct error *error)
{
    to->workload = load32(&from->workload);
    to->device = __atomic_load_n(&from->device, __ATOMIC_RELAXED);
    to->index = __atomic_load_n(&from->index, __ATOMIC_RELAXED);
    to->parameter = load32(&from->parameter);
    if (read_value(from, to, number, error) < 0)
        return -1;
    /* After the operations: those submitted may only be more by now. */
    to->submitted = load64(&from->submitted);
    to->interrupts = load64(&from->interrupts);
    to->repeats = load64(&from->repeats);
    to->repeated = load64(&from->repeated);
    if (!proof_workload_known(to->workload))
        return error_rule(error, RULE, 0, "chain %u of the guest's progress area has the unknown workload %u", number,
                          to->workload);
    if (to->device >= PCI_SLOTS)
        return error_rule(error, RULE, 0, "chain %u of the guest's progress area has the device slot %u of %u", number,
                          to->device, PCI_SLOTS);
    return 0;
}

static void read_clock(const struct progress_clock *from, struct progress_clock *to)
{
    /* The count before the entries: an entry that is counted is written. */
    to->gap_count = load64(&from->gap_count);
    to->last_tsc = load64(&from->last_tsc);
    to->last_kvmclock = load64(&from->last_kvmclock);
    to->ticks = load64(&from->ticks);
    to->longest.start = load64(&from->longest.start);
    to->longest.end = load64(&from->longest.end);
    for (unsigned int i = 0; i < PROGRESS_GAPS; i++) {
        to->gaps[i].start = load64(&from->gaps[i].start);
        to->gaps[i].end = load64(&from->gaps[i].end);
    }
}

static int read_head(const struct progress_area *area, struct proof_snapshot *snapshot, uint32_t *chains,
                     struct error *error)
{
    uint32_t version = load32(&area->version);

    /* The state first: what it promises was written before it. */
    snapshot->state = load32(&area->state);
    snapshot->vcpus = load32(&area->vcpus);
    snapshot->tsc_hz = load64(&area->tsc_hz);
    *chains = load32(&area->chains);
    if (version != PROGRESS_VERSION)
        return error_rule(error, RULE, 0, "the guest's progress area has version %u, not %u", version,
                          PROGRESS_VERSION);
    if (snapshot->state > PROGRESS_FAILED)
        return error_rule(error, RULE, 0, "the guest's progress area has the unknown state %u", snapshot->state);
    if (snapshot->vcpus > PROGRESS_VCPUS_MAX)
        return error_rule(error, RULE, 0, "the guest's progress area has %u vCPUs, more than %u", snapshot->vcpus,
                          PROGRESS_VCPUS_MAX);
    if (*chains > PROGRESS_CHAINS_MAX)
        return error_rule(error, RULE, 0, "the guest's progress area has %u chains, more than %u", *chains,
                          PROGRESS_CHAINS_MAX);
    if (snapshot->tsc_hz && (snapshot->tsc_hz < TSC_HZ_MIN || snapshot->tsc_hz > TSC_HZ_MAX))
        return error_rule(error, RULE, 0, "the guest's progress area has a TSC of %llu Hz",
                          (unsigned long long)snapshot->tsc_hz);
    return 0;
}

int proof_read(const void *data, size_t size, struct proof_snapshot *snapshot, struct error *error)
{
    const struct progress_area *area = data;
    uint64_t magic;
    uint32_t chains;

    memset(snapshot, 0, sizeof(*snapshot));
    if (size < sizeof(*area) || (uintptr_t)data % _Alignof(struct progress_area))
        return error_set(error, 0, "a progress area of %zu bytes at %p cannot be read", size, data);
    magic = load64(&area->magic);
    if (magic == 0)
        return 0; /* booting */
    if (magic != PROGRESS_MAGIC)
        return error_rule(error, RULE, 0, "the guest's progress area begins with 0x%016llx, not its magic",
                          (unsigned long long)magic);
    if (read_head(area, snapshot, &chains, error) < 0)
        return -1;
    if (snapshot->state == PROGRESS_FAILED)
        read_failure(&area->failure, &snapshot->failure);
    for (uint32_t i = 0; i < chains; i++) {
        if (read_chain(&area->chain[i], &snapshot->chain[i], i, error) < 0)
            return -1;
    }
    snapshot->chain_count = chains;
    for (uint32_t i = 0; i < snapshot->vcpus; i++)
        read_clock(&area->clock[i], &snapshot->clock[i]);
    return 0;
}
