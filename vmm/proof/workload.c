/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/proof/workload.h"

#include <stdio.h>
#include <string.h>

#include "stopcopy/dma_device.h"
#include "stopcopy/edu_device.h"
#include "stopcopy/tally_device.h"
#include "stopcopy/uart_device.h"
#include "vmm/proof/model.h"

static const char *const names[WORKLOAD_END] = WORKLOAD_NAMES;

const struct proof_workload proof_workloads[] = {
    {WORKLOAD_DMA, &dma_model_ops, true, DMA_DEVICE_VENDOR_ID, DMA_DEVICE_DEVICE_ID, "queue"},
    {WORKLOAD_UART, &uart_model_ops, true, UART_DEVICE_VENDOR_ID, UART_DEVICE_DEVICE_ID, "port"},
    {WORKLOAD_EDU, &edu_model_ops, true, EDU_DEVICE_VENDOR_ID, EDU_DEVICE_DEVICE_ID, NULL},
    {WORKLOAD_TALLY, &tally_model_ops, true, TALLY_DEVICE_VENDOR_ID, TALLY_DEVICE_DEVICE_ID, NULL},
    {.id = WORKLOAD_MEMORY, .model = &memory_model_ops},
    {.id = WORKLOAD_CPU, .model = &cpu_model_ops},
    {.id = WORKLOAD_CLOCK, .model = &clock_model_ops},
    {0},
};

const struct proof_workload *proof_workload_find(uint32_t workload)
{
    for (const struct proof_workload *entry = proof_workloads; entry->id; entry++) {
        if (entry->id == workload)
            return entry;
    }
    return NULL;
}

const struct proof_workload *proof_workload_named(const char *name)
{
    for (const struct proof_workload *entry = proof_workloads; entry->id; entry++) {
        if (!strcmp(names[entry->id], name))
            return entry;
    }
    return NULL;
}

const struct proof_workload *proof_workload_of(uint16_t vendor, uint16_t device)
{
    for (const struct proof_workload *entry = proof_workloads; entry->id; entry++) {
        if (entry->of_device && entry->vendor == vendor && entry->device == device)
            return entry;
    }
    return NULL;
}

bool proof_workload_known(uint32_t workload)
{
    return proof_workload_find(workload) != NULL;
}

bool proof_workload_of_device(uint32_t workload)
{
    const struct proof_workload *entry = proof_workload_find(workload);

    return entry && entry->of_device;
}

unsigned int proof_workload_rank(uint32_t workload)
{
    unsigned int rank = 0;

    while (proof_workloads[rank].id && proof_workloads[rank].id != workload)
        rank++;
    return rank;
}

const char *proof_workload_name(uint32_t workload)
{
    return proof_workload_known(workload) ? names[workload] : "unknown";
}

void proof_workload_place(const struct proof_workload *workload, unsigned int device, unsigned int index, int columns,
                          char *place, size_t size)
{
    if (!workload || !workload->of_device)
        snprintf(place, size, "vCPU %*u", columns, index);
    else if (!workload->part)
        snprintf(place, size, "device in slot %*u", columns, device);
    else
        snprintf(place, size, "device in slot %*u, %s %*u", columns, device, workload->part, columns, index);
}
