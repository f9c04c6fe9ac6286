/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cpu workload of one vCPU (stopcopy/workload.h): state that lives in registers. */
#ifndef GUEST_WORKLOADS_CPU_H
#define GUEST_WORKLOADS_CPU_H

#include "guest/workloads/chain.h"

struct vcpu;

#define CPU_G 6
#define CPU_X 7
#define CPU_Y 7
#define CPU_F 4

/* Offsets are cpu_run.S's. In the order of the digest, with AVX2 or without: see cpu.c. */
struct cpu_registers {
    uint64_t g[CPU_G];
    uint64_t x[CPU_X][2];
    uint64_t y[CPU_Y][4];
    uint64_t f[CPU_F];
};

struct cpu {
    bool wanted;
    bool avx2;
    struct chain chain;
    struct cpu_registers registers;
};

/* Puts x, y (with AVX2) and f into the vector and x87 registers, where they stay. */
void cpu_load(const struct cpu_registers *registers, uint64_t avx2);
/* One operation; then a copy of all of them is in *registers. */
void cpu_run(struct cpu_registers *registers, uint64_t avx2);

/* On vCPU 0, at boot. */
void cpu_open(struct vcpu *vcpu);
/* On the vCPU itself. */
void cpu_start(struct vcpu *vcpu);
/* One operation, where one is wanted. Returns whether it was. */
bool cpu_step(struct vcpu *vcpu);

#endif
