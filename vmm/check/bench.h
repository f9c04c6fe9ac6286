/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What stands for the guest where a device is put to work without one: memory that the device can reach, its
 * configuration as firmware and a driver would leave it, its interrupts counted by vector, and the access operations of
 * guest/drivers/driver.h over its regions. It uses struct vfio_device alone, and so serves every backend.
 *
 * One thread. What a driver's access cannot report is kept: bench_check() tells the first of it.
 */
#ifndef STOPCOPY_CHECK_BENCH_H
#define STOPCOPY_CHECK_BENCH_H

#include <linux/pci_regs.h>

#include "guest/drivers/driver.h"
#include "lib/deadline.h"
#include "vmm/vfio/vfio_device.h"

#define BENCH_PAGE 4096u
#define BENCH_RANGES_MAX 4
#define BENCH_RANGE_SIZE (4u << 20)
#define BENCH_BARS 6
#define BENCH_VECTORS_MAX 16
#define BENCH_CONFIG_SIZE 256u

/* Memory at one IOVA. */
struct bench_range {
    uint64_t iova;
    uint64_t size;
    uint8_t *host;
    uint64_t offset; /* in the memory's descriptor */
    uint64_t used;   /* of it, allocated */
    bool mapped;
    /* A bit for each page that the device is known to have written: bench_mark_written(). */
    uint64_t written[BENCH_RANGE_SIZE / BENCH_PAGE / 64];
};

struct bench_bar {
    uint64_t size;    /* 0: none */
    uint64_t address; /* as programmed */
    bool is_io;
    bool is_64bit;
};

struct bench {
    struct vfio_device *device;
    int memory_fd;
    uint8_t *memory; /* of all ranges */
    size_t memory_size;
    struct bench_range range[BENCH_RANGES_MAX];
    unsigned int range_count;
    unsigned int next_range; /* where the next allocation goes */
    /* What stands for a BAR of another device: bench_map_peer(). No part of what is logged or watched; size 0: none. */
    struct bench_range peer;

    struct bench_bar bar[BENCH_BARS];
    uint32_t irq_index; /* VFIO_PCI_MSIX_IRQ_INDEX, else MSI, else INTX */
    bool irq_maskable;
    unsigned int vectors; /* that have a trigger; 0: the device has no interrupt */
    int eventfd[BENCH_VECTORS_MAX];
    uint64_t interrupts[BENCH_VECTORS_MAX];
    uint8_t config[BENCH_CONFIG_SIZE]; /* as it was left by bench_open() */

    struct error error; /* of the first access that failed; text "" where none did */
};

/*
 * Maps the memory, in ranges below and above 4 GiB (those that the IOMMU refuses are left out, the first one must be
 * taken), assigns BARs, switches decoding and bus mastering on and binds the interrupts. The device must be RUNNING.
 * What was done is undone by bench_close(), also after a failure.
 */
int bench_open(struct bench *bench, struct vfio_device *device, struct error *error);
/* Takes interrupts and mappings away. Errors are of no more interest. */
void bench_close(struct bench *bench);
/* Frees what is this process's alone: for a device that is gone. */
void bench_free(struct bench *bench);
/* The parts of bench_open(): BARs and command register; eventfds. */
int bench_program(struct bench *bench, struct error *error);
int bench_make_interrupts(struct bench *bench, struct error *error);
/* The first access of a driver's that failed, or 0. */
int bench_check(const struct bench *bench, struct error *error);

/* The operations for a driver. Valid as long as the bench. */
struct device_access bench_access(struct bench *bench);

/* Memory. */
struct bench_range *bench_range_of(struct bench *bench, uint64_t iova);
void *bench_allocate(struct bench *bench, size_t size, uint64_t *iova);
int bench_map(struct bench *bench, struct error *error);
int bench_unmap(struct bench *bench, struct error *error);
/*
 * Maps memory that the device is to take for another device's BAR, where told (dma_map_peer; else it is memory like any
 * other), for work that is opened afterwards. Taken away by bench_close().
 */
int bench_map_peer(struct bench *bench, bool told, struct error *error);
void *bench_allocate_peer(struct bench *bench, size_t size, uint64_t *iova);
/* The device wrote [iova, iova + size), as its work tells. */
void bench_mark_written(struct bench *bench, uint64_t iova, uint64_t size);
void bench_clear_written(struct bench *bench);

/* Interrupts. bench_bind_interrupts() is for a device that was reset, or loaded. */
int bench_bind_interrupts(struct bench *bench, struct error *error);
int bench_unbind_interrupts(struct bench *bench, struct error *error);
/* Counts what has come. */
uint64_t bench_count_interrupts(struct bench *bench, unsigned int vector);
uint64_t bench_count_all_interrupts(struct bench *bench);
/* Waits until an interrupt is there or milliseconds are over. */
void bench_wait(struct bench *bench, int milliseconds);
/* VFIO_IRQ_SET_ACTION_MASK or _UNMASK of every vector. */
int bench_mask_interrupts(struct bench *bench, bool masked, struct error *error);

/* Configuration space: BARs, decoding, bus mastering and interrupts as bench_open() left them. */
int bench_restore_config(struct bench *bench, struct error *error);
/* Changes bits of PCI_COMMAND. */
int bench_set_command(struct bench *bench, uint16_t clear, uint16_t set, struct error *error);
/* All of what a driver sees of it. Where the region ends before (that of the kernel's sample has 255 bytes), zeroes. */
int bench_config_read_all(struct bench *bench, uint8_t config[static BENCH_CONFIG_SIZE], struct error *error);
int bench_config_read(struct bench *bench, unsigned int offset, void *data, size_t size, struct error *error);
int bench_config_write(struct bench *bench, unsigned int offset, const void *data, size_t size, struct error *error);
/* Where a capability is, 0 where there is none. */
unsigned int bench_find_capability(const struct bench *bench, uint8_t id);

#endif
