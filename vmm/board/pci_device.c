/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/board/pci_device.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>

#include "vmm/board/record.h"

#define CONFIG_STATE_VERSION 1
/* The bits of the command register that are the device's business. */
#define COMMAND_OF_DEVICE (PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE)

static int write_config16(struct pci_device *device, unsigned int offset, uint16_t value, struct error *error)
{
    uint8_t data[2] = {(uint8_t)value, (uint8_t)(value >> 8)};

    if (device->vfio->ops->region_write(device->vfio, VFIO_PCI_CONFIG_REGION_INDEX, offset, data, sizeof(data), error))
        return error_prefix(error, "%s: writing its configuration space at 0x%x", device->vfio->name, offset);
    return 0;
}

static int write_command(struct pci_device *device, struct error *error)
{
    return write_config16(device, PCI_COMMAND, pci_config_command(&device->config) & COMMAND_OF_DEVICE, error);
}

/* Some servers look at the enable bit of the capability, others at SET_IRQS alone: both are told. */
static int write_msix_control(struct pci_device *device, struct error *error)
{
    uint8_t msi = device->description->msi.capability;

    if (device->description->msix_vectors)
        return write_config16(device, device->description->msix.capability + PCI_MSIX_FLAGS,
                              pci_config_msix_control(&device->config), error);
    if (msi)
        return write_config16(device, msi + PCI_MSI_FLAGS,
                              (uint16_t)pci_config_read(&device->config, msi + PCI_MSI_FLAGS, 2), error);
    return 0;
}

static bool wants_decoding(const struct pci_device *device, const struct pci_bar *bar)
{
    uint16_t bit = bar->description->io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;

    return bar->description->size && pci_config_command(&device->config) & bit;
}

/* Takes away BARs that the guest no longer decodes, or has elsewhere. */
static int unmap_bars(struct pci_device *device, struct error *error)
{
    for (unsigned int i = 0; i < BOARD_BARS; i++) {
        struct pci_bar *bar = &device->bar[i];

        if (bar->decoded &&
            (!wants_decoding(device, bar) || bar->address != pci_config_bar_address(&device->config, i)) &&
            pci_bar_unmap(bar, error))
            return -1;
    }
    return 0;
}

/* One that cannot be where the guest wants it stays away. */
static int map_bars(struct pci_device *device, struct error *error)
{
    for (unsigned int i = 0; i < BOARD_BARS; i++) {
        struct pci_bar *bar = &device->bar[i];

        if (!bar->decoded && wants_decoding(device, bar) &&
            pci_bar_map(bar, pci_config_bar_address(&device->config, i), error) < 0)
            return -1;
    }
    return 0;
}

/* The guest never reaches a BAR that the device does not decode: unmap, then the command register, then map. */
static int follow_config(struct pci_device *device, uint16_t old_command, struct error *error)
{
    if (unmap_bars(device, error))
        return -1;
    if ((old_command ^ pci_config_command(&device->config)) & COMMAND_OF_DEVICE && write_command(device, error))
        return -1;
    return map_bars(device, error);
}

static int follow_msix(struct pci_device *device, uint16_t old_control, struct error *error)
{
    uint16_t control = pci_config_msix_control(&device->config);

    if (control == old_control)
        return 0;
    if (msix_set_control(&device->msix, control, error))
        return error_prefix(error, "%s", device->vfio->name);
    return write_msix_control(device, error);
}

static int follow_msi(struct pci_device *device, struct error *error)
{
    const struct msix_vector *vector = device->msix.vector;
    bool was_enabled = device->msix.enabled, enabled;
    uint64_t address;
    uint32_t data;

    if (!device->description->msi.capability)
        return 0;
    enabled = pci_config_msi(&device->config, &address, &data);
    if (enabled == was_enabled && (!enabled || (address == vector->address && data == vector->data)))
        return 0;
    if (msix_set_message(&device->msix, enabled, address, data, error))
        return error_prefix(error, "%s", device->vfio->name);
    return enabled == was_enabled ? 0 : write_msix_control(device, error);
}

