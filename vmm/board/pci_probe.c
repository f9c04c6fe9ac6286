/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/board/pci_probe.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#define CAPABILITIES_MAX 48
#define MSIX_CAPABILITY_SIZE 12
#define PCI_MSI_CAPABILITY_SIZE 14 /* with a 64-bit address */
#define EXPRESS_CAPABILITY_SIZE 0x3c
#define EXPRESS_CAPABILITY_READ 8
#define MSIX_ENTRY_SIZE 16

struct config_image {
    uint8_t data[PCI_CONFIG_SIZE];
};

static uint16_t get16(const struct config_image *image, unsigned int offset)
{
    return (uint16_t)(image->data[offset] | image->data[offset + 1] << 8);
}

static uint32_t get32(const struct config_image *image, unsigned int offset)
{
    return get16(image, offset) | (uint32_t)get16(image, offset + 2) << 16;
}

static int read_config(struct vfio_device *device, struct config_image *image, struct error *error)
{
    struct vfio_region region;
    size_t size;

    memset(&region, 0, sizeof(region));
    if (device->ops->get_region(device, VFIO_PCI_CONFIG_REGION_INDEX, &region, error))
        return -1;
    /* mtty has 255 bytes. */
    if (region.size < PCI_CONFIG_SIZE - 1)
        return error_set(error, EINVAL, "its configuration region has %llu bytes, a PCI function has %d",
                         (unsigned long long)region.size, PCI_CONFIG_SIZE);
    memset(image, 0, sizeof(*image));
    size = region.size < PCI_CONFIG_SIZE ? region.size : PCI_CONFIG_SIZE;
    if (device->ops->region_read(device, VFIO_PCI_CONFIG_REGION_INDEX, 0, image->data, size, error))
        return error_prefix(error, "reading its configuration space");
    if ((image->data[PCI_HEADER_TYPE] & 0x7f) != PCI_HEADER_TYPE_NORMAL)
        return error_set(error, ENOTSUP, "its header type is %u, only endpoints (0) can be passed through",
                         image->data[PCI_HEADER_TYPE] & 0x7f);
    return 0;
}

/* BARs: the type from the register, the size from the region. */
static int read_bars(struct vfio_device *device, const struct config_image *image, struct board_device *description,
                     struct error *error)
{
    bool upper_half = false;

    for (unsigned int i = 0; i < BOARD_BARS; i++) {
        uint32_t value = get32(image, PCI_BASE_ADDRESS_0 + 4 * i);
        struct board_bar *bar = &description->bar[i];
        struct vfio_region region;

        memset(&region, 0, sizeof(region));
        if (device->ops->get_region(device, VFIO_PCI_BAR0_REGION_INDEX + i, &region, error))
            return error_prefix(error, "BAR %u", i);
        if (upper_half && region.size)
            return error_set(error, EINVAL, "BAR %u has a region and is the upper half of a 64-bit BAR", i);
        upper_half = false;
        if (!region.size)
            continue;
        bar->size = region.size;
        bar->io = value & PCI_BASE_ADDRESS_SPACE_IO;
        if (!bar->io) {
            bar->wide = (value & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64;
            bar->prefetchable = value & PCI_BASE_ADDRESS_MEM_PREFETCH;
        }
        upper_half = bar->wide;
    }
    return 0;
}

static int read_msix(struct vfio_device *device, const struct config_image *image, uint8_t capability,
                     struct board_device *description, struct error *error)
{
    uint32_t table = get32(image, capability + PCI_MSIX_TABLE);
    uint32_t pba = get32(image, capability + PCI_MSIX_PBA);
    struct vfio_irq irq;

    memset(&irq, 0, sizeof(irq));
    description->msix_vectors = (uint16_t)((get16(image, capability + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_QSIZE) + 1);
    description->msix = (struct board_msix){
        .capability = capability,
        .table_bar = table & PCI_MSIX_TABLE_BIR,
        .table_offset = table & PCI_MSIX_TABLE_OFFSET,
        .pba_bar = pba & PCI_MSIX_PBA_BIR,
        .pba_offset = pba & PCI_MSIX_PBA_OFFSET,
    };
    if (device->ops->get_irq(device, VFIO_PCI_MSIX_IRQ_INDEX, &irq, error))
        return error_prefix(error, "its MSI-X interrupts");
    if (irq.count < description->msix_vectors)
        return error_set(error, EINVAL, "its MSI-X table has %u vectors, its interrupt information says %u",
                         description->msix_vectors, irq.count);
    if (!(irq.flags & VFIO_IRQ_INFO_EVENTFD))
        return error_set(error, EINVAL, "its MSI-X interrupts cannot be signalled by eventfd");
    return 0;
}

static void read_express(const struct config_image *image, uint8_t capability, struct board_device *description)
{
    description->express = (struct board_express){
        .capability = capability,
        .version = get16(image, capability + PCI_EXP_FLAGS) & PCI_EXP_FLAGS_VERS,
        .device_capabilities = get32(image, capability + PCI_EXP_DEVCAP) & ~(uint32_t)PCI_EXP_DEVCAP_FLR,
    };
}

static void read_msi(const struct config_image *image, uint8_t capability, struct board_device *description)
{
    description->msi = (struct board_msi){
        .capability = capability,
        .wide = get16(image, capability + PCI_MSI_FLAGS) & PCI_MSI_FLAGS_64BIT,
    };
}

/* MSI-X or MSI, and PCI Express are shown to the guest; all else stays hidden. */
static int read_capabilities(struct vfio_device *device, const struct config_image *image,
                             struct board_device *description, struct error *error)
{
    uint8_t at = image->data[PCI_CAPABILITY_LIST] & 0xfc;

