/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The arithmetic of stopcopy/workload.h, for the models. */
#ifndef STOPCOPY_PROOF_ARITHMETIC_H
#define STOPCOPY_PROOF_ARITHMETIC_H

#include <stdint.h>

#include "stopcopy/workload.h"

/* mix(x) */
static inline uint64_t proof_mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9ull;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebull;
    x ^= x >> 31;
    return x;
}

/* One step of digest(words, h). */
static inline uint64_t proof_digest_word(uint64_t h, uint64_t word)
{
    h = (h ^ word) * WORKLOAD_DIGEST_MULTIPLIER;
    return h ^ h >> 32;
}

/* digest(words, h) */
static inline uint64_t proof_digest_words(const uint64_t *words, uint64_t count, uint64_t h)
{
    for (uint64_t i = 0; i < count; i++)
        h = proof_digest_word(h, words[i]);
    return h;
}

/* digest(words, h) of count words, base + j * GOLDEN. */
static inline uint64_t proof_digest_pattern(uint64_t base, uint64_t count, uint64_t h)
{
    for (uint64_t i = 0; i < count; i++, base += WORKLOAD_GOLDEN)
        h = proof_digest_word(h, base);
    return h;
}

/* A value enters a chain. */
static inline uint64_t proof_enter(uint64_t chain, uint64_t value)
{
    return proof_mix(chain ^ value) + WORKLOAD_GOLDEN;
}

#endif
