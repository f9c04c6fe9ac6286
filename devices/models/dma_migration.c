/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/fsm.h"
#include "devices/models/dma.h"
#include "lib/deadline.h"

static bool is_p2p(unsigned int state)
{
    return state == VFIO_DEVICE_STATE_RUNNING_P2P || state == VFIO_DEVICE_STATE_PRE_COPY_P2P;
}

static bool is_stopped(unsigned int state)
{
    return state != VFIO_DEVICE_STATE_RUNNING && state != VFIO_DEVICE_STATE_PRE_COPY && !is_p2p(state);
}

static void hold(struct dma_device *dma, uint64_t now)
{
    dma->dma_held = true;
    dma_queues_hold(dma, now);
    dma_interrupts_hold(dma);
}

/* DMA goes on, or more of it does. */
static void release(struct dma_device *dma, uint64_t now)
{
    if (dma->dma_held)
        dma_queues_release(dma, now);
    dma->dma_held = false;
    dma_interrupts_retry(dma);
    dma_queues_resume(dma);
}

/*
 * Stopped, the device moves nothing. In the P2P states it holds what would reach another device, as its host tells
 * them apart, and goes on with all other. No operation is ever under way when a state is entered: one in flight moves
 * its data in one go when its latency is over.
 */
void dma_enter_state(struct dma_device *dma, unsigned int state)
{
    uint64_t now = clock_now_ns();
    bool peers_were_held = dma->peers_held;

    dma->migration_state = state;
    dma->peers_held = is_p2p(state);
    if (is_stopped(state))
        dma_dirtier_hold(dma, now);
    else
        dma_dirtier_release(dma, now);
    if (is_stopped(state) && !dma->dma_held)
        hold(dma, now);
    else if (!is_stopped(state) && (dma->dma_held || (peers_were_held && !dma->peers_held)))
        release(dma, now);
    dma_arm_timer(dma);
}

int dma_arc(struct device *device, unsigned int from, unsigned int to)
{
    struct dma_device *dma = dma_device_of(device);
    int failed = 0;

    if (from == VFIO_DEVICE_STATE_RESUMING)
        failed = dma_load_finish(dma);
    else if (to == VFIO_DEVICE_STATE_RESUMING)
        failed = dma_load_start(dma);
    if (failed)
        return failed;
    if (fsm_is_saving(from) && !fsm_is_saving(to))
        dma_save_stop(dma);
    if (!fsm_is_saving(from) && fsm_is_saving(to))
        dma_save_start(dma);
    dma_enter_state(dma, to);
    return 0;
}
