/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The dma workload (stopcopy/workload.h): a stream of operations for each queue of each reference DMA device. */
#ifndef GUEST_WORKLOADS_DMA_H
#define GUEST_WORKLOADS_DMA_H

#include <stdbool.h>

struct guest;
struct vcpu;
struct dma_stream;

/* Finds the devices, and gives their queues to the vCPUs in turn; on vCPU 0, at boot. */
void dma_open(struct guest *guest);
/* Takes what an interrupt announced, checks it, and hands new operations to the device: some of each. Returns whether
 * there was something to do. */
bool dma_step(struct vcpu *vcpu, struct dma_stream *stream);
bool dma_is_drained(const struct dma_stream *stream);
/* The queue is drained: publishes the last of it. On its vCPU. */
void dma_finish(struct vcpu *vcpu, struct dma_stream *stream);
/* All queues are drained: the devices must have nothing to complain about. On vCPU 0. */
void dma_close(struct guest *guest);
void dma_print_spurious(struct guest *guest);
/* The next stream of the same vCPU. */
struct dma_stream *dma_next(const struct dma_stream *stream);

#endif
