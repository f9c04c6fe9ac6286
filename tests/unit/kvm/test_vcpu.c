/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Exits that reach the bus, pause and resume, failures. */
#include "config.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/kvm/fixture.h"

static struct machine machine;

static void expect(size_t i, const char *kind, uint64_t address, size_t size, uint64_t value)
{
    const struct access *access = &machine.access[i];

    cr_assert(i < machine.access_count, "access %zu did not come", i);
    cr_expect(!strcmp(access->kind, kind) && access->address == address && access->size == size &&
                  access->value == value,
              "access %zu is %s %#lx, %zu bytes, %#lx; expected %s %#lx, %zu bytes, %#lx", i, access->kind,
              access->address, access->size, access->value, kind, address, size, value);
}

Test(vcpu, accesses_of_every_size_reach_the_bus)
{
    volatile uint64_t *values;

    need_kvm();
    machine_start(&machine, 1, VM_IRQCHIP_SPLIT, guest_accesses);
    values = machine.shared->values;
    machine_run(&machine);
    machine_wait_done(&machine);
    expect(0, "pw", PORT_DATA, 1, 0x11);
    expect(1, "pw", PORT_DATA, 2, 0x2222);
    expect(2, "pw", PORT_DATA, 4, 0x44444444);
    expect(3, "pr", PORT_DATA, 1, 0);
    expect(4, "pr", PORT_DATA, 2, 0);
    expect(5, "pr", PORT_DATA, 4, 0);
    expect(6, "mw", MMIO_ADDRESS, 1, 0x81);
    expect(7, "mw", MMIO_ADDRESS + 0x10, 2, 0x8282);
    expect(8, "mw", MMIO_ADDRESS + 0x20, 4, 0x84848484);
    expect(9, "mw", MMIO_ADDRESS + 0x30, 8, 0x8888888899999999);
    expect(10, "mr", MMIO_ADDRESS + 0x40, 1, 0);
    expect(11, "mr", MMIO_ADDRESS + 0x50, 2, 0);
    expect(12, "mr", MMIO_ADDRESS + 0x60, 4, 0);
    expect(13, "mr", MMIO_ADDRESS + 0x70, 8, 0);
    /* Sixteen bytes come as two accesses. */
    expect(14, "mr", MMIO_ADDRESS + 0x80, 8, 0);
    expect(15, "mr", MMIO_ADDRESS + 0x88, 8, 0);
    expect(16, "mw", MMIO_ADDRESS + 0x90, 8, 0x8786858483828180);
    expect(17, "mw", MMIO_ADDRESS + 0x98, 8, 0x8f8e8d8c8b8a8988);
    cr_expect(values[0] == 0xa4 && values[1] == 0xa5a5 && values[2] == 0xa6a6a6a6);
    cr_expect(values[3] == 0x40 && values[4] == 0x5150 && values[5] == 0x63626160 && values[6] == 0x7776757473727170);
    machine_end(&machine);
}

Test(vcpu, string_io_comes_in_elements)
{
    uint16_t out[5] = {1, 2, 3, 4, 5};
    volatile uint32_t *in;

    need_kvm();
    machine_start(&machine, 1, VM_IRQCHIP_SPLIT, guest_string_io);
    memcpy((void *)machine.shared->values, out, sizeof(out));
    machine_run(&machine);
    machine_wait_done(&machine);
    for (size_t i = 0; i < 5; i++)
        expect(i, "pw", PORT_DATA, 2, i + 1);
    in = (volatile uint32_t *)&machine.shared->values[8];
    for (size_t i = 0; i < 7; i++) {
        expect(5 + i, "pr", PORT_DATA, 4, 0);
        cr_expect(in[i] == 0x01010101u * (uint32_t)(0xa6 + i), "element %zu is %#x", i, in[i]);
    }
    machine_end(&machine);
}

Test(vcpu, no_count_is_lost_over_a_thousand_pauses)
{
    need_kvm();
    machine_start(&machine, 1, VM_IRQCHIP_SPLIT, guest_count);
    for (int i = 0; i < 1000; i++) {
        uint32_t count;

        machine_run(&machine);
        machine_stop(&machine);
        count = machine.last_count;
        /* A paused vCPU does nothing, and what it had begun is done: the access that its count is read by, say. */
        cr_assert(machine.shared->count == count || machine.shared->count + 1 == count);
        cr_assert(!machine.lost_count, "after %u", count);
    }
    machine_run(&machine);
    wait_counter(&machine, &machine.shared->count, machine.shared->count + 100);
    machine.shared->stop = 1;
    machine_wait_done(&machine);
    cr_expect(machine.shared->fault == 0, "a read was lost or repeated");
    cr_expect(!machine.lost_count);
    cr_expect(machine.shared->count == machine.last_count);
    machine_end(&machine);
}

