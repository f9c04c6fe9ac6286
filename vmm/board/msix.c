/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/board/msix.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "lib/io.h"
#include "vmm/board/record.h"

#define MSIX_STATE_VERSION 2
#define VECTOR_CONTROL_MASKED 1u

int msix_init(struct msix *msix, struct vm *vm, struct vfio_device *device, uint32_t irq_index, unsigned int vectors,
              struct error *error)
{
    struct vfio_irq irq;

    memset(msix, 0, sizeof(*msix));
    if (vectors == 0)
        return 0;
    memset(&irq, 0, sizeof(irq));
    if (device->ops->get_irq(device, irq_index, &irq, error))
        return -1;
    msix->vector = calloc(vectors, sizeof(msix->vector[0]));
    if (!msix->vector)
        return error_set(error, ENOMEM, "the MSI-X table");
    msix->device = device;
    msix->vm = vm;
    msix->irq_index = irq_index;
    msix->vectors = vectors;
    msix->resizable = !(irq.flags & VFIO_IRQ_INFO_NORESIZE);
    for (unsigned int i = 0; i < vectors; i++) {
        msix->vector[i].masked = irq_index == VFIO_PCI_MSIX_IRQ_INDEX;
        msix->vector[i].eventfd = -1;
        msix->vector[i].gsi = -1;
    }
    return 0;
}

static const char *name_of(const struct msix *msix)
{
    return msix->irq_index == VFIO_PCI_MSI_IRQ_INDEX ? "MSI" : "MSI-X";
}

static int disable_in_device(struct msix *msix, struct error *error)
{
    int status = 0;

    if (msix->device_vectors)
        status = msix->device->ops->set_irqs(msix->device, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
                                             msix->irq_index, 0, 0, NULL, 0, error);
    msix->device_vectors = 0;
    for (unsigned int i = 0; i < msix->vectors; i++)
        msix->vector[i].in_device = false;
    return status ? error_prefix(error, "disabling %s", name_of(msix)) : 0;
}

void msix_destroy(struct msix *msix)
{
    if (msix->vectors)
        disable_in_device(msix, NULL);
    for (unsigned int i = 0; i < msix->vectors; i++)
        io_close(&msix->vector[i].eventfd);
    free(msix->vector);
    memset(msix, 0, sizeof(*msix));
}

static bool in_use(const struct msix_vector *vector)
{
    return vector->address || vector->data || !vector->masked;
}

static bool is_unmasked(const struct msix *msix, const struct msix_vector *vector)
{
    return msix->enabled && !msix->masked && !vector->masked;
}

static bool is_deliverable(const struct msix *msix, const struct msix_vector *vector)
{
    return msix->bound && !msix->withheld && is_unmasked(msix, vector);
}

/* Signals that the eventfd gathered become the pending bit. */
static void gather(struct msix_vector *vector)
{
    eventfd_t count;

    if (vector->eventfd != -1 && eventfd_read(vector->eventfd, &count) == 0)
        vector->pending = true;
}

/* Takes the vector from KVM. */
static int stop_delivery(struct msix *msix, unsigned int number, struct error *error)
{
    struct msix_vector *vector = &msix->vector[number];

    if (!vector->delivered)
        return 0;
    if (vm_irqfd_deassign(msix->vm, vector->gsi, vector->eventfd, error))
        return error_prefix(error, "%s vector %u", name_of(msix), number);
    vector->delivered = false;
    return 0;
}

static int make_eventfd(struct msix_vector *vector, struct error *error)
{
    if (vector->eventfd != -1)
        return 0;
    vector->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return vector->eventfd == -1 ? error_set(error, errno, "making an eventfd") : 0;
}

/* Adds or changes the vector's route; *changed where it is to be committed. */
static int route(struct msix *msix, struct msix_vector *vector, bool *changed, struct error *error)
{
    if (vector->gsi == -1) {
        int gsi = vm_msi_route_add(msix->vm, vector->address, vector->data, error);

        if (gsi == -1)
            return -1;
        vector->gsi = gsi;
    } else if (vector->routed_address != vector->address || vector->routed_data != vector->data) {
        if (vm_msi_route_change(msix->vm, vector->gsi, vector->address, vector->data, error))
            return -1;
    } else {
        return 0;
    }
    vector->routed_address = vector->address;
    vector->routed_data = vector->data;
    *changed = true;
    return 0;
}

