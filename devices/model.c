/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/model.h"

#include <string.h>

#include "devices/models/dma.h"
#include "devices/models/small.h"
#include "devices/models/uart.h"

const struct device_model *const device_models[] = {&dma_model, &tally_model, &uart_model, NULL};

const struct device_model *device_model_find(const char *name)
{
    for (const struct device_model *const *model = device_models; *model; model++)
        if (!strcmp((*model)->name, name))
            return *model;
    return NULL;
}

void device_options_defaults(struct device_options *options)
{
    *options = (struct device_options){
        .model = "dma",
        .queues = 2,
        .memory_size = 16u << 20,
        .window_size = 64u << 10,
        .latency_ns = 20000,
        .migration_flags = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P,
    };
}

struct device *device_push(struct device *device, struct device_layer *layer)
{
    layer->device.next = device;
    layer->device.host = device->host;
    layer->host.owner = &layer->device;
    device->host = &layer->host;
    return &layer->device;
}

/* The first layer at or below device that has the operation. */
#define FIND_DOWN(device, operation)                                                                                   \
    do {                                                                                                               \
        while (!(device)->ops->operation)                                                                              \
            (device) = (device)->next;                                                                                 \
    } while (0)

/* The first face at or above host that has the operation. */
#define FIND_UP(host, operation)                                                                                       \
    do {                                                                                                               \
        while (!(host)->ops->operation)                                                                                \
            (host) = (host)->owner->host;                                                                              \
    } while (0)

void device_destroy(struct device *device)
{
    while (device) {
        struct device *next = device->next;

        device->ops->destroy(device);
        device = next;
    }
}

void device_reset(struct device *device)
{
    FIND_DOWN(device, reset);
    device->ops->reset(device);
}

void device_get_region(struct device *device, unsigned int index, struct device_region *region)
{
    FIND_DOWN(device, get_region);
    device->ops->get_region(device, index, region);
}

void device_get_irq(struct device *device, unsigned int index, struct device_irq *irq)
{
    FIND_DOWN(device, get_irq);
    device->ops->get_irq(device, index, irq);
}

int device_region_read(struct device *device, unsigned int index, uint64_t offset, void *data, size_t count)
{
    FIND_DOWN(device, region_read);
    return device->ops->region_read(device, index, offset, data, count);
}

int device_region_write(struct device *device, unsigned int index, uint64_t offset, const void *data, size_t count)
{
    FIND_DOWN(device, region_write);
    return device->ops->region_write(device, index, offset, data, count);
}

size_t device_get_doorbells(struct device *device, struct device_doorbell *doorbells, size_t maximum)
{
    FIND_DOWN(device, get_doorbells);
    return device->ops->get_doorbells(device, doorbells, maximum);
}

void device_doorbell(struct device *device, size_t number)
{
    FIND_DOWN(device, doorbell);
    device->ops->doorbell(device, number);
}

void device_timer(struct device *device)
{
    FIND_DOWN(device, timer);
    device->ops->timer(device);
}

void device_irqs_changed(struct device *device)
{
    FIND_DOWN(device, irqs_changed);
    device->ops->irqs_changed(device);
}

uint64_t device_migration_flags(struct device *device)
{
    FIND_DOWN(device, migration_flags);
    return device->ops->migration_flags(device);
}

int device_arc(struct device *device, unsigned int from, unsigned int to)
{
    FIND_DOWN(device, arc);
    return device->ops->arc(device, from, to);
}

enum device_data device_data_read(struct device *device, void *data, size_t size, size_t *count)
{
    FIND_DOWN(device, data_read);
    return device->ops->data_read(device, data, size, count);
}

int device_data_write(struct device *device, const void *data, size_t size)
{
    FIND_DOWN(device, data_write);
    return device->ops->data_write(device, data, size);
}

uint64_t device_data_size(struct device *device)
{
    FIND_DOWN(device, data_size);
    return device->ops->data_size(device);
}

int device_precopy_info(struct device *device, bool version2, struct vfio_precopy_info *info)
{
    FIND_DOWN(device, precopy_info);
    return device->ops->precopy_info(device, version2, info);
}

uint8_t *device_memory(struct device *device, uint64_t *size)
{
    FIND_DOWN(device, memory);
    return device->ops->memory(device, size);
}

int device_command(struct device *device, struct device_command *command)
{
    while (device && !device->ops->command)
        device = device->next;
    return device ? device->ops->command(device, command) : command->answer(command);
}

int host_dma_read(struct device_host *host, enum device_dma_purpose purpose, uint64_t iova, void *data, size_t size)
{
    FIND_UP(host, dma_read);
    return host->ops->dma_read(host, purpose, iova, data, size);
}

int host_dma_write(struct device_host *host, enum device_dma_purpose purpose, uint64_t iova, const void *data,
                   size_t size)
{
    FIND_UP(host, dma_write);
    return host->ops->dma_write(host, purpose, iova, data, size);
}

bool host_dma_reaches_peer(struct device_host *host, uint64_t iova, uint64_t size)
{
    FIND_UP(host, dma_reaches_peer);
    return host->ops->dma_reaches_peer(host, iova, size);
}

unsigned int host_irq_count(struct device_host *host, unsigned int index)
{
    FIND_UP(host, irq_count);
    return host->ops->irq_count(host, index);
}

bool host_irq_raise(struct device_host *host, unsigned int index, unsigned int vector)
{
    FIND_UP(host, irq_raise);
    return host->ops->irq_raise(host, index, vector);
}

void host_irq_level(struct device_host *host, bool asserted)
{
    FIND_UP(host, irq_level);
    host->ops->irq_level(host, asserted);
}

void host_set_timer(struct device_host *host, uint64_t at_ns)
{
    FIND_UP(host, set_timer);
    host->ops->set_timer(host, at_ns);
}

void host_was_reset(struct device_host *host)
{
    FIND_UP(host, was_reset);
    host->ops->was_reset(host);
}

void host_state_changed(struct device_host *host, unsigned int state)
{
    FIND_UP(host, state_changed);
    host->ops->state_changed(host, state);
}
