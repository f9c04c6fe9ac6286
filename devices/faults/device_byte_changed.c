/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * After a state was loaded and found whole, internal memory is not what was saved: as with a device whose restore goes
 * wrong behind every checksum. Only what the guest reads back can show it.
 */
#include "devices/faults/fault.h"

#define PAGE 4096u

struct byte_changed {
    struct device_layer layer;
    bool has_at;
    uint64_t at;
};

/*
 * One byte of each page that is not zero: a single one would go unseen as often as the guest happens to write that
 * place before it reads it.
 */
static void change_page(uint8_t *page, uint64_t size)
{
    for (uint64_t i = 0; i < size; i++) {
        if (page[i]) {
            page[i] ^= 0x01;
            return;
        }
    }
}

static void change(const struct byte_changed *fault, struct device *device)
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
    int failed = device_arc(device->next, from, to);

    if (!failed && from == VFIO_DEVICE_STATE_RESUMING)
        change((struct byte_changed *)device, device->next);
    return failed;
}

static const struct device_ops down = {.destroy = fault_layer_destroy, .arc = arc};
static const struct device_host_ops up = {.dma_read = NULL};

static struct device_layer *create(const struct fault_request *request, struct error *error)
{
    struct byte_changed *fault = fault_layer_new(sizeof(*fault), &down, &up, error);

    if (!fault)
        return NULL;
    fault->has_at = request->has_at;
    fault->at = request->at;
    return &fault->layer;
}

const struct fault_kind fault_device_byte_changed = {
    .name = "device-byte-changed",
    .options = "at=OFFSET",
    .description =
        "when a state was loaded, a byte of internal memory differs from what was saved: the byte at OFFSET, or "
        "without it the first one that is not zero of each page (class of row 2)",
    .create = create,
};
