/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which chains a plan has. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/proof/proof.h"

#define RULE "guest/chains"
#define PAGE_SIZE 4096u
#define CHAIN_NAME_MAX 64

bool proof_workload_known(uint32_t workload)
{
    return workload >= WORKLOAD_DMA && workload <= WORKLOAD_EDU;
}

bool proof_workload_of_device(uint32_t workload)
{
    return workload == WORKLOAD_DMA || workload == WORKLOAD_UART || workload == WORKLOAD_EDU;
}

unsigned int proof_workload_rank(uint32_t workload)
{
    static const uint32_t leading[] = {WORKLOAD_DMA,    WORKLOAD_UART, WORKLOAD_EDU,
                                       WORKLOAD_MEMORY, WORKLOAD_CPU,  WORKLOAD_CLOCK};
    unsigned int rank = 0;

    while (rank < sizeof(leading) / sizeof(leading[0]) && leading[rank] != workload)
        rank++;
    return rank;
}

const char *proof_workload_name(uint32_t workload)
{
    static const char *const name[] = {
        [WORKLOAD_DMA] = "dma",     [WORKLOAD_MEMORY] = "memory", [WORKLOAD_CPU] = "cpu",
        [WORKLOAD_CLOCK] = "clock", [WORKLOAD_UART] = "uart",     [WORKLOAD_EDU] = "edu",
    };

    return proof_workload_known(workload) ? name[workload] : "unknown";
}

void proof_chain_name(const struct proof_chain *chain, char *name, size_t size)
{
    if (chain->workload == WORKLOAD_DMA)
        snprintf(name, size, "dma, device in slot %u, queue %u", chain->device, chain->index);
    else if (chain->workload == WORKLOAD_UART)
        snprintf(name, size, "uart, device in slot %u, port %u", chain->device, chain->index);
    else if (chain->workload == WORKLOAD_EDU)
        snprintf(name, size, "edu, device in slot %u", chain->device);
    else
        snprintf(name, size, "%s, vCPU %u", proof_workload_name(chain->workload), chain->index);
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

static void list_dma(struct chain_list *list, const struct proof_plan *plan)
{
    for (size_t i = 0; i < plan->device_count; i++) {
        for (uint32_t queue = 0; queue < plan->device[i].queues && list->count >= 0; queue++)
            list_add(list, WORKLOAD_DMA, plan->device[i].slot, queue, plan->dma_depth);
    }
}

static void list_uarts(struct chain_list *list, const struct proof_plan *plan)
{
    for (size_t i = 0; i < plan->uart_count; i++) {
        for (uint32_t port = 0; port < plan->uarts[i].ports && list->count >= 0; port++)
            list_add(list, WORKLOAD_UART, plan->uarts[i].slot, port, 0);
    }
}

int proof_plan_chains(const struct proof_plan *plan, struct proof_chain chain[static PROGRESS_CHAINS_MAX],
                      struct error *error)
{
    struct chain_list list = {.chain = chain};

    if (plan->vcpus < 1 || plan->vcpus > PROGRESS_VCPUS_MAX ||
        plan->device_count > sizeof(plan->device) / sizeof(plan->device[0]) ||
        plan->uart_count > sizeof(plan->uarts) / sizeof(plan->uarts[0]) ||
        plan->edu_count > sizeof(plan->edu_device) / sizeof(plan->edu_device[0]))
        return error_set(error, EINVAL, "a plan for %u vCPUs, %zu dma, %zu uart and %zu edu devices", plan->vcpus,
                         plan->device_count, plan->uart_count, plan->edu_count);
    if (plan->dma)
        list_dma(&list, plan);
    if (plan->uart)
        list_uarts(&list, plan);
    for (size_t i = 0; plan->edu && i < plan->edu_count; i++)
        list_add(&list, WORKLOAD_EDU, plan->edu_device[i].slot, 0, 0);
    for (unsigned int vcpu = 0; plan->memory && vcpu < plan->vcpus; vcpu++) {
        if (proof_memory_pages(plan, vcpu))
            list_add(&list, WORKLOAD_MEMORY, 0, vcpu, proof_memory_pages(plan, vcpu));
    }
    for (unsigned int vcpu = 0; plan->cpu && vcpu < plan->vcpus; vcpu++)
        list_add(&list, WORKLOAD_CPU, 0, vcpu, plan->avx2);
    for (unsigned int vcpu = 0; plan->clock && vcpu < plan->vcpus; vcpu++)
        list_add(&list, WORKLOAD_CLOCK, 0, vcpu, 0);
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