/* Eventfds and routes of the vectors in [first, first + count) that are in use. */
static int prepare(struct msix *msix, unsigned int first, unsigned int count, struct error *error)
{
    bool changed = false;

    for (unsigned int i = first; i < first + count; i++) {
        struct msix_vector *vector = &msix->vector[i];

        if (!msix->enabled || !in_use(vector))
            continue;
        if (make_eventfd(vector, error) || (is_unmasked(msix, vector) && route(msix, vector, &changed, error)))
            return error_prefix(error, "%s vector %u", name_of(msix), i);
    }
    return changed ? vm_msi_routes_commit(msix->vm, error) : 0;
}

/* Gives the vector to KVM, with what is pending. */
static int start_delivery(struct msix *msix, unsigned int number, struct error *error)
{
    struct msix_vector *vector = &msix->vector[number];

    if (vector->delivered)
        return 0;
    gather(vector);
    if (vector->pending && vm_signal_msi(msix->vm, vector->address, vector->data, error))
        return error_prefix(error, "%s vector %u", name_of(msix), number);
    vector->pending = false;
    if (vm_irqfd_assign(msix->vm, vector->gsi, vector->eventfd, error))
        return error_prefix(error, "%s vector %u", name_of(msix), number);
    vector->delivered = true;
    return 0;
}

/* Gives the device the eventfds of [first, first + count), -1 where a vector is not in use: one SET_IRQS. */
static int set_irqs(struct msix *msix, unsigned int first, unsigned int count, struct error *error)
{
    int32_t fds[MSIX_VECTORS_MAX] = {-1};

    for (unsigned int i = 0; i < count; i++)
        fds[i] = in_use(&msix->vector[first + i]) ? msix->vector[first + i].eventfd : -1;
    if (msix->device->ops->set_irqs(msix->device, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
                                    msix->irq_index, first, count, fds, count * sizeof(fds[0]), error))
        return error_prefix(error, "setting %s vectors %u to %u", name_of(msix), first, first + count - 1);
    for (unsigned int i = 0; i < count; i++)
        msix->vector[first + i].in_device = fds[i] != -1;
    if (msix->device_vectors < first + count)
        msix->device_vectors = first + count;
    return 0;
}

/* How many vectors SET_IRQS has to enable: up to the last one in use, all where there will be no chance for more. */
static unsigned int vectors_to_enable(const struct msix *msix)
{
    unsigned int count = msix->vectors;

    if (!msix->resizable)
        return count;
    while (count > 1 && !in_use(&msix->vector[count - 1]))
        count--;
    return count;
}

static int tell_device(struct msix *msix, unsigned int first, unsigned int count, struct error *error)
{
    if (!msix->enabled)
        return disable_in_device(msix, error);
    if (!msix->device_vectors)
        return set_irqs(msix, 0, vectors_to_enable(msix), error);
    for (unsigned int i = first; i < first + count; i++) {
        if (in_use(&msix->vector[i]) && !msix->vector[i].in_device && set_irqs(msix, i, 1, error))
            return -1;
    }
    return 0;
}

/* Makes KVM and the device follow the table's entries [first, first + count) and the control bits. */
static int update(struct msix *msix, unsigned int first, unsigned int count, struct error *error)
{
    for (unsigned int i = first; i < first + count; i++) {
        if (!is_deliverable(msix, &msix->vector[i]) && stop_delivery(msix, i, error))
            return -1;
    }
    if (prepare(msix, first, count, error))
        return -1;
    for (unsigned int i = first; i < first + count; i++) {
        if (is_deliverable(msix, &msix->vector[i]) && start_delivery(msix, i, error))
            return -1;
    }
    return tell_device(msix, first, count, error);
}

static bool access_is_valid(uint64_t offset, size_t size, uint64_t limit)
{
    return (size == 4 || size == 8) && offset % size == 0 && offset + size <= limit;
}

static uint32_t read_entry(const struct msix_vector *vector, uint64_t offset)
{
    switch (offset) {
    case PCI_MSIX_ENTRY_LOWER_ADDR:
        return (uint32_t)vector->address;
    case PCI_MSIX_ENTRY_UPPER_ADDR:
        return (uint32_t)(vector->address >> 32);
    case PCI_MSIX_ENTRY_DATA:
        return vector->data;
    default:
        return vector->masked ? VECTOR_CONTROL_MASKED : 0;
    }
}

