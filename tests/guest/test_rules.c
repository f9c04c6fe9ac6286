/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest on the host's KVM, hurt while it is paused: it names the rule that was broken. Skipped where there is no KVM.
 */
#include <criterion/criterion.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/guest.h"
#include "guest/workloads/dma_stream.h"
#include "tests/guest/image_symbols.h"
#include "vmm/board/machine.h"
#include "vmm/cmd/device_spec.h"

#define PATIENCE deadline_in_ms(120000)
#define HLT 0xf4 /* privileged: #GP at CPL 3 */

static struct opened_device opened;
static struct board board;
static struct machine *machine;
static struct error error;
static char image[PATH_MAX], program[PATH_MAX];

/* Guest memory, by the guest's own address. */
static void *reach(const volatile void *address, size_t size)
{
    void *memory = machine_ram(machine, (uint64_t)address, size);

    cr_assert(memory, "the guest has no %zu bytes at %p", size, (const void *)address);
    return memory;
}

static struct vcpu *vcpu(unsigned int index)
{
    uint64_t address = image_symbol(image, "the_guest");
    struct guest *guest = reach((void *)address, sizeof(*guest));

    return reach(guest->vcpu[index], sizeof(struct vcpu));
}

static void open_test_device(const char *text)
{
    struct device_spec spec;

    cr_assert_eq(device_spec_parse(text, &spec, &error), 0, "%s", error.text);
    cr_assert_eq(device_open(&spec, program, DEVICE_TIMEOUT_NS, &opened, &error), 0, "%s", error.text);
    device_spec_free(&spec);
}

static void expect_event(enum machine_event_kind kind)
{
    struct machine_event event;

    cr_assert_eq(machine_wait(machine, PATIENCE, &event), 1, "no event");
    cr_assert_eq(event.kind, kind, "event %d: %s", event.kind, event.text);
}

/* A guest that goes on until it is asked to finish, with its workloads begun. */
static void boot(struct board_wishes wishes, const char *device)
{
    const char *build = getenv("top_builddir");

    if (access("/dev/kvm", R_OK | W_OK) != 0)
        cr_skip_test("no access to /dev/kvm");
    snprintf(image, sizeof(image), "%s/guest/stopcopy-guest.elf", build ? build : ".");
    snprintf(program, sizeof(program), "%s/stopcopy-device", build ? build : ".");
    wishes.memory_size = 32ull << 20;
    wishes.seed = 0xfeedfacecafebeef;
    if (device)
        open_test_device(device);
    cr_assert_eq(board_describe(&wishes, &opened.device, device ? 1 : 0, &board, &error), 0, "%s", error.text);
    machine = machine_new(&board, &opened.device, NULL, &error);
    cr_assert(machine, "%s", error.text);
    cr_assert_eq(machine_load(machine, image, &error), 0, "%s", error.text);
    cr_assert_eq(machine_bind_interrupts(machine, &error), 0, "%s", error.text);
    cr_assert_eq(machine_resume(machine, &error), 0, "%s", error.text);
    expect_event(MACHINE_READY);
}

static void shut_down(void)
{
    machine_free(machine);
    if (opened.device)
        device_close(&opened, &error);
}

static void hold(void)
{
    cr_assert_eq(machine_pause(machine, PATIENCE, &error), 0, "%s", error.text);
}

static void let_go(void)
{
    cr_assert_eq(machine_resume(machine, &error), 0, "%s", error.text);
}

/* The guest runs until it has done so many operations of its first chain, and is paused. */
static void run_to(uint64_t operations)
{
    struct proof_snapshot snapshot = {0};
    struct deadline deadline = PATIENCE;

    do {
        cr_assert(!deadline_expired(deadline), "the guest makes no progress");
        usleep(1000); /* not to spin: what is waited for is the progress */
        cr_assert_eq(machine_progress(machine, &snapshot, &error), 0, "%s", error.text);
    } while (snapshot.chain_count == 0 || snapshot.chain[0].operations < operations);
    hold();
}

