/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Internal memory that is not what it should be: on the source what is saved is not what was, on the destination what
 * is there is not what was loaded, behind every checksum. Only what the guest reads back can show it, or a second save.
 */
#include "devices/faults/fault.h"

#define PAGE 4096u

enum when {
    AFTER_LOAD,  /* as with a restore that goes wrong */
    WHILE_SAVED, /* as with a cache that is written back after the save: the change is undone afterwards */
    IN_STOP,     /* as with a device that goes on working */
};

struct memory_fault {
    struct device_layer layer;
    enum when when;
    bool has_at;
    uint64_t at;
    bool stale;
};

/*
 * One byte of each page that is not zero: a single one would go unseen as often as the guest happens to write that
 * place before it reads it. The bit that is changed leaves no byte zero, so that the same bytes are found again.
 */
static void change_page(uint8_t *page, uint64_t size)
{
    for (uint64_t i = 0; i < size; i++) {
        if (page[i] > 1) {
            page[i] ^= 0x01;
            return;
        }
    }
}

static void change(const struct memory_fault *fault, struct device *device)
{
    uint64_t size;
    uint8_t *memory = device_memory(device, &size);

    if (fault->has_at && fault->at < size)
        memory[fault->at] ^= 0x01;
    for (uint64_t page = 0; !fault->has_at && page < size; page += PAGE)
        change_page(memory + page, size - page < PAGE ? size - page : PAGE);
}

static int arc(struct device *device, unsigned int from, unsigned int to)
{
    struct memory_fault *fault = (struct memory_fault *)device;
    bool saves = to == VFIO_DEVICE_STATE_STOP_COPY;
    int failed;

    /* A save begins with the arc: what it is to find must be there before. */
    if (saves && fault->when != AFTER_LOAD && !fault->stale) {
        change(fault, device->next);
        fault->stale = true;
    }
    failed = device_arc(device->next, from, to);
    if (!failed && fault->when == AFTER_LOAD && fault_arc_loads(from))
        change(fault, device->next);
    if (fault->stale && (failed || !saves)) {
        if (fault->when == WHILE_SAVED)
            change(fault, device->next);
        fault->stale = false;
    }
    return failed;
}

static const struct device_ops down = {.destroy = fault_layer_destroy, .arc = arc};
static const struct device_host_ops up = {.dma_read = NULL};

static struct device_layer *create(const struct fault_request *request, struct error *error)
{
    struct memory_fault *fault = fault_layer_new(sizeof(*fault), &down, &up, error);

    if (!fault)
        return NULL;
    fault->when = (enum when)request->kind->variant;
    fault->has_at = request->has_at;
    fault->at = request->at;
    return &fault->layer;
}

const struct fault_kind fault_memory_kinds[] = {
    {"device-byte-changed", create, AFTER_LOAD},
    {"saved-state-stale", create, WHILE_SAVED},
    {"state-advances", create, IN_STOP},
    {0},
};
