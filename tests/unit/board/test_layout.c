/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where RAM and BARs go, and what does not fit. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/board/fake_device.h"
#include "vmm/board/board_layout.h"

static const struct vm_features features = {
    .kvmclock = true, .tsc_hz = 2500000000, .apic_timer_hz = 1000000000, .physical_address_bits = 46};
static struct board_wishes wishes;
static struct board_device devices[BOARD_DEVICES_MAX + 1];
static struct board board;
static struct error error;

static void set_up(void)
{
    wishes = (struct board_wishes){.memory_size = 256ull << 20, .vcpus = 2, .wanted[WORKLOAD_CPU] = true};
    memset(devices, 0, sizeof(devices));
    for (size_t i = 0; i <= BOARD_DEVICES_MAX; i++) {
        devices[i].vendor = 0x5343;
        devices[i].bar[0] = (struct board_bar){.size = 64ull << 20, .wide = true, .prefetchable = true};
    }
    error = (struct error)ERROR_INIT;
}

TestSuite(layout, .init = set_up);

static void expect_refused(size_t count, const char *words)
{
    cr_assert_eq(board_lay_out(&wishes, &features, devices, count, &board, &error), -1);
    cr_assert(strstr(error.text, words), "%s", error.text);
}

Test(layout, memory_has_a_minimum)
{
    wishes.memory_size = 0;
    expect_refused(0, "at least 16 MiB");
    wishes.memory_size = 15ull << 20;
    expect_refused(0, "at least 16 MiB");
    wishes.memory_size = (16ull << 20) + 1;
    expect_refused(0, "multiple of 4 KiB");
    wishes.memory_size = 16ull << 20;
    cr_assert_eq(board_lay_out(&wishes, &features, devices, 0, &board, &error), 0, "%s", error.text);
}

Test(layout, memory_above_3_gib_goes_above_4_gib)
{
    wishes.memory_size = (3ull << 30) + 4096;
    cr_assert_eq(board_lay_out(&wishes, &features, devices, 1, &board, &error), 0, "%s", error.text);
    cr_assert_eq(board.ram_ranges, 2);
    cr_assert_eq(board.ram[0].size, 3ull << 30);
    cr_assert_eq(board.ram[1].start, 4ull << 30);
    cr_assert_eq(board.ram[1].size, 4096);
    cr_assert_eq(board.progress, (3ull << 30) - BOARD_RESERVED_SIZE);
    cr_assert_geq(board.device[0].bar[0].address, (4ull << 30) + 4096);
}

Test(layout, memory_must_fit_into_the_physical_address_bits)
{
    wishes.memory_size = 1ull << 46;
    expect_refused(0, "46 physical address bits");
    wishes.memory_size = (1ull << 46) - (1ull << 30);
    expect_refused(1, "does not fit into the 64-bit window");
}

Test(layout, vcpus_are_1_to_64)
{
    wishes.vcpus = 0;
    expect_refused(0, "0 vCPUs");
    wishes.vcpus = 65;
    expect_refused(0, "65 vCPUs");
}

Test(layout, every_slot_can_have_a_64_mib_bar)
{
    cr_assert_eq(board_lay_out(&wishes, &features, devices, BOARD_DEVICES_MAX, &board, &error), 0, "%s", error.text);
    for (unsigned int i = 0; i < BOARD_DEVICES_MAX; i++) {
        const struct board_bar *bar = &board.device[i].bar[0];

        cr_assert_eq(board.device[i].slot, i + 1);
        cr_assert_eq(bar->address % bar->size, 0);
        for (unsigned int j = 0; j < i; j++) {
            uint64_t other = board.device[j].bar[0].address;

            cr_assert(bar->address >= other + bar->size || other >= bar->address + bar->size);
        }
    }
    expect_refused(BOARD_DEVICES_MAX + 1, "slots for 31");
}

Test(layout, bars_that_do_not_fit_are_named)
{
    for (unsigned int i = 0; i < 16; i++)
        devices[i].bar[0].wide = false;
    cr_assert_eq(board_lay_out(&wishes, &features, devices, 14, &board, &error), 0, "%s", error.text);
    expect_refused(15, "does not fit into the 32-bit window");
    cr_assert(strstr(error.text, "BAR 0 of device 14"), "%s", error.text);
}

Test(layout, ports_do_not_fit_either)
{
    for (unsigned int i = 0; i < BOARD_DEVICES_MAX; i++) {
        for (unsigned int b = 0; b < BOARD_BARS; b++)
            devices[i].bar[b] = (struct board_bar){.size = 256, .io = true};
    }
    cr_assert_eq(board_lay_out(&wishes, &features, devices, BOARD_DEVICES_MAX, &board, &error), 0, "%s", error.text);
    devices[0].bar[0].size = 512;
    expect_refused(1, "BAR 0 has a size");
}

