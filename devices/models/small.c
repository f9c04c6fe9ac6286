/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/models/small.h"

#include <errno.h>
#include <stdlib.h>

static struct small_device *small_of(struct device *device)
{
    return (struct small_device *)device;
}

bool small_takes_writes(struct device *device)
{
    unsigned int state = small_of(device)->migration_state;

    return state == VFIO_DEVICE_STATE_RUNNING || state == VFIO_DEVICE_STATE_RUNNING_P2P;
}

bool small_may_interrupt(struct device *device)
{
    return small_of(device)->migration_state == VFIO_DEVICE_STATE_RUNNING &&
           pci_config_bus_master(&small_of(device)->config);
}

void small_get_region(struct device *device, unsigned int index, struct device_region *region)
{
    *region = (struct device_region){.mmap_fd = -1};
    if (index == VFIO_PCI_BAR0_REGION_INDEX)
        region->size = small_of(device)->kind->bar_size;
    else if (index == VFIO_PCI_CONFIG_REGION_INDEX)
        region->size = PCI_CONFIG_SIZE;
    if (region->size)
        region->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
}

void small_get_irq(struct device *device, unsigned int index, struct device_irq *irq)
{
    *irq = (struct device_irq){.count = 0};
    if (index == VFIO_PCI_MSIX_IRQ_INDEX)
        *irq = (struct device_irq){small_of(device)->kind->vectors, VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE};
}

int small_region_read(struct device *device, unsigned int index, uint64_t offset, void *data, size_t count)
{
    if (index != VFIO_PCI_CONFIG_REGION_INDEX)
        return EINVAL;
    pci_config_read(&small_of(device)->config, offset, data, count);
    return 0;
}

int small_region_write(struct device *device, unsigned int index, uint64_t offset, const void *data, size_t count)
{
    if (index != VFIO_PCI_CONFIG_REGION_INDEX)
        return EINVAL;
    pci_config_write(&small_of(device)->config, offset, data, count);
    /* Bus mastering may be on now. */
    device->ops->irqs_changed(device);
    return 0;
}

size_t small_get_doorbells(struct device *device, struct device_doorbell *doorbells, size_t maximum)
{
    (void)device, (void)doorbells, (void)maximum;
    return 0;
}

void small_doorbell(struct device *device, size_t number)
{
    (void)device, (void)number;
}

void small_timer(struct device *device)
{
    (void)device;
}

/* What the model has of its own, for the faults that change what a device keeps. */
uint8_t *small_memory(struct device *device, uint64_t *size)
{
    *size = small_of(device)->kind->size - sizeof(struct small_device);
    return (uint8_t *)device + sizeof(struct small_device);
}

uint64_t small_migration_flags(struct device *device)
{
    return small_of(device)->migration_flags;
}

int small_precopy_info(struct device *device, bool version2, struct vfio_precopy_info *info)
{
    (void)device, (void)version2, (void)info;
    return EINVAL;
}

/* The whole stream: the record says of what it is, then configuration space and the model's own part. */
static void write_stream(struct small_device *small, struct stream_writer *writer)
{
    stream_writer_start(writer);
    stream_section_begin(writer, SMALL_SECTION_RECORD);
    buffer_put_u32(&writer->out, small->kind->stream_model);
    buffer_put_u32(&writer->out, 0);
    buffer_put_u64(&writer->out, small->migration_flags);
    buffer_put(&writer->out, small->config.data, PCI_CONFIG_SIZE);
    small->kind->put(&small->device, &writer->out);
    stream_section_finish(writer);
    stream_writer_end(writer);
}

static void drop_stream(struct small_device *small)
{
    stream_writer_free(&small->writer);
    stream_reader_free(&small->reader);
    buffer_free(&small->record);
    small->writer = (struct stream_writer){.taken = 0};
}