static uint32_t config_read(void *context, uint32_t offset, size_t size)
{
    struct pci_device *device = context;
    uint32_t value;

    pthread_mutex_lock(device->environment->lock);
    value = pci_config_read(&device->config, offset, size);
    pthread_mutex_unlock(device->environment->lock);
    return value;
}

static void config_write(void *context, uint32_t offset, uint32_t value, size_t size)
{
    struct pci_device *device = context;
    const struct pci_environment *environment = device->environment;
    struct error error = ERROR_INIT;
    uint16_t command, control;
    int status;

    pthread_mutex_lock(environment->lock);
    command = pci_config_command(&device->config);
    control = pci_config_msix_control(&device->config);
    pci_config_write(&device->config, offset, value, size);
    status = follow_config(device, command, &error);
    if (!status)
        status = follow_msix(device, control, &error);
    if (!status)
        status = follow_msi(device, &error);
    pthread_mutex_unlock(environment->lock);
    if (status)
        environment->report(environment->context, device->number, &error);
}

const struct pci_config_ops pci_device_config_ops = {.read = config_read, .write = config_write};

static int init_interrupts(struct pci_device *device, struct error *error)
{
    const struct board_device *description = device->description;
    struct vm *vm = device->environment->vm;
    int status;

    if (description->msi.capability)
        status = msix_init(&device->msix, vm, device->vfio, VFIO_PCI_MSI_IRQ_INDEX, 1, error);
    else
        status = msix_init(&device->msix, vm, device->vfio, VFIO_PCI_MSIX_IRQ_INDEX, description->msix_vectors, error);
    if (status)
        return -1;
    if (intx_init(&device->intx, vm, device->vfio, description->intx_pin, error)) {
        msix_destroy(&device->msix);
        return -1;
    }
    return 0;
}

static void destroy_interrupts(struct pci_device *device)
{
    intx_destroy(&device->intx);
    msix_destroy(&device->msix);
}

int pci_device_init(struct pci_device *device, unsigned int number, struct vfio_device *vfio,
                    const struct pci_environment *environment, struct error *error)
{
    unsigned int bars = 0;

    memset(device, 0, sizeof(*device));
    device->number = number;
    device->vfio = vfio;
    device->environment = environment;
    device->description = &environment->board->device[number];
    pci_config_init(&device->config, device->description);
    for (; bars < BOARD_BARS; bars++) {
        if (pci_bar_init(&device->bar[bars], device, bars, error))
            goto fail;
    }
    if (init_interrupts(device, error))
        goto fail;
    /* The device may come with decoding on, from whoever had it before. */
    if (write_command(device, error)) {
        destroy_interrupts(device);
        goto fail;
    }
    return 0;
fail:
    while (bars-- > 0)
        pci_bar_destroy(&device->bar[bars]);
    return error_prefix(error, "device %u (%s)", number, vfio->name);
}

void pci_device_destroy(struct pci_device *device)
{
    destroy_interrupts(device);
    for (unsigned int i = 0; i < BOARD_BARS; i++)
        pci_bar_destroy(&device->bar[i]);
}

static int bind_bars(struct pci_device *device, bool bound, struct error *error)
{
    for (unsigned int i = 0; i < BOARD_BARS; i++) {
        if (pci_bar_bind(&device->bar[i], bound, error))
            return -1;
    }
    return 0;
}

int pci_device_bind(struct pci_device *device, struct error *error)
{
    if (bind_bars(device, true, error) || msix_bind(&device->msix, error) || intx_bind(&device->intx, error))
        return error_prefix(error, "device %u (%s)", device->number, device->vfio->name);
    return 0;
}

int pci_device_unbind(struct pci_device *device, struct error *error)
{
    if (bind_bars(device, false, error) || msix_unbind(&device->msix, error) || intx_unbind(&device->intx, error))
        return error_prefix(error, "device %u (%s)", device->number, device->vfio->name);
    return 0;
}

int pci_device_signalled(const struct pci_device *device)
{
    int vector = msix_signalled(&device->msix);

    return vector < 0 && intx_signalled(&device->intx) ? 0 : vector;
}

