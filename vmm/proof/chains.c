/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which chains a plan has. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/proof/proof.h"
#include "vmm/proof/workload.h"

#define RULE "guest/chains"
#define PAGE_SIZE 4096u
#define CHAIN_NAME_MAX 64

void proof_chain_name(const struct proof_chain *chain, char *name, size_t size)
{
    char place[CHAIN_NAME_MAX];

    proof_workload_place(proof_workload_find(chain->workload), chain->device, chain->index, 0, place, sizeof(place));
    snprintf(name, size, "%s, %s", proof_workload_name(chain->workload), place);
}

uint64_t proof_memory_pages(const struct proof_plan *plan, unsigned int vcpu)
{
    uint64_t pages = plan->memory_size / PAGE_SIZE;

    if (vcpu >= plan->vcpus)
        return 0;
    return pages / plan->vcpus + (vcpu < pages % plan->vcpus);
}

struct chain_list {
    struct proof_chain *chain;
    int count; /* -1: too many */
};

static void list_add(struct chain_list *list, enum workload_id workload, uint16_t device, unsigned int index,
                     uint64_t parameter)
{
    if (list->count < 0)
        return;
    if (list->count == PROGRESS_CHAINS_MAX || index > UINT16_MAX || parameter > UINT32_MAX) {
        list->count = -1;
        return;
    }
    list->chain[list->count++] = (struct proof_chain){
        .workload = workload,
        .device = device,
        .index = (uint16_t)index,
        .parameter = (uint32_t)parameter,
    };
}

static void list_devices(struct chain_list *list, const struct proof_plan *plan, const struct proof_workload *workload)
{
    uint32_t parameter = workload->id == WORKLOAD_DMA ? plan->dma_depth : 0;

    for (size_t i = 0; i < plan->device_count; i++) {
        const struct proof_device *device = &plan->device[i];

        for (uint32_t index = 0; device->workload == workload->id && index < device->chains && list->count >= 0;
             index++)
            list_add(list, workload->id, device->slot, index, parameter);
    }
}

static void list_vcpus(struct chain_list *list, const struct proof_plan *plan, enum workload_id workload)
{
    for (unsigned int vcpu = 0; vcpu < plan->vcpus; vcpu++) {
        uint64_t pages = proof_memory_pages(plan, vcpu);

        if (workload != WORKLOAD_MEMORY)
            list_add(list, workload, 0, vcpu, workload == WORKLOAD_CPU && plan->avx2);
        else if (pages)
            list_add(list, workload, 0, vcpu, pages);
    }
}

int proof_plan_chains(const struct proof_plan *plan, struct proof_chain chain[static PROGRESS_CHAINS_MAX],
                      struct error *error)
{
    struct chain_list list = {.chain = chain};

    if (plan->vcpus < 1 || plan->vcpus > PROGRESS_VCPUS_MAX ||
        plan->device_count > sizeof(plan->device) / sizeof(plan->device[0]))
        return error_set(error, EINVAL, "a plan for %u vCPUs and %zu devices", plan->vcpus, plan->device_count);
    for (const struct proof_workload *workload = proof_workloads; workload->id; workload++) {
        if (plan->wanted[workload->id] && workload->of_device)
            list_devices(&list, plan, workload);
        else if (plan->wanted[workload->id])
            list_vcpus(&list, plan, workload->id);
    }
    if (list.count < 0)
        return error_set(error, E2BIG,
                         "the plan has more than the %u chains that a guest can publish, or a chain too "
                         "large",
                         PROGRESS_CHAINS_MAX);
    return list.count;
}

static bool same_chain(const struct proof_chain *a, const struct proof_chain *b)
{
    return a->workload == b->workload && a->device == b->device && a->index == b->index;
}

/* Finds the chain of the plan in the snapshot. The clock's parameter means nothing. */
static int check_chain(const struct proof_chain *planned, const struct proof_snapshot *snapshot, struct error *error)
{
    const struct proof_chain *found = NULL;
    char name[CHAIN_NAME_MAX];

    proof_chain_name(planned, name, sizeof(name));
    for (size_t i = 0; i < snapshot->chain_count; i++) {
        if (!same_chain(planned, &snapshot->chain[i]))
            continue;
        if (found)
            return error_rule(error, RULE, 0, "the guest has two chains of %s", name);
        found = &snapshot->chain[i];
    }
    if (!found)
        return error_rule(error, RULE, 0, "the guest has no chain of %s", name);
    if (found->parameter != planned->parameter && planned->workload != WORKLOAD_CLOCK)
        return error_rule(error, RULE, 0, "the guest's chain of %s has the parameter %u, and was asked for %u", name,
                          found->parameter, planned->parameter);
    return 0;
}

int proof_check_chains(const struct proof_plan *plan, const struct proof_snapshot *snapshot, struct error *error)
{
    struct proof_chain planned[PROGRESS_CHAINS_MAX];
    int count = proof_plan_chains(plan, planned, error);

    if (count < 0)
        return -1;
    if (snapshot->vcpus != plan->vcpus)
        return error_rule(error, RULE, 0, "the guest has %u vCPUs at work, and was given %u", snapshot->vcpus,
                          plan->vcpus);
    for (int i = 0; i < count; i++) {
        if (check_chain(&planned[i], snapshot, error) < 0)
            return -1;
    }
    /* Each of the plan is there once; so any more is one that was not asked for. */
    if (snapshot->chain_count != (size_t)count)
        return error_rule(error, RULE, 0, "the guest has %zu chains, and was asked for %d", snapshot->chain_count,
                          count);
    return 0;
}
