/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/models/dma.h"

#include <endian.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "lib/deadline.h"

bool dma_may_transfer(const struct dma_device *dma)
{
    return !dma->dma_held && pci_config_bus_master(&dma->config);
}

void dma_arm_timer(struct dma_device *dma)
{
    uint64_t next = dma_queues_next_due(dma);

    if (dma->dirtier_next_ns && dma->dirtier_next_ns < next)
        next = dma->dirtier_next_ns;
    host_set_timer(dma->device.host, next == UINT64_MAX ? 0 : next);
}

void dma_reset_registers(struct dma_device *dma)
{
    uint8_t *control = dma->state->msix_table + PCI_MSIX_ENTRY_VECTOR_CTRL;

    memset(dma->state, 0, sizeof(*dma->state));
    for (unsigned int vector = 0; vector < dma->vectors; vector++)
        control[vector * DMA_MSIX_ENTRY_SIZE] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
    dma_memory_clear(&dma->memory);
    dma_memory_clear(&dma->scratch);
    dma_window_clear(dma);
    dma_save_memory_cleared(dma);
    dma_interrupts_hold(dma);
    dma_arm_timer(dma);
}

static void reset(struct device *device)
{
    struct dma_device *dma = dma_device_of(device);

    dma_save_stop(dma);
    dma_load_stop(dma);
    pci_config_reset(&dma->config);
    dma_reset_registers(dma);
    dma_enter_state(dma, VFIO_DEVICE_STATE_RUNNING);
}

static void get_region(struct device *device, unsigned int index, struct device_region *region)
{
    const struct dma_device *dma = dma_device_of(device);

    *region = (struct device_region){.mmap_fd = -1};
    if (index == VFIO_PCI_BAR0_REGION_INDEX + DMA_BAR_REGISTERS)
        region->size = DMA_BAR_REGISTERS_SIZE;
    else if (index == VFIO_PCI_BAR0_REGION_INDEX + DMA_BAR_WINDOW)
        region->size = dma->window_size;
    else if (index == VFIO_PCI_BAR0_REGION_INDEX + DMA_BAR_MSIX)
        region->size = DMA_BAR_MSIX_SIZE;
    else if (index == VFIO_PCI_CONFIG_REGION_INDEX)
        region->size = PCI_CONFIG_SIZE;
    if (!region->size)
        return;
    region->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
    if (index == VFIO_PCI_BAR0_REGION_INDEX + DMA_BAR_WINDOW && !dma->window_trapped) {
        region->flags |= VFIO_REGION_INFO_FLAG_MMAP;
        region->mmap_fd = dma->window_fd;
    }
}

static unsigned int msi_count(const struct dma_device *dma)
{
    unsigned int count = 1;

    while (count * 2 <= dma->vectors && count < DMA_MSI_COUNT_MAX)
        count *= 2;
    return count;
}

static void get_irq(struct device *device, unsigned int index, struct device_irq *irq)
{
    const struct dma_device *dma = dma_device_of(device);

    *irq = (struct device_irq){.count = 0};
    if (index == VFIO_PCI_INTX_IRQ_INDEX)
        *irq = (struct device_irq){1, VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED};
    else if (index == VFIO_PCI_MSI_IRQ_INDEX)
        *irq = (struct device_irq){msi_count(dma), VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE};
    else if (index == VFIO_PCI_MSIX_IRQ_INDEX)
        *irq = (struct device_irq){dma->vectors, VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE};
    else if (index == VFIO_PCI_ERR_IRQ_INDEX || index == VFIO_PCI_REQ_IRQ_INDEX)
        *irq = (struct device_irq){1, VFIO_IRQ_INFO_EVENTFD};
}

static uint32_t status_register(const struct dma_device *dma)
{
    for (unsigned int queue = 0; queue < dma->queues; queue++)
        if (dma->state->queue[queue].error)
            return DMA_STATUS_QUEUE_ERROR;
    return 0;
}

