/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cmd/device_facts.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "vmm/vfio/fsm.h"
#include "vmm/vfio/migration.h"

uint16_t device_facts_config16(const struct device_facts *facts, unsigned int offset)
{
    return (uint16_t)(facts->config[offset] | facts->config[offset + 1] << 8);
}

uint32_t device_facts_config32(const struct device_facts *facts, unsigned int offset)
{
    return device_facts_config16(facts, offset) | (uint32_t)device_facts_config16(facts, offset + 2) << 16;
}

static void walk_capabilities(struct device_facts *facts)
{
    bool seen[FACTS_CONFIG_SIZE] = {false};
    unsigned int offset;

    if (!(device_facts_config16(facts, PCI_STATUS) & PCI_STATUS_CAP_LIST))
        return;
    offset = facts->config[PCI_CAPABILITY_LIST] & ~3u;
    while (offset) {
        if (offset < PCI_STD_HEADER_SIZEOF || seen[offset] || facts->capability_count == FACTS_CAPABILITIES_MAX) {
            facts->capabilities_broken = true;
            return;
        }
        seen[offset] = true;
        facts->capabilities[facts->capability_count++] =
            (struct facts_capability){.id = facts->config[offset], .offset = (uint8_t)offset};
        offset = facts->config[offset + 1] & ~3u;
    }
}

static int collect_config(struct vfio_device *device, struct device_facts *facts, struct error *error)
{
    const struct vfio_region *region = &facts->regions[VFIO_PCI_CONFIG_REGION_INDEX];
    size_t size;

    if (!(facts->info.flags & VFIO_DEVICE_FLAGS_PCI) || facts->region_count <= VFIO_PCI_CONFIG_REGION_INDEX)
        return 0;
    /* mtty has 255 bytes. */
    size = region->size < FACTS_CONFIG_SIZE ? region->size : FACTS_CONFIG_SIZE;
    if (size < FACTS_CONFIG_SIZE - 1)
        return error_set(error, 0, "%s: configuration space has %llu bytes, less than %d", device->name,
                         (unsigned long long)region->size, FACTS_CONFIG_SIZE);
    if (device->ops->region_read(device, VFIO_PCI_CONFIG_REGION_INDEX, 0, facts->config, size, error) < 0)
        return -1;
    facts->config_size = FACTS_CONFIG_SIZE;
    walk_capabilities(facts);
    return 0;
}

static int collect_regions(struct vfio_device *device, struct device_facts *facts, struct error *error)
{
    facts->region_count = facts->info.regions < VFIO_REGIONS_MAX ? facts->info.regions : VFIO_REGIONS_MAX;
    for (unsigned int i = 0; i < facts->region_count; i++) {
        struct vfio_doorbell doorbells[VFIO_DOORBELLS_MAX];
        struct error cause = ERROR_INIT;

        if (device->ops->get_region(device, i, &facts->regions[i], &cause) < 0) {
            /* The VGA region, for one, is counted and refused by devices that have none. */
            if (cause.number == EINVAL) {
                facts->regions[i] = (struct vfio_region){.mmap_fd = -1};
                continue;
            }
            if (error)
                *error = cause;
            return -1;
        }
        if (i <= VFIO_PCI_BAR5_REGION_INDEX && facts->regions[i].size) {
            facts->doorbell_counts[i] = device->ops->get_doorbells(device, i, doorbells, VFIO_DOORBELLS_MAX, error);
            if (facts->doorbell_counts[i] < 0)
                return -1;
        }
    }
    return 0;
}

static int collect_irqs(struct vfio_device *device, struct device_facts *facts, struct error *error)
{
    facts->irq_count = facts->info.irqs < FACTS_IRQS_MAX ? facts->info.irqs : FACTS_IRQS_MAX;
    for (unsigned int i = 0; i < facts->irq_count; i++) {
        struct error cause = ERROR_INIT;

        if (device->ops->get_irq(device, i, &facts->irqs[i], &cause) == 0)
            continue;
        if (cause.number != EINVAL) {
            if (error)
                *error = cause;
            return -1;
        }
        facts->irqs[i] = (struct vfio_irq){.count = 0};
    }
    return 0;
}

