/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The functions of stopcopy/workload.h. */
#ifndef GUEST_WORKLOADS_ARITHMETIC_H
#define GUEST_WORKLOADS_ARITHMETIC_H

#include <stddef.h>
#include <stdint.h>

#include "stopcopy/workload.h"

static inline uint64_t workload_mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9ull;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

static inline uint64_t workload_digest_word(uint64_t word, uint64_t digest)
{
    digest = (digest ^ word) * WORKLOAD_DIGEST_MULTIPLIER;
    return digest ^ digest >> 32;
}

static inline uint64_t workload_digest(const uint64_t *words, size_t count, uint64_t digest)
{
    for (size_t i = 0; i < count; i++)
        digest = workload_digest_word(words[i], digest);
    return digest;
}

#endif
