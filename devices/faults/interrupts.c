/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interrupts that are lost, repeated, or masked for ever where the device is loaded. */
#include "devices/faults/fault.h"

enum what {
    LOST,
    REPEATED,
    PENDING_LOST, /* what waited for a trigger or an unmask while the device was stopped */
    LEVEL_LOST,
};

struct interrupt_fault {
    struct device_layer layer;
    enum what what;
    bool loaded;
    bool stopped; /* and nothing has worked since */
    bool level;   /* as the device has it */
    bool level_held;
    struct fault_trigger trigger;
};

static int arc(struct device *device, unsigned int from, unsigned int to)
{
    struct interrupt_fault *fault = (struct interrupt_fault *)device;
    int failed;

    /* Whatever is delivered on this arc was pending, and on the next one where this goes to RUNNING_P2P. */
    fault->stopped |= fault_state_is_stopped(from);
    failed = device_arc(device->next, from, to);
    fault->stopped = fault_state_is_stopped(to) || (fault->stopped && to == VFIO_DEVICE_STATE_RUNNING_P2P);
    if (!failed && fault_arc_loads(from)) {
        fault->loaded = true;
        fault->trigger.count = 0;
    }
    return failed;
}

static bool irq_raise(struct device_host *host, unsigned int index, unsigned int vector)
{
    struct interrupt_fault *fault = (struct interrupt_fault *)fault_layer_of(host);
    struct device_host *above = fault->layer.device.host;

    if (!fault->loaded || fault->what == LEVEL_LOST || (fault->what == PENDING_LOST && !fault->stopped) ||
        !fault_trigger_strikes(&fault->trigger))
        return host_irq_raise(above, index, vector);
    if (fault->what != REPEATED)
        return true;
    return host_irq_raise(above, index, vector) && host_irq_raise(above, index, vector);
}

/* Once it is lost it stays lost: there is nothing that would unmask it. */
static void irq_level(struct device_host *host, bool asserted)
{
    struct interrupt_fault *fault = (struct interrupt_fault *)fault_layer_of(host);

    if (asserted && !fault->level && fault->loaded && fault->what == LEVEL_LOST &&
        fault_trigger_strikes(&fault->trigger))
        fault->level_held = true;
    fault->level = asserted;
    host_irq_level(fault->layer.device.host, asserted && !fault->level_held);
}

static void reset(struct device *device)
{
    struct interrupt_fault *fault = (struct interrupt_fault *)device;

    fault->loaded = fault->level_held = false;
    device_reset(device->next);
}

static const struct device_ops down = {.destroy = fault_layer_destroy, .reset = reset, .arc = arc};
static const struct device_host_ops up = {.irq_raise = irq_raise, .irq_level = irq_level};

static struct device_layer *create(const struct fault_request *request, struct error *error)
{
    struct interrupt_fault *fault = fault_layer_new(sizeof(*fault), &down, &up, error);

    if (!fault)
        return NULL;
    fault->what = (enum what)request->kind->variant;
    fault->trigger = fault_trigger_from(request, 1);
    return &fault->layer;
}

const struct fault_kind fault_interrupt_kinds[] = {
    {"interrupt-lost", create, LOST},
    {"interrupt-repeated", create, REPEATED},
    {"pending-interrupt-lost", create, PENDING_LOST},
    {"level-lost", create, LEVEL_LOST},
    {0},
};