uint64_t small_data_size(struct device *device)
{
    struct small_device *small = small_of(device);
    struct stream_writer writer = {.taken = 0};
    uint64_t bytes;

    if (small->migration_state == VFIO_DEVICE_STATE_STOP_COPY)
        return stream_writer_pending(&small->writer);
    write_stream(small, &writer);
    bytes = writer.written;
    stream_writer_free(&writer);
    return bytes;
}

enum device_data small_data_read(struct device *device, void *data, size_t size, size_t *count)
{
    *count = stream_writer_take(&small_of(device)->writer, data, size);
    return *count == size ? DEVICE_DATA : DEVICE_DATA_END;
}

int small_data_write(struct device *device, const void *data, size_t size)
{
    return stream_reader_feed(&small_of(device)->reader, data, size);
}

/* The only section. It is put aside until all of the stream is known to be right. */
static int take_section(void *context, uint32_t type, struct cursor *payload)
{
    struct small_device *small = context;
    bool same = cursor_get_u32(payload) == small->kind->stream_model;

    same = cursor_get_u32(payload) == 0 && same;
    same = cursor_get_u64(payload) == small->migration_flags && same;
    if (type != SMALL_SECTION_RECORD || small->record.size || !same || payload->left < PCI_CONFIG_SIZE)
        return EINVAL;
    buffer_put(&small->record, payload->data, payload->left);
    return small->record.failed ? ENOMEM : 0;
}

static void start_load(struct small_device *small)
{
    drop_stream(small);
    small->device.ops->reset(&small->device);
    stream_reader_start(&small->reader, take_section, small);
}

/* Takes over what came. Refused for good, it leaves the device at its power-on state. */
static int finish_load(struct small_device *small)
{
    struct cursor record = cursor_over(small->record.data, small->record.size);
    const uint8_t *config = cursor_take(&record, PCI_CONFIG_SIZE);

    if (stream_reader_complete(&small->reader) && config && pci_config_load(&small->config, config) &&
        !small->kind->take(&small->device, &record) && cursor_at_end(&record))
        return 0;
    small->device.ops->reset(&small->device);
    small->migration_state = VFIO_DEVICE_STATE_RESUMING;
    small->reader.refused = EINVAL;
    return EINVAL;
}

int small_arc(struct device *device, unsigned int from, unsigned int to)
{
    struct small_device *small = small_of(device);
    int failed = from == VFIO_DEVICE_STATE_RESUMING ? finish_load(small) : 0;

    if (failed)
        return failed;
    if (to == VFIO_DEVICE_STATE_RESUMING)
        start_load(small);
    else
        drop_stream(small);
    if (to == VFIO_DEVICE_STATE_STOP_COPY)
        write_stream(small, &small->writer);
    if (small->writer.out.failed) {
        drop_stream(small);
        return ENOMEM;
    }
    small->migration_state = to;
    device->ops->irqs_changed(device);
    return 0;
}

void small_reset(struct device *device)
{
    pci_config_reset(&small_of(device)->config);
    small_of(device)->migration_state = VFIO_DEVICE_STATE_RUNNING;
}

void small_destroy(struct device *device)
{
    drop_stream(small_of(device));
    free(device);
}

struct device *small_create(const struct small_kind *kind, const struct device_options *options,
                            struct device_host *host, struct error *error)
{
    struct small_device *small;

    if (options->migration_flags & VFIO_MIGRATION_PRE_COPY) {
        error_set(error, EINVAL, "features: a %s device has no pre-copy", kind->name);
        return NULL;
    }
    small = calloc(1, kind->size);
    if (!small) {
        error_set(error, ENOMEM, "a %s device", kind->name);
        return NULL;
    }
    small->device = (struct device){.ops = kind->ops, .host = host};
    small->kind = kind;
    small->migration_flags = options->migration_flags;
    pci_config_init(&small->config, &kind->identity);
    pci_config_add_bar(&small->config, 0, kind->bar_size, false);
    pci_config_add_msix(&small->config, kind->vectors, 0, kind->msix_table, 0, kind->msix_pending);
    pci_config_finish(&small->config);
    kind->ops->reset(&small->device);
    return &small->device;
}
