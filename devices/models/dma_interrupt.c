/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <endian.h>
#include <linux/pci_regs.h>
#include <stddef.h>
#include <string.h>

#include "devices/models/dma.h"

static bool any_outstanding(const struct dma_device *dma)
{
    for (unsigned int vector = 0; vector < dma->vectors; vector++)
        if (dma->state->vector[vector].outstanding)
            return true;
    return false;
}

/* INTx is asserted while any vector is outstanding and no message interrupt is set up. */
static void update_level(struct dma_device *dma)
{
    struct device_host *host = dma->device.host;
    bool asserted = !dma->dma_held && !host_irq_count(host, VFIO_PCI_MSIX_IRQ_INDEX) &&
                    !host_irq_count(host, VFIO_PCI_MSI_IRQ_INDEX) && any_outstanding(dma);

    pci_config_set_interrupt_status(&dma->config, asserted);
    host_irq_level(host, asserted && !pci_config_intx_disabled(&dma->config));
}

/*
 * The trigger that SET_IRQS gave says which interrupts are in use, not the enable bits in configuration space: with
 * VFIO those and the MSI-X table belong to the VMM, which need not pass them on.
 */
static void deliver(struct dma_device *dma, unsigned int vector)
{
    struct device_host *host = dma->device.host;
    struct dma_vector *state = &dma->state->vector[vector];
    unsigned int msi = host_irq_count(host, VFIO_PCI_MSI_IRQ_INDEX);

    if (host_irq_count(host, VFIO_PCI_MSIX_IRQ_INDEX))
        state->undelivered = !host_irq_raise(host, VFIO_PCI_MSIX_IRQ_INDEX, vector);
    else if (msi)
        state->undelivered = !host_irq_raise(host, VFIO_PCI_MSI_IRQ_INDEX, vector % msi);
    else
        state->undelivered = true;
    update_level(dma);
}

/* Announces the next sequence number to every queue that has completions for it, and raises the interrupt. */
static int raise_next(struct dma_device *dma, unsigned int vector)
{
    struct dma_vector *state = &dma->state->vector[vector];
    uint64_t sequence = htole64(state->sequence + 1);
    int failed = 0;

    for (unsigned int q = 0; q < dma->queues; q++) {
        uint64_t at = dma->state->queue[q].shared + offsetof(struct dma_queue_shared, interrupt_sequence);

        if (state->pending_queues >> q & 1 &&
            host_dma_write(dma->device.host, DEVICE_DMA_NOTICE, at, &sequence, sizeof(sequence))) {
            dma->state->queue[q].error = DMA_QUEUE_ERROR_DMA;
            failed = 1;
        }
    }
    state->sequence++;
    state->pending_queues = 0;
    state->outstanding = true;
    deliver(dma, vector);
    return failed;
}

/* The sequence number goes to the shared records of the queues: in a P2P state not to another device. */
static bool may_raise(const struct dma_device *dma, unsigned int vector)
{
    if (!dma_may_transfer(dma))
        return false;
    for (unsigned int q = 0; dma->peers_held && q < dma->queues; q++)
        if (dma->state->vector[vector].pending_queues >> q & 1 &&
            host_dma_reaches_peer(dma->device.host, dma->state->queue[q].shared, sizeof(struct dma_queue_shared)))
            return false;
    return true;
}

int dma_interrupt_signal(struct dma_device *dma, unsigned int queue)
{
    unsigned int vector = dma->state->queue[queue].vector;

    dma->state->vector[vector].pending_queues |= 1u << queue;
    return dma->state->vector[vector].outstanding || !may_raise(dma, vector) ? 0 : raise_next(dma, vector);
}

void dma_interrupt_acknowledge(struct dma_device *dma, unsigned int vector, uint32_t sequence)
{
    struct dma_vector *state = &dma->state->vector[vector];

    if (!state->outstanding || (uint32_t)state->sequence != sequence) {
        dma->state->acknowledge_errors++;
        return;
    }
    state->outstanding = false;
    state->undelivered = false;
    if (state->pending_queues && may_raise(dma, vector))
        raise_next(dma, vector);
    else
        update_level(dma);
}

void dma_interrupts_retry(struct dma_device *dma)
{
    if (!dma_may_transfer(dma))
        return;
    for (unsigned int vector = 0; vector < dma->vectors; vector++) {
        struct dma_vector *state = &dma->state->vector[vector];

        if (state->outstanding && state->undelivered)
            deliver(dma, vector);
        else if (!state->outstanding && state->pending_queues && may_raise(dma, vector))
            raise_next(dma, vector);
    }
    update_level(dma);
}

void dma_interrupts_hold(struct dma_device *dma)
{
    update_level(dma);
}

static uint8_t pending_bits(const struct dma_device *dma, uint64_t offset)
{
    uint8_t bits = 0;

    for (unsigned int i = 0; i < 8 && offset * 8 + i < dma->vectors; i++)
        bits |= (uint8_t)(dma->state->vector[offset * 8 + i].undelivered << i);
    return bits;
}

void dma_msix_read(const struct dma_device *dma, uint64_t offset, uint8_t *data, size_t count)
{
    uint64_t table_size = (uint64_t)dma->vectors * DMA_MSIX_ENTRY_SIZE;

    for (size_t i = 0; i < count; i++) {
        uint64_t at = offset + i;

        if (at < table_size)
            data[i] = dma->state->msix_table[at];
        else if (at >= DMA_MSIX_PBA_OFFSET)
            data[i] = pending_bits(dma, at - DMA_MSIX_PBA_OFFSET);
        else
            data[i] = 0;
    }
}

void dma_msix_write(struct dma_device *dma, uint64_t offset, const uint8_t *data, size_t count)
{
    uint64_t table_size = (uint64_t)dma->vectors * DMA_MSIX_ENTRY_SIZE;

    for (size_t i = 0; i < count && offset + i < table_size; i++) {
        uint64_t at = offset + i;
        uint64_t field = at % DMA_MSIX_ENTRY_SIZE;
        uint8_t mask = 0xff;

        if (field == PCI_MSIX_ENTRY_VECTOR_CTRL)
            mask = PCI_MSIX_ENTRY_CTRL_MASKBIT;
        else if (field > PCI_MSIX_ENTRY_VECTOR_CTRL)
            mask = 0;
        else if (field == PCI_MSIX_ENTRY_LOWER_ADDR)
            mask = 0xfc;
        dma->state->msix_table[at] = data[i] & mask;
    }
}
