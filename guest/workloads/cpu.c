/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stddef.h>

#include "guest/guest.h"
#include "guest/workloads/arithmetic.h"
#include "guest/workloads/cpu.h"
#include "guest/workloads/cpu_run.h"

_Static_assert(offsetof(struct cpu_registers, x) == CPU_RUN_X, "cpu_run.S");
_Static_assert(offsetof(struct cpu_registers, y) == CPU_RUN_Y, "cpu_run.S");
_Static_assert(offsetof(struct cpu_registers, f) == CPU_RUN_F, "cpu_run.S");
_Static_assert(CPU_RUN_MODULUS == WORKLOAD_CPU_MODULUS, "cpu_run.S");
_Static_assert(CPU_RUN_MULTIPLIER == WORKLOAD_CPU_MULTIPLIER, "cpu_run.S");
_Static_assert(CPU_RUN_HOLD == WORKLOAD_CPU_HOLD, "cpu_run.S");
_Static_assert(CPU_RUN_ITERATIONS == WORKLOAD_CPU_ITERATIONS, "cpu_run.S");

static void fill(struct cpu_registers *registers, uint64_t seed)
{
    for (uint64_t k = 0; k < CPU_G; k++)
        registers->g[k] = workload_mix(seed + 1 + k);
    for (uint64_t i = 0; i < CPU_X * 2; i++)
        registers->x[i / 2][i % 2] = workload_mix(seed + 0x100 + i);
    for (uint64_t i = 0; i < CPU_Y * 4; i++)
        registers->y[i / 4][i % 4] = workload_mix(seed + 0x200 + i);
    for (uint64_t k = 0; k < CPU_F; k++)
        registers->f[k] = workload_mix(seed + 0x300 + k) % WORKLOAD_CPU_MODULUS;
}

void cpu_open(struct vcpu *vcpu)
{
    struct guest *guest = vcpu->guest;
    struct cpu *cpu = &vcpu->cpu;

    if (!guest->config.wanted[WORKLOAD_CPU])
        return;
    cpu->wanted = true;
    cpu->avx2 = guest->config.avx2;
    chain_open(&cpu->chain, guest, WORKLOAD_CPU, 0, (uint16_t)vcpu->index, cpu->avx2);
    fill(&cpu->registers, cpu->chain.seed);
}

void cpu_start(struct vcpu *vcpu)
{
    if (vcpu->cpu.wanted)
        cpu_load(&vcpu->cpu.registers, vcpu->cpu.avx2);
}

static uint64_t digest(const struct cpu_registers *registers, bool avx2, uint64_t begin)
{
    uint64_t result = workload_digest(registers->g, CPU_G, begin);

    result = workload_digest(registers->x[0], sizeof(registers->x) / sizeof(uint64_t), result);
    if (avx2)
        result = workload_digest(registers->y[0], sizeof(registers->y) / sizeof(uint64_t), result);
    return workload_digest(registers->f, CPU_F, result);
}

bool cpu_step(struct vcpu *vcpu)
{
    struct cpu *cpu = &vcpu->cpu;

    if (!cpu->wanted || !chain_wants(&cpu->chain, cpu->chain.operations))
        return false;
    cpu_run(&cpu->registers, cpu->avx2);
    chain_set(&cpu->chain, digest(&cpu->registers, cpu->avx2, cpu->chain.seed));
    chain_publish(&cpu->chain);
    return true;
}
