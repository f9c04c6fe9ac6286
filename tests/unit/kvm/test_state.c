/* SPDX-License-Identifier: GPL-2.0-or-later */
/* State that is got in one VM and put in another. */
#include <criterion/criterion.h>
#include <linux/kvm.h>
#include <string.h>

#include "tests/unit/kvm/fixture.h"

static struct machine machines[2];

/* Time runs on while nobody runs: the guest sees a step of at least that length, in kvmclock and in the TSC. What KVM
 * has written of its clock is spoilt, so that the destination's must write it anew. */
Test(state, time_goes_on)
{
    need_kvm();
    machine_start(&machines[0], 1, VM_IRQCHIP_SPLIT, guest_clock);
    if (!machines[0].features.kvmclock) {
        machine_end(&machines[0]);
        cr_skip_test("this host has no kvmclock");
    }
    machine_run(&machines[0]);
    for (unsigned int i = 0; i < 6; i++) {
        struct machine *from = &machines[i % 2], *to = &machines[(i + 1) % 2];
        uint64_t away_ns, last, step;

        wait_counter(from, &from->shared->count, from->shared->count + 1000);
        away_ns = machine_move(from, to, 1, VM_IRQCHIP_SPLIT);
        memset((void *)&to->shared->kvmclock[8], 0, sizeof(to->shared->kvmclock) - 8);
        to->shared->values[1] = 0;
        to->shared->values[3] = 0;
        last = to->shared->values[0];
        machine_run(to);
        wait_counter(to, &to->shared->count, to->shared->count + 1000);
        cr_expect(to->shared->fault == 0, "the time went back");
        step = to->shared->values[1];
        cr_expect(step >= away_ns - away_ns / 1000, "kvmclock went on by %lu ns in %lu", step, away_ns);
        cr_expect(to->shared->values[0] - last >= step);
        step = (uint64_t)((double)to->shared->values[3] * 1e9 / (double)to->features.tsc_hz);
        cr_expect(step >= away_ns - away_ns / 1000, "the TSC went on by %lu ns in %lu", step, away_ns);
    }
    machines[0].shared->stop = 1;
    machine_wait_done(&machines[0]);
    machine_end(&machines[0]);
}

static void expect_values(volatile const struct shared *shared)
{
    static const uint64_t constants[] = {3, 0, 5, 6, 7, 8, 0x60000, 9, 10, 11, 12, 13, 14, 15, 6364136223846793005u};
    static const uint64_t system[] = {0x1111, 0x2222, 0x3333, 0x4444, 0x12340000, 0x13370,
                                      0x700,  0x5550, 0x8,    0x7770, 0x8880,     0x70406};
    uint64_t value = 1;

    for (uint64_t i = 0; i < shared->count; i++)
        value = value * 6364136223846793005u + 1;
    cr_expect(shared->values[0] == value, "RAX after %lu rounds", (unsigned long)shared->count);
    cr_expect(shared->values[2] == shared->count, "RCX");
    for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++)
        cr_expect(i == 1 || shared->values[1 + i] == constants[i], "register %zu is %#lx", 1 + i,
                  (unsigned long)shared->values[1 + i]);
    for (size_t i = 0; i < sizeof(system) / sizeof(system[0]); i++)
        cr_expect(shared->values[16 + i] == system[i], "debug register or MSR %zu is %#lx", i,
                  (unsigned long)shared->values[16 + i]);
    cr_expect(shared->x87 == (int64_t)shared->count, "x87 has %ld", (long)shared->x87);
}

static void expect_vectors(volatile const struct shared *shared)
{
    volatile const uint64_t *v = shared->vectors;

    for (size_t i = 0; i < 2; i++) {
        cr_expect(v[i] == (i + 1) * shared->count, "XMM3, lane %zu", i);
        cr_expect(v[2 + i] == 0x5eed0 + i, "XMM15, lane %zu", i);
    }
    for (size_t i = 0; shared->avx && i < 4; i++) {
        cr_expect(v[4 + i] == (i + 1) * shared->count, "YMM4, lane %zu", i);
        cr_expect(v[8 + i] == 0x5eed0 + i, "YMM14, lane %zu", i);
    }
}

