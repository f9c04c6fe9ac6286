/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/proof/model.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/proof/arithmetic.h"

struct proof_model {
    uint32_t workload;
    uint64_t operations; /* done so far */
    union {
        struct dma_model dma;
        struct memory_model memory;
        struct cpu_model cpu;
        struct uart_model uart;
        struct edu_model edu;
    };
};

static uint64_t chain_seed(const struct proof_plan *plan, const struct proof_chain *chain)
{
    uint64_t workload_seed = proof_mix(plan->seed + chain->workload * WORKLOAD_GOLDEN);

    return proof_mix(workload_seed ^ ((uint64_t)chain->device << 32 | chain->index));
}

static const struct proof_device *find_device(const struct proof_plan *plan, uint16_t slot)
{
    for (size_t i = 0; i < plan->device_count; i++) {
        if (plan->device[i].slot == slot)
            return &plan->device[i];
    }
    return NULL;
}

/* The next device with a window in the ring of those that have one, NULL where it is the only one. */
static const struct proof_device *find_peer(const struct proof_plan *plan, const struct proof_device *device)
{
    size_t at = (size_t)(device - plan->device);

    if (!plan->dma_p2p || !device->window_size)
        return NULL;
    for (size_t step = 1; step < plan->device_count; step++) {
        const struct proof_device *next = &plan->device[(at + step) % plan->device_count];

        if (next->window_size)
            return next;
    }
    return NULL;
}

static bool has_port(const struct proof_plan *plan, const struct proof_chain *chain)
{
    for (size_t i = 0; i < plan->uart_count; i++) {
        if (plan->uarts[i].slot == chain->device)
            return chain->index < plan->uarts[i].ports;
    }
    return false;
}

static bool has_edu(const struct proof_plan *plan, const struct proof_chain *chain)
{
    for (size_t i = 0; i < plan->edu_count; i++) {
        if (plan->edu_device[i].slot == chain->device)
            return chain->index == 0;
    }
    return false;
}

static int model_init(struct proof_model *model, const struct proof_plan *plan, const struct proof_chain *chain,
                      struct error *error)
{
    uint64_t seed = chain_seed(plan, chain);
    const struct proof_device *device;

    model->workload = chain->workload;
    switch (chain->workload) {
    case WORKLOAD_DMA:
        device = find_device(plan, chain->device);
        if (!device || chain->index >= device->queues)
            return error_rule(error, "guest/chains", 0,
                              "a dma chain of the device in slot %u, queue %u, is not planned", chain->device,
                              chain->index);
        return dma_model_init(&model->dma, seed, chain->parameter, device, find_peer(plan, device), error);
    case WORKLOAD_MEMORY:
        if (!chain->parameter)
            return error_rule(error, "guest/chains", 0, "the memory chain of vCPU %u has no pages", chain->index);
        memory_model_init(&model->memory, seed, chain->parameter);
        return 0;
    case WORKLOAD_CPU:
        cpu_model_init(&model->cpu, seed, chain->parameter == 1);
        return 0;
    case WORKLOAD_UART:
        if (!has_port(plan, chain))
            return error_rule(error, "guest/chains", 0,
                              "a uart chain of the device in slot %u, port %u, is not planned", chain->device,
                              chain->index);
        uart_model_init(&model->uart, seed);
        return 0;
    case WORKLOAD_EDU:
        if (!has_edu(plan, chain))
            return error_rule(error, "guest/chains", 0, "an edu chain of the device in slot %u is not planned",
                              chain->device);
        edu_model_init(&model->edu, seed);
        return 0;
    case WORKLOAD_CLOCK:
        return 0;
    default:
        return error_rule(error, "guest/chains", 0, "workload %u is not known", chain->workload);
    }
}

struct proof_model *proof_model_new(const struct proof_plan *plan, const struct proof_chain *chain, struct error *error)
{
    struct proof_model *model = calloc(1, sizeof(*model));

    if (!model) {
        error_set(error, ENOMEM, "the model of a chain");
        return NULL;
    }
    if (model_init(model, plan, chain, error) < 0) {
        proof_model_free(model);
        return NULL;
    }
    return model;
}

void proof_model_free(struct proof_model *model)
{
    if (!model)
        return;
    if (model->workload == WORKLOAD_DMA)
        dma_model_free(&model->dma);
    free(model);
}

uint64_t proof_model_digest(struct proof_model *model, uint64_t operations)
{
    switch (model->workload) {
    case WORKLOAD_DMA:
        for (; model->operations < operations; model->operations++)
            dma_model_step(&model->dma, model->operations);
        return model->dma.chain;
    case WORKLOAD_MEMORY:
        for (; model->operations < operations; model->operations++)
            memory_model_step(&model->memory, model->operations);
        return model->memory.chain;
    case WORKLOAD_CPU:
        for (; model->operations < operations; model->operations++)
            cpu_model_step(&model->cpu);
        return cpu_model_digest(&model->cpu);
    case WORKLOAD_UART:
        for (; model->operations < operations; model->operations++)
            uart_model_step(&model->uart, model->operations);
        return model->uart.chain;
    case WORKLOAD_EDU:
        for (; model->operations < operations; model->operations++)
            edu_model_step(&model->edu, model->operations);
        return model->edu.chain;
    default:
        return 0; /* clock */
    }
}

uint64_t proof_model_peer_operations(const struct proof_model *model)
{
    return model->workload == WORKLOAD_DMA ? model->dma.peer_operations : 0;
}

uint64_t proof_model_peer_operations_in(const struct proof_model *model, uint64_t first, uint64_t end)
{
    uint64_t count = 0;

    for (; model->workload == WORKLOAD_DMA && first < end; first++)
        count += dma_model_reaches_peer(&model->dma, first);
    return count;
}
