/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/board/pci_config.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#define COMMAND_WRITABLE                                                                                               \
    (PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR |                \
     PCI_COMMAND_INTX_DISABLE)

static void put16(uint8_t *data, unsigned int offset, uint16_t value)
{
    data[offset] = (uint8_t)value;
    data[offset + 1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *data, unsigned int offset, uint32_t value)
{
    put16(data, offset, (uint16_t)value);
    put16(data, offset + 2, (uint16_t)(value >> 16));
}

static uint16_t get16(const uint8_t *data, unsigned int offset)
{
    return (uint16_t)(data[offset] | data[offset + 1] << 8);
}

static uint32_t get32(const uint8_t *data, unsigned int offset)
{
    return get16(data, offset) | (uint32_t)get16(data, offset + 2) << 16;
}

static void init_bars(struct pci_config *config)
{
    for (unsigned int i = 0; i < BOARD_BARS; i++) {
        const struct board_bar *bar = &config->description->bar[i];
        unsigned int at = PCI_BASE_ADDRESS_0 + 4 * i;
        uint64_t mask = ~(bar->size - 1);
        uint32_t type;

        if (!bar->size)
            continue;
        type = bar->io ? PCI_BASE_ADDRESS_SPACE_IO
                       : (bar->wide ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) |
                             (bar->prefetchable ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0);
        put32(config->data, at, (uint32_t)bar->address | type);
        put32(config->writable, at, (uint32_t)mask & (bar->io ? 0xfffcu : ~0xfu));
        if (bar->wide) {
            put32(config->data, at + 4, (uint32_t)(bar->address >> 32));
            put32(config->writable, at + 4, (uint32_t)(mask >> 32));
        }
    }
}

/* Prepends a capability to the list. */
static void add_capability(struct pci_config *config, uint8_t at, uint8_t id)
{
    config->data[at + PCI_CAP_LIST_ID] = id;
    config->data[at + PCI_CAP_LIST_NEXT] = config->data[PCI_CAPABILITY_LIST];
    config->data[PCI_CAPABILITY_LIST] = at;
    put16(config->data, PCI_STATUS, PCI_STATUS_CAP_LIST);
}

static void init_msix(struct pci_config *config)
{
    const struct board_msix *msix = &config->description->msix;
    uint8_t at = msix->capability;

    if (!config->description->msix_vectors)
        return;
    add_capability(config, at, PCI_CAP_ID_MSIX);
    put16(config->data, at + PCI_MSIX_FLAGS, (uint16_t)(config->description->msix_vectors - 1));
    put32(config->data, at + PCI_MSIX_TABLE, msix->table_offset | msix->table_bar);
    put32(config->data, at + PCI_MSIX_PBA, msix->pba_offset | msix->pba_bar);
    put16(config->writable, at + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
}

static void init_msi(struct pci_config *config)
{
    const struct board_msi *msi = &config->description->msi;
    uint8_t at = msi->capability;

    if (!at)
        return;
    add_capability(config, at, PCI_CAP_ID_MSI);
    put16(config->data, at + PCI_MSI_FLAGS, msi->wide ? PCI_MSI_FLAGS_64BIT : 0);
    put16(config->writable, at + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE);
    put32(config->writable, at + PCI_MSI_ADDRESS_LO, ~3u);
    if (msi->wide)
        put32(config->writable, at + PCI_MSI_ADDRESS_HI, ~0u);
    put16(config->writable, at + (msi->wide ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32), 0xffff);
}

/* Interrupt Line is where firmware says which pin of the interrupt controller INTA# goes to. */
static void init_intx(struct pci_config *config)
{
    if (!config->description->intx_pin)
        return;
    config->data[PCI_INTERRUPT_PIN] = 1;
    config->data[PCI_INTERRUPT_LINE] = config->description->intx_pin;
}

/* On bus 0 there is no link: the function is shown as integrated, without what tells of a slot or a link. */
static void init_express(struct pci_config *config)
{
    const struct board_express *express = &config->description->express;
    uint8_t at = express->capability;

    if (!at)
        return;
    add_capability(config, at, PCI_CAP_ID_EXP);
    put16(config->data, at + PCI_EXP_FLAGS, (uint16_t)(express->version | PCI_EXP_TYPE_RC_END << 4));
    put32(config->data, at + PCI_EXP_DEVCAP, express->device_capabilities);
}

void pci_config_init(struct pci_config *config, const struct board_device *description)
{
    memset(config, 0, sizeof(*config));
    config->description = description;
    put16(config->data, PCI_VENDOR_ID, description->vendor);
    put16(config->data, PCI_DEVICE_ID, description->device);
    put32(config->data, PCI_CLASS_REVISION, description->class_revision);
    put16(config->data, PCI_SUBSYSTEM_VENDOR_ID, description->subsystem_vendor);
    put16(config->data, PCI_SUBSYSTEM_ID, description->subsystem);
    put16(config->writable, PCI_COMMAND, COMMAND_WRITABLE);
    config->writable[PCI_CACHE_LINE_SIZE] = 0xff;
    config->writable[PCI_INTERRUPT_LINE] = 0xff;
    init_bars(config);
    init_express(config);
    init_msi(config);
    init_msix(config);
    init_intx(config);
}

uint32_t pci_config_read(const struct pci_config *config, uint32_t offset, size_t size)
{
    uint32_t value = 0;

    if (offset + size <= PCI_CONFIG_SIZE)
        memcpy(&value, config->data + offset, size);
    return value;
}

void pci_config_write(struct pci_config *config, uint32_t offset, uint32_t value, size_t size)
{
    if (offset + size > PCI_CONFIG_SIZE)
        return;
    for (size_t i = 0; i < size; i++) {
        uint8_t writable = config->writable[offset + i];
        uint8_t byte = (uint8_t)(value >> 8 * i);

        config->data[offset + i] = (uint8_t)((config->data[offset + i] & ~writable) | (byte & writable));
    }
}

uint16_t pci_config_command(const struct pci_config *config)
{
    return get16(config->data, PCI_COMMAND);
}

uint16_t pci_config_msix_control(const struct pci_config *config)
{
    if (!config->description->msix_vectors)
        return 0;
    return get16(config->data, config->description->msix.capability + PCI_MSIX_FLAGS);
}

bool pci_config_msi(const struct pci_config *config, uint64_t *address, uint32_t *data)
{
    const struct board_msi *msi = &config->description->msi;
    uint8_t at = msi->capability;

    *address = 0;
    *data = 0;
    if (!at)
        return false;
    *address = get32(config->data, at + PCI_MSI_ADDRESS_LO);
    if (msi->wide)
        *address |= (uint64_t)get32(config->data, at + PCI_MSI_ADDRESS_HI) << 32;
    *data = get16(config->data, at + (msi->wide ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32));
    return get16(config->data, at + PCI_MSI_FLAGS) & PCI_MSI_FLAGS_ENABLE;
}

uint64_t pci_config_bar_address(const struct pci_config *config, unsigned int bar)
{
    unsigned int at = PCI_BASE_ADDRESS_0 + 4 * bar;
    uint32_t low = get32(config->data, at);

    if (config->description->bar[bar].io)
        return low & PCI_BASE_ADDRESS_IO_MASK;
    low &= (uint32_t)PCI_BASE_ADDRESS_MEM_MASK;
    if (!config->description->bar[bar].wide)
        return low;
    return (uint64_t)get32(config->data, at + 4) << 32 | low;
}

void pci_config_get_state(const struct pci_config *config, struct buffer *state)
{
    buffer_put(state, config->data, sizeof(config->data));
}

void pci_config_forget_msix(const struct pci_config *config, struct buffer *state)
{
    size_t at = config->description->msix.capability + PCI_MSIX_FLAGS + 1u;

    if (config->description->msix_vectors && !state->failed)
        state->data[state->size - sizeof(config->data) + at] &= (uint8_t)(~PCI_MSIX_FLAGS_ENABLE >> 8);
}

int pci_config_put_state(struct pci_config *config, struct cursor *state, struct error *error)
{
    uint8_t data[PCI_CONFIG_SIZE];

    cursor_get(state, data, sizeof(data));
    if (state->failed)
        return error_set(error, EINVAL, "the configuration space is cut off");
    for (unsigned int i = 0; i < PCI_CONFIG_SIZE; i++) {
        if ((data[i] ^ config->data[i]) & ~config->writable[i])
            return error_set(error, EINVAL,
                             "the configuration space differs at offset 0x%x: 0x%02x, here the device has 0x%02x", i,
                             data[i], config->data[i]);
    }
    memcpy(config->data, data, sizeof(data));
    return 0;
}