static void registers_go_on(enum vm_irqchip irqchip)
{
    struct machine *last;

    machine_start(&machines[0], 1, irqchip, guest_compute);
    for (uint64_t i = 0; i < 4; i++) {
        machines[0].shared->vectors[32 + i] = i + 1;
        machines[0].shared->vectors[36 + i] = 0x5eed0 + i;
    }
    machine_run(&machines[0]);
    for (unsigned int i = 0; i < 5; i++) {
        struct machine *from = &machines[i % 2];

        wait_counter(from, &from->shared->count, from->shared->count + 1000);
        machine_migrate(from, &machines[(i + 1) % 2], 1, irqchip);
    }
    last = &machines[1];
    wait_counter(last, &last->shared->count, last->shared->count + 1000);
    last->shared->stop = 1;
    machine_wait_done(last);
    cr_assert(last->shared->fault == 0, "fault %lu", (unsigned long)last->shared->fault);
    expect_values(last->shared);
    expect_vectors(last->shared);
    machine_end(last);
}

Test(state, registers_go_on)
{
    need_kvm();
    registers_go_on(VM_IRQCHIP_SPLIT);
}

Test(state, registers_go_on_with_the_full_irqchip)
{
    need_kvm();
    registers_go_on(VM_IRQCHIP_FULL);
}

Test(state, the_periodic_timer_goes_on)
{
    struct machine *last;
    uint64_t ticks;

    need_kvm();
    machine_start(&machines[0], 1, VM_IRQCHIP_SPLIT, guest_periodic);
    machine_run(&machines[0]);
    for (unsigned int i = 0; i < 4; i++) {
        struct machine *from = &machines[i % 2];

        wait_counter(from, &from->shared->count, from->shared->count + 1000);
        machine_migrate(from, &machines[(i + 1) % 2], 1, VM_IRQCHIP_SPLIT);
    }
    last = &machines[0];
    ticks = last->shared->ticks;
    wait_counter(last, &last->shared->ticks, ticks + 5);
    last->shared->stop = 1;
    machine_wait_done(last);
    machine_end(last);
}

Test(state, a_tsc_deadline_comes_on_the_destination_and_not_early)
{
    struct machine *last;

    need_kvm();
    machine_start(&machines[0], 1, VM_IRQCHIP_SPLIT, guest_deadline);
    machines[0].shared->values[0] = machines[0].features.tsc_hz / 2;
    machine_run(&machines[0]);
    wait_counter(&machines[0], &machines[0].shared->count, 1000);
    machine_migrate(&machines[0], &machines[1], 1, VM_IRQCHIP_SPLIT);
    last = &machines[1];
    machine_wait_done(last);
    cr_expect(last->shared->ticks == 1);
    cr_expect(last->shared->values[2] >= last->shared->values[1]);
    machine_end(last);
}

Test(state, an_msi_in_the_irr_survives)
{
    struct error error = ERROR_INIT;
    struct machine *last = &machines[1];

    need_kvm();
    machine_start(&machines[0], 1, VM_IRQCHIP_SPLIT, guest_wait_msi);
    machine_run(&machines[0]);
    wait_counter(&machines[0], &machines[0].shared->count, 1);
    cr_assert(vm_signal_msi(machines[0].vm, APIC_MSI_ADDRESS, 0x50, &error) == 0, "%s", error.text);
    machine_migrate(&machines[0], last, 1, VM_IRQCHIP_SPLIT);
    last->shared->stop = 1;
    machine_wait_done(last);
    cr_expect(last->shared->ticks == 1);
    machine_end(last);
}

Test(state, a_halted_vcpu_stays_halted_and_wakes)
{
    struct error error = ERROR_INIT;
    struct machine *last = &machines[1];

    need_kvm();
    machine_start(&machines[0], 1, VM_IRQCHIP_SPLIT, guest_halt);
    machine_run(&machines[0]);
    wait_counter(&machines[0], &machines[0].shared->count, 1);
    machine_migrate(&machines[0], last, 1, VM_IRQCHIP_SPLIT);
    last->shared->stop = 1;
    cr_assert(vm_signal_msi(last->vm, APIC_MSI_ADDRESS, 0x50, &error) == 0, "%s", error.text);
    machine_wait_done(last);
    machine_end(last);
}

