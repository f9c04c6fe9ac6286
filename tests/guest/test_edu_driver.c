/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The driver of edu, against one in memory that does what a test tells it to. */
#include <criterion/criterion.h>

#include "guest/drivers/edu_driver.h"
#include "tests/guest/fake_edu.h"

#define MILLISECOND 1000000ull
#define SECOND 1000000000ull

static struct fake_edu edu;
static struct edu_device device;
static struct driver_fault fault;
static const struct edu_transfer to_buffer = {.address = FAKE_EDU_RAM, .place = 8, .length = 16};
static const struct edu_transfer to_ram = {.to_ram = true, .address = FAKE_EDU_RAM + 64, .place = 8, .length = 16};

static int open_device(void)
{
    return edu_device_open(&device, (struct device_access){.ops = &fake_edu_ops, .context = &edu}, &fault);
}

static void set_up(void)
{
    fake_edu_open(&edu);
    cr_assert_eq(open_device(), 0);
}

TestSuite(edu_driver, .init = set_up);

static void expect_fault(int result, const char *rule, uint64_t expected, uint64_t seen)
{
    cr_assert_eq(result, -1);
    cr_assert_str_eq(fault.rule, rule);
    cr_assert_eq(fault.expected, expected, "expected 0x%llx", (unsigned long long)fault.expected);
    cr_assert_eq(fault.seen, seen, "seen 0x%llx", (unsigned long long)fault.seen);
}

static void begin(const struct edu_transfer *transfer)
{
    cr_assert_eq(edu_transfer_begin(&device, transfer, &fault), 0);
}

Test(edu_driver, leaves_a_device_at_rest_as_the_workload_wants_it)
{
    edu.interrupt_status = 0xf000;
    cr_assert_eq(open_device(), 0);
    cr_expect_eq(edu_liveness_read(&device), 0);
    cr_expect_eq(edu.status, EDU_STATUS_INTERRUPT);
    cr_expect_eq(edu.interrupt_status, 0);
}

Test(edu_driver, refuses_what_is_not_its_device_or_is_at_work)
{
    edu.identification = 0x010000ee;
    expect_fault(open_device(), "guest/driver", EDU_IDENTIFICATION, 0x010000ee);
    edu.identification = UINT32_MAX;
    expect_fault(open_device(), "guest/driver", EDU_IDENTIFICATION, UINT32_MAX);
    fake_edu_open(&edu);
    edu.command = EDU_DMA_RUN;
    expect_fault(open_device(), "guest/driver", 0, EDU_DMA_RUN);
    fake_edu_open(&edu);
    edu.status = EDU_STATUS_COMPUTING;
    expect_fault(open_device(), "guest/driver", 0, EDU_STATUS_COMPUTING);
}

Test(edu_driver, data_goes_both_ways)
{
    for (unsigned int i = 0; i < 16; i++)
        edu.ram[i] = (uint8_t)(i + 1);
    begin(&to_buffer);
    cr_expect_eq(edu_poll(&device, 0, &fault), 0);
    fake_edu_transfer(&edu);
    cr_expect_eq(edu_poll(&device, 0, &fault), 1);
    begin(&to_ram);
    fake_edu_transfer(&edu);
    cr_expect_eq(edu_poll(&device, 0, &fault), 1);
    cr_expect_arr_eq(edu.ram + 64, edu.ram, 16);
    cr_expect_eq(edu.interrupt_status, 0);
    cr_expect_eq(device.served, 2);
    cr_expect_eq(edu.ends, 2);
}

Test(edu_driver, refuses_a_transfer_that_the_device_cannot_do)
{
    struct edu_transfer transfer = {.address = FAKE_EDU_RAM, .place = EDU_BUFFER_SIZE - 16, .length = 16};

    expect_fault(edu_transfer_begin(&device, &transfer, &fault), "guest/driver", EDU_BUFFER_SIZE, EDU_BUFFER_SIZE);
    transfer.place = 0;
    transfer.length = 0;
    expect_fault(edu_transfer_begin(&device, &transfer, &fault), "guest/driver", EDU_BUFFER_SIZE, 0);
    transfer.length = 16;
    transfer.address = EDU_ADDRESS_LIMIT - 8;
    expect_fault(edu_transfer_begin(&device, &transfer, &fault), "guest/driver", EDU_ADDRESS_LIMIT,
                 EDU_ADDRESS_LIMIT - 8);
}

