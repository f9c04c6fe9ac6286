/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cpu workload of stopcopy/workload.h: the registers, as plain numbers. Holding them changes nothing. */
#include "vmm/proof/arithmetic.h"
#include "vmm/proof/model.h"

void cpu_model_init(struct cpu_model *model, uint64_t seed, bool avx2)
{
    model->seed = seed;
    model->avx2 = avx2;
    for (unsigned int k = 0; k < PROOF_CPU_GENERAL; k++)
        model->g[k] = proof_mix(seed + 1 + k);
    for (unsigned int k = 0; k < PROOF_CPU_VECTORS; k++) {
        for (unsigned int lane = 0; lane < 2; lane++)
            model->x[k][lane] = proof_mix(seed + 0x100 + 2 * k + lane);
        for (unsigned int lane = 0; lane < 4; lane++)
            model->y[k][lane] = proof_mix(seed + 0x200 + 4 * k + lane);
    }
    for (unsigned int k = 0; k < PROOF_CPU_X87; k++)
        model->f[k] = proof_mix(seed + 0x300 + k) % WORKLOAD_CPU_MODULUS;
}

static void exchange(uint64_t *a, uint64_t *b)
{
    uint64_t value = *a;

    *a = *b;
    *b = value;
}

static void step_general(uint64_t g[PROOF_CPU_GENERAL])
{
    for (unsigned int k = 0; k < PROOF_CPU_GENERAL; k++) {
        g[k] += g[(k + 1) % PROOF_CPU_GENERAL];
        g[k] = g[k] << (7 + k) | g[k] >> (64 - (7 + k));
    }
}

static void step_x(uint64_t x[PROOF_CPU_VECTORS][2])
{
    for (unsigned int k = 0; k < PROOF_CPU_VECTORS; k++) {
        for (unsigned int lane = 0; lane < 2; lane++) {
            x[k][lane] += x[(k + 1) % PROOF_CPU_VECTORS][lane];
            x[k][lane] ^= x[k][lane] >> 11;
        }
    }
}

static void step_y(uint64_t y[PROOF_CPU_VECTORS][4])
{
    for (unsigned int k = 0; k < PROOF_CPU_VECTORS; k++) {
        for (unsigned int lane = 0; lane < 4; lane++) {
            y[k][lane] += y[(k + 1) % PROOF_CPU_VECTORS][lane];
            y[k][lane] ^= y[k][lane] >> 9;
        }
    }
}

static void step_x87(uint64_t f[PROOF_CPU_X87])
{
    f[0] = (f[0] * WORKLOAD_CPU_MULTIPLIER + f[1]) % WORKLOAD_CPU_MODULUS;
    for (unsigned int k = 1; k < PROOF_CPU_X87; k++)
        exchange(&f[0], &f[k]);
}

void cpu_model_step(struct cpu_model *model)
{
    for (unsigned int i = 0; i < WORKLOAD_CPU_ITERATIONS; i++) {
        step_general(model->g);
        step_x(model->x);
        if (model->avx2)
            step_y(model->y);
        step_x87(model->f);
    }
}

uint64_t cpu_model_digest(const struct cpu_model *model)
{
    uint64_t h = proof_digest_words(model->g, PROOF_CPU_GENERAL, model->seed);

    for (unsigned int k = 0; k < PROOF_CPU_VECTORS; k++)
        h = proof_digest_words(model->x[k], 2, h);
    for (unsigned int k = 0; k < PROOF_CPU_VECTORS && model->avx2; k++)
        h = proof_digest_words(model->y[k], 4, h);
    return proof_digest_words(model->f, PROOF_CPU_X87, h);
}