Test(vcpu, all_of_several_pause_and_go_on)
{
    volatile uint32_t *counts;

    need_kvm();
    machine_start(&machine, 2, VM_IRQCHIP_SPLIT, guest_processors);
    counts = (volatile uint32_t *)(machine.ram + AP_COUNTS_ADDRESS);
    machine_run(&machine);
    wait_counter32(&machine, counts, 10);
    for (int i = 0; i < 100; i++) {
        uint64_t count;
        uint32_t ap_count;

        machine_stop(&machine);
        count = machine.shared->count;
        ap_count = *counts;
        sched_yield();
        cr_assert(machine.shared->count == count && *counts == ap_count, "a paused vCPU works");
        machine_run(&machine);
        wait_counter(&machine, &machine.shared->count, count + 1);
        wait_counter32(&machine, counts, ap_count + 1);
    }
    machine_end(&machine);
}

Test(vcpu, a_halted_one_pauses_and_wakes)
{
    struct error error = ERROR_INIT;

    need_kvm();
    machine_start(&machine, 1, VM_IRQCHIP_SPLIT, guest_halt);
    machine_run(&machine);
    wait_counter(&machine, &machine.shared->count, 1);
    for (int i = 0; i < 50; i++) {
        machine_stop(&machine);
        machine_run(&machine);
    }
    machine.shared->stop = 1;
    cr_assert(vm_signal_msi(machine.vm, APIC_MSI_ADDRESS, 0x50, &error) == 0, "%s", error.text);
    machine_wait_done(&machine);
    cr_expect(machine.shared->ticks == 1);
    machine_end(&machine);
}

Test(vcpu, a_failure_is_told_once_and_names_the_place)
{
    struct error error = ERROR_INIT;

    need_kvm();
    machine_start(&machine, 2, VM_IRQCHIP_SPLIT, guest_fault);
    machine_run(&machine);
    machine_wait_failure(&machine);
    cr_expect(strstr(machine.failure.text, "vCPU 0") && strstr(machine.failure.text, "RIP 0x10"), "%s",
              machine.failure.text);
    machine_stop(&machine);
    cr_expect(vm_resume(machine.vm, &error) == -1);
    cr_expect(strstr(error.text, "vCPU 0"), "%s", error.text);
    cr_expect(machine.failures == 1);
    machine_end(&machine);
}

Test(vcpu, a_pause_that_takes_too_long_names_the_vcpu_and_can_be_taken_back)
{
    struct error error = ERROR_INIT;

    need_kvm();
    machine_start(&machine, 1, VM_IRQCHIP_SPLIT, guest_count);
    machine_run(&machine);
    wait_counter(&machine, &machine.shared->count, 1);
    machine_hold(&machine, "pw");
    cr_expect(vm_pause(machine.vm, deadline_in_ms(50), &error) == -1);
    cr_expect(error.number == ETIMEDOUT && strstr(error.text, "vCPU 0"), "%s", error.text);
    cr_expect(vm_resume(machine.vm, &error) == 0);
    machine_release(&machine);
    wait_counter(&machine, &machine.shared->count, machine.shared->count + 100);
    cr_expect(!machine.lost_count);
    machine_end(&machine);
}

/* As where the whole process is stopped over the deadline. */
Test(vcpu, a_pause_whose_deadline_has_passed_has_one_more_try)
{
    struct error error = ERROR_INIT;

    need_kvm();
    machine_start(&machine, 2, VM_IRQCHIP_SPLIT, guest_count);
    machine_run(&machine);
    wait_counter(&machine, &machine.shared->count, 1);
    cr_expect(vm_pause(machine.vm, deadline_in_ms(0), &error) == 0, "%s", error.text);
    machine_end(&machine);
}

Test(vcpu, a_pause_that_took_too_long_is_done_when_the_bus_lets_go)
{
    struct error error = ERROR_INIT;

    need_kvm();
    machine_start(&machine, 1, VM_IRQCHIP_SPLIT, guest_count);
    machine_run(&machine);
    machine_hold(&machine, "pw");
    cr_expect(vm_pause(machine.vm, deadline_in_ms(1), &error) == -1);
    machine_release(&machine);
    machine_stop(&machine);
    cr_expect(machine.shared->count + 1 == machine.last_count);
    machine_end(&machine);
}

Test(vcpu, the_state_of_a_running_one_is_refused)
{
    struct buffer record = BUFFER_INIT;
    struct error error = ERROR_INIT;

    need_kvm();
    machine_start(&machine, 1, VM_IRQCHIP_SPLIT, guest_count);
    machine_run(&machine);
    cr_expect(vm_vcpu_get_state(machine.vm, 0, &record, &error) == -1 && error.number == EBUSY);
    cr_expect(vm_get_state(machine.vm, &record, &error) == -1 && error.number == EBUSY);
    cr_expect(vm_set_entry(machine.vm, 0, 0, 0, &error) == -1 && error.number == EBUSY);
    machine_end(&machine);
}