    if (!(get16(image, PCI_STATUS) & PCI_STATUS_CAP_LIST))
        return 0;
    for (unsigned int i = 0; at; i++) {
        uint8_t id;

        if (i == CAPABILITIES_MAX || at < PCI_STD_HEADER_SIZEOF)
            return error_set(error, EINVAL, "its capability list is broken at offset 0x%x", at);
        id = image->data[at + PCI_CAP_LIST_ID];
        if (id == PCI_CAP_ID_MSIX && !description->msix_vectors) {
            if (at > PCI_CONFIG_SIZE - MSIX_CAPABILITY_SIZE)
                return error_set(error, EINVAL, "its MSI-X capability at 0x%x reaches past configuration space", at);
            if (read_msix(device, image, at, description, error))
                return -1;
        }
        if (id == PCI_CAP_ID_MSI && !description->msi.capability && at <= PCI_CONFIG_SIZE - PCI_MSI_CAPABILITY_SIZE)
            read_msi(image, at, description);
        /* One that would not fit as the guest is shown it is hidden. */
        if (id == PCI_CAP_ID_EXP && !description->express.capability && at <= PCI_CONFIG_SIZE - EXPRESS_CAPABILITY_SIZE)
            read_express(image, at, description);
        at = image->data[at + PCI_CAP_LIST_NEXT] & 0xfc;
    }
    return 0;
}

static int read_irq(struct vfio_device *device, uint32_t index, const char *name, struct vfio_irq *irq,
                    struct error *error)
{
    memset(irq, 0, sizeof(*irq));
    if (device->ops->get_irq(device, index, irq, error))
        return error_prefix(error, "its %s interrupt", name);
    if (irq->count && !(irq->flags & VFIO_IRQ_INFO_EVENTFD))
        return error_set(error, EINVAL, "its %s interrupt cannot be signalled by eventfd", name);
    return 0;
}

/* A function has MSI-X for the guest, else MSI, else INTx: the first that there is. */
static int choose_interrupt(struct vfio_device *device, const struct config_image *image,
                            struct board_device *description, struct error *error)
{
    struct vfio_irq irq;