static uint32_t register_read(const struct dma_device *dma, uint32_t offset)
{
    if (offset >= DMA_REG_QUEUE(0) && offset < DMA_REG_QUEUE(dma->queues))
        return dma_queue_register_read(dma, (offset - DMA_REG_QUEUE(0)) / 0x40, (offset - DMA_REG_QUEUE(0)) % 0x40);
    switch (offset) {
    case DMA_REG_MAGIC:
        return DMA_MAGIC;
    case DMA_REG_VERSION:
        return DMA_VERSION;
    case DMA_REG_QUEUES:
        return dma->queues;
    case DMA_REG_VECTORS:
        return dma->vectors;
    case DMA_REG_MEMORY_SIZE_LOW:
        return (uint32_t)dma->memory.size;
    case DMA_REG_MEMORY_SIZE_HIGH:
        return (uint32_t)(dma->memory.size >> 32);
    case DMA_REG_WINDOW_SIZE:
        return (uint32_t)dma->window_size;
    case DMA_REG_STATUS:
        return status_register(dma);
    case DMA_REG_ACKNOWLEDGE_ERRORS:
        return dma->state->acknowledge_errors;
    case DMA_REG_SCRATCH:
        return dma->state->scratch;
    default:
        return 0;
    }
}

static void register_write(struct dma_device *dma, uint32_t offset, uint32_t value)
{
    if (offset >= DMA_PAGE_ACKNOWLEDGE) {
        if ((offset - DMA_PAGE_ACKNOWLEDGE) / 4 < dma->vectors)
            dma_interrupt_acknowledge(dma, (offset - DMA_PAGE_ACKNOWLEDGE) / 4, value);
    } else if (offset >= DMA_PAGE_DOORBELLS) {
        if ((offset - DMA_PAGE_DOORBELLS) / 4 < dma->queues)
            dma_queue_work(dma, (offset - DMA_PAGE_DOORBELLS) / 4);
    } else if (offset >= DMA_REG_QUEUE(0) && offset < DMA_REG_QUEUE(dma->queues)) {
        dma_queue_register_write(dma, (offset - DMA_REG_QUEUE(0)) / 0x40, (offset - DMA_REG_QUEUE(0)) % 0x40, value);
    } else if (offset == DMA_REG_CONTROL && value & DMA_CONTROL_RESET) {
        dma_reset_registers(dma);
    } else if (offset == DMA_REG_SCRATCH) {
        dma->state->scratch = value;
    }
}

/* Reads have no effects, so any width will do. */
static void registers_read(const struct dma_device *dma, uint64_t offset, uint8_t *data, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t at = offset + i;

        data[i] = (uint8_t)(register_read(dma, (uint32_t)at & ~3u) >> 8 * (at & 3));
    }
}

static int registers_write(struct dma_device *dma, uint64_t offset, const uint8_t *data, size_t count)
{
    if (offset % 4 || count % 4)
        return EINVAL;
    /* The stream may be past what would change here, or bring it anew: nothing of the guest's belongs here now. */
    if (dma->migration_state == VFIO_DEVICE_STATE_STOP_COPY || dma->migration_state == VFIO_DEVICE_STATE_RESUMING)
        return 0;
    for (size_t i = 0; i < count; i += 4) {
        uint32_t value;

        memcpy(&value, data + i, sizeof(value));
        register_write(dma, (uint32_t)(offset + i), le32toh(value));
    }
    return 0;
}

static void config_write(struct dma_device *dma, uint64_t offset, const void *data, size_t count)
{
    bool could = dma_may_transfer(dma);

    if (pci_config_write(&dma->config, offset, data, count)) {
        reset(&dma->device);
        host_was_reset(dma->device.host);
        return;
    }
    dma_interrupts_hold(dma); /* INTx may have been disabled or enabled */
    if (could || !dma_may_transfer(dma))
        return;
    dma_interrupts_retry(dma);
    for (unsigned int queue = 0; queue < dma->queues; queue++)
        dma_queue_work(dma, queue);
}

