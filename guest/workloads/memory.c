/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/workloads/memory.h"
#include "guest/base/processor.h"
#include "guest/guest.h"
#include "guest/workloads/arithmetic.h"

#define WORDS 512u
#define PAGES_PER_STEP 8
#define CATCH_UP_US 10000 /* of a rate's pages that were missed, no more than those of this time are caught up */

/* The pages of the size, divided; the first vCPUs have one more where it does not divide evenly. */
static uint64_t pages_of(const struct config *config, uint32_t vcpu)
{
    uint64_t pages = config->memory_size / RAM_PAGE_SIZE;

    return pages / config->vcpus + (vcpu < pages % config->vcpus);
}

void memory_open(struct vcpu *vcpu)
{
    struct guest *guest = vcpu->guest;
    const struct config *config = &guest->config;
    struct memory *memory = &vcpu->memory;

    if (!config->wanted[WORKLOAD_MEMORY])
        return;
    memory->pages = pages_of(config, vcpu->index);
    if (memory->pages == 0)
        return;
    if (memory->pages > UINT32_MAX)
        guest_fail(guest, "guest/boot", UINT32_MAX, memory->pages, "too many pages for the memory workload");
    memory->page = ram_allocate(&guest->ram, memory->pages * RAM_PAGE_SIZE);
    if (!memory->page)
        guest_fail(guest, "guest/boot", memory->pages * RAM_PAGE_SIZE, 0,
                   "no RAM for the memory workload of vCPU %u: %lu pages", vcpu->index, memory->pages);
    if (config->memory_rate)
        memory->cycles_per_page = scale((uint64_t)RAM_PAGE_SIZE * config->vcpus, config->tsc_hz, config->memory_rate);
    memory->wanted = true;
    chain_open(&memory->chain, guest, WORKLOAD_MEMORY, 0, (uint16_t)vcpu->index, (uint32_t)memory->pages);
}

static uint64_t page_base(const struct memory *memory, uint64_t page, uint64_t generation)
{
    return workload_mix(memory->chain.seed + ((generation + 1) << 32) + page);
}

/* Compares a page with what its generation has, and returns its digest begun with `begin`. */
static uint64_t check_page(struct vcpu *vcpu, uint64_t page, uint64_t generation, uint64_t begin)
{
    struct memory *memory = &vcpu->memory;
    const volatile uint64_t *words = memory->page[page];
    uint64_t expected = page_base(memory, page, generation), digest = begin;

    for (uint32_t i = 0; i < WORDS; i++, expected += WORKLOAD_GOLDEN) {
        uint64_t seen = words[i];

        if (seen != expected)
            guest_fail(vcpu->guest, "guest/memory-page", expected, seen,
                       "vCPU %u, page %lu at %#lx, word %u, generation %lu", vcpu->index, page, (uint64_t)&words[i], i,
                       generation);
        digest = workload_digest_word(seen, digest);
    }
    return digest;
}

static void visit_page(struct vcpu *vcpu)
{
    struct memory *memory = &vcpu->memory;
    uint64_t operation = memory->chain.operations;
    uint64_t page = operation % memory->pages, generation = operation / memory->pages, value = 0;
    uint64_t word = page_base(memory, page, generation);

    if (generation > 0)
        value = check_page(vcpu, page, generation - 1, operation);
    for (uint32_t i = 0; i < WORDS; i++, word += WORKLOAD_GOLDEN)
        memory->page[page][i] = word;
    chain_enter(&memory->chain, value);
}

static bool is_due(struct vcpu *vcpu)
{
    struct memory *memory = &vcpu->memory;
    uint64_t now = vcpu->clock.last_tsc;
    uint64_t catch_up = scale(CATCH_UP_US, vcpu->guest->config.tsc_hz, 1000000);

    if (!memory->cycles_per_page)
        return true;
    if (now < memory->next_at)
        return false;
    if (now - memory->next_at > catch_up)
        memory->next_at = now - catch_up;
    memory->next_at += memory->cycles_per_page;
    return true;
}

bool memory_step(struct vcpu *vcpu)
{
    struct memory *memory = &vcpu->memory;
    unsigned int visited = 0;

    if (!memory->wanted)
        return false;
    while (visited < PAGES_PER_STEP && chain_wants(&memory->chain, memory->chain.operations) && is_due(vcpu)) {
        visit_page(vcpu);
        visited++;
    }
    if (visited)
        chain_publish(&memory->chain);
    return visited > 0;
}

bool memory_verify(struct vcpu *vcpu)
{
    struct memory *memory = &vcpu->memory;
    uint64_t operations = memory->chain.operations;

    if (!memory->wanted)
        return false;
    for (unsigned int i = 0; i < PAGES_PER_STEP; i++) {
        if (memory->verified == memory->pages || memory->verified == operations)
            return false;
        check_page(vcpu, memory->verified, (operations - 1 - memory->verified) / memory->pages, 0);
        memory->verified++;
    }
    return true;
}