Test(edu_driver, two_causes_may_come_one_by_one_or_with_one_interrupt)
{
    begin(&to_buffer);
    edu_factorial_begin(&device, 5);
    fake_edu_compute(&edu);
    cr_expect_eq(edu_poll(&device, 0, &fault), 0);
    cr_expect_eq(device.factorial, 120);
    fake_edu_transfer(&edu);
    cr_expect_eq(edu_poll(&device, 0, &fault), 1);

    begin(&to_buffer);
    edu_factorial_begin(&device, 33);
    fake_edu_transfer(&edu);
    fake_edu_compute(&edu);
    edu.interrupts--;
    cr_expect_eq(edu_poll(&device, 0, &fault), 1);
    cr_expect_eq(device.factorial, 0x80000000u);
    cr_expect_eq(device.spurious, 0);
}

Test(edu_driver, an_interrupt_with_nothing_new_is_counted)
{
    begin(&to_buffer);
    edu.interrupts++;
    cr_expect_eq(edu_poll(&device, 0, &fault), 0);
    cr_expect_eq(device.spurious, 1);
    cr_expect_eq(edu.ends, 1);
    fake_edu_transfer(&edu);
    cr_expect_eq(edu_poll(&device, 0, &fault), 1);
}

Test(edu_driver, a_cause_that_was_not_begun_is_refused)
{
    begin(&to_buffer);
    fake_edu_raise(&edu, EDU_INTERRUPT_FACTORIAL);
    expect_fault(edu_poll(&device, 0, &fault), "guest/driver", EDU_INTERRUPT_DMA, EDU_INTERRUPT_FACTORIAL);
}

Test(edu_driver, an_interrupt_before_its_transfer_is_over_is_refused)
{
    begin(&to_ram);
    fake_edu_raise(&edu, EDU_INTERRUPT_DMA);
    expect_fault(edu_poll(&device, 0, &fault), "guest/driver", EDU_DMA_TO_RAM | EDU_DMA_INTERRUPT,
                 EDU_DMA_TO_RAM | EDU_DMA_INTERRUPT | EDU_DMA_RUN);
}

Test(edu_driver, a_register_that_changed_under_a_transfer_is_found)
{
    static const size_t changed[] = {offsetof(struct fake_edu, source), offsetof(struct fake_edu, destination),
                                     offsetof(struct fake_edu, count)};
    static const uint64_t expected[] = {FAKE_EDU_RAM, EDU_BUFFER + 8, 16};

    for (unsigned int i = 0; i < 3; i++) {
        set_up();
        begin(&to_buffer);
        fake_edu_transfer(&edu);
        *(uint64_t *)((char *)&edu + changed[i]) = 0;
        expect_fault(edu_poll(&device, 0, &fault), "guest/driver", expected[i], 0);
    }
}

Test(edu_driver, an_interrupt_that_does_not_come_is_lost_six_seconds_after_the_end)
{
    uint64_t now = SECOND;

    edu.silent = true;
    begin(&to_buffer);
    for (; now < 4 * SECOND; now += 100 * MILLISECOND)
        cr_assert_eq(edu_poll(&device, now, &fault), 0);
    fake_edu_transfer(&edu);
    for (; now < 9 * SECOND; now += 100 * MILLISECOND)
        cr_assert_eq(edu_poll(&device, now, &fault), 0);
    expect_fault(edu_poll(&device, now + SECOND, &fault), "guest/interrupt-lost", EDU_INTERRUPT_DMA, 0);
}

Test(edu_driver, an_interrupt_of_a_factorial_may_be_lost_too)
{
    edu.silent = true;
    edu_factorial_begin(&device, 3);
    fake_edu_compute(&edu);
    cr_assert_eq(edu_poll(&device, 1, &fault), 0);
    cr_assert_eq(edu_poll(&device, SECOND, &fault), 0);
    expect_fault(edu_poll(&device, 8 * SECOND, &fault), "guest/interrupt-lost", EDU_INTERRUPT_FACTORIAL, 0);
}

Test(edu_driver, a_transfer_that_is_never_over_is_stuck)
{
    begin(&to_buffer);
    cr_assert_eq(edu_poll(&device, SECOND, &fault), 0);
    cr_assert_eq(edu_poll(&device, 10 * SECOND, &fault), 0);
    expect_fault(edu_poll(&device, 12 * SECOND, &fault), "guest/operation-stuck", 0, EDU_INTERRUPT_DMA);
}