static void write_entry(struct msix_vector *vector, uint64_t offset, uint32_t value)
{
    switch (offset) {
    case PCI_MSIX_ENTRY_LOWER_ADDR:
        vector->address = (vector->address & ~0xffffffffull) | (value & ~3u);
        break;
    case PCI_MSIX_ENTRY_UPPER_ADDR:
        vector->address = (vector->address & 0xffffffffull) | (uint64_t)value << 32;
        break;
    case PCI_MSIX_ENTRY_DATA:
        vector->data = value;
        break;
    default:
        vector->masked = value & VECTOR_CONTROL_MASKED;
        break;
    }
}

void msix_read_table(struct msix *msix, uint64_t offset, void *data, size_t size)
{
    const struct msix_vector *vector;
    uint32_t words[2];

    memset(data, 0xff, size);
    if (!access_is_valid(offset, size, (uint64_t)msix->vectors * MSIX_ENTRY_SIZE))
        return;
    vector = &msix->vector[offset / MSIX_ENTRY_SIZE];
    words[0] = read_entry(vector, offset % MSIX_ENTRY_SIZE);
    words[1] = read_entry(vector, offset % MSIX_ENTRY_SIZE + 4);
    memcpy(data, words, size);
}

int msix_write_table(struct msix *msix, uint64_t offset, const void *data, size_t size, struct error *error)
{
    unsigned int number = (unsigned int)(offset / MSIX_ENTRY_SIZE);
    uint32_t words[2];

    if (!access_is_valid(offset, size, (uint64_t)msix->vectors * MSIX_ENTRY_SIZE))
        return 0;
    memcpy(words, data, size);
    for (size_t i = 0; i < size / 4; i++)
        write_entry(&msix->vector[number], offset % MSIX_ENTRY_SIZE + 4 * i, words[i]);
    msix->withheld = false;
    return msix->enabled ? update(msix, number, 1, error) : 0;
}

void msix_read_pba(struct msix *msix, uint64_t offset, void *data, size_t size)
{
    uint64_t bits = 0;

    memset(data, 0xff, size);
    if (!access_is_valid(offset, size, (msix->vectors + 63ull) / 64 * 8))
        return;
    for (unsigned int i = 0; i < size * 8; i++) {
        uint64_t number = offset * 8 + i;

        if (number >= msix->vectors)
            break;
        if (!msix->vector[number].delivered)
            gather(&msix->vector[number]);
        bits |= (uint64_t)msix->vector[number].pending << i;
    }
    memcpy(data, &bits, size);
}

/* What was signalled before MSI-X was disabled belongs to nobody. */
static void forget_signals(struct msix *msix)
{
    for (unsigned int i = 0; i < msix->vectors; i++) {
        gather(&msix->vector[i]);
        msix->vector[i].pending = false;
    }
}

int msix_set_control(struct msix *msix, uint16_t control, struct error *error)
{
    bool was_enabled = msix->enabled;

    if (!msix->vectors)
        return 0;
    msix->enabled = control & PCI_MSIX_FLAGS_ENABLE;
    msix->masked = control & PCI_MSIX_FLAGS_MASKALL;
    msix->withheld = false;
    if (!msix->enabled && !was_enabled)
        return 0;
    if (update(msix, 0, msix->vectors, error))
        return -1;
    if (!msix->enabled)
        forget_signals(msix);
    return 0;
}

int msix_set_message(struct msix *msix, bool enabled, uint64_t address, uint32_t data, struct error *error)
{
    msix->vector[0].address = address;
    msix->vector[0].data = data;
    return msix_set_control(msix, enabled ? PCI_MSIX_FLAGS_ENABLE : 0, error);
}

int msix_bind(struct msix *msix, struct error *error)
{
    msix->bound = true;
    return msix->enabled ? update(msix, 0, msix->vectors, error) : 0;
}

int msix_unbind(struct msix *msix, struct error *error)
{
    msix->bound = false;
    for (unsigned int i = 0; i < msix->vectors; i++) {
        if (stop_delivery(msix, i, error))
            return -1;
        gather(&msix->vector[i]);
    }
    return 0;
}

