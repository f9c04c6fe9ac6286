/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/workloads/chain.h"
#include "guest/guest.h"
#include "guest/workloads/arithmetic.h"

static uint64_t chain_seed(uint64_t seed, enum workload_id workload, uint16_t device, uint16_t index)
{
    uint64_t s = workload_mix(seed + (uint64_t)workload * WORKLOAD_GOLDEN);

    return workload_mix(s ^ ((uint64_t)device << 32 | index));
}

/* The leading workload is the first that has a chain: chains are opened in the order in which they lead. */
static uint64_t find_limit(struct guest *guest, enum workload_id workload)
{
    if (!guest->leading)
        guest->leading = workload;
    if (!guest->config.ops || guest->leading != workload)
        return UINT64_MAX;
    guest->leading_left++;
    return guest->config.ops;
}

void chain_open(struct chain *chain, struct guest *guest, enum workload_id workload, uint16_t device, uint16_t index,
                uint32_t parameter)
{
    uint32_t number = guest->progress->chains;

    if (number == PROGRESS_CHAINS_MAX)
        guest_fail(guest, "guest/boot", PROGRESS_CHAINS_MAX, number + 1, "more chains than can be published");
    *chain = (struct chain){
        .guest = guest,
        .published = &guest->progress->chain[number],
        .seed = chain_seed(guest->config.seed, workload, device, index),
        .limit = find_limit(guest, workload),
    };
    chain->digest = workload == WORKLOAD_CLOCK ? 0 : chain->seed;
    *chain->published = (struct progress_chain){
        .workload = workload,
        .device = device,
        .index = index,
        .parameter = parameter,
        .slot = {{.digest = chain->digest}, {.digest = chain->digest}},
    };
    __atomic_store_n(&guest->progress->chains, number + 1, __ATOMIC_RELEASE);
}

bool chain_wants(const struct chain *chain, uint64_t operation)
{
    return operation < chain->limit && !__atomic_load_n(&chain->guest->finishing, __ATOMIC_RELAXED);
}

void chain_set(struct chain *chain, uint64_t digest)
{
    chain->digest = digest;
    chain->operations++;
    if (chain->operations != chain->limit)
        return;
    chain_publish(chain);
    if (__atomic_sub_fetch(&chain->guest->leading_left, 1, __ATOMIC_ACQ_REL) == 0)
        __atomic_store_n(&chain->guest->finishing, true, __ATOMIC_RELEASE);
}

void chain_enter(struct chain *chain, uint64_t value)
{
    chain_set(chain, workload_mix(chain->digest ^ value) + WORKLOAD_GOLDEN);
}

void chain_publish_submitted(struct chain *chain, uint64_t submitted)
{
    __atomic_store_n(&chain->published->submitted, submitted, __ATOMIC_RELEASE);
}

void chain_publish(struct chain *chain)
{
    struct progress_chain *published = chain->published;
    uint32_t generation = published->generation + 1;
    volatile struct progress_chain_value *slot = &published->slot[generation & 1];

    if (chain_is_of_vcpu(published))
        chain_publish_submitted(chain, chain->operations);
    slot->operations = chain->operations;
    slot->digest = chain->digest;
    __atomic_store_n(&published->generation, generation, __ATOMIC_RELEASE);
}
