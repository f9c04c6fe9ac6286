/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cmd/host_facts.h"

#include <linux/pci_regs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define EXTENDED_CAPABILITIES_MAX 480

static void advise(struct host_facts *facts, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void advise(struct host_facts *facts, const char *format, ...)
{
    va_list arguments;

    if (facts->advice_count == HOST_ADVICE_MAX)
        return;
    va_start(arguments, format);
    vsnprintf(facts->advice[facts->advice_count++], ERROR_TEXT_MAX, format, arguments);
    va_end(arguments);
}

/* The list of extended capabilities, where the configuration region has it. */
static void read_hidden(struct vfio_device *device, struct host_facts *facts)
{
    struct vfio_region region;
    uint32_t at = PCI_CFG_SPACE_SIZE;

    if (device->ops->get_region(device, VFIO_PCI_CONFIG_REGION_INDEX, &region, NULL) || region.size < 4096)
        return;
    for (unsigned int i = 0; i < EXTENDED_CAPABILITIES_MAX && at >= PCI_CFG_SPACE_SIZE; i++) {
        uint8_t raw[4];
        uint32_t header;

        if (device->ops->region_read(device, VFIO_PCI_CONFIG_REGION_INDEX, at, raw, sizeof(raw), NULL))
            return;
        header = raw[0] | (uint32_t)raw[1] << 8 | (uint32_t)raw[2] << 16 | (uint32_t)raw[3] << 24;
        facts->ats |= PCI_EXT_CAP_ID(header) == PCI_EXT_CAP_ID_ATS;
        facts->pri |= PCI_EXT_CAP_ID(header) == PCI_EXT_CAP_ID_PRI;
        facts->pasid |= PCI_EXT_CAP_ID(header) == PCI_EXT_CAP_ID_PASID;
        at = PCI_EXT_CAP_NEXT(header);
    }
}

static void read_debugfs(const struct kernel_host *host, struct host_facts *facts)
{
    char path[KERNEL_PATH_MAX];

    snprintf(path, sizeof(path), "/sys/kernel/debug/vfio/%.63s/migration/state", facts->place->vfio_name);
    if (facts->place->vfio_name[0])
        kernel_host_read(host, path, facts->debugfs_state, sizeof(facts->debugfs_state));
}

/* A physical function's virtual ones are what is passed through and migrated. */
static void look_for_vfs(const struct kernel_host *host, struct host_facts *facts)
{
    char path[KERNEL_PATH_MAX], total[16], now[16];

    snprintf(path, sizeof(path), "%s/sriov_totalvfs", facts->place->sysfs);
    if (!kernel_host_read(host, path, total, sizeof(total)) || atoi(total) == 0)
        return;
    snprintf(path, sizeof(path), "%s/sriov_numvfs", facts->place->sysfs);
    if (kernel_host_read(host, path, now, sizeof(now)) && atoi(now) == 0)
        advise(facts,
               "it is a physical function, and has no virtual ones, which is what migrates: make them by: echo 1 > %s",
               path);
}

static void look_at_memlock(struct host_facts *facts)
{
    struct rlimit limit;

    if (geteuid() == 0 || getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_cur == RLIM_INFINITY)
        return;
    advise(
        facts,
        "the limit of locked memory is %llu KiB, and all of a guest's RAM is locked (iommufd counts all of a user's): "
        "ulimit -l unlimited, or LimitMEMLOCK=infinity of a systemd unit",
        (unsigned long long)limit.rlim_cur / 1024);
}

void host_facts_collect(struct vfio_device *device, bool migrates, struct host_facts *facts)
{
    const struct kernel_host *host = kernel_get_host(device);
    char text[ERROR_TEXT_MAX];

    memset(facts, 0, sizeof(*facts));
    facts->place = kernel_get_place(device);
    if (!facts->place)
        return;
    facts->member_count = kernel_find_members(host, facts->place, facts->member);
    read_hidden(device, facts);
    read_debugfs(host, facts);
    if (!migrates) {
        device->ops->explain_no_migration(device, text, sizeof(text));
        advise(facts, "%s", text);
        look_for_vfs(host, facts);
    }
    look_at_memlock(facts);
}