static void check_failure(const char *rule, const char *text)
{
    struct proof_snapshot snapshot;

    cr_assert_eq(machine_progress(machine, &snapshot, &error), 0, "%s", error.text);
    cr_assert_eq(snapshot.state, PROGRESS_FAILED);
    cr_assert_str_eq(snapshot.failure.rule, rule, "%s: %s", snapshot.failure.rule, snapshot.failure.text);
    cr_assert(strstr(snapshot.failure.text, text), "%s", snapshot.failure.text);
    shut_down();
}

static void expect_rule(const char *rule, const char *text)
{
    let_go();
    expect_event(MACHINE_FAILED);
    check_failure(rule, text);
}

/* The change is to something that the guest keeps replacing: where the pause fell between its reading and its writing of
 * it, or before it was written at all, the change is lost, and is made again. */
static void expect_rule_after(void (*change)(void), const char *rule, const char *text)
{
    struct machine_event event;

    for (int tries = 0; tries < 100; tries++) {
        change();
        let_go();
        if (machine_wait(machine, deadline_in_ms(500), &event) == 1) {
            cr_assert_eq(event.kind, MACHINE_FAILED, "event %d: %s", event.kind, event.text);
            check_failure(rule, text);
            return;
        }
        hold();
    }
    cr_assert_fail("the guest did not find it");
}

static void advance_tsc(void)
{
    vcpu(0)->clock.last_tsc += 1ull << 40;
}

static void advance_kvmclock(void)
{
    struct progress_clock *clock = reach(vcpu(0)->clock.published, sizeof(*clock));

    cr_assert_neq(clock->last_kvmclock, 0);
    clock->last_kvmclock += 3600ull * 1000000000;
}

Test(guest_rules, a_guest_that_is_left_alone_is_done)
{
    char *console;

    boot((struct board_wishes){.vcpus = 2,
                               .ops = 200,
                               .wanted[WORKLOAD_DMA] = true,
                               .dma_depth = 5,
                               .wanted[WORKLOAD_MEMORY] = true,
                               .wanted[WORKLOAD_CPU] = true,
                               .wanted[WORKLOAD_CLOCK] = true,
                               .workload_memory_size = 0x23000},
         "test:queues=3");
    expect_event(MACHINE_DONE);
    console = machine_console(machine);
    cr_assert(strstr(console, "\nchain dma 1.2 ops 200 digest "), "%s", console);
    cr_assert(strstr(console, "\nstopcopy-guest: done\n"), "%s", console);
    free(console);
    shut_down();
}

Test(guest_rules, a_guest_finishes_when_it_is_asked_to)
{
    struct proof_snapshot snapshot;

    boot(
        (struct board_wishes){
            .vcpus = 2, .wanted[WORKLOAD_DMA] = true, .dma_depth = 16, .wanted[WORKLOAD_CLOCK] = true},
        "test");
    machine_request_finish(machine);
    expect_event(MACHINE_DONE);
    cr_assert_eq(machine_progress(machine, &snapshot, &error), 0, "%s", error.text);
    for (size_t i = 0; i < snapshot.chain_count; i++)
        cr_assert_eq(snapshot.chain[i].submitted, snapshot.chain[i].operations, "chain %zu is drained", i);
    shut_down();
}

/* A word that no generation of the page has. */
static void change_page(void)
{
    uint64_t *page = reach(vcpu(1)->memory.page + 7, 4096);

    page[511] = 1;
}

Test(guest_rules, finds_a_changed_page)
{
    boot((struct board_wishes){.vcpus = 2, .wanted[WORKLOAD_MEMORY] = true, .workload_memory_size = 1 << 20}, NULL);
    run_to(300);
    expect_rule_after(change_page, "guest/memory-page", "vCPU 1, page 7 ");
}

Test(guest_rules, finds_a_page_changed_after_its_last_visit)
{
    uint64_t *page;

    boot((struct board_wishes){.vcpus = 1, .wanted[WORKLOAD_MEMORY] = true, .workload_memory_size = 8 << 20}, NULL);
    run_to(20);
    page = reach(vcpu(0)->memory.page, 4096);
    page[0]++;
    machine_request_finish(machine);
    expect_rule("guest/memory-page", "page 0 ");
}

