/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What CPL 3 asks of the processor. */
#ifndef GUEST_BASE_PROCESSOR_H
#define GUEST_BASE_PROCESSOR_H

#include <stdint.h>

/* The time stamp counter, read after all earlier loads. */
static inline uint64_t tsc_read(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static inline void processor_pause(void)
{
    __asm__ volatile("pause" : : : "memory");
}

/* value * numerator / denominator, without overflow in between; the result must fit. */
static inline uint64_t scale(uint64_t value, uint64_t numerator, uint64_t denominator)
{
    uint64_t low, high;

    __asm__("mulq %2" : "=a"(low), "=d"(high) : "r"(numerator), "a"(value) : "cc");
    if (high >= denominator)
        return UINT64_MAX;
    __asm__("divq %2" : "+a"(low), "+d"(high) : "r"(denominator) : "cc");
    return low;
}

#endif