/* vCPU 1 runs, vCPU 2 was never started, vCPU 3 got INIT and waits for SIPI. */
static void processors_go_on(enum vm_irqchip irqchip)
{
    volatile uint32_t *counts;
    struct machine *last;

    machine_start(&machines[0], 4, irqchip, guest_processors);
    machine_run(&machines[0]);
    wait_counter32(&machines[0], (volatile uint32_t *)(machines[0].ram + AP_COUNTS_ADDRESS), 10);
    wait_counter(&machines[0], &machines[0].shared->count, 10);
    machine_migrate(&machines[0], &machines[1], 4, irqchip);
    wait_counter(&machines[1], &machines[1].shared->count, machines[1].shared->count + 10);
    machine_migrate(&machines[1], &machines[0], 4, irqchip);
    last = &machines[0];
    cr_expect(*(volatile uint32_t *)(last->ram + AP_STARTED_ADDRESS) == 1, "only vCPU 1 was started");
    last->shared->stop = 1;
    machine_wait_done(last);
    counts = (volatile uint32_t *)(last->ram + AP_COUNTS_ADDRESS);
    for (unsigned int i = 0; i < 3; i++)
        wait_counter32(last, &counts[i], counts[i] + 10);
    machine_end(last);
}

Test(state, processors_go_on_and_start_later)
{
    need_kvm();
    processors_go_on(VM_IRQCHIP_SPLIT);
}

Test(state, processors_go_on_with_the_full_irqchip)
{
    need_kvm();
    processors_go_on(VM_IRQCHIP_FULL);
}

/* A table of routes with an MSI in it has the pins' routes still. */
static void commit_routes(struct machine *machine)
{
    struct error error = ERROR_INIT;

    cr_assert(vm_msi_route_add(machine->vm, APIC_MSI_ADDRESS, 0x50, &error) >= 0, "%s", error.text);
    cr_assert(vm_msi_routes_commit(machine->vm, &error) == 0, "%s", error.text);
}

Test(state, pit_and_ioapic_go_on)
{
    need_kvm();
    machine_start(&machines[0], 1, VM_IRQCHIP_FULL, guest_pit);
    commit_routes(&machines[0]);
    machine_run(&machines[0]);
    for (unsigned int i = 0; i < 4; i++) {
        struct machine *from = &machines[i % 2], *to = &machines[(i + 1) % 2];

        wait_counter(from, &from->shared->ticks, from->shared->ticks + 5);
        machine_move(from, to, 1, VM_IRQCHIP_FULL);
        commit_routes(to);
        machine_run(to);
    }
    wait_counter(&machines[0], &machines[0].shared->ticks, machines[0].shared->ticks + 5);
    machines[0].shared->stop = 1;
    machine_wait_done(&machines[0]);
    machine_end(&machines[0]);
}

/* The pause falls into an access, which is complete when the state is read: not made again on the destination. */
Test(state, accesses_are_made_once)
{
    static const char *const kinds[] = {"pw", "mr"};
    struct machine *last = &machines[0];

    need_kvm();
    machine_start(&machines[0], 1, VM_IRQCHIP_SPLIT, guest_count);
    machine_run(&machines[0]);
    for (unsigned int i = 0; i < 20; i++) {
        struct machine *from = &machines[i % 2];

        wait_counter(from, &from->shared->count, from->shared->count + 10);
        machine_stop_in_access(from, kinds[i / 2 % 2]);
        last = &machines[(i + 1) % 2];
        machine_migrate(from, last, 1, VM_IRQCHIP_SPLIT);
    }
    wait_counter(last, &last->shared->count, last->shared->count + 10);
    last->shared->stop = 1;
    machine_wait_done(last);
    cr_expect(last->shared->fault == 0, "a read was lost");
    cr_expect(!last->lost_count, "an access was lost or made twice");
    machine_end(last);
}
