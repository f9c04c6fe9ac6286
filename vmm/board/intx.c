/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/board/intx.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "lib/io.h"
#include "vmm/board/record.h"

#define INTX_STATE_VERSION 1

static int set_eventfd(struct intx *intx, uint32_t action, int32_t fd, struct error *error)
{
    return intx->device->ops->set_irqs(intx->device, VFIO_IRQ_SET_DATA_EVENTFD | action, VFIO_PCI_INTX_IRQ_INDEX, 0, 1,
                                       &fd, sizeof(fd), error);
}

int intx_init(struct intx *intx, struct vm *vm, struct vfio_device *device, unsigned int pin, struct error *error)
{
    *intx = (struct intx){.trigger = -1, .resample = -1};
    pthread_mutex_init(&intx->unmask_lock, NULL);
    if (!pin)
        return 0;
    intx->vm = vm;
    intx->pin = pin;
    intx->trigger = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    intx->resample = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (intx->trigger == -1 || intx->resample == -1) {
        error_set(error, errno, "making an eventfd");
        intx_destroy(intx);
        return -1;
    }
    intx->device = device;
    if (set_eventfd(intx, VFIO_IRQ_SET_ACTION_TRIGGER, intx->trigger, error)) {
        intx->device = NULL;
        intx_destroy(intx);
        return error_prefix(error, "setting INTx");
    }
    /* mtty takes none, and others of its kind. */
    intx->unmask_by_vmm = set_eventfd(intx, VFIO_IRQ_SET_ACTION_UNMASK, intx->resample, NULL) != 0;
    return 0;
}

void intx_destroy(struct intx *intx)
{
    if (intx->device)
        intx->device->ops->set_irqs(intx->device, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
                                    VFIO_PCI_INTX_IRQ_INDEX, 0, 0, NULL, 0, NULL);
    intx->device = NULL;
    io_close(&intx->trigger);
    io_close(&intx->resample);
}

/* Takes what the device has signalled and KVM has not taken. */
static bool gather(struct intx *intx)
{
    eventfd_t count;

    return eventfd_read(intx->trigger, &count) == 0;
}

int intx_bind(struct intx *intx, struct error *error)
{
    if (!intx->device || intx->bound)
        return 0;
    if (intx->lose_resample) {
        intx->unmask_by_vmm = false;
        set_eventfd(intx, VFIO_IRQ_SET_ACTION_UNMASK, -1, NULL);
    }
    if (intx->asserted && eventfd_write(intx->trigger, 1))
        return error_set(error, errno, "asserting INTx once more");
    if (vm_level_irqfd_assign(intx->vm, intx->pin, intx->trigger, intx->resample, error))
        return error_prefix(error, "INTx");
    intx->bound = true;
    intx->asserted = false;
    return 0;
}

int intx_unbind(struct intx *intx, struct error *error)
{
    bool asserted = false;

    if (!intx->device || !intx->bound)
        return 0;
    if (vm_level_irqfd_deassign(intx->vm, intx->pin, intx->trigger, &asserted, error))
        return error_prefix(error, "INTx");
    intx->bound = false;
    intx->asserted = gather(intx) || asserted;
    return 0;
}

int intx_resample(struct intx *intx, struct error *error)
{
    eventfd_t count;
    int status = 0;

    if (!intx->device || !intx->unmask_by_vmm)
        return 0;
    pthread_mutex_lock(&intx->unmask_lock);
    if (eventfd_read(intx->resample, &count) == 0)
        status = intx->device->ops->set_irqs(intx->device, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK,
                                             VFIO_PCI_INTX_IRQ_INDEX, 0, 1, NULL, 0, error);
    pthread_mutex_unlock(&intx->unmask_lock);
    return status ? error_prefix(error, "unmasking INTx") : 0;
}

bool intx_signalled(const struct intx *intx)
{
    return intx->device && !intx->bound && io_readable(intx->trigger);
}

void intx_describe(const struct intx *intx, char *text, size_t size)
{
    char pin[160];

    if (vm_describe_pin(intx->vm, intx->pin, pin, sizeof(pin)) < 0)
        snprintf(pin, sizeof(pin), "pin %u of the IOAPIC", intx->pin);
    snprintf(text, size, "INTx %s, %s; signals not taken: %" PRIu64 " of the device, %" PRIu64 " to unmask it",
             intx->bound ? "is given to KVM" : intx->asserted ? "is held back, asserted" : "is held back", pin,
             io_eventfd_count(intx->trigger), io_eventfd_count(intx->resample));
}

void intx_get_state(const struct intx *intx, struct buffer *state)
{
    size_t record = record_begin(state, RECORD_INTX, INTX_STATE_VERSION);

    buffer_put_u8(state, intx->asserted);
    record_end(state, record);
}

int intx_put_state(struct intx *intx, struct cursor *state, struct error *error)
{
    struct cursor body;
    uint8_t asserted;

    if (record_take(state, RECORD_INTX, INTX_STATE_VERSION, &body, error))
        return -1;
    asserted = cursor_get_u8(&body);
    if (!cursor_at_end(&body) || asserted > 1)
        return error_set(error, EINVAL, "the INTx state is malformed");
    /* What the device signalled before the guest was its own belongs to nobody. */
    gather(intx);
    intx->asserted = asserted;
    return 0;
}