static int region_read(struct device *device, unsigned int index, uint64_t offset, void *data, size_t count)
{
    struct dma_device *dma = dma_device_of(device);

    if (index == VFIO_PCI_CONFIG_REGION_INDEX)
        pci_config_read(&dma->config, offset, data, count);
    else if (index == VFIO_PCI_BAR0_REGION_INDEX + DMA_BAR_REGISTERS)
        registers_read(dma, offset, data, count);
    else if (index == VFIO_PCI_BAR0_REGION_INDEX + DMA_BAR_MSIX)
        dma_msix_read(dma, offset, data, count);
    else if (index == VFIO_PCI_BAR0_REGION_INDEX + DMA_BAR_WINDOW)
        memcpy(data, dma->window + offset, count);
    else
        return EINVAL;
    return 0;
}

static int region_write(struct device *device, unsigned int index, uint64_t offset, const void *data, size_t count)
{
    struct dma_device *dma = dma_device_of(device);
    int failed = 0;

    if (index == VFIO_PCI_CONFIG_REGION_INDEX)
        config_write(dma, offset, data, count);
    else if (index == VFIO_PCI_BAR0_REGION_INDEX + DMA_BAR_REGISTERS)
        failed = registers_write(dma, offset, data, count);
    else if (index == VFIO_PCI_BAR0_REGION_INDEX + DMA_BAR_MSIX)
        dma_msix_write(dma, offset, data, count);
    else if (index == VFIO_PCI_BAR0_REGION_INDEX + DMA_BAR_WINDOW)
        memcpy(dma->window + offset, data, count);
    else
        return EINVAL;
    dma_arm_timer(dma);
    return failed;
}

static size_t get_doorbells(struct device *device, struct device_doorbell *doorbells, size_t maximum)
{
    const struct dma_device *dma = dma_device_of(device);
    size_t count = dma->queues < maximum ? dma->queues : maximum;

    for (size_t i = 0; i < count; i++)
        doorbells[i] =
            (struct device_doorbell){VFIO_PCI_BAR0_REGION_INDEX + DMA_BAR_REGISTERS, DMA_PAGE_DOORBELLS + 4 * i, 4};
    return count;
}

static void doorbell(struct device *device, size_t number)
{
    struct dma_device *dma = dma_device_of(device);

    if (number < dma->queues)
        dma_queue_work(dma, (unsigned int)number);
    dma_arm_timer(dma);
}

static void timer(struct device *device)
{
    struct dma_device *dma = dma_device_of(device);

    dma_queues_work(dma);
    dma_dirtier_work(dma, clock_now_ns());
    dma_arm_timer(dma);
}

static void irqs_changed(struct device *device)
{
    struct dma_device *dma = dma_device_of(device);

    dma_interrupts_retry(dma);
    dma_interrupts_hold(dma);
}

static uint64_t migration_flags(struct device *device)
{
    return dma_device_of(device)->migration_flags;
}

static uint8_t *memory(struct device *device, uint64_t *size)
{
    struct dma_device *dma = dma_device_of(device);

    *size = dma->memory.size;
    return dma->memory.base;
}

static void destroy(struct device *device)
{
    struct dma_device *dma = dma_device_of(device);

    dma_save_stop(dma);
    dma_load_stop(dma);
    dma_window_destroy(dma);
    dma_memory_destroy(&dma->memory);
    dma_memory_destroy(&dma->scratch);
    free(dma->state);
    free(dma->bounce);
    free(dma);
}

static const struct device_ops dma_ops = {
    .destroy = destroy,
    .reset = reset,
    .get_region = get_region,
    .get_irq = get_irq,
    .region_read = region_read,
    .region_write = region_write,
    .get_doorbells = get_doorbells,
    .doorbell = doorbell,
    .timer = timer,
    .irqs_changed = irqs_changed,
    .migration_flags = migration_flags,
    .arc = dma_arc,
    .data_read = dma_data_read,
    .data_write = dma_data_write,
    .data_size = dma_data_size,
    .precopy_info = dma_precopy_info,
    .memory = memory,
};

