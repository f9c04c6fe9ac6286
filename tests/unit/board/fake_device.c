/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/board/fake_device.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "stopcopy/dma_device.h"

static struct fake_device *fake(struct vfio_device *vfio)
{
    return (struct fake_device *)vfio;
}

static int get_region(struct vfio_device *vfio, uint32_t index, struct vfio_region *region, struct error *error)
{
    if (index >= FAKE_REGIONS)
        return error_set(error, EINVAL, "no region %u", index);
    *region = fake(vfio)->region[index];
    return 0;
}

static int get_irq(struct vfio_device *vfio, uint32_t index, struct vfio_irq *irq, struct error *error)
{
    (void)error;
    memset(irq, 0, sizeof(*irq));
    if (index == VFIO_PCI_MSIX_IRQ_INDEX)
        *irq = fake(vfio)->msix;
    if (index == VFIO_PCI_MSI_IRQ_INDEX)
        *irq = fake(vfio)->msi;
    if (index == VFIO_PCI_INTX_IRQ_INDEX)
        *irq = fake(vfio)->intx;
    return 0;
}

static int get_doorbells(struct vfio_device *vfio, uint32_t region, struct vfio_doorbell *doorbells, size_t maximum,
                         struct error *error)
{
    (void)error;
    if (region != 0 || fake(vfio)->doorbell_count > maximum)
        return 0;
    memcpy(doorbells, fake(vfio)->doorbell, sizeof(fake(vfio)->doorbell));
    return (int)fake(vfio)->doorbell_count;
}

static int locate(struct fake_device *device, uint32_t region, uint64_t offset, size_t count, uint8_t **at,
                  struct error *error)
{
    static uint8_t nothing[16];

    if (device->fails && region != VFIO_PCI_CONFIG_REGION_INDEX)
        return error_set(error, EIO, "the device refuses");
    if (region >= FAKE_REGIONS || offset + count > device->region[region].size)
        return error_set(error, EINVAL, "outside of region %u", region);
    if (region == VFIO_PCI_CONFIG_REGION_INDEX)
        *at = device->config + offset;
    else if (region == 0)
        *at = device->registers + offset;
    else
        *at = nothing;
    return 0;
}

static int region_read(struct vfio_device *vfio, uint32_t region, uint64_t offset, void *data, size_t count,
                       struct error *error)
{
    uint8_t *at = NULL;

    if (locate(fake(vfio), region, offset, count, &at, error))
        return -1;
    memcpy(data, at, count);
    return 0;
}

static int region_write(struct vfio_device *vfio, uint32_t region, uint64_t offset, const void *data, size_t count,
                        struct error *error)
{
    uint8_t *at = NULL;

    if (locate(fake(vfio), region, offset, count, &at, error))
        return -1;
    memcpy(at, data, count);
    return 0;
}

static int set_intx(struct fake_device *device, uint32_t flags, uint32_t count, const void *data, struct error *error)
{
    if (!device->intx.count)
        return error_set(error, EINVAL, "no INTx");
    if (!count)
        device->intx_fd = device->unmask_fd = -1;
    else if (flags == (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER))
        memcpy(&device->intx_fd, data, sizeof(device->intx_fd));
    else if (flags == (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK) && !device->no_unmask_fd)
        memcpy(&device->unmask_fd, data, sizeof(device->unmask_fd));
    else if (flags == (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK))
        device->unmasks++;
    else
        return error_set(error, ENOTTY, "no such action");
    return 0;
}

static int set_irqs(struct vfio_device *vfio, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
                    const void *data, size_t data_size, struct error *error)
{
    struct fake_device *device = fake(vfio);

    if (index == VFIO_PCI_INTX_IRQ_INDEX)
        return set_intx(device, flags, count, data, error);
    if ((index != VFIO_PCI_MSIX_IRQ_INDEX || start + count > device->msix.count) &&
        (index != VFIO_PCI_MSI_IRQ_INDEX || start + count > device->msi.count))
        return error_set(error, EINVAL, "SET_IRQS of index %u, %u at %u", index, count, start);
    device->set_irqs_calls++;
    device->irq_flags = flags;
    device->irq_start = start;
    device->irq_count = count;
    if (count == 0)
        memset(device->trigger, 0xff, sizeof(device->trigger));
    else if (data_size != count * sizeof(int32_t))
        return error_set(error, EINVAL, "SET_IRQS with %zu bytes", data_size);
    else
        memcpy(device->trigger + start, data, data_size);
    return 0;
}

static int dma_map(struct vfio_device *vfio, uint64_t iova, uint64_t size, void *host, int fd, uint64_t offset,
                   bool writable, struct error *error)
{
    (void)iova;
    (void)size;
    (void)offset;
    if (!host || fd == -1 || !writable)
        return error_set(error, EINVAL, "a mapping of what?");
    fake(vfio)->dma_maps++;
    return 0;
}

static int dma_map_peer(struct vfio_device *vfio, uint64_t iova, uint64_t size, void *host, int fd, uint64_t offset,
                        bool writable, struct error *error)
{
    struct fake_device *device = fake(vfio);

    if (!host || fd == -1 || !writable || device->peer_maps == sizeof(device->peer) / sizeof(device->peer[0]))
        return error_set(error, EINVAL, "a mapping of what?");
    if (device->refuses_peers)
        return error_set(error, EPERM, "no such mapping");
    device->peer[device->peer_maps++] = (struct fake_peer_map){.iova = iova, .size = size, .offset = offset, .fd = fd};
    return 0;
}

