/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words of the command line against a tree of files that stands for a host. */
#include <criterion/criterion.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "vmm/vfio/kernel_find.h"

#define MDEV "11111111-1111-4111-8111-111111111111"

static char root[64];
static struct kernel_host host;

static void run(const char *command)
{
    cr_assert_eq(system(command), 0, "%s", command);
}

static void make_folder(const char *path)
{
    char command[PATH_MAX];

    snprintf(command, sizeof(command), "mkdir -p '%s%s'", root, path);
    run(command);
}

static void make_file(const char *path, const char *text)
{
    char full[PATH_MAX];
    FILE *file;

    snprintf(full, sizeof(full), "%s%s", root, path);
    file = fopen(full, "w");
    cr_assert_not_null(file, "%s", full);
    fputs(text, file);
    fclose(file);
}

static void make_link(const char *path, const char *target)
{
    char full[PATH_MAX];

    snprintf(full, sizeof(full), "%s%s", root, path);
    cr_assert_eq(symlink(target, full), 0, "%s", full);
}

/* A PCI function in group 7 with a driver (NULL: none). */
static void make_function(const char *name, const char *driver)
{
    char path[256], target[256];

    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", name);
    make_folder(path);
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", name);
    make_link(path, "../../../kernel/iommu_groups/7");
    snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/7/devices/%s", name);
    snprintf(target, sizeof(target), "../../../../bus/pci/devices/%s", name);
    make_link(path, target);
    if (!driver)
        return;
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", name);
    snprintf(target, sizeof(target), "../../drivers/%s", driver);
    make_link(path, target);
}

static void setup(void)
{
    strcpy(root, "/tmp/kernel_find_XXXXXX");
    cr_assert_not_null(mkdtemp(root));
    host = kernel_host_real;
    host.root = root;
    make_folder("/sys/kernel/iommu_groups/7/devices");
    make_folder("/dev/vfio/devices");
}

static void teardown(void)
{
    char command[PATH_MAX];

    snprintf(command, sizeof(command), "rm -rf '%s'", root);
    run(command);
}

TestSuite(kernel_find, .init = setup, .fini = teardown);

static void expect_refusal(const char *word, const char *words)
{
    struct kernel_place place;
    struct error error = ERROR_INIT;

    cr_expect_eq(kernel_find(&host, word, &place, &error), -1, "%s", word);
    cr_expect(strstr(error.text, words), "%s: '%s' is not in '%s'", word, words, error.text);
    cr_expect_null(strchr(error.text, '\n'), "%s: one line", word);
}

Test(kernel_find, all_that_sysfs_tells_of_a_function)
{
    struct kernel_place place;
    struct error error = ERROR_INIT;

    make_function("0000:0a:00.1", "vfio-pci");
    make_folder("/sys/bus/pci/devices/0000:0a:00.1/vfio-dev/vfio3");
    make_file("/dev/vfio/devices/vfio3", "");
    make_file("/sys/bus/pci/devices/0000:0a:00.1/numa_node", "1\n");
    make_file("/sys/bus/pci/devices/0000:0a:00.1/reset_method", "flr bus\n");
    cr_assert_eq(kernel_find(&host, "0A:00.1", &place, &error), 0, "%s", error.text);
    cr_expect_str_eq(place.name, "0000:0a:00.1");
    cr_expect_str_eq(place.driver, "vfio-pci");
    cr_expect_eq(place.group, 7);
    cr_expect_str_eq(place.cdev, "/dev/vfio/devices/vfio3");
    cr_expect_str_eq(place.numa_node, "1");
    cr_expect_str_eq(place.reset_method, "flr bus");
    cr_expect_not(place.mdev);
    cr_expect_not(place.group_asked);
}

Test(kernel_find, a_device_by_its_group_and_by_its_cdev)
{
    struct kernel_place place;
    struct error error = ERROR_INIT;

    make_function("0000:0a:00.1", "vfio-pci");
    make_folder("/sys/bus/pci/devices/0000:0a:00.1/vfio-dev/vfio3");
    make_folder("/sys/class/vfio-dev/vfio3");
    make_link("/sys/class/vfio-dev/vfio3/device", "../../../bus/pci/devices/0000:0a:00.1");
    cr_assert_eq(kernel_find(&host, "/dev/vfio/7,0000:0a:00.1", &place, &error), 0, "%s", error.text);
    cr_expect(place.group_asked);
    cr_assert_eq(kernel_find(&host, "/dev/vfio/devices/vfio3", &place, &error), 0, "%s", error.text);
    cr_expect(place.cdev_asked);
    cr_expect_str_eq(place.name, "0000:0a:00.1");
    expect_refusal("/dev/vfio/8,0000:0a:00.1", "in the IOMMU group 7, not in 8: name it as /dev/vfio/7,0000:0a:00.1");
    expect_refusal("/dev/vfio/7", "/dev/vfio/GROUP,DEVICE");
    expect_refusal("/dev/vfio/x,0000:0a:00.1", "/dev/vfio/GROUP,DEVICE");
    expect_refusal("/dev/vfio/devices/vfio4", "no VFIO device vfio4");
    expect_refusal("/dev/vfio/devices/../../x", "no VFIO device ../../x");
}

