/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cpu workload of stopcopy/workload.h: the registers, as plain numbers. Holding them changes nothing. */
#include "vmm/proof/arithmetic.h"
#include "vmm/proof/model.h"

#define GENERAL 6
#define VECTORS 7
#define X87 4

struct cpu_model {
    struct model model; /* first */
    bool avx2;
    uint64_t g[GENERAL];
    uint64_t x[VECTORS][2];
    uint64_t y[VECTORS][4];
    uint64_t f[X87];
};

static int init(struct model *model, const struct model_start *start, struct error *error)
{
    struct cpu_model *cpu = (struct cpu_model *)model;
    uint64_t seed = model->seed;

    (void)error;
    cpu->avx2 = start->chain->parameter == 1;
    for (unsigned int k = 0; k < GENERAL; k++)
        cpu->g[k] = proof_mix(seed + 1 + k);
    for (unsigned int k = 0; k < VECTORS; k++) {
        for (unsigned int lane = 0; lane < 2; lane++)
            cpu->x[k][lane] = proof_mix(seed + 0x100 + 2 * k + lane);
        for (unsigned int lane = 0; lane < 4; lane++)
            cpu->y[k][lane] = proof_mix(seed + 0x200 + 4 * k + lane);
    }
    for (unsigned int k = 0; k < X87; k++)
        cpu->f[k] = proof_mix(seed + 0x300 + k) % WORKLOAD_CPU_MODULUS;
    return 0;
}

static void exchange(uint64_t *a, uint64_t *b)
{
    uint64_t value = *a;

    *a = *b;
    *b = value;
}

static void step_general(uint64_t g[GENERAL])
{
    for (unsigned int k = 0; k < GENERAL; k++) {
        g[k] += g[(k + 1) % GENERAL];
        g[k] = g[k] << (7 + k) | g[k] >> (64 - (7 + k));
    }
}

static void step_x(uint64_t x[VECTORS][2])
{
    for (unsigned int k = 0; k < VECTORS; k++) {
        for (unsigned int lane = 0; lane < 2; lane++) {
            x[k][lane] += x[(k + 1) % VECTORS][lane];
            x[k][lane] ^= x[k][lane] >> 11;
        }
    }
}

static void step_y(uint64_t y[VECTORS][4])
{
    for (unsigned int k = 0; k < VECTORS; k++) {
        for (unsigned int lane = 0; lane < 4; lane++) {
            y[k][lane] += y[(k + 1) % VECTORS][lane];
            y[k][lane] ^= y[k][lane] >> 9;
        }
    }
}

static void step_x87(uint64_t f[X87])
{
    f[0] = (f[0] * WORKLOAD_CPU_MULTIPLIER + f[1]) % WORKLOAD_CPU_MODULUS;
    for (unsigned int k = 1; k < X87; k++)
        exchange(&f[0], &f[k]);
}

static void step(struct model *model, uint64_t operation)
{
    struct cpu_model *cpu = (struct cpu_model *)model;

    (void)operation;
    for (unsigned int i = 0; i < WORKLOAD_CPU_ITERATIONS; i++) {
        step_general(cpu->g);
        step_x(cpu->x);
        if (cpu->avx2)
            step_y(cpu->y);
        step_x87(cpu->f);
    }
}

static uint64_t digest(const struct model *model)
{
    const struct cpu_model *cpu = (const struct cpu_model *)model;
    uint64_t h = proof_digest_words(cpu->g, GENERAL, model->seed);

    for (unsigned int k = 0; k < VECTORS; k++)
        h = proof_digest_words(cpu->x[k], 2, h);
    for (unsigned int k = 0; k < VECTORS && cpu->avx2; k++)
        h = proof_digest_words(cpu->y[k], 4, h);
    return proof_digest_words(cpu->f, X87, h);
}

const struct model_ops cpu_model_ops = {.size = sizeof(struct cpu_model), .init = init, .step = step, .digest = digest};