void pci_device_describe_interrupts(struct pci_device *device, char *text, size_t size)
{
    int length = snprintf(text, size, "device %u (%.60s): ", device->number, device->vfio->name);

    if (device->msix.vectors)
        msix_describe(&device->msix, text + length, size - (size_t)length);
    else if (device->intx.device)
        intx_describe(&device->intx, text + length, size - (size_t)length);
    else
        snprintf(text + length, size - (size_t)length, "it has no interrupts");
}

void pci_device_get_state(struct pci_device *device, struct buffer *state)
{
    size_t record = record_begin(state, RECORD_PCI_CONFIG, CONFIG_STATE_VERSION);
    uint8_t decoded = 0;

    for (unsigned int i = 0; i < BOARD_BARS; i++)
        decoded |= (uint8_t)(device->bar[i].decoded << i);
    pci_config_get_state(&device->config, state);
    if (device->forget_msix)
        pci_config_forget_msix(&device->config, state);
    buffer_put_u8(state, decoded);
    record_end(state, record);
    if (device->msix.vectors)
        msix_get_state(&device->msix, state);
    if (device->intx.device)
        intx_get_state(&device->intx, state);
}

/* BARs as the source had them: one that the guest wanted where it could not be stays away here as well. */
static int map_bars_of_state(struct pci_device *device, uint8_t decoded, struct error *error)
{
    for (unsigned int i = 0; i < BOARD_BARS; i++) {
        struct pci_bar *bar = &device->bar[i];
        uint64_t address = pci_config_bar_address(&device->config, i);
        int status;

        if (!(decoded & 1u << i) || bar->decoded)
            continue;
        if (!wants_decoding(device, bar))
            return error_set(error, EINVAL, "BAR %u is said to be decoded, and the command register says no", i);
        status = pci_bar_map(bar, address, error);
        if (status == 0)
            return error_set(error, EINVAL, "BAR %u cannot be at 0x%llx", i, (unsigned long long)address);
        if (status < 0)
            return -1;
    }
    return 0;
}

static int put_config(struct pci_device *device, struct cursor *cursor, struct error *error)
{
    struct cursor body;
    uint8_t decoded;

    if (record_take(cursor, RECORD_PCI_CONFIG, CONFIG_STATE_VERSION, &body, error) ||
        pci_config_put_state(&device->config, &body, error))
        return -1;
    decoded = cursor_get_u8(&body);
    if (!cursor_at_end(&body) || decoded >> BOARD_BARS)
        return error_set(error, EINVAL, "the configuration state has the wrong size");
    if (unmap_bars(device, error) || write_command(device, error) || map_bars_of_state(device, decoded, error))
        return -1;
    return 0;
}

static int put_msi(struct pci_device *device, struct cursor *cursor, struct error *error)
{
    const struct msix_vector *vector = device->msix.vector;
    uint64_t address;
    uint32_t data;
    bool enabled = pci_config_msi(&device->config, &address, &data);

    if (msix_put_state(&device->msix, cursor, enabled ? PCI_MSIX_FLAGS_ENABLE : 0, error))
        return -1;
    if (vector->masked || (enabled && (vector->address != address || vector->data != data)))
        return error_set(error, EINVAL, "the MSI's state is not what its capability has");
    return write_msix_control(device, error);
}

static int put_interrupts(struct pci_device *device, struct cursor *cursor, struct error *error)
{
    if (device->description->msi.capability)
        return put_msi(device, cursor, error);
    if (device->description->msix_vectors)
        return msix_put_state(&device->msix, cursor, pci_config_msix_control(&device->config), error)
                   ? -1
                   : write_msix_control(device, error);
    return device->intx.device ? intx_put_state(&device->intx, cursor, error) : 0;
}

int pci_device_put_state(struct pci_device *device, const void *state, size_t size, struct error *error)
{
    struct cursor cursor = cursor_over(state, size);

    if (put_config(device, &cursor, error))
        goto fail;
    if (put_interrupts(device, &cursor, error))
        goto fail;
    if (!cursor_at_end(&cursor)) {
        error_set(error, EINVAL, "its state has the wrong size");
        goto fail;
    }
    return 0;
fail:
    return error_prefix(error, "device %u (%s)", device->number, device->vfio->name);
}
