/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stddef.h>

#include "guest/base/port.h"
#include "guest/kernel/gate.h"
#include "guest/pci/pci.h"

#define PORT_ADDRESS 0xcf8
#define PORT_DATA 0xcfc
#define PORT_ADDRESS_ENABLE 0x80000000u

#define PCI_COMMAND 0x04
#define PCI_COMMAND_IO 0x0001u
#define PCI_COMMAND_MEMORY 0x0002u
#define PCI_COMMAND_MASTER 0x0004u
#define PCI_COMMAND_INTX_DISABLE 0x0400u
#define PCI_STATUS_CAPABILITIES 0x00100000u /* in the double word at PCI_COMMAND */
#define PCI_BAR0 0x10
#define PCI_BAR_IO 0x1u
#define PCI_BAR_IO_FLAGS 0x3u
#define PCI_BAR_TYPE 0x6u
#define PCI_BAR_64 0x4u
#define PCI_BAR_FLAGS 0xfu
#define PCI_CAPABILITIES 0x34
#define PCI_CAPABILITIES_MAX 48
#define PCI_CAPABILITY_MSI 0x05u
#define PCI_CAPABILITY_MSIX 0x11u
#define PCI_REVISION 0x08
#define PCI_INTERRUPT 0x3c /* line, pin */

#define MSI_CONTROL_ENABLE 0x00010000u /* in the capability's first double word */
#define MSI_CONTROL_64BIT 0x00800000u

#define MSIX_CONTROL_ENABLE 0x80000000u /* in the capability's first double word */
#define MSIX_CONTROL_MASK 0x40000000u
#define MSIX_CONTROL_SIZE 0x07ff0000u
#define MSIX_TABLE 4
#define MSIX_TABLE_BAR 0x7u
#define MSIX_ENTRY_SIZE 16
#define MSIX_ENTRY_MASKED 1u
#define MSI_ADDRESS 0xfee00000u
#define MSI_ADDRESS_ID_MAX 255u

static volatile uint32_t *ecam_register(const struct pci_device *device, uint32_t offset)
{
    return (volatile uint32_t *)(device->host->ecam + ((uint64_t)device->slot << 15) + offset);
}

static void select_register(const struct pci_device *device, uint32_t offset)
{
    port_write32(PORT_ADDRESS, PORT_ADDRESS_ENABLE | device->slot << 11 | offset);
}

uint32_t pci_read32(const struct pci_device *device, uint32_t offset)
{
    if (device->host->ecam)
        return *ecam_register(device, offset);
    select_register(device, offset);
    return port_read32(PORT_DATA);
}

void pci_write32(const struct pci_device *device, uint32_t offset, uint32_t value)
{
    if (device->host->ecam) {
        *ecam_register(device, offset) = value;
        return;
    }
    select_register(device, offset);
    port_write32(PORT_DATA, value);
}

bool pci_find(const struct pci_host *host, uint32_t slot, struct pci_device *device)
{
    uint32_t id;

    *device = (struct pci_device){.host = host, .slot = slot};
    id = pci_read32(device, 0);
    device->vendor = (uint16_t)id;
    device->device = (uint16_t)(id >> 16);
    return device->vendor != PCI_VENDOR_NONE;
}

/* The bits of a BAR's register that hold when all ones are written. Decoding is off. */
static uint32_t size_mask(const struct pci_device *device, uint32_t offset, uint32_t value)
{
    uint32_t mask;

    pci_write32(device, offset, UINT32_MAX);
    mask = pci_read32(device, offset);
    pci_write32(device, offset, value);
    return mask;
}

/* Returns how many registers the BAR has. */
static uint32_t read_bar(struct pci_device *device, uint32_t index)
{
    uint32_t offset = PCI_BAR0 + 4 * index, low = pci_read32(device, offset), high = 0;
    uint64_t mask = size_mask(device, offset, low);
    bool wide = !(low & PCI_BAR_IO) && (low & PCI_BAR_TYPE) == PCI_BAR_64 && index + 1 < PCI_BARS;

    if (mask == 0)
        return 1;
    if (low & PCI_BAR_IO) {
        device->bar[index].io = true;
        device->bar[index].address = low & 0xffff & ~PCI_BAR_IO_FLAGS;
        device->bar[index].size = (~(uint32_t)(mask & ~PCI_BAR_IO_FLAGS) & 0xffff) + 1;
        return 1;
    }
    if (wide) {
        high = pci_read32(device, offset + 4);
        mask |= (uint64_t)size_mask(device, offset + 4, high) << 32;
    } else {
        mask |= (uint64_t)UINT32_MAX << 32;
    }
    device->bar[index].address = (uint64_t)high << 32 | (low & ~PCI_BAR_FLAGS);
    device->bar[index].size = ~(mask & ~(uint64_t)PCI_BAR_FLAGS) + 1;
    return wide ? 2 : 1;
}

