/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which chains a plan has, and whether the guest has them. */
#include <criterion/criterion.h>
#include <string.h>

#include "vmm/proof/proof.h"

static struct proof_plan plan;
static struct proof_snapshot snapshot;
static struct error error;

static void set_up(void)
{
    int count;

    plan = (struct proof_plan){
        .vcpus = 2,
        .wanted[WORKLOAD_DMA] = true,
        .wanted[WORKLOAD_MEMORY] = true,
        .wanted[WORKLOAD_CPU] = true,
        .wanted[WORKLOAD_CLOCK] = true,
        .avx2 = true,
        .dma_depth = 16,
        .memory_size = 5 * 4096 + 4095,
        .device_count = 2,
        .device = {{.workload = WORKLOAD_DMA, .slot = 2, .chains = 1},
                   {.workload = WORKLOAD_DMA, .slot = 3, .chains = 2}},
    };
    memset(&snapshot, 0, sizeof(snapshot));
    snapshot.state = PROGRESS_RUNNING;
    snapshot.vcpus = 2;
    count = proof_plan_chains(&plan, snapshot.chain, &error);
    cr_assert_eq(count, 3 + 2 + 2 + 2);
    snapshot.chain_count = (size_t)count;
}

TestSuite(chains, .init = set_up);

static void expect_refused(const char *words)
{
    error = (struct error)ERROR_INIT;
    cr_expect_eq(proof_check_chains(&plan, &snapshot, &error), -1);
    cr_expect_str_eq(error.rule, "guest/chains");
    cr_expect(strstr(error.text, words), "\"%s\" has not \"%s\"", error.text, words);
    set_up();
}

Test(chains, pages_are_divided_with_the_first_having_more)
{
    cr_expect_eq(proof_memory_pages(&plan, 0), 3);
    cr_expect_eq(proof_memory_pages(&plan, 1), 2);
    cr_expect_eq(proof_memory_pages(&plan, 2), 0);
    cr_expect_eq(snapshot.chain[3].parameter, 3);
    cr_expect_eq(snapshot.chain[4].parameter, 2);
}

Test(chains, those_of_the_plan_are_right_in_any_order)
{
    struct proof_chain first = snapshot.chain[0];

    snapshot.chain[0] = snapshot.chain[5];
    snapshot.chain[5] = first;
    cr_expect_eq(proof_check_chains(&plan, &snapshot, &error), 0, "%s", error.text);
}

Test(chains, any_other_is_refused)
{
    snapshot.chain_count--;
    expect_refused("no chain of clock, vCPU 1");
    snapshot.chain[snapshot.chain_count++] = snapshot.chain[0];
    expect_refused("two chains of dma, device in slot 2, queue 0");
    snapshot.chain[snapshot.chain_count] = snapshot.chain[0];
    snapshot.chain[snapshot.chain_count++].device = 9;
    expect_refused("10 chains, and was asked for 9");
    snapshot.chain[1].index = 7;
    expect_refused("no chain of dma, device in slot 3, queue 0");
    snapshot.chain[4].parameter = 3;
    expect_refused("memory, vCPU 1 has the parameter 3, and was asked for 2");
    snapshot.chain[0].parameter = 8;
    expect_refused("asked for 16");
    snapshot.chain[5].parameter = 0;
    expect_refused("cpu, vCPU 0");
    snapshot.vcpus = 1;
    expect_refused("1 vCPUs");
}

Test(chains, impossible_plans_are_refused)
{
    struct proof_chain chain[PROGRESS_CHAINS_MAX];

    plan.device[1].chains = 1u << 31;
    cr_expect_eq(proof_plan_chains(&plan, chain, &error), -1);
    cr_expect(strstr(error.text, "256 chains"), "%s", error.text);
    set_up();
    plan.vcpus = 65;
    cr_expect_eq(proof_plan_chains(&plan, chain, &error), -1);
    set_up();
    plan.device_count = 33;
    cr_expect_eq(proof_plan_chains(&plan, chain, &error), -1);
}