static int collect_migration(struct vfio_device *device, struct device_facts *facts, struct error *error)
{
    struct error cause = ERROR_INIT;

    if (migration_get_flags(device, &facts->migration_flags, error) < 0)
        return -1;
    if (!facts->migration_flags)
        return 0;
    if (migration_get_state(device, &facts->state, error) < 0)
        return -1;
    facts->state_known = true;
    if (migration_get_data_size(device, &facts->data_size, &cause) == 0) {
        facts->data_size_known = true;
    } else if (cause.number != ENOTTY) {
        if (error)
            *error = cause;
        return -1;
    }
    facts->dma_logging = device->ops->feature(device,
                                              VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET |
                                                  VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
                                              NULL, 0, &cause) == 0;
    return 0;
}

int device_facts_collect(struct vfio_device *device, struct device_facts *facts, struct error *error)
{
    memset(facts, 0, sizeof(*facts));
    if (device->ops->get_info(device, &facts->info, error) < 0 || collect_regions(device, facts, error) < 0 ||
        collect_config(device, facts, error) < 0 || collect_irqs(device, facts, error) < 0)
        return -1;
    return collect_migration(device, facts, error);
}

const char *device_facts_capability_name(uint8_t id)
{
    switch (id) {
    case PCI_CAP_ID_PM:
        return "power management";
    case PCI_CAP_ID_VPD:
        return "vital product data";
    case PCI_CAP_ID_MSI:
        return "MSI";
    case PCI_CAP_ID_VNDR:
        return "vendor specific";
    case PCI_CAP_ID_EXP:
        return "PCI Express";
    case PCI_CAP_ID_MSIX:
        return "MSI-X";
    case PCI_CAP_ID_AF:
        return "advanced features";
    default:
        return "?";
    }
}

const char *device_facts_region_name(unsigned int index)
{
    static const char *const names[] = {"BAR0", "BAR1", "BAR2", "BAR3", "BAR4", "BAR5", "ROM", "config", "VGA"};

    return index < sizeof(names) / sizeof(names[0]) ? names[index] : "device-specific";
}

const char *device_facts_irq_name(unsigned int index)
{
    static const char *const names[] = {"INTx", "MSI", "MSI-X", "error", "request"};

    return index < sizeof(names) / sizeof(names[0]) ? names[index] : "device-specific";
}

static bool has_eventfd_interrupt(const struct device_facts *facts)
{
    for (unsigned int i = 0; i < facts->irq_count && i <= VFIO_PCI_MSIX_IRQ_INDEX; i++)
        if (facts->irqs[i].count && facts->irqs[i].flags & VFIO_IRQ_INFO_EVENTFD)
            return true;
    return false;
}

const char *device_facts_missing(const struct device_facts *facts, unsigned int number)
{
    const struct {
        bool missing;
        const char *words;
    } all[] = {
        {!(facts->info.flags & VFIO_DEVICE_FLAGS_PCI),
         "it is not a PCI device, and only those can be given to a guest"},
        {facts->capabilities_broken, "the list of its PCI capabilities is broken"},
        {!has_eventfd_interrupt(facts), "none of its interrupts can be signalled by an eventfd"},
        {!(facts->info.flags & VFIO_DEVICE_FLAGS_RESET), "it has no reset, so nothing leads out of the state ERROR"},
        {!facts->migration_flags,
         "it cannot be migrated: it has not the feature MIGRATION (with the kernel: bind it to its variant driver)"},
        {facts->migration_flags && !fsm_flags_defined(facts->migration_flags),
         "its migration flags are a set that linux/vfio.h does not define"},
        {facts->state_known && facts->state != VFIO_DEVICE_STATE_RUNNING,
         "it is not in RUNNING: set it to RUNNING, or reset it where it is in ERROR"},
        {facts->migration_flags && !(facts->migration_flags & VFIO_MIGRATION_P2P),
         "no P2P states: two or more devices cannot be migrated together where they can reach each other"},
        {facts->migration_flags && !(facts->migration_flags & VFIO_MIGRATION_PRE_COPY),
         "no PRE_COPY: all of its state is copied while the guest is paused"},
        {facts->migration_flags && !facts->data_size_known,
         "no MIG_DATA_SIZE: how long its state takes to copy cannot be estimated"},
        {facts->migration_flags && !facts->dma_logging,
         "no log of its DMA: without one of the IOMMU's, all memory that it can reach is copied while the guest is "
         "paused"},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i].missing && number-- == 0)
            return all[i].words;
    return NULL;
}
