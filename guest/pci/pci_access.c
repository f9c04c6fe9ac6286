/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/pci/pci_access.h"
#include "guest/base/port.h"
#include "guest/kernel/gate.h"

/* Where a register is, NULL where the BAR has no such. */
static volatile void *locate(struct pci_access *access, unsigned int bar, uint64_t offset, uint64_t size)
{
    const struct pci_bar *found = &access->device.bar[bar];

    if (bar >= PCI_BARS || !found->address || found->io || offset >= found->size || found->size - offset < size)
        return NULL;
    return (volatile void *)(found->address + offset);
}

static uint32_t read32(void *context, unsigned int bar, uint64_t offset)
{
    volatile uint32_t *address = locate(context, bar, offset, sizeof(*address));

    return address ? *address : UINT32_MAX;
}

static void write32(void *context, unsigned int bar, uint64_t offset, uint32_t value)
{
    volatile uint32_t *address = locate(context, bar, offset, sizeof(*address));

    if (address)
        *address = value;
}

/* The port of a register, 0 where there is none. */
static uint16_t locate_port(struct pci_access *access, unsigned int bar, uint64_t offset)
{
    const struct pci_bar *found = &access->device.bar[bar];

    if (bar >= PCI_BARS || !found->io || offset >= found->size)
        return 0;
    return (uint16_t)(found->address + offset);
}

static uint8_t read8(void *context, unsigned int bar, uint64_t offset)
{
    volatile uint8_t *address = locate(context, bar, offset, sizeof(*address));
    uint16_t port = locate_port(context, bar, offset);

    if (port)
        return port_read8(port);
    return address ? *address : UINT8_MAX;
}

static void write8(void *context, unsigned int bar, uint64_t offset, uint8_t value)
{
    volatile uint8_t *address = locate(context, bar, offset, sizeof(*address));
    uint16_t port = locate_port(context, bar, offset);

    if (port)
        port_write8(port, value);
    else if (address)
        *address = value;
}

static uint64_t read64(void *context, unsigned int bar, uint64_t offset)
{
    volatile uint64_t *address = locate(context, bar, offset, sizeof(*address));

    return address ? *address : UINT64_MAX;
}

static void write64(void *context, unsigned int bar, uint64_t offset, uint64_t value)
{
    volatile uint64_t *address = locate(context, bar, offset, sizeof(*address));

    if (address)
        *address = value;
}

static void *allocate(void *context, size_t size, uint64_t *address)
{
    struct pci_access *access = context;
    void *memory = ram_allocate_zeroed(access->ram, size);

    *address = (uint64_t)memory;
    return memory;
}

static uint64_t interrupts(void *context, unsigned int vector)
{
    struct pci_access *access = context;

    if (vector >= PCI_ACCESS_VECTORS || !access->interrupts[vector])
        return 0;
    return *access->interrupts[vector];
}

static void interrupt_mask(void *context, bool masked)
{
    uint8_t pin = ((struct pci_access *)context)->device.pin;

    if (pin)
        gate_call(GATE_MASK_PIN, pin, masked, 0);
}

static void interrupt_end(void *context)
{
    interrupt_mask(context, false);
}

struct device_access pci_access(struct pci_access *access)
{
    static const struct device_ops ops = {
        .read32 = read32,
        .write32 = write32,
        .read8 = read8,
        .write8 = write8,
        .read64 = read64,
        .write64 = write64,
        .allocate = allocate,
        .interrupts = interrupts,
        .interrupt_end = interrupt_end,
        .interrupt_mask = interrupt_mask,
    };

    return (struct device_access){.ops = &ops, .context = access};
}
