/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The dirty log of a memory slot. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/unit/kvm/fixture.h"

#define PAGES (RAM_SIZE / 4096)
#define WORDS (PAGES / 64)
#define SHARED_PAGE (SHARED_ADDRESS / 4096)
#define UNTOUCHED_PAGE 0x300u

static struct machine machine;
static uint64_t bitmap[WORDS];

static void take(void)
{
    struct error error = ERROR_INIT;

    memset(bitmap, 0, sizeof(bitmap));
    cr_assert(vm_dirty_log_take(machine.vm, 0, bitmap, &error) == 0, "%s", error.text);
}

static bool has(uint64_t page)
{
    return bitmap[page / 64] >> page % 64 & 1;
}

static unsigned int count(void)
{
    unsigned int pages = 0;

    for (size_t i = 0; i < WORDS; i++)
        pages += (unsigned int)__builtin_popcountll(bitmap[i]);
    return pages;
}

Test(dirty_log, has_every_page_at_first_and_then_those_written)
{
    struct error error = ERROR_INIT;

    need_kvm();
    machine_start(&machine, 1, VM_IRQCHIP_SPLIT, guest_count);
    machine_run(&machine);
    wait_counter(&machine, &machine.shared->count, 10);
    cr_assert(vm_dirty_log_start(machine.vm, 0, &error) == 0, "%s", error.text);
    take();
    cr_expect(count() == PAGES);
    /* Each time that it was taken, what the guest writes from then on is in it again. */
    for (int i = 0; i < 20; i++) {
        wait_counter(&machine, &machine.shared->count, machine.shared->count + 10);
        take();
        cr_expect(has(SHARED_PAGE), "round %d", i);
        cr_expect(!has(UNTOUCHED_PAGE) && count() < 32, "round %d: %u pages", i, count());
    }
    machine_stop(&machine);
    take();
    take();
    cr_expect(count() == 0);
    cr_assert(vm_dirty_log_stop(machine.vm, 0, &error) == 0, "%s", error.text);
    machine_run(&machine);
    machine.shared->stop = 1;
    machine_wait_done(&machine);
    cr_expect(!machine.lost_count);
    machine_end(&machine);
}

Test(dirty_log, adds_to_the_bitmap)
{
    struct error error = ERROR_INIT;

    need_kvm();
    machine_start(&machine, 1, VM_IRQCHIP_SPLIT, guest_count);
    cr_assert(vm_dirty_log_start(machine.vm, 0, &error) == 0);
    take();
    bitmap[0] = 1;
    cr_assert(vm_dirty_log_take(machine.vm, 0, bitmap, &error) == 0);
    cr_expect(bitmap[0] == 1);
    machine_end(&machine);
}

Test(dirty_log, starts_anew_with_every_page)
{
    struct error error = ERROR_INIT;

    need_kvm();
    machine_start(&machine, 1, VM_IRQCHIP_SPLIT, guest_count);
    for (int i = 0; i < 2; i++) {
        cr_assert(vm_dirty_log_start(machine.vm, 0, &error) == 0, "%s", error.text);
        take();
        cr_expect(count() == PAGES);
        cr_assert(vm_dirty_log_stop(machine.vm, 0, &error) == 0, "%s", error.text);
    }
    machine_end(&machine);
}

Test(dirty_log, of_a_slot_whose_pages_do_not_fill_the_last_word)
{
    const uint64_t gpa = 0x10000000, pages = 70;
    struct error error = ERROR_INIT;
    uint64_t words[3] = {0};
    void *host = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    need_kvm();
    machine_start(&machine, 1, VM_IRQCHIP_SPLIT, guest_count);
    cr_assert(vm_map_memory(machine.vm, gpa, pages * 4096, host, false, &error) >= 0);
    cr_assert(vm_dirty_log_start(machine.vm, gpa, &error) == 0, "%s", error.text);
    cr_assert(vm_dirty_log_take(machine.vm, gpa, words, &error) == 0, "%s", error.text);
    cr_expect(words[0] == UINT64_MAX && words[1] == 0x3f && words[2] == 0);
    machine_end(&machine);
    munmap(host, pages * 4096);
}

Test(dirty_log, refuses_what_makes_no_sense)
{
    struct error error = ERROR_INIT;

    need_kvm();
    machine_start(&machine, 1, VM_IRQCHIP_SPLIT, guest_count);
    cr_expect(vm_dirty_log_start(machine.vm, 0x1000, &error) == -1 && error.number == EINVAL);
    cr_expect(vm_dirty_log_take(machine.vm, 0, bitmap, &error) == -1 && error.number == EINVAL);
    cr_assert(vm_dirty_log_start(machine.vm, 0, &error) == 0);
    cr_expect(vm_dirty_log_start(machine.vm, 0, &error) == -1 && error.number == EBUSY);
    machine_end(&machine);
}
