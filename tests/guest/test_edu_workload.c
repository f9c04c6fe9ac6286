/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The edu workload, with an edu in memory: what it takes for a pair that was cut, and what it does not. The rest of the
 * guest is acted here.
 */
#include <criterion/criterion.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "guest/drivers/edu_driver.h"
#include "guest/guest.h"
#include "guest/pci/pci_access.h"
#include "guest/workloads/device_workloads.h"
#include "tests/guest/fake_edu.h"
#include "vmm/proof/proof.h"

#define SLOT 4

static struct fake_edu edu;
static struct guest guest;
static struct vcpu vcpu;
static struct progress_area progress;
static jmp_buf failed;
static char failed_rule[32];

/* The rest of the guest. */
bool pci_find(const struct pci_host *host, uint32_t slot, struct pci_device *device)
{
    *device =
        (struct pci_device){.host = host, .slot = slot, .vendor = EDU_DEVICE_VENDOR_ID, .device = EDU_DEVICE_DEVICE_ID};
    return slot == SLOT;
}

const char *pci_enable(struct pci_device *device)
{
    device->msi = 0x40;
    return NULL;
}

void pci_route(const struct pci_device *device, uint32_t vector, uint32_t apic_id, uint8_t apic_vector)
{
    (void)device, (void)vector, (void)apic_id, (void)apic_vector;
}

struct device_access pci_access(struct pci_access *access)
{
    (void)access;
    return (struct device_access){.ops = &fake_edu_ops, .context = &edu};
}

void *ram_allocate_zeroed(struct ram *ram, uint64_t size)
{
    (void)ram;
    return calloc(1, size);
}

uint64_t clock_observed_ns(const struct clock *clock)
{
    (void)clock;
    return 0;
}

void console_print(struct console *console, const char *format, ...)
{
    (void)console, (void)format;
}

_Noreturn void guest_fail(struct guest *failing, const char *rule, uint64_t expected, uint64_t seen, const char *format,
                          ...)
{
    (void)failing, (void)expected, (void)seen, (void)format;
    strncpy(failed_rule, rule, sizeof(failed_rule) - 1);
    longjmp(failed, 1);
}

static void set_up(void)
{
    fake_edu_open(&edu);
    memset(&guest, 0, sizeof(guest));
    memset(&vcpu, 0, sizeof(vcpu));
    memset(&progress, 0, sizeof(progress));
    failed_rule[0] = '\0';
    guest.config = (struct config){.seed = 9, .vcpus = 1, .wanted[WORKLOAD_EDU] = true};
    guest.progress = &progress;
    guest.vcpu[0] = &vcpu;
    vcpu.guest = &guest;
    device_work_open(&guest, &edu_workload);
    cr_assert_eq(progress.chains, 1);
}

static void tear_down(void)
{
    free(vcpu.work);
}

TestSuite(edu_workload, .init = set_up, .fini = tear_down);

static const struct progress_chain_value *value(void)
{
    return &progress.chain[0].slot[progress.chain[0].generation & 1];
}

/* The guest goes on until it waits for the device; the device does what it was asked for. */
static void turn(void)
{
    while (edu_workload.step(&vcpu, vcpu.work))
        ;
    fake_edu_compute(&edu);
    fake_edu_transfer(&edu);
}

/* Whole operations, each of two turns. */
static void work(unsigned int operations)
{
    for (unsigned int i = 0; i < 2 * operations; i++)
        turn();
}

/* Half an operation: the words are in the buffer. */
static void work_to_the_buffer(unsigned int operations)
{
    work(operations);
    turn();
    cr_assert_eq(value()->operations, operations);
}

static void expect_failure(const char *rule, void (*act)(void))
{
    if (setjmp(failed) == 0) {
        act();
        cr_assert_fail("nothing was found");
    }
    cr_expect_str_eq(failed_rule, rule);
}

static void expect_digest_of_the_model(void)
{
    struct proof_plan plan = {.seed = 9,
                              .vcpus = 1,
                              .wanted[WORKLOAD_EDU] = true,
                              .device_count = 1,
                              .device[0] = {.workload = WORKLOAD_EDU, .slot = SLOT, .chains = 1}};
    struct proof_chain chain = {.workload = WORKLOAD_EDU, .device = SLOT};
    struct error error = ERROR_INIT;
    struct proof_model *model = proof_model_new(&plan, &chain, &error);

    cr_assert(model, "%s", error.text);
    cr_expect_eq(value()->digest, proof_model_digest(model, value()->operations));
    proof_model_free(model);
}

/* As a migration to another device that has not seen the pair's first half. */
static void lose_the_buffer(void)
{
    memset(edu.buffer, 0x6b, sizeof(edu.buffer));
}