Test(kernel_find, what_is_wrong_is_said_with_the_command_that_mends_it)
{
    make_function("0000:0a:00.1", "nvme");
    make_function("0000:0a:00.2", NULL);
    make_folder("/sys/bus/pci/devices/0000:0a:00.3");
    make_link("/sys/bus/pci/devices/0000:0a:00.3/driver", "../../drivers/vfio-pci");
    expect_refusal("0000:0b:00.0", "no PCI device 0000:0b:00.0: lspci -D");
    expect_refusal("nonsense", "none of a PCI address");
    expect_refusal("", "none of a PCI address");
    expect_refusal("0000:0a:00.8", "none of a PCI address");
    expect_refusal("0a:00.1",
                   "belongs to the host's driver nvme: give it to VFIO by: modprobe vfio-pci; echo vfio-pci > "
                   "/sys/bus/pci/devices/0000:0a:00.1/driver_override; echo 0000:0a:00.1 > "
                   "/sys/bus/pci/devices/0000:0a:00.1/driver/unbind; echo 0000:0a:00.1 > /sys/bus/pci/drivers_probe");
    expect_refusal("0a:00.2", "has no driver: give it to VFIO by: modprobe vfio-pci; echo vfio-pci > "
                              "/sys/bus/pci/devices/0000:0a:00.2/driver_override; echo 0000:0a:00.2 > "
                              "/sys/bus/pci/drivers_probe");
    expect_refusal("0a:00.3", "is in no IOMMU group");
}

Test(kernel_find, a_mediated_device_that_is_not_there_can_be_made)
{
    struct kernel_place place;
    struct error error = ERROR_INIT;

    expect_refusal(MDEV, "/sys/class/mdev_bus/PARENT/mdev_supported_types/TYPE/create");
    make_folder("/sys/class/mdev_bus/mtty/mdev_supported_types/mtty-1");
    expect_refusal(MDEV, "echo " MDEV " > /sys/class/mdev_bus/mtty/mdev_supported_types/mtty-1/create");
    make_folder("/sys/bus/mdev/devices/" MDEV "/vfio-dev/vfio0");
    make_link("/sys/bus/mdev/devices/" MDEV "/iommu_group", "../../../kernel/iommu_groups/7");
    cr_assert_eq(kernel_find(&host, MDEV, &place, &error), 0, "%s", error.text);
    cr_expect(place.mdev);
    cr_expect_eq(place.group, 7);
}

Test(kernel_find, a_group_that_is_not_viable_has_a_member_in_the_way)
{
    struct kernel_place place;
    struct kernel_member members[KERNEL_MEMBERS_MAX];
    struct error error = ERROR_INIT;

    make_function("0000:0a:00.0", "pcieport");
    make_function("0000:0a:00.1", "vfio-pci");
    make_function("0000:0a:00.2", "my_variant");
    make_folder("/sys/bus/pci/devices/0000:0a:00.2/vfio-dev/vfio1");
    make_function("0000:0a:00.3", "e1000e");
    make_function("0000:0a:00.4", NULL);
    cr_assert_eq(kernel_find(&host, "0a:00.1", &place, &error), 0, "%s", error.text);
    cr_assert_eq(kernel_find_members(&host, &place, members), 5);
    for (unsigned int i = 0; i < 5; i++)
        cr_expect_eq(members[i].in_the_way, i == 3, "member %u", i);
    cr_expect_eq(kernel_find_not_viable(&host, &place, &error), -1);
    cr_expect(strstr(error.text, "because 0000:0a:00.3 in it belongs to the host's driver e1000e"), "%s", error.text);
    cr_expect(strstr(error.text, "echo 0000:0a:00.3 > /sys/bus/pci/devices/0000:0a:00.3/driver/unbind"), "%s",
              error.text);
}

Test(kernel_find, the_variant_driver_is_found_by_its_alias)
{
    struct kernel_place place;
    struct error error = ERROR_INIT;
    struct utsname name;
    char path[256], module[KERNEL_NAME_MAX], text[ERROR_TEXT_MAX];

    uname(&name);
    make_function("0000:0a:00.1", "vfio-pci");
    make_file("/sys/bus/pci/devices/0000:0a:00.1/modalias", "pci:v000015B3d0000101Esv000015B3sd00000007bc02sc00i00\n");
    snprintf(path, sizeof(path), "/lib/modules/%s", name.release);
    make_folder(path);
    cr_assert_eq(kernel_find(&host, "0a:00.1", &place, &error), 0, "%s", error.text);
    cr_expect_not(kernel_find_variant(&host, &place, module, sizeof(module)));
    snprintf(path, sizeof(path), "/lib/modules/%s/modules.alias", name.release);
    make_file(path, "# Aliases\nalias pci:v000015B3d0000101Esv*sd*bc*sc*i* mlx5_core\n"
                    "alias vfio_pci:v*d*sv*sd*bc*sc*i* vfio_pci\n"
                    "alias vfio_pci:v00008086d00001572sv*sd*bc*sc*i* other_vfio_pci\n"
                    "alias vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i* mlx5_vfio_pci\n");
    cr_expect(kernel_find_variant(&host, &place, module, sizeof(module)));
    cr_expect_str_eq(module, "mlx5_vfio_pci");
    kernel_find_no_migration(&host, &place, false, text, sizeof(text));
    cr_expect(strstr(text, "modprobe mlx5_vfio_pci"), "%s", text);
    kernel_find_no_migration(&host, &place, true, text, sizeof(text));
    cr_expect(strstr(text, "type 3, subtype 1"), "%s", text);
    strcpy(place.driver, "mlx5_vfio_pci");
    cr_expect_not(kernel_find_variant(&host, &place, module, sizeof(module)));
}