Test(guest_rules, finds_an_exception)
{
    uint8_t *code;

    boot((struct board_wishes){.vcpus = 2, .wanted[WORKLOAD_CPU] = true}, NULL);
    run_to(10);
    code = reach((void *)image_symbol(image, "cpu_run"), 1);
    *code = HLT;
    expect_rule("guest/exception", "vector 13 ");
}

Test(guest_rules, finds_a_tsc_that_went_back)
{
    boot((struct board_wishes){.vcpus = 1, .wanted[WORKLOAD_CLOCK] = true}, NULL);
    run_to(10);
    expect_rule_after(advance_tsc, "guest/tsc-back", "vCPU 0");
}

Test(guest_rules, finds_a_kvmclock_that_went_back)
{
    boot((struct board_wishes){.vcpus = 1, .wanted[WORKLOAD_CLOCK] = true}, NULL);
    if (!board.features.kvmclock) {
        shut_down();
        cr_skip_test("no kvmclock");
    }
    run_to(10);
    expect_rule_after(advance_kvmclock, "guest/kvmclock-back", "vCPU 0");
}

Test(guest_rules, finds_a_timer_that_stopped)
{
    boot((struct board_wishes){.vcpus = 1, .wanted[WORKLOAD_CLOCK] = true}, NULL);
    run_to(10);
    /* The counter of the vector after it, which nobody uses. */
    vcpu(0)->clock.ticks++;
    expect_rule("guest/timer-stopped", "vCPU 0");
}

Test(guest_rules, finds_wrong_data_of_an_operation)
{
    struct dma_stream *stream;
    struct dma_slot *slot;

    boot((struct board_wishes){.vcpus = 1, .wanted[WORKLOAD_DMA] = true, .dma_depth = 4}, "test:queues=1");
    run_to(50);
    stream = reach(vcpu(0)->work, sizeof(*stream));
    slot = reach(stream->slot, 4 * sizeof(*slot));
    for (unsigned int i = 0; i < 4; i++)
        *(uint8_t *)reach((uint8_t *)slot[i].expected + 4095, 1) ^= 1;
    expect_rule("guest/data", "device 1 queue 0 operation ");
}

Test(guest_rules, finds_a_changed_window)
{
    uint64_t word = 0x1234;

    boot((struct board_wishes){.vcpus = 1, .wanted[WORKLOAD_DMA] = true, .dma_depth = 16}, "test:queues=1,window=4K");
    run_to(10);
    for (uint64_t offset = 0; offset < 4096; offset += 8)
        cr_assert_eq(opened.device->ops->region_write(opened.device, 2, offset, &word, sizeof(word), &error), 0, "%s",
                     error.text);
    expect_rule("guest/window", "device 1 queue 0 operation ");
}

Test(guest_rules, finds_a_lost_interrupt)
{
    struct dma_stream *stream;

    boot((struct board_wishes){.vcpus = 1, .wanted[WORKLOAD_DMA] = true, .dma_depth = 4}, "test:queues=1");
    run_to(50);
    /* All that come from now on are counted nowhere. */
    stream = reach(vcpu(0)->work, sizeof(*stream));
    ((struct dma_board_device *)reach(stream->board, sizeof(*stream->board)))->access.interrupts[0] = NULL;
    stream->queue.interrupts = 0;
    expect_rule("guest/interrupt-lost", "device 1 queue 0 operation ");
}

Test(guest_rules, finds_an_interrupt_number_that_jumps)
{
    struct dma_stream *stream;

    boot((struct board_wishes){.vcpus = 1, .wanted[WORKLOAD_DMA] = true, .dma_depth = 4}, "test:queues=1");
    run_to(50);
    stream = reach(vcpu(0)->work, sizeof(*stream));
    stream->queue.interrupt_sequence -= 2;
    expect_rule("guest/interrupt-sequence", "device 1 queue 0 operation ");
}