static int dma_unmap(struct vfio_device *vfio, uint64_t iova, uint64_t size, struct error *error)
{
    struct fake_device *device = fake(vfio);

    (void)error;
    for (unsigned int i = 0; i < device->peer_maps; i++) {
        if (device->peer[i].iova != iova || device->peer[i].size != size)
            continue;
        device->peer[i] = device->peer[--device->peer_maps];
        return 0;
    }
    fake(vfio)->dma_maps--;
    return 0;
}

static int gone_fd(struct vfio_device *vfio)
{
    return fake(vfio)->gone_fd;
}

static const struct vfio_device_ops ops = {
    .name = "fake",
    .get_region = get_region,
    .get_irq = get_irq,
    .get_doorbells = get_doorbells,
    .region_read = region_read,
    .region_write = region_write,
    .set_irqs = set_irqs,
    .dma_map = dma_map,
    .dma_map_peer = dma_map_peer,
    .dma_unmap = dma_unmap,
    .gone_fd = gone_fd,
};

static void put32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof(value));
}

static void init_config(struct fake_device *device)
{
    uint8_t *config = device->config;

    put32(config + PCI_VENDOR_ID, DMA_DEVICE_DEVICE_ID << 16 | DMA_DEVICE_VENDOR_ID);
    put32(config + PCI_COMMAND, (uint32_t)PCI_STATUS_CAP_LIST << 16);
    put32(config + PCI_CLASS_REVISION, DMA_DEVICE_CLASS << 8 | DMA_DEVICE_REVISION);
    put32(config + PCI_SUBSYSTEM_VENDOR_ID, 0x00025343);
    put32(config + PCI_BASE_ADDRESS_2, PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH);
    put32(config + PCI_BASE_ADDRESS_5, PCI_BASE_ADDRESS_SPACE_IO);
    config[PCI_CAPABILITY_LIST] = FAKE_MSIX_CAPABILITY;
    config[FAKE_MSIX_CAPABILITY] = PCI_CAP_ID_MSIX;
    config[FAKE_MSIX_CAPABILITY + 1] = FAKE_EXPRESS_CAPABILITY;
    config[FAKE_MSIX_CAPABILITY + PCI_MSIX_FLAGS] = FAKE_VECTORS - 1;
    put32(config + FAKE_MSIX_CAPABILITY + PCI_MSIX_TABLE, DMA_MSIX_TABLE_OFFSET | DMA_BAR_MSIX);
    put32(config + FAKE_MSIX_CAPABILITY + PCI_MSIX_PBA, DMA_MSIX_PBA_OFFSET | DMA_BAR_MSIX);
    config[FAKE_EXPRESS_CAPABILITY] = PCI_CAP_ID_EXP;
    config[FAKE_EXPRESS_CAPABILITY + PCI_EXP_FLAGS] = 2;
    put32(config + FAKE_EXPRESS_CAPABILITY + PCI_EXP_DEVCAP, PCI_EXP_DEVCAP_FLR | PCI_EXP_DEVCAP_RBER);
}

void fake_device_init(struct fake_device *device)
{
    static const uint64_t sizes[FAKE_REGIONS] = {0x4000, 0, 0x10000, 0, 0x10000, 0x20, 0, 256, 0};

    memset(device, 0, sizeof(*device));
    device->vfio.ops = &ops;
    snprintf(device->vfio.name, sizeof(device->vfio.name), "fake");
    memset(device->trigger, 0xff, sizeof(device->trigger));
    device->intx_fd = device->unmask_fd = -1;
    for (unsigned int i = 0; i < FAKE_REGIONS; i++)
        device->region[i] = (struct vfio_region){
            .flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE, .size = sizes[i], .mmap_fd = -1};
    device->msix = (struct vfio_irq){.flags = VFIO_IRQ_INFO_EVENTFD, .count = FAKE_VECTORS};
    device->gone_fd = -1;
    init_config(device);
    put32(device->registers + DMA_REG_MAGIC, DMA_MAGIC);
    put32(device->registers + DMA_REG_QUEUES, 2);
    put32(device->registers + DMA_REG_MEMORY_SIZE_LOW, 0x1000);
    put32(device->registers + DMA_REG_MEMORY_SIZE_HIGH, 1);
    put32(device->registers + DMA_REG_WINDOW_SIZE, 0x10000);
}

void fake_device_take_msix(struct fake_device *device, bool msi)
{
    memset(device->config + FAKE_MSIX_CAPABILITY, 0, 16);
    device->config[FAKE_MSIX_CAPABILITY] = msi ? PCI_CAP_ID_MSI : PCI_CAP_ID_VNDR;
    device->config[FAKE_MSIX_CAPABILITY + 1] = FAKE_EXPRESS_CAPABILITY;
    device->config[FAKE_MSIX_CAPABILITY + PCI_MSI_FLAGS] = PCI_MSI_FLAGS_64BIT;
    device->config[PCI_INTERRUPT_PIN] = 1;
    device->msix.count = 0;
    device->msi = (struct vfio_irq){.flags = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE, .count = msi};
    device->intx = (struct vfio_irq){.flags = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_AUTOMASKED, .count = 1};
}

bool fake_device_raise(struct fake_device *device, unsigned int vector)
{
    return device->trigger[vector] != -1 && eventfd_write(device->trigger[vector], 1) == 0;
}

uint16_t fake_device_command(const struct fake_device *device)
{
    return (uint16_t)(device->config[PCI_COMMAND] | device->config[PCI_COMMAND + 1] << 8);
}
