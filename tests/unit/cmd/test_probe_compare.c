/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What probe --compare says of two devices of the kernel's. */
#include <criterion/criterion.h>
#include <string.h>

#include "vmm/cmd/probe_compare.h"

static struct compare_end from, to;
static struct comparison comparison;

static void set_up(void)
{
    from = (struct compare_end){
        .name = "vfio:a",
        .backend = "vfio-cdev",
        .has_place = true,
        .has_description = true,
        .place = {.name = "0000:01:00.1", .driver = "mlx5_vfio_pci"},
        .facts = {.migration_flags = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P,
                  .state_known = true,
                  .state = VFIO_DEVICE_STATE_RUNNING,
                  .data_size_known = true,
                  .data_size = 96,
                  .dma_logging = true},
        .description = {.vendor = 0x15b3, .device = 0x101e, .bar[0] = {.size = 4096}},
    };
    to = from;
    strcpy(to.name, "vfio:b");
    strcpy(to.place.name, "0000:01:00.2");
}

TestSuite(probe_compare, .init = set_up);

static void expect(unsigned int reasons, unsigned int differences)
{
    compare_ends(&from, &to, &comparison);
    cr_expect_eq(comparison.reason_count, reasons, "%u: %s", comparison.reason_count, comparison.reason[0]);
    cr_expect_eq(comparison.difference_count, differences, "%u: %s", comparison.difference_count,
                 comparison.difference[0]);
}

static void expect_text(const char *line, const char *text)
{
    cr_expect(strstr(line, text), "'%s' is not in '%s'", text, line);
}

Test(probe_compare, two_of_a_kind)
{
    expect(0, 0);
}

Test(probe_compare, another_size)
{
    to.facts.data_size = 60;
    expect(0, 1);
    expect_text(comparison.difference[0], "96 bytes, and 60");
}

Test(probe_compare, another_driver)
{
    strcpy(to.place.driver, "vfio-pci");
    expect(0, 1);
    expect_text(comparison.difference[0], "mlx5_vfio_pci and vfio-pci");
}

Test(probe_compare, one_device)
{
    to = from;
    expect(0, 1);
    expect_text(comparison.difference[0], "--same-device");
}

Test(probe_compare, states_and_logs_of_one_end)
{
    from.facts.migration_flags |= VFIO_MIGRATION_PRE_COPY;
    to.facts.migration_flags = VFIO_MIGRATION_STOP_COPY;
    to.facts.dma_logging = false;
    expect(0, 3);
    expect_text(comparison.difference[0], "only the source has the P2P states");
    expect_text(comparison.difference[1], "only the source has PRE_COPY");
    expect_text(comparison.difference[2], "only the source has a log");
}

Test(probe_compare, a_device_in_error)
{
    to.facts.state = VFIO_DEVICE_STATE_ERROR;
    expect(1, 0);
    expect_text(comparison.reason[0], "the destination is in ERROR");
}

Test(probe_compare, no_migration_with_the_commands_that_mend_it)
{
    to.facts.migration_flags = 0;
    strcpy(to.no_migration, "bind it to mlx5_vfio_pci");
    expect(1, 0);
    expect_text(comparison.reason[0], "the destination cannot be migrated");
    expect_text(comparison.reason[0], "bind it to mlx5_vfio_pci");
}

Test(probe_compare, every_difference_that_a_guest_sees_is_a_reason)
{
    to.description.device = 1;
    to.description.bar[0].size = 8192;
    to.description.bar[5].io = true;
    expect(3, 0);
    expect_text(comparison.reason[0], "its device ID is 0x101e, and 0x1 at the destination");
    expect_text(comparison.reason[1], "its BAR 0 size is 0x1000, and 0x2000");
    expect_text(comparison.reason[2], "BAR 5 I/O bit");
}

Test(probe_compare, a_device_that_no_guest_can_have)
{
    from.has_description = false;
    strcpy(from.no_description, "it is no PCI device");
    expect(1, 0);
    expect_text(comparison.reason[0], "the source cannot be given to a guest: it is no PCI device");
}
