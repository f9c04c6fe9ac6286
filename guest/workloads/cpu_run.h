/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers that cpu_run.S and cpu.c share. */
#ifndef GUEST_WORKLOADS_CPU_RUN_H
#define GUEST_WORKLOADS_CPU_RUN_H

#define CPU_RUN_MODULUS 2147483647
#define CPU_RUN_MULTIPLIER 48271
#define CPU_RUN_HOLD 1024
#define CPU_RUN_ITERATIONS 16

/* Offsets in struct cpu_registers. */
#define CPU_RUN_X 48
#define CPU_RUN_Y 160
#define CPU_RUN_F 384

#endif
