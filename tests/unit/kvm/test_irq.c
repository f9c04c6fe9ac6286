/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Routes, irqfds, MSIs and ioeventfds. */
#include <criterion/criterion.h>
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/unit/kvm/fixture.h"

static struct machine machine;

static int new_eventfd(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    cr_assert(fd >= 0);
    return fd;
}

static void signal_eventfd(int fd)
{
    uint64_t one = 1;

    cr_assert(write(fd, &one, sizeof(one)) == sizeof(one));
}

static uint64_t take(int fd)
{
    uint64_t count = 0;

    return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static int add_route(uint32_t data)
{
    struct error error = ERROR_INIT;
    int gsi = vm_msi_route_add(machine.vm, APIC_MSI_ADDRESS, data, &error);

    cr_assert(gsi >= 0, "%s", error.text);
    return gsi;
}

static void irqfd_interrupts(enum vm_irqchip irqchip)
{
    struct error error = ERROR_INIT;
    int fd = new_eventfd(), gsi;

    machine_start(&machine, 1, irqchip, guest_msi_loop);
    gsi = add_route(0x50);
    cr_assert(vm_msi_routes_commit(machine.vm, &error) == 0, "%s", error.text);
    cr_assert(vm_irqfd_assign(machine.vm, gsi, fd, &error) == 0, "%s", error.text);
    machine_run(&machine);
    wait_counter(&machine, &machine.shared->count, 1);
    for (uint64_t i = 1; i <= 100; i++) {
        signal_eventfd(fd);
        wait_counter(&machine, &machine.shared->ticks, i);
    }
    machine.shared->stop = 1;
    machine_wait_done(&machine);
    cr_expect(machine.shared->ticks == 100);
    machine_end(&machine);
    close(fd);
}

Test(irq, an_irqfd_interrupts_the_guest)
{
    need_kvm();
    irqfd_interrupts(VM_IRQCHIP_SPLIT);
}

Test(irq, an_irqfd_interrupts_the_guest_with_the_full_irqchip)
{
    need_kvm();
    irqfd_interrupts(VM_IRQCHIP_FULL);
}

Test(irq, deassigning_flushes_what_was_signalled)
{
    struct error error = ERROR_INIT;
    int fd = new_eventfd(), gsi;

    need_kvm();
    machine_start(&machine, 1, VM_IRQCHIP_SPLIT, guest_wait_msi);
    gsi = add_route(0x50);
    cr_assert(vm_msi_routes_commit(machine.vm, &error) == 0);
    cr_assert(vm_irqfd_assign(machine.vm, gsi, fd, &error) == 0);
    machine_run(&machine);
    wait_counter(&machine, &machine.shared->count, 1);
    signal_eventfd(fd);
    cr_assert(vm_irqfd_deassign(machine.vm, gsi, fd, &error) == 0, "%s", error.text);
    /* From here on the eventfd reaches nobody: what counts is what came before. */
    signal_eventfd(fd);
    cr_expect(take(fd) == 1);
    machine.shared->stop = 1;
    machine_wait_done(&machine);
    cr_expect(machine.shared->ticks == 1);
    machine_end(&machine);
    close(fd);
}

static bool deassign_level(unsigned int pin, int fd)
{
    struct error error = ERROR_INIT;
    bool asserted = false;

    cr_assert(vm_level_irqfd_deassign(machine.vm, pin, fd, &asserted, &error) == 0, "%s", error.text);
    return asserted;
}

/* The pin is masked, as at reset, so that nobody but the IOAPIC has it. */
Test(irq, a_level_that_is_on_its_way_is_seen_before_the_line_goes_down)
{
    struct error error = ERROR_INIT;
    int fd = new_eventfd(), resample = new_eventfd();

    need_kvm();
    machine_start(&machine, 1, VM_IRQCHIP_FULL, guest_count);
    for (unsigned int i = 0; i < 50; i++) {
        cr_assert(vm_level_irqfd_assign(machine.vm, 16, fd, resample, &error) == 0, "%s", error.text);
        signal_eventfd(fd);
        cr_assert(deassign_level(16, fd), "time %u", i);
        cr_assert(vm_level_irqfd_assign(machine.vm, 16, fd, resample, &error) == 0, "%s", error.text);
        cr_assert_not(deassign_level(16, fd), "the line is down, time %u", i);
    }
    /* What was signalled before counts from the assignment. */
    signal_eventfd(fd);
    cr_assert(vm_level_irqfd_assign(machine.vm, 17, fd, resample, &error) == 0, "%s", error.text);
    cr_assert(deassign_level(17, fd));
    machine_end(&machine);
    close(fd);
    close(resample);
}

Test(irq, a_level_needs_a_pin_and_an_ioapic)
{
    struct error error = ERROR_INIT;
    int fd = new_eventfd(), resample = new_eventfd();

    need_kvm();
    machine_start(&machine, 1, VM_IRQCHIP_FULL, guest_count);
    cr_expect(vm_level_irqfd_assign(machine.vm, 24, fd, resample, &error) == -1);
    cr_expect(vm_level_irqfd_assign(machine.vm, 16, fd, resample, &error) == 0);
    cr_expect(vm_level_irqfd_assign(machine.vm, 16, fd, resample, &error) == -1 && error.number == EBUSY);
    machine_end(&machine);
    machine_start(&machine, 1, VM_IRQCHIP_SPLIT, guest_count);
    cr_expect(vm_level_irqfd_assign(machine.vm, 16, fd, resample, &error) == -1 && error.number == EINVAL);
    machine_end(&machine);
    close(fd);
    close(resample);
}

Test(irq, a_changed_route_counts_from_the_commit)
{
    struct error error = ERROR_INIT;
    int fd = new_eventfd(), gsi;

    need_kvm();
    machine_start(&machine, 1, VM_IRQCHIP_SPLIT, guest_msi_loop);
    add_route(0x51);
    gsi = add_route(0x50);
    cr_assert(vm_msi_routes_commit(machine.vm, &error) == 0);
    cr_assert(vm_irqfd_assign(machine.vm, gsi, fd, &error) == 0);
    machine_run(&machine);
    wait_counter(&machine, &machine.shared->count, 1);
    signal_eventfd(fd);
    wait_counter(&machine, &machine.shared->ticks, 1);
    /* To an APIC id that no vCPU has. */
    cr_assert(vm_msi_route_change(machine.vm, gsi, APIC_MSI_ADDRESS | 9 << 12, 0x50, &error) == 0);
    cr_assert(vm_msi_routes_commit(machine.vm, &error) == 0);
    signal_eventfd(fd);
    cr_assert(vm_msi_route_change(machine.vm, gsi, APIC_MSI_ADDRESS, 0x50, &error) == 0);
    cr_assert(vm_msi_routes_commit(machine.vm, &error) == 0);
    signal_eventfd(fd);
    wait_counter(&machine, &machine.shared->ticks, 2);
    machine.shared->stop = 1;
    machine_wait_done(&machine);
    cr_expect(machine.shared->ticks == 2);
    machine_end(&machine);
    close(fd);
}

Test(irq, routes_run_out_with_an_error)
{
    struct error error = ERROR_INIT;
    int gsi, count = 0;

    need_kvm();
    machine_start(&machine, 1, VM_IRQCHIP_FULL, guest_count);
    while ((gsi = vm_msi_route_add(machine.vm, APIC_MSI_ADDRESS, 0x50, &error)) >= 0 && count < 100000) {
        cr_assert(gsi >= 24);
        count++;
    }
    cr_expect(gsi == -1 && error.number == ENOSPC && count > 900);
    cr_expect(vm_msi_routes_commit(machine.vm, &error) == 0, "%s", error.text);
    machine_end(&machine);
}

Test(irq, an_ioeventfd_takes_the_writes_that_match)
{
    struct error error = ERROR_INIT;
    int matching = new_eventfd(), any = new_eventfd();

    need_kvm();
    machine_start(&machine, 1, VM_IRQCHIP_SPLIT, guest_doorbell);
    cr_assert(vm_ioeventfd(machine.vm, true, MMIO_ADDRESS, 4, matching, true, 7, &error) == 0, "%s", error.text);
    cr_assert(vm_ioeventfd(machine.vm, true, MMIO_ADDRESS + 0x100, 2, any, false, 0, &error) == 0, "%s", error.text);
    machine_run(&machine);
    machine_wait_done(&machine);
    cr_expect(take(matching) == 1 && take(any) == 1);
    /* The 9 that did not match, and the end. */
    cr_expect(machine.access_count == 2 && machine.access[0].value == 9);
    cr_expect(vm_ioeventfd(machine.vm, false, MMIO_ADDRESS, 4, matching, true, 7, &error) == 0, "%s", error.text);
    cr_expect(vm_ioeventfd(machine.vm, false, MMIO_ADDRESS, 4, matching, true, 7, &error) == -1);
    machine_end(&machine);
    close(matching);
    close(any);
}