static const char *map_bars(struct pci_device *device)
{
    for (uint32_t i = 0; i < PCI_BARS;)
        i += read_bar(device, i);
    for (uint32_t i = 0; i < PCI_BARS; i++) {
        const struct pci_bar *bar = &device->bar[i];

        if (!bar->size)
            continue;
        if (!bar->address)
            return "a BAR has no address";
        if (bar->io ? gate_call(GATE_ALLOW_PORTS, bar->address, bar->size, 0)
                    : gate_call(GATE_MAP, bar->address, bar->size, GATE_MAP_DEVICE))
            return "a BAR cannot be mapped";
    }
    return NULL;
}

static uint32_t find_capability(const struct pci_device *device, uint32_t id)
{
    uint32_t offset = pci_read32(device, PCI_CAPABILITIES) & 0xfc;

    if (!(pci_read32(device, PCI_COMMAND) & PCI_STATUS_CAPABILITIES))
        return 0;
    for (unsigned int i = 0; i < PCI_CAPABILITIES_MAX && offset >= 0x40; i++) {
        uint32_t header = pci_read32(device, offset);

        if ((header & 0xff) == id)
            return offset;
        offset = header >> 8 & 0xfc;
    }
    return 0;
}

static volatile uint32_t *msix_entry(const struct pci_device *device, uint32_t vector)
{
    return (volatile uint32_t *)(device->msix_table + (uint64_t)vector * MSIX_ENTRY_SIZE);
}

/* Each vector is masked out of reset, and stays so until it is routed. */
static const char *enable_msix(struct pci_device *device)
{
    uint32_t control, table;

    control = pci_read32(device, device->msix);
    table = pci_read32(device, device->msix + MSIX_TABLE);
    device->vectors = ((control & MSIX_CONTROL_SIZE) >> 16) + 1;
    if ((table & MSIX_TABLE_BAR) >= PCI_BARS || !device->bar[table & MSIX_TABLE_BAR].address ||
        device->bar[table & MSIX_TABLE_BAR].io ||
        (table & ~MSIX_TABLE_BAR) + (uint64_t)device->vectors * MSIX_ENTRY_SIZE >
            device->bar[table & MSIX_TABLE_BAR].size)
        return "its MSI-X table is in no BAR";
    device->msix_table = device->bar[table & MSIX_TABLE_BAR].address + (table & ~MSIX_TABLE_BAR);
    pci_write32(device, device->msix, (control | MSIX_CONTROL_ENABLE) & ~MSIX_CONTROL_MASK);
    return NULL;
}

static const char *find_interrupt(struct pci_device *device)
{
    uint32_t interrupt = pci_read32(device, PCI_INTERRUPT);

    device->msix = find_capability(device, PCI_CAPABILITY_MSIX);
    if (device->msix)
        return NULL;
    device->msi = find_capability(device, PCI_CAPABILITY_MSI);
    if (device->msi)
        return NULL;
    device->pin = interrupt >> 8 & 0xff ? interrupt & 0xff : 0;
    if (device->pin < GATE_PIN_FIRST || device->pin >= GATE_PIN_FIRST + GATE_PINS)
        return "it has neither MSI-X nor MSI, and no pin of the IOAPIC";
    return NULL;
}

const char *pci_enable(struct pci_device *device)
{
    uint32_t command = pci_read32(device, PCI_COMMAND) & 0xffff;
    const char *error;

    pci_write32(device, PCI_COMMAND, command & ~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER));
    device->revision = (uint8_t)pci_read32(device, PCI_REVISION);
    error = map_bars(device);
    if (!error)
        error = find_interrupt(device);
    if (error)
        return error;
    command |= PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE;
    if (device->pin)
        command &= ~PCI_COMMAND_INTX_DISABLE;
    pci_write32(device, PCI_COMMAND, command);
    return device->msix ? enable_msix(device) : NULL;
}

static void route_msi(const struct pci_device *device, uint32_t apic_id, uint8_t apic_vector)
{
    uint32_t control = pci_read32(device, device->msi);

    pci_write32(device, device->msi + 4, MSI_ADDRESS | (apic_id & MSI_ADDRESS_ID_MAX) << 12);
    if (control & MSI_CONTROL_64BIT)
        pci_write32(device, device->msi + 8, 0);
    pci_write32(device, device->msi + (control & MSI_CONTROL_64BIT ? 12 : 8), apic_vector);
    pci_write32(device, device->msi, control | MSI_CONTROL_ENABLE);
}

void pci_route(const struct pci_device *device, uint32_t vector, uint32_t apic_id, uint8_t apic_vector)
{
    volatile uint32_t *entry = msix_entry(device, vector);

    if (device->msi)
        route_msi(device, apic_id, apic_vector);
    else if (device->pin)
        gate_call(GATE_ROUTE_PIN, device->pin, apic_id, 0);
    if (!device->msix)
        return;
    entry[3] = MSIX_ENTRY_MASKED;
    entry[0] = MSI_ADDRESS | (apic_id & MSI_ADDRESS_ID_MAX) << 12;
    entry[1] = 0;
    entry[2] = apic_vector;
    entry[3] = 0;
}
