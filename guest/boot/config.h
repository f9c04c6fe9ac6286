/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the guest is told: by a device tree, or by PVH's start information and a command line (guest_abi.h). */
#ifndef GUEST_BOOT_CONFIG_H
#define GUEST_BOOT_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "guest/base/ram.h"
#include "stopcopy/guest_abi.h"
#include "stopcopy/workload.h"

#define CONFIG_ERROR_MAX 160
#define CONFIG_DMA_DEPTH_DEFAULT 16
#define CONFIG_DMA_DEPTH_MAX 1024
#define CONFIG_MEMORY_DEFAULT (16u << 20)

struct config {
    uint64_t seed;
    uint64_t ops;              /* 0: until asked to finish */
    uint64_t progress_address; /* 0: none */
    uint64_t tsc_hz;           /* 0: not told */
    uint64_t apic_timer_hz;    /* 0: not told */
    uint32_t vcpus;
    uint32_t apic_id[PROGRESS_VCPUS_MAX];
    bool avx2, kvmclock;
    uint64_t ecam; /* 0: PCI by ports CF8 and CFC */
    uint64_t ecam_size;
    uint16_t serial_port;
    uint16_t test_port;        /* 0: nobody answers */
    bool wanted[WORKLOAD_END]; /* by enum workload_id */
    uint32_t dma_depth;
    bool dma_p2p;                 /* operations that aim at another device */
    uint64_t memory_size;         /* of all vCPUs together */
    uint64_t memory_rate;         /* bytes a second of all together, 0: no limit */
    char error[CONFIG_ERROR_MAX]; /* what is wrong with it, "" where nothing is */
};

/* Names of the workloads; none where there is no such number. */
extern const char *const config_workload_name[WORKLOAD_END];

/* Each fills in config and the RAM there is; returns 0, or -1 with the error. */
int config_from_tree(struct config *config, struct ram *ram, const void *tree);
int config_from_start_info(struct config *config, struct ram *ram, uint64_t start_info);

/* Reads the words of a command line. */
int config_read_command_line(struct config *config, const char *line);
/* What holds for either: numbers that fit each other. */
int config_check(struct config *config);
/* Notes the error, formatted, and returns -1. */
int config_fail(struct config *config, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
