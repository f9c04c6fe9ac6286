/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/fsm.h"
#include "devices/models/dma.h"
#include "lib/deadline.h"

static bool dma_runs_in(unsigned int state)
{
    return state == VFIO_DEVICE_STATE_RUNNING || state == VFIO_DEVICE_STATE_PRE_COPY;
}

static bool stopped_in(unsigned int state)
{
    return !dma_runs_in(state) && state != VFIO_DEVICE_STATE_RUNNING_P2P && state != VFIO_DEVICE_STATE_PRE_COPY_P2P;
}

/*
 * The device cannot tell another device's BAR from memory, so in the P2P states it holds all DMA, as the uAPI asks of
 * such a device. Nothing is outstanding then: an operation in flight moves its data in one go when its latency is over.
 */
void dma_enter_state(struct dma_device *dma, unsigned int state)
{
    uint64_t now = clock_now_ns();
    bool hold = !dma_runs_in(state);

    dma->migration_state = state;
    if (stopped_in(state))
        dma_dirtier_hold(dma, now);
    else
        dma_dirtier_release(dma, now);
    if (hold && !dma->dma_held) {
        dma->dma_held = true;
        dma_queues_hold(dma, now);
        dma_interrupts_hold(dma);
    } else if (!hold && dma->dma_held) {
        dma->dma_held = false;
        dma_interrupts_retry(dma);
        dma_queues_release(dma, now);
    }
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
