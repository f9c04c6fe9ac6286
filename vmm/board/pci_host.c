/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/board/pci_host.h"

#include <errno.h>
#include <string.h>

#include "vmm/board/record.h"

#define PCI_HOST_STATE_VERSION 1
#define ADDRESS_ENABLE 0x80000000u
#define DATA_PORT 4u

static uint32_t bridge_read(void *context, uint32_t offset, size_t size)
{
    static const uint32_t header[] = {
        PCI_HOST_BRIDGE_DEVICE << 16 | PCI_HOST_BRIDGE_VENDOR, 0, 0x06000000, /* bridge, host; revision 0 */
    };
    uint32_t word = offset / 4 < sizeof(header) / sizeof(header[0]) ? header[offset / 4] : 0;

    (void)context;
    (void)size;
    return word >> (offset % 4 * 8);
}

static void bridge_write(void *context, uint32_t offset, uint32_t value, size_t size)
{
    (void)context;
    (void)offset;
    (void)value;
    (void)size;
}

static const struct pci_config_ops bridge_ops = {.read = bridge_read, .write = bridge_write};

void pci_host_init(struct pci_host *host)
{
    memset(host, 0, sizeof(*host));
    pci_host_plug(host, 0, &bridge_ops, NULL);
}

void pci_host_plug(struct pci_host *host, unsigned int slot, const struct pci_config_ops *ops, void *context)
{
    host->slot[slot] = (struct pci_slot){.ops = ops, .context = context};
}

/* Bus 0 only: address is slot << 15 | function << 12 | offset. */
static struct pci_slot *find_slot(struct pci_host *host, uint64_t address)
{
    struct pci_slot *slot = &host->slot[address >> 15 & 31];

    if (address >> 20 != 0 || (address >> 12 & 7) != 0 || !slot->ops)
        return NULL;
    return slot;
}

static bool access_is_valid(uint64_t offset, size_t size)
{
    return (size == 1 || size == 2 || size == 4) && offset % 4 + size <= 4;
}

static void config_read(struct pci_host *host, uint64_t address, void *data, size_t size)
{
    struct pci_slot *slot = find_slot(host, address);
    uint32_t value;

    if (!slot || !access_is_valid(address, size))
        return;
    value = slot->ops->read(slot->context, address & 0xfff, size);
    memcpy(data, &value, size);
}

static void config_write(struct pci_host *host, uint64_t address, const void *data, size_t size)
{
    struct pci_slot *slot = find_slot(host, address);
    uint32_t value = 0;

    if (!slot || !access_is_valid(address, size))
        return;
    memcpy(&value, data, size);
    slot->ops->write(slot->context, address & 0xfff, value, size);
}

static void ecam_read(void *context, uint64_t offset, void *data, size_t size)
{
    if (size == 8 && offset % 4 == 0) {
        config_read(context, offset, data, 4);
        config_read(context, offset + 4, (uint8_t *)data + 4, 4);
        return;
    }
    config_read(context, offset, data, size);
}

static void ecam_write(void *context, uint64_t offset, const void *data, size_t size)
{
    if (size == 8 && offset % 4 == 0) {
        config_write(context, offset, data, 4);
        config_write(context, offset + 4, (const uint8_t *)data + 4, 4);
        return;
    }
    config_write(context, offset, data, size);
}

const struct bus_ops pci_host_ecam_ops = {.read = ecam_read, .write = ecam_write};

/* The ECAM address that CF8 names, all ones where configuration access is off or another bus is meant. */
static uint64_t selected(struct pci_host *host, uint64_t port)
{
    uint32_t address = atomic_load(&host->address);

    if (!(address & ADDRESS_ENABLE) || (address >> 16 & 0xff) != 0)
        return UINT64_MAX;
    return (uint64_t)(address >> 8 & 0xff) << 12 | (address & 0xfc) | (port - DATA_PORT);
}

static void port_read(void *context, uint64_t offset, void *data, size_t size)
{
    struct pci_host *host = context;
    uint32_t address = atomic_load(&host->address);

    if (offset == 0 && size == sizeof(address))
        memcpy(data, &address, sizeof(address));
    else if (offset >= DATA_PORT)
        config_read(host, selected(host, offset), data, size);
}

static void port_write(void *context, uint64_t offset, const void *data, size_t size)
{
    struct pci_host *host = context;
    uint32_t address;

    if (offset == 0 && size == sizeof(address)) {
        memcpy(&address, data, sizeof(address));
        atomic_store(&host->address, address & 0x80fffffc);
    } else if (offset >= DATA_PORT) {
        config_write(host, selected(host, offset), data, size);
    }
}

const struct bus_ops pci_host_port_ops = {.read = port_read, .write = port_write};

void pci_host_get_state(struct pci_host *host, struct buffer *state)
{
    size_t record = record_begin(state, RECORD_PCI_HOST, PCI_HOST_STATE_VERSION);

    buffer_put_u32(state, atomic_load(&host->address));
    record_end(state, record);
}

int pci_host_put_state(struct pci_host *host, struct cursor *state, struct error *error)
{
    struct cursor body;
    uint32_t address;

    if (record_take(state, RECORD_PCI_HOST, PCI_HOST_STATE_VERSION, &body, error))
        return -1;
    address = cursor_get_u32(&body);
    if (!cursor_at_end(&body))
        return error_set(error, EINVAL, "the PCI host's state has the wrong size");
    atomic_store(&host->address, address & 0x80fffffc);
    return 0;
}