static size_t open_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    size_t count = 0;

    cr_assert(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

Test(vcpu, a_freed_machine_leaves_nothing_open)
{
    size_t before;

    need_kvm();
    before = open_descriptors();
    machine_start(&machine, 3, VM_IRQCHIP_SPLIT, guest_count);
    machine_end(&machine);
    machine_start(&machine, 2, VM_IRQCHIP_FULL, guest_count);
    machine_run(&machine);
    wait_counter(&machine, &machine.shared->count, 1);
    machine_end(&machine);
    cr_expect(open_descriptors() == before);
}

Test(vm, bad_wishes_are_refused)
{
    struct vm_config config = {.vcpus = 0};
    struct error error = ERROR_INIT;
    int slot;

    need_kvm();
    cr_expect(!vm_new(&config, &error) && error.number == EINVAL, "%s", error.text);
    config.vcpus = VM_VCPUS_MAX + 1;
    cr_expect(!vm_new(&config, &error) && error.number == EINVAL, "%s", error.text);
    machine_start(&machine, 1, VM_IRQCHIP_SPLIT, guest_count);
    cr_expect(vm_map_memory(machine.vm, 0x1000001, 0x1000, machine.ram, false, &error) == -1);
    cr_expect(vm_map_memory(machine.vm, 0x1000000, 0, machine.ram, false, &error) == -1);
    cr_expect(vm_map_memory(machine.vm, UINT64_MAX - 0xfff, 0x2000, machine.ram, false, &error) == -1);
    cr_expect(vm_map_memory(machine.vm, 0x1000, 0x1000, machine.ram, false, &error) == -1 && error.number == EEXIST);
    slot = vm_map_memory(machine.vm, 0x10000000, 0x1000, machine.ram, true, &error);
    cr_expect(slot >= 0, "%s", error.text);
    cr_expect(vm_unmap_memory(machine.vm, slot, &error) == 0, "%s", error.text);
    cr_expect(vm_unmap_memory(machine.vm, slot, &error) == -1);
    cr_expect(vm_unmap_memory(machine.vm, -1, &error) == -1);
    cr_expect(vm_irqfd_assign(machine.vm, -1, 0, &error) == -1);
    cr_expect(vm_msi_route_change(machine.vm, 5, 0, 0, &error) == -1);
    machine_end(&machine);
}

static void expect_no_vm(int number, const char *advice)
{
    struct vm_config config = {.vcpus = 1};
    struct error error = ERROR_INIT;

    cr_expect(!vm_new(&config, &error));
    cr_expect(error.number == number && strstr(error.text, "/dev/kvm") && strstr(error.text, advice), "%s", error.text);
}

/* Each test is a process of its own: no other sees this. */
Test(vm, a_host_without_kvm_is_told_what_to_do)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", "/dev", "tmpfs", 0, NULL) < 0)
        cr_skip_test("this user cannot hide /dev/kvm");
    expect_no_vm(ENOENT, "modprobe");
}

Test(vm, a_user_without_permission_is_told_what_to_do)
{
    if (seteuid(65534) < 0 || access("/dev/kvm", F_OK) < 0 || eaccess("/dev/kvm", R_OK | W_OK) == 0)
        cr_skip_test("this user cannot become one that may not open /dev/kvm");
    expect_no_vm(EACCES, "usermod");
    /* For the leak sanitizer, which looks at this process from outside. */
    cr_assert(seteuid(getuid()) == 0);
    prctl(PR_SET_DUMPABLE, 1);
}

Test(vm, features_are_told)
{
    need_kvm();
    machine_start(&machine, 1, VM_IRQCHIP_SPLIT, guest_count);
    cr_expect(machine.features.tsc_hz > 100000000u);
    cr_expect(machine.features.apic_timer_hz > 1000000u);
    cr_expect(machine.features.physical_address_bits >= 36 && machine.features.physical_address_bits <= 52);
    machine_end(&machine);
}

static uint64_t cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* A guest that only counts takes a processor to itself; throttled it takes no more than its share, however loaded the host is. */
Test(vcpu, a_throttled_one_takes_its_share_only)
{
    uint64_t cpu, start, rounds;

    need_kvm();
    machine_start(&machine, 1, VM_IRQCHIP_SPLIT, guest_compute);
    machine_run(&machine);
    vm_throttle(machine.vm, 95);
    wait_counter(&machine, &machine.shared->count, machine.shared->count + 100);
    cpu = cpu_ns();
    start = clock_now_ns();
    while (clock_now_ns() - start < 1000000000u)
        poll(NULL, 0, 10);
    cpu = cpu_ns() - cpu;
    cr_expect_lt(cpu, (clock_now_ns() - start) / 2, "it took %lu ns", (unsigned long)cpu);
    /* A pause does not wait for its turn, and the next run is a whole one. */
    machine_stop(&machine);
    vm_throttle(machine.vm, 0);
    rounds = machine.shared->count;
    machine_run(&machine);
    wait_counter(&machine, &machine.shared->count, rounds + 1000);
    machine_stop(&machine);
    machine_end(&machine);
}
