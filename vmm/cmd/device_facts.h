/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All that can be asked of a device without changing it, for probe to print. */
#ifndef STOPCOPY_CMD_DEVICE_FACTS_H
#define STOPCOPY_CMD_DEVICE_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "vmm/vfio/vfio_device.h"

#define FACTS_CAPABILITIES_MAX 48
#define FACTS_IRQS_MAX 16
#define FACTS_CONFIG_SIZE 256

struct facts_capability {
    uint8_t id;
    uint8_t offset;
};

struct device_facts {
    struct vfio_device_info_summary info;

    /* Configuration space: 0 bytes where the device is not on PCI. */
    unsigned int config_size;
    uint8_t config[FACTS_CONFIG_SIZE];
    unsigned int capability_count;
    struct facts_capability capabilities[FACTS_CAPABILITIES_MAX];
    bool capabilities_broken; /* the list leaves configuration space, or has a loop */

    unsigned int region_count;
    struct vfio_region regions[VFIO_REGIONS_MAX];
    int doorbell_counts[VFIO_REGIONS_MAX];
    unsigned int irq_count;
    struct vfio_irq irqs[FACTS_IRQS_MAX];

    uint64_t migration_flags; /* VFIO_MIGRATION_*; 0: no migration */
    bool state_known;
    unsigned int state;
    bool data_size_known;
    uint64_t data_size;
    bool dma_logging;
};

/* Fails only where something that every device has cannot be read. */
int device_facts_collect(struct vfio_device *device, struct device_facts *facts, struct error *error);

/* Little-endian fields of configuration space. */
uint16_t device_facts_config16(const struct device_facts *facts, unsigned int offset);
uint32_t device_facts_config32(const struct device_facts *facts, unsigned int offset);

/* "MSI-X", "?" where there is no name. */
const char *device_facts_capability_name(uint8_t id);
const char *device_facts_region_name(unsigned int index);
const char *device_facts_irq_name(unsigned int index);

/* What is missing for migration, in words: the number-th thing, NULL after the last. */
const char *device_facts_missing(const struct device_facts *facts, unsigned int number);

#endif