Test(edu_workload, digests_are_those_of_the_model)
{
    work(40);
    turn();
    cr_expect_eq(value()->operations, 40);
    cr_expect_eq(progress.chain[0].submitted, 41);
    cr_expect_eq(progress.chain[0].repeats, 0);
    expect_digest_of_the_model();
}

Test(edu_workload, a_pair_that_was_cut_is_repeated_counted_and_digested_as_one_that_was_not)
{
    work_to_the_buffer(10);
    lose_the_buffer();
    work(1);
    cr_expect_eq(progress.chain[0].repeats, 1);
    cr_expect_eq(progress.chain[0].repeated, 10);
    cr_expect_eq(value()->operations, 10);
    work(5);
    expect_digest_of_the_model();
}

Test(edu_workload, a_cut_after_the_words_came_back_is_none)
{
    work(10);
    lose_the_buffer();
    work(5);
    cr_expect_eq(progress.chain[0].repeats, 0);
    expect_digest_of_the_model();
}

/* The other device was worked by a guest with the same seed before: it has most of the pair's words, and some of a later
 * operation in their place. */
Test(edu_workload, what_an_earlier_guest_left_in_the_buffer_is_not_taken_for_this_ones)
{
    uint8_t left[sizeof(edu.buffer)];

    work_to_the_buffer(3);
    edu.buffer[edu.destination - EDU_BUFFER + 9] ^= 1;
    memcpy(left, edu.buffer, sizeof(left));
    tear_down();
    set_up();
    work_to_the_buffer(3);
    memcpy(edu.buffer, left, sizeof(left));
    work(1);
    cr_expect_eq(progress.chain[0].repeats, 1);
    work(5);
    expect_digest_of_the_model();
}

static void change_a_byte(void)
{
    work_to_the_buffer(3);
    edu.buffer[edu.destination - EDU_BUFFER + 9] ^= 1;
    work(2);
}

Test(edu_workload, one_wrong_word_is_not_a_cut)
{
    expect_failure("guest/data", change_a_byte);
}

static void write_nothing(void)
{
    work_to_the_buffer(3);
    while (edu_workload.step(&vcpu, vcpu.work))
        ;
    edu.command &= ~(uint64_t)EDU_DMA_RUN;
    fake_edu_raise(&edu, EDU_INTERRUPT_DMA);
    work(1);
}

Test(edu_workload, words_that_were_not_written_are_not_a_cut)
{
    expect_failure("guest/data", write_nothing);
}

static void write_too_much(void)
{
    uint64_t *past;

    work_to_the_buffer(3);
    lose_the_buffer();
    turn();
    past = (uint64_t *)(edu.ram + (edu.destination - FAKE_EDU_RAM + edu.count));
    *past ^= 1;
    work(1);
}

Test(edu_workload, a_word_written_past_the_transfer_is_found)
{
    expect_failure("guest/data", write_too_much);
}

static void lose_always(void)
{
    for (unsigned int i = 0; i < 40; i++) {
        turn();
        lose_the_buffer();
    }
}

Test(edu_workload, repeats_of_an_operation_are_bounded)
{
    expect_failure("guest/data", lose_always);
    cr_expect_eq(progress.chain[0].repeats, 8);
}

static void change_an_earlier_region(void)
{
    uint64_t *written;

    work(2);
    written = (uint64_t *)(edu.ram + (edu.destination - FAKE_EDU_RAM));
    turn();
    *written ^= 1;
    work(8);
}

Test(edu_workload, a_region_that_changed_later_is_found)
{
    expect_failure("guest/data", change_an_earlier_region);
}

static void change_and_finish(void)
{
    uint64_t *written;

    work(2);
    written = (uint64_t *)(edu.ram + (edu.destination - FAKE_EDU_RAM));
    guest.finishing = true;
    turn();
    cr_assert(edu_workload.is_drained(vcpu.work));
    edu_workload.finish(vcpu.work);
    *written ^= 1;
    edu_workload.finish(vcpu.work);
}

Test(edu_workload, a_region_that_changed_is_found_at_the_end)
{
    expect_failure("guest/data", change_and_finish);
}

static void forget_the_liveness(void)
{
    work(5);
    edu.liveness = 0;
    work(8);
}

Test(edu_workload, a_register_that_did_not_move_is_found)
{
    expect_failure("guest/data", forget_the_liveness);
}

static void miscompute(void)
{
    for (unsigned int i = 0; i < 20; i++) {
        while (edu_workload.step(&vcpu, vcpu.work))
            ;
        if (fake_edu_compute(&edu))
            edu.factorial++;
        fake_edu_transfer(&edu);
    }
}

Test(edu_workload, a_wrong_factorial_is_found)
{
    expect_failure("guest/data", miscompute);
}