int msix_signalled(const struct msix *msix)
{
    for (unsigned int i = 0; i < msix->vectors; i++)
        if (msix->vector[i].eventfd != -1 && !msix->vector[i].delivered && io_readable(msix->vector[i].eventfd))
            return (int)i;
    return -1;
}

bool msix_swallow(struct msix *msix, unsigned int number)
{
    struct msix_vector *vector = &msix->vector[number];

    if (vector->delivered || !is_unmasked(msix, vector))
        return false;
    gather(vector);
    if (!vector->pending)
        return false;
    vector->pending = false;
    return true;
}

void msix_describe(struct msix *msix, char *text, size_t size)
{
    size_t length;

    snprintf(text, size, "%s %s%s, %u vectors in the device%s",
             msix->irq_index == VFIO_PCI_MSIX_IRQ_INDEX ? "MSI-X" : "MSI", msix->enabled ? "on" : "off",
             msix->masked ? " and masked" : "", msix->device_vectors, msix->bound ? "" : "; not given to KVM");
    for (unsigned int i = 0; i < msix->vectors; i++) {
        struct msix_vector *vector = &msix->vector[i];

        length = strlen(text);
        if (!in_use(vector) || length + 96 > size)
            continue;
        snprintf(text + length, size - length, "; vector %u%s%s%s, %" PRIu64 " signals not taken", i,
                 vector->masked ? " masked" : "", vector->pending ? " pending" : "",
                 vector->delivered ? " given to KVM" : " held back",
                 vector->eventfd < 0 ? 0 : io_eventfd_count(vector->eventfd));
    }
}

void msix_get_state(struct msix *msix, struct buffer *state)
{
    size_t record = record_begin(state, RECORD_MSIX, MSIX_STATE_VERSION);

    buffer_put_u32(state, msix->vectors);
    buffer_put_u8(state, msix->enabled);
    buffer_put_u8(state, msix->masked);
    for (unsigned int i = 0; i < msix->vectors; i++) {
        struct msix_vector *vector = &msix->vector[i];

        if (!vector->delivered)
            gather(vector);
        buffer_put_u64(state, vector->address);
        buffer_put_u32(state, vector->data);
        buffer_put_u8(state, vector->masked);
        buffer_put_u8(state, vector->pending);
    }
    record_end(state, record);
}

/* What the capability says is in the state twice: with the table that it is about, and in configuration space. */
static int check_control(const struct msix *msix, struct cursor *body, uint16_t control, struct error *error)
{
    uint8_t enabled = cursor_get_u8(body), masked = cursor_get_u8(body);

    if (body->failed || enabled > 1 || masked > 1)
        return error_set(error, EINVAL, "the %s state is malformed", name_of(msix));
    if (enabled == !!(control & PCI_MSIX_FLAGS_ENABLE) && masked == !!(control & PCI_MSIX_FLAGS_MASKALL))
        return 0;
    return error_rule(error, "stream/msix-disagrees", 0,
                      "the table is one of %s that is %s%s, and the capability's message control is 0x%04x",
                      name_of(msix), enabled ? "enabled" : "disabled", masked ? " and masked" : "", control);
}

static int read_vectors(struct msix *msix, struct cursor *body, uint16_t control, struct error *error)
{
    if (cursor_get_u32(body) != msix->vectors)
        return error_set(error, EINVAL, "the MSI-X state is not one of %u vectors", msix->vectors);
    if (check_control(msix, body, control, error))
        return -1;
    for (unsigned int i = 0; i < msix->vectors; i++) {
        struct msix_vector *vector = &msix->vector[i];
        uint64_t address = cursor_get_u64(body);
        uint32_t data = cursor_get_u32(body);
        uint8_t masked = cursor_get_u8(body), pending = cursor_get_u8(body);

        if (masked > 1 || pending > 1 || address & 3)
            return error_set(error, EINVAL, "the MSI-X state of vector %u is malformed", i);
        vector->address = address;
        vector->data = data;
        vector->masked = masked;
        vector->pending = pending;
    }
    return cursor_at_end(body) ? 0 : error_set(error, EINVAL, "the MSI-X state has the wrong size");
}

int msix_put_state(struct msix *msix, struct cursor *state, uint16_t control, struct error *error)
{
    struct cursor body;

    if (record_take(state, RECORD_MSIX, MSIX_STATE_VERSION, &body, error) || read_vectors(msix, &body, control, error))
        return -1;
    return msix_set_control(msix, control, error);
}