static int check_options(const struct device_options *options, struct error *error)
{
    if (options->queues < 1 || options->queues > DMA_QUEUES_MAX)
        return error_set(error, EINVAL, "queues: a dma device has 1 to %u", DMA_QUEUES_MAX);
    if (options->vectors > DMA_VECTORS_MAX)
        return error_set(error, EINVAL, "vectors: a dma device has 1 to %u", DMA_VECTORS_MAX);
    if (options->memory_size > DMA_MEMORY_SIZE_MAX || options->memory_size % DMA_MEMORY_PAGE)
        return error_set(error, EINVAL, "memory: a dma device has 0 to 16G, a multiple of 4096");
    if (options->window_size && (options->window_size < 4096 || options->window_size > DMA_WINDOW_SIZE_MAX ||
                                 options->window_size & (options->window_size - 1)))
        return error_set(error, EINVAL, "window: a dma device has none (0), or 4K to 64M, a power of two");
    if (options->latency_ns > DMA_LATENCY_MAX_NS)
        return error_set(error, EINVAL, "latency: a dma device takes up to 10min");
    return 0;
}

static void make_config(struct dma_device *dma)
{
    const struct pci_identity identity = {
        .vendor = DMA_DEVICE_VENDOR_ID,
        .device = DMA_DEVICE_DEVICE_ID,
        .revision = DMA_DEVICE_REVISION,
        .class_code = DMA_DEVICE_CLASS,
        .intx = true,
    };

    pci_config_init(&dma->config, &identity);
    pci_config_add_bar(&dma->config, DMA_BAR_REGISTERS, DMA_BAR_REGISTERS_SIZE, false);
    if (dma->window_size)
        pci_config_add_bar(&dma->config, DMA_BAR_WINDOW, dma->window_size, true);
    pci_config_add_bar(&dma->config, DMA_BAR_MSIX, DMA_BAR_MSIX_SIZE, false);
    pci_config_add_express(&dma->config);
    pci_config_add_msix(&dma->config, dma->vectors, DMA_BAR_MSIX, DMA_MSIX_TABLE_OFFSET, DMA_BAR_MSIX,
                        DMA_MSIX_PBA_OFFSET);
    pci_config_add_msi(&dma->config, msi_count(dma));
    pci_config_finish(&dma->config);
}

static struct device *create(const struct device_options *options, struct device_host *host, struct error *error)
{
    struct dma_device *dma;
    uint64_t scratch = options->memory_size > DMA_SCRATCH_SIZE_MIN ? options->memory_size : DMA_SCRATCH_SIZE_MIN;

    if (check_options(options, error) < 0)
        return NULL;
    dma = calloc(1, sizeof(*dma));
    if (!dma) {
        error_set(error, ENOMEM, "a dma device");
        return NULL;
    }
    dma->device = (struct device){.ops = &dma_ops, .host = host};
    dma->queues = (uint32_t)options->queues;
    dma->vectors = (uint32_t)(options->vectors ? options->vectors : options->queues);
    dma->latency_ns = options->latency_ns;
    dma->migration_flags = options->migration_flags;
    dma->dirty_rate = options->dirty_rate;
    dma->window_fd = -1;
    dma->state = calloc(1, sizeof(*dma->state));
    dma->bounce = malloc(DMA_OPERATION_LENGTH_MAX);
    if (!dma->state || !dma->bounce) {
        error_set(error, ENOMEM, "a dma device");
        goto failed;
    }
    if (dma_memory_create(&dma->memory, options->memory_size, error) < 0 ||
        dma_memory_create(&dma->scratch, scratch, error) < 0 ||
        dma_window_create(dma, options->window_size, options->window_trapped, error) < 0)
        goto failed;
    make_config(dma);
    reset(&dma->device);
    return &dma->device;

failed:
    destroy(&dma->device);
    return NULL;
}

const struct device_model dma_model = {
    .name = "dma",
    .description = "a DMA engine: copies, fills, checksums, and stores into internal memory",
    .options = "queues, vectors, memory, window, latency, features, dirty-rate",
    .create = create,
};
