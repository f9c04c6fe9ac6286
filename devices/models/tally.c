/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The example of docs/writing-a-device.md: a device that adds up what is written to it, and interrupts once when the
 * tally has reached a threshold. Registers are 64 bits, little endian as all hosts of ours, and are written whole.
 */
#include <errno.h>
#include <string.h>

#include "devices/models/small.h"

/* BAR0, as it reads. */
struct tally_bar {
    uint64_t add;       /* a write adds to the tally, which stays at its maximum; reads as 0 */
    uint64_t tally;     /* read only */
    uint64_t threshold; /* a write starts over: vector 0 is raised once when the tally is not below it; 0: never */
    uint64_t count;     /* of writes to add; read only */
    uint8_t msix_table[16];
    uint64_t msix_pending;
    uint64_t reserved;
};

struct tally_device {
    struct small_device small; /* first */
    struct tally_bar bar;
};

static struct tally_bar *bar_of(struct device *device)
{
    return &((struct tally_device *)device)->bar;
}

/* What may not go out now, or finds no trigger, stays pending: it goes out later, perhaps in another process. */
static void irqs_changed(struct device *device)
{
    struct tally_bar *bar = bar_of(device);

    if (bar->msix_pending && small_may_interrupt(device))
        bar->msix_pending = !host_irq_raise(device->host, VFIO_PCI_MSIX_IRQ_INDEX, 0);
}

static void add(struct tally_bar *bar, uint64_t value)
{
    bool below = bar->tally < bar->threshold;

    if (__builtin_add_overflow(bar->tally, value, &bar->tally))
        bar->tally = UINT64_MAX;
    if (bar->count < UINT64_MAX)
        bar->count++;
    if (below && bar->tally >= bar->threshold)
        bar->msix_pending = 1;
}

static int region_read(struct device *device, unsigned int index, uint64_t offset, void *data, size_t count)
{
    if (index != VFIO_PCI_BAR0_REGION_INDEX)
        return small_region_read(device, index, offset, data, count);
    memcpy(data, (const uint8_t *)bar_of(device) + offset, count);
    return 0;
}

static int region_write(struct device *device, unsigned int index, uint64_t offset, const void *data, size_t count)
{
    struct tally_bar *bar = bar_of(device);
    uint64_t table = offset - offsetof(struct tally_bar, msix_table), value;

    if (index != VFIO_PCI_BAR0_REGION_INDEX)
        return small_region_write(device, index, offset, data, count);
    if (!small_takes_writes(device))
        return 0;
    if (table < sizeof(bar->msix_table) && count <= sizeof(bar->msix_table) - table) {
        memcpy(bar->msix_table + table, data, count);
        return 0;
    }
    if (count != sizeof(value) || offset % sizeof(value))
        return EINVAL;
    memcpy(&value, data, sizeof(value));
    if (offset == offsetof(struct tally_bar, add))
        add(bar, value);
    else if (offset == offsetof(struct tally_bar, threshold)) {
        bar->threshold = value;
        bar->msix_pending = value && bar->tally >= value;
    }
    irqs_changed(device);
    return 0;
}

static void reset(struct device *device)
{
    small_reset(device);
    *bar_of(device) = (struct tally_bar){.msix_table[12] = 1}; /* masked */
}

static void put(struct device *device, struct buffer *record)
{
    const struct tally_bar *bar = bar_of(device);

    buffer_put_u64(record, bar->tally);
    buffer_put_u64(record, bar->threshold);
    buffer_put_u64(record, bar->count);
    buffer_put_u64(record, bar->msix_pending);
    buffer_put(record, bar->msix_table, sizeof(bar->msix_table));
}

/* The checksum was right, which says that nothing was changed on the way, not that there can be such a device. */
static int take(struct device *device, struct cursor *record)
{
    struct tally_bar *bar = bar_of(device);

    bar->tally = cursor_get_u64(record);
    bar->threshold = cursor_get_u64(record);
    bar->count = cursor_get_u64(record);
    bar->msix_pending = cursor_get_u64(record);
    cursor_get(record, bar->msix_table, sizeof(bar->msix_table));
    if (bar->tally && !bar->count)
        return EINVAL;
    if (bar->msix_pending > 1 || (bar->msix_pending && (!bar->threshold || bar->tally < bar->threshold)))
        return EINVAL;
    return 0;
}

static const struct device_ops ops = {
    SMALL_DEVICE_OPS,
    .reset = reset,
    .region_read = region_read,
    .region_write = region_write,
    .irqs_changed = irqs_changed,
};

static struct device *create(const struct device_options *options, struct device_host *host, struct error *error)
{
    static const struct small_kind kind = {
        .name = "tally",
        .size = sizeof(struct tally_device),
        .ops = &ops,
        .identity = {.vendor = 0x5343, .device = 0x0002, .revision = 1, .class_code = 0x088000},
        .bar_size = sizeof(struct tally_bar), /* 64 */
        .vectors = 1,
        .msix_table = offsetof(struct tally_bar, msix_table),
        .msix_pending = offsetof(struct tally_bar, msix_pending),
        .stream_model = 0x594c4154, /* "TALY" */
        .put = put,
        .take = take,
    };

    return small_create(&kind, options, host, error);
}

const struct device_model tally_model = {"tally", "an example: a sum with a threshold, by one MSI-X vector",
                                         "features (without pre-copy)", create};
