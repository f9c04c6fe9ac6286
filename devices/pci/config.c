/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/pci/config.h"

#include <linux/pci_regs.h>
#include <string.h>

static void set_u16(uint8_t *space, unsigned int offset, unsigned int value)
{
    space[offset] = (uint8_t)value;
    space[offset + 1] = (uint8_t)(value >> 8);
}

static void set_u32(uint8_t *space, unsigned int offset, uint32_t value)
{
    set_u16(space, offset, value & 0xffff);
    set_u16(space, offset + 2, value >> 16);
}

static unsigned int get_u16(const uint8_t *space, unsigned int offset)
{
    return space[offset] | (unsigned int)space[offset + 1] << 8;
}

void pci_config_init(struct pci_config *config, const struct pci_identity *identity)
{
    memset(config, 0, sizeof(*config));
    config->free = PCI_STD_HEADER_SIZEOF;
    set_u16(config->data, PCI_VENDOR_ID, identity->vendor);
    set_u16(config->data, PCI_DEVICE_ID, identity->device);
    set_u32(config->data, PCI_CLASS_REVISION, identity->class_code << 8 | identity->revision);
    set_u16(config->data, PCI_SUBSYSTEM_VENDOR_ID, identity->vendor);
    set_u16(config->data, PCI_SUBSYSTEM_ID, identity->device);
    set_u16(config->writable, PCI_COMMAND,
            PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
    config->writable[PCI_CACHE_LINE_SIZE] = 0xff;
    config->writable[PCI_INTERRUPT_LINE] = 0xff;
    config->data[PCI_INTERRUPT_PIN] = identity->intx ? 1 : 0;
}

void pci_config_add_bar(struct pci_config *config, unsigned int index, uint64_t size, bool is_64bit)
{
    unsigned int offset = PCI_BASE_ADDRESS_0 + 4 * index;
    uint64_t mask = ~(size - 1);

    set_u32(config->data, offset,
            is_64bit ? PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH : PCI_BASE_ADDRESS_MEM_TYPE_32);
    set_u32(config->writable, offset, (uint32_t)mask);
    if (is_64bit)
        set_u32(config->writable, offset + 4, (uint32_t)(mask >> 32));
}

void pci_config_add_io_bar(struct pci_config *config, unsigned int index, uint32_t size)
{
    unsigned int offset = PCI_BASE_ADDRESS_0 + 4 * index;

    set_u32(config->data, offset, PCI_BASE_ADDRESS_SPACE_IO);
    set_u32(config->writable, offset, ~(size - 1));
    config->writable[PCI_COMMAND] |= PCI_COMMAND_IO;
}

/* Links a capability of size bytes into the list. Returns where it begins. */
static unsigned int add_capability(struct pci_config *config, uint8_t id, unsigned int size)
{
    unsigned int offset = config->free;

    config->data[offset] = id;
    if (config->last_capability)
        config->data[config->last_capability + PCI_CAP_LIST_NEXT] = (uint8_t)offset;
    else
        config->data[PCI_CAPABILITY_LIST] = (uint8_t)offset;
    config->data[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
    config->last_capability = offset;
    config->free = (offset + size + 15) & ~15u;
    return offset;
}

void pci_config_add_express(struct pci_config *config)
{
    unsigned int offset = add_capability(config, PCI_CAP_ID_EXP, 0x3c);

    config->express = offset;
    set_u16(config->data, offset + PCI_EXP_FLAGS, 2 | PCI_EXP_TYPE_RC_END << 4);
    set_u32(config->data, offset + PCI_EXP_DEVCAP, PCI_EXP_DEVCAP_FLR | PCI_EXP_DEVCAP_RBER);
    set_u16(config->writable, offset + PCI_EXP_DEVCTL,
            PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE | PCI_EXP_DEVCTL_FERE | PCI_EXP_DEVCTL_URRE |
                PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_PAYLOAD | PCI_EXP_DEVCTL_NOSNOOP_EN | PCI_EXP_DEVCTL_READRQ);
    set_u16(config->data, offset + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_READRQ_512B);
}

void pci_config_add_msi(struct pci_config *config, unsigned int count)
{
    unsigned int offset = add_capability(config, PCI_CAP_ID_MSI, 14);
    unsigned int order = 0;

    while (1u << order < count)
        order++;
    config->msi = offset;
    set_u16(config->data, offset + PCI_MSI_FLAGS, PCI_MSI_FLAGS_64BIT | order << 1);
    set_u16(config->writable, offset + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
    set_u32(config->writable, offset + PCI_MSI_ADDRESS_LO, ~3u);
    set_u32(config->writable, offset + PCI_MSI_ADDRESS_HI, ~0u);
    set_u16(config->writable, offset + PCI_MSI_DATA_64, 0xffff);
}

void pci_config_add_msix(struct pci_config *config, unsigned int vectors, unsigned int table_bar, uint32_t table_offset,
                         unsigned int pba_bar, uint32_t pba_offset)
{
    unsigned int offset = add_capability(config, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);

    config->msix = offset;
    set_u16(config->data, offset + PCI_MSIX_FLAGS, vectors - 1);
    set_u16(config->writable, offset + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    set_u32(config->data, offset + PCI_MSIX_TABLE, table_offset | table_bar);
    set_u32(config->data, offset + PCI_MSIX_PBA, pba_offset | pba_bar);
}

void pci_config_finish(struct pci_config *config)
{
    memcpy(config->power_on, config->data, PCI_CONFIG_SIZE);
}

void pci_config_read(const struct pci_config *config, uint64_t offset, void *data, size_t count)
{
    memcpy(data, config->data + offset, count);
}

bool pci_config_write(struct pci_config *config, uint64_t offset, const void *data, size_t count)
{
    const uint8_t *bytes = data;
    unsigned int flr = config->express ? config->express + PCI_EXP_DEVCTL + 1 : 0;
    bool reset = false;

    for (size_t i = 0; i < count; i++) {
        uint64_t at = offset + i;

        config->data[at] = (uint8_t)((config->data[at] & ~config->writable[at]) | (bytes[i] & config->writable[at]));
        if (flr && at == flr && bytes[i] & PCI_EXP_DEVCTL_BCR_FLR >> 8)
            reset = true;
    }
    return reset;
}

void pci_config_reset(struct pci_config *config)
{
    memcpy(config->data, config->power_on, PCI_CONFIG_SIZE);
}

bool pci_config_load(struct pci_config *config, const uint8_t data[PCI_CONFIG_SIZE])
{
    for (unsigned int i = 0; i < PCI_CONFIG_SIZE; i++) {
        /* The interrupt status is no setting: it follows the level. */
        uint8_t fixed = (uint8_t) ~(config->writable[i] | (i == PCI_STATUS ? PCI_STATUS_INTERRUPT : 0));

        if ((data[i] ^ config->power_on[i]) & fixed)
            return false;
    }
    memcpy(config->data, data, PCI_CONFIG_SIZE);
    pci_config_set_interrupt_status(config, false);
    return true;
}

bool pci_config_bus_master(const struct pci_config *config)
{
    return get_u16(config->data, PCI_COMMAND) & PCI_COMMAND_MASTER;
}

bool pci_config_intx_disabled(const struct pci_config *config)
{
    return get_u16(config->data, PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE;
}

void pci_config_set_interrupt_status(struct pci_config *config, bool asserted)
{
    config->data[PCI_STATUS] =
        (uint8_t)((config->data[PCI_STATUS] & ~PCI_STATUS_INTERRUPT) | (asserted ? PCI_STATUS_INTERRUPT : 0));
}