Test(layout, small_bars_have_a_page_each)
{
    devices[0].bar[0] = (struct board_bar){.size = 16};
    devices[0].bar[1] = (struct board_bar){.size = 256};
    cr_assert_eq(board_lay_out(&wishes, &features, devices, 1, &board, &error), 0, "%s", error.text);
    cr_assert_neq(board.device[0].bar[0].address / 4096, board.device[0].bar[1].address / 4096);
}

Test(layout, a_device_that_differs_is_refused_with_the_property)
{
    static struct fake_device fake;
    struct vfio_device *vfio = &fake.vfio;
    static struct board copy;

    fake_device_init(&fake);
    cr_assert_eq(board_describe(&wishes, &vfio, 1, &board, &error), 0, "%s", error.text);
    cr_assert_eq(board.device[0].msix_vectors, FAKE_VECTORS);
    cr_assert_eq(board_match(&board, &vfio, 1, &error), 0, "%s", error.text);
    cr_assert_eq(board_match(&board, &vfio, 0, &error), -1);

    copy = board;
    copy.device[0].subsystem++;
    cr_assert_eq(board_match(&copy, &vfio, 1, &error), -1);
    cr_assert(strstr(error.text, "subsystem ID"), "%s", error.text);

    copy = board;
    copy.device[0].bar[2].size *= 2;
    cr_assert_eq(board_match(&copy, &vfio, 1, &error), -1);
    cr_assert(strstr(error.text, "BAR 2"), "%s", error.text);

    copy = board;
    copy.device[0].msix_vectors--;
    cr_assert_eq(board_match(&copy, &vfio, 1, &error), -1);
    cr_assert(strstr(error.text, "MSI-X vectors"), "%s", error.text);
}

Test(layout, devices_that_cannot_be_passed_through)
{
    static struct fake_device fake;
    struct vfio_device *vfio = &fake.vfio;

    fake_device_init(&fake);
    fake.region[0].size = 0x3000;
    cr_assert_eq(board_describe(&wishes, &vfio, 1, &board, &error), -1);
    cr_assert(strstr(error.text, "power of two"), "%s", error.text);

    fake_device_init(&fake);
    fake.config[FAKE_MSIX_CAPABILITY + 1] = FAKE_MSIX_CAPABILITY;
    cr_assert_eq(board_describe(&wishes, &vfio, 1, &board, &error), -1);
    cr_assert(strstr(error.text, "capability list"), "%s", error.text);

    fake_device_init(&fake);
    fake.config[FAKE_MSIX_CAPABILITY + 3] = 0x07;
    fake.msix.count = 2048;
    fake.config[FAKE_MSIX_CAPABILITY + 8] = 0xf4;
    fake.config[FAKE_MSIX_CAPABILITY + 9] = 0xff;
    cr_assert_eq(board_describe(&wishes, &vfio, 1, &board, &error), -1);
    cr_assert(strstr(error.text, "not within that BAR"), "%s", error.text);

    fake_device_init(&fake);
    fake.config[0x34] = 0;
    fake.config[0x3d] = 1;
    fake.intx.count = 1;
    cr_assert_eq(board_describe(&wishes, &vfio, 1, &board, &error), -1);
    cr_assert(strstr(error.text, "eventfd"), "%s", error.text);

    fake_device_init(&fake);
    fake.region[VFIO_PCI_CONFIG_REGION_INDEX].size = 64;
    cr_assert_eq(board_describe(&wishes, &vfio, 1, &board, &error), -1);
    cr_assert(strstr(error.text, "64 bytes"), "%s", error.text);
}

Test(layout, the_plan_has_what_the_registers_say)
{
    static struct fake_device fake;
    struct vfio_device *vfio = &fake.vfio;
    static struct proof_plan plan;

    fake_device_init(&fake);
    wishes.wanted[WORKLOAD_DMA] = true;
    wishes.dma_depth = 16;
    cr_assert_eq(board_describe(&wishes, &vfio, 1, &board, &error), 0, "%s", error.text);
    cr_assert_eq(board_plan(&board, &vfio, &plan, &error), 0, "%s", error.text);
    cr_assert_eq(plan.device_count, 1);
    cr_assert_eq(plan.device[0].slot, 1);
    cr_assert_eq(plan.device[0].chains, 2);
    cr_assert_eq(plan.device[0].memory_size, 0x100001000);
    cr_assert_eq(plan.device[0].window_size, 0x10000);

    fake.registers[8] = 200;
    cr_assert_eq(board_plan(&board, &vfio, &plan, &error), -1);
    cr_assert(strstr(error.text, "200 queues"), "%s", error.text);
}