    if (description->msix_vectors) {
        description->msi = (struct board_msi){.capability = 0};
        return 0;
    }
    if (description->msi.capability) {
        if (read_irq(device, VFIO_PCI_MSI_IRQ_INDEX, "MSI", &irq, error))
            return -1;
        if (irq.count)
            return 0;
        description->msi = (struct board_msi){.capability = 0};
    }
    if (!image->data[PCI_INTERRUPT_PIN])
        return 0;
    if (read_irq(device, VFIO_PCI_INTX_IRQ_INDEX, "INTx", &irq, error))
        return -1;
    description->intx_pin = irq.count ? BOARD_INTX_PIN_FIRST : 0;
    return 0;
}

static int check_bar(const struct board_bar *bar, unsigned int index, struct error *error)
{
    uint64_t minimum = bar->io ? 4 : 16;
    uint64_t maximum = bar->io ? 256 : bar->wide ? PCI_BAR_SIZE_MAX : 1ull << 31;

    if (!bar->size)
        return 0;
    if (bar->size & (bar->size - 1))
        return error_set(error, EINVAL, "BAR %u has a size of 0x%llx, which is not a power of two", index,
                         (unsigned long long)bar->size);
    if (bar->size < minimum || bar->size > maximum)
        return error_set(error, EINVAL, "BAR %u has a size of 0x%llx, outside of 0x%llx to 0x%llx", index,
                         (unsigned long long)bar->size, (unsigned long long)minimum, (unsigned long long)maximum);
    if (bar->io && (bar->wide || bar->prefetchable))
        return error_set(error, EINVAL, "BAR %u is said to be I/O and memory", index);
    if (bar->wide && index == BOARD_BARS - 1)
        return error_set(error, EINVAL, "BAR %u is 64-bit and has no upper half", index);
    return 0;
}

static int check_in_bar(const struct board_device *description, const char *what, unsigned int bar, uint64_t offset,
                        uint64_t size, struct error *error)
{
    if (bar >= BOARD_BARS || description->bar[bar].io || description->bar[bar].size < size ||
        offset > description->bar[bar].size - size || offset % 8)
        return error_set(error, EINVAL, "its MSI-X %s at 0x%llx of BAR %u is not within that BAR", what,
                         (unsigned long long)offset, bar);
    return 0;
}

static int check_msix(const struct board_device *description, struct error *error)
{
    const struct board_msix *msix = &description->msix;
    uint64_t table_size = (uint64_t)description->msix_vectors * MSIX_ENTRY_SIZE;
    uint64_t pba_size = (description->msix_vectors + 63ull) / 64 * 8;

    if (!description->msix_vectors)
        return 0;
    if (description->msix_vectors > PCI_MSIX_FLAGS_QSIZE + 1)
        return error_set(error, EINVAL, "it has %u MSI-X vectors, more than 2048", description->msix_vectors);
    if (msix->capability < PCI_STD_HEADER_SIZEOF || msix->capability > PCI_CONFIG_SIZE - MSIX_CAPABILITY_SIZE ||
        msix->capability % 4)
        return error_set(error, EINVAL, "its MSI-X capability is at 0x%x", msix->capability);
    if (check_in_bar(description, "table", msix->table_bar, msix->table_offset, table_size, error) ||
        check_in_bar(description, "PBA", msix->pba_bar, msix->pba_offset, pba_size, error))
        return -1;
    if (msix->table_bar == msix->pba_bar && msix->table_offset < msix->pba_offset + pba_size &&
        msix->pba_offset < msix->table_offset + table_size)
        return error_set(error, EINVAL, "its MSI-X table and PBA overlap");
    return 0;
}

static int check_interrupts(const struct board_device *description, struct error *error)
{
    const struct board_msi *msi = &description->msi;

    if ((msi->capability && description->msix_vectors) ||
        (description->intx_pin && (msi->capability || description->msix_vectors)))
        return error_set(error, EINVAL, "it has more than one of MSI-X, MSI and INTx");
    if (msi->wide && !msi->capability)
        return error_set(error, EINVAL, "its MSI has a 64-bit address and no capability");
    if (msi->capability && (msi->capability < PCI_STD_HEADER_SIZEOF || msi->capability % 4 ||
                            msi->capability > PCI_CONFIG_SIZE - PCI_MSI_CAPABILITY_SIZE))
        return error_set(error, EINVAL, "its MSI capability is at 0x%x", msi->capability);
    if (description->intx_pin && (description->intx_pin < BOARD_INTX_PIN_FIRST ||
                                  description->intx_pin >= BOARD_INTX_PIN_FIRST + BOARD_INTX_PINS))
        return error_set(error, EINVAL, "its INTx is pin %u of the IOAPIC", description->intx_pin);
    return 0;
}

static int check_express(const struct board_device *description, struct error *error)
{
    const struct board_express *express = &description->express;
    unsigned int end = express->capability + EXPRESS_CAPABILITY_SIZE;

    if (!express->capability)
        return 0;
    if (express->capability < PCI_STD_HEADER_SIZEOF || end > PCI_CONFIG_SIZE || express->capability % 4 ||
        express->version > 15 || (express->device_capabilities & PCI_EXP_DEVCAP_FLR))
        return error_set(error, EINVAL, "its PCI Express capability at 0x%x is malformed", express->capability);
    if (description->msix_vectors && express->capability < description->msix.capability + MSIX_CAPABILITY_SIZE &&
        description->msix.capability < end)
        return error_set(error, EINVAL, "its MSI-X and PCI Express capabilities overlap");
    if (description->msi.capability && express->capability < description->msi.capability + PCI_MSI_CAPABILITY_SIZE &&
        description->msi.capability < end)
        return error_set(error, EINVAL, "its MSI and PCI Express capabilities overlap");
    return 0;
}

int pci_description_check(const struct board_device *description, struct error *error)
{
    for (unsigned int i = 0; i < BOARD_BARS; i++) {
        if (check_bar(&description->bar[i], i, error))
            return -1;
        if (i > 0 && description->bar[i].size && description->bar[i - 1].size && description->bar[i - 1].wide)
            return error_set(error, EINVAL, "BAR %u is the upper half of a 64-bit BAR", i);
    }
    if (description->vendor == 0xffff)
        return error_set(error, EINVAL, "its vendor is 0xffff, which stands for no device");
    if (check_msix(description, error) || check_interrupts(description, error))
        return -1;
    return check_express(description, error);
}

int pci_probe(struct vfio_device *device, struct board_device *description, struct error *error)
{
    struct config_image image;

    memset(description, 0, sizeof(*description));
    if (read_config(device, &image, error))
        goto fail;
    description->vendor = get16(&image, PCI_VENDOR_ID);
    description->device = get16(&image, PCI_DEVICE_ID);
    description->subsystem_vendor = get16(&image, PCI_SUBSYSTEM_VENDOR_ID);
    description->subsystem = get16(&image, PCI_SUBSYSTEM_ID);
    description->class_revision = get32(&image, PCI_CLASS_REVISION);
    if (read_bars(device, &image, description, error) || read_capabilities(device, &image, description, error) ||
        choose_interrupt(device, &image, description, error) || pci_description_check(description, error))
        goto fail;
    return 0;
fail:
    return error_prefix(error, "%s", device->name);
}
