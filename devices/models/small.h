/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a small device need not write itself: a PCI function of one BAR with its MSI-X vectors in it, whose whole state
 * is one record of the stream (devices/stream.h), sent in STOP_COPY; it has no DMA, no timer and no PRE_COPY. A model
 * begins with a struct small_device, fills in a struct small_kind, and lists SMALL_DEVICE_OPS in its device_ops with
 * its own operations behind it. docs/writing-a-device.md.
 */
#ifndef STOPCOPY_DEVICES_MODELS_SMALL_H
#define STOPCOPY_DEVICES_MODELS_SMALL_H

#include "devices/model.h"
#include "devices/pci/config.h"
#include "devices/stream.h"

#define SMALL_SECTION_RECORD 1u

struct small_kind {
    const char *name;
    size_t size; /* of the model's own structure */
    /* SMALL_DEVICE_OPS, reset, region_read, region_write for BAR0, and irqs_changed, which raises what is pending. It is
     * called on entering a state, too. */
    const struct device_ops *ops;
    struct pci_identity identity;
    uint32_t bar_size; /* a power of two, at least 16 */
    uint32_t vectors;
    uint32_t msix_table; /* where in BAR0 */
    uint32_t msix_pending;
    uint32_t stream_model; /* which model a stream is of */
    /* Adds the device's own part of the record. */
    void (*put)(struct device *device, struct buffer *record);
    /* Takes it over from a stream of the same model. Returns 0, or EINVAL for what no such device could be in. Bytes that
     * are missing or left over are refused by the caller, and what was taken is then reset. */
    int (*take)(struct device *device, struct cursor *record);
};

struct small_device {
    struct device device; /* first */
    const struct small_kind *kind;
    struct pci_config config;
    uint64_t migration_flags;
    unsigned int migration_state;
    struct stream_writer writer;
    struct stream_reader reader;
    struct buffer record; /* that came, to be taken over on leaving RESUMING */
};

/* A device at its power-on state, kind->size large. NULL with error. */
struct device *small_create(const struct small_kind *kind, const struct device_options *options,
                            struct device_host *host, struct error *error);
/* Do the registers take writes? In RUNNING, and in RUNNING_P2P, where peers may still write. */
bool small_takes_writes(struct device *device);
/* May interrupts go out? In RUNNING, with bus mastering. */
bool small_may_interrupt(struct device *device);

/* Of struct device_ops. reset: configuration space and RUNNING; region_*: configuration space, EINVAL for others. */
void small_destroy(struct device *device);
void small_reset(struct device *device);
void small_get_region(struct device *device, unsigned int index, struct device_region *region);
void small_get_irq(struct device *device, unsigned int index, struct device_irq *irq);
int small_region_read(struct device *device, unsigned int index, uint64_t offset, void *data, size_t count);
int small_region_write(struct device *device, unsigned int index, uint64_t offset, const void *data, size_t count);
size_t small_get_doorbells(struct device *device, struct device_doorbell *doorbells, size_t maximum);
void small_doorbell(struct device *device, size_t number);
void small_timer(struct device *device);
uint64_t small_migration_flags(struct device *device);
int small_arc(struct device *device, unsigned int from, unsigned int to);
enum device_data small_data_read(struct device *device, void *data, size_t size, size_t *count);
int small_data_write(struct device *device, const void *data, size_t size);
uint64_t small_data_size(struct device *device);
int small_precopy_info(struct device *device, bool version2, struct vfio_precopy_info *info);
uint8_t *small_memory(struct device *device, uint64_t *size);

/* All that a small model's device_ops need not name. */
#define SMALL_DEVICE_OPS                                                                                               \
    .destroy = small_destroy, .get_region = small_get_region, .get_irq = small_get_irq,                                \
    .get_doorbells = small_get_doorbells, .doorbell = small_doorbell, .timer = small_timer,                            \
    .migration_flags = small_migration_flags, .arc = small_arc, .data_read = small_data_read,                          \
    .data_write = small_data_write, .data_size = small_data_size, .precopy_info = small_precopy_info,                  \
    .memory = small_memory

extern const struct device_model tally_model;

#endif
