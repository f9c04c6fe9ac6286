/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/proof/model.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/proof/arithmetic.h"
#include "vmm/proof/workload.h"

#define CHAIN_NAME_MAX 64

struct proof_model {
    const struct proof_workload *workload;
    uint64_t operations; /* done so far */
    struct model *state;
};

static uint64_t chain_seed(const struct proof_plan *plan, const struct proof_chain *chain)
{
    uint64_t workload_seed = proof_mix(plan->seed + chain->workload * WORKLOAD_GOLDEN);

    return proof_mix(workload_seed ^ ((uint64_t)chain->device << 32 | chain->index));
}

static const struct proof_device *find_device(const struct proof_plan *plan, const struct proof_chain *chain)
{
    for (size_t i = 0; i < plan->device_count; i++) {
        const struct proof_device *device = &plan->device[i];

        if (device->workload == chain->workload && device->slot == chain->device)
            return chain->index < device->chains ? device : NULL;
    }
    return NULL;
}

static int model_init(struct proof_model *model, const struct proof_plan *plan, const struct proof_chain *chain,
                      struct error *error)
{
    struct model_start start = {.plan = plan, .chain = chain, .device = find_device(plan, chain)};
    const struct model_ops *ops;
    char name[CHAIN_NAME_MAX];

    model->workload = proof_workload_find(chain->workload);
    if (!model->workload)
        return error_rule(error, "guest/chains", 0, "workload %u is not known", chain->workload);
    proof_chain_name(chain, name, sizeof(name));
    if (model->workload->of_device && !start.device)
        return error_rule(error, "guest/chains", 0, "%s: such a chain is not planned", name);
    ops = model->workload->model;
    model->state = calloc(1, ops->size);
    if (!model->state)
        return error_set(error, ENOMEM, "the model of %s", name);
    model->state->seed = model->state->chain = chain_seed(plan, chain);
    return ops->init ? ops->init(model->state, &start, error) : 0;
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
    if (model->state && model->workload->model->free)
        model->workload->model->free(model->state);
    free(model->state);
    free(model);
}

uint64_t proof_model_digest(struct proof_model *model, uint64_t operations)
{
    const struct model_ops *ops = model->workload->model;

    for (; ops->step && model->operations < operations; model->operations++)
        ops->step(model->state, model->operations);
    /* Before its first operation a chain stands at its seed, whatever its digest is made of. */
    return ops->digest && (model->operations || !ops->step) ? ops->digest(model->state) : model->state->chain;
}

uint64_t proof_model_peer_operations(const struct proof_model *model)
{
    return model->workload->id == WORKLOAD_DMA ? dma_model_peer_operations(model->state) : 0;
}

uint64_t proof_model_peer_operations_in(const struct proof_model *model, uint64_t first, uint64_t end)
{
    uint64_t count = 0;

    for (; model->workload->id == WORKLOAD_DMA && first < end; first++)
        count += dma_model_reaches_peer(model->state, first);
    return count;
}
