/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device that loads a hostile stream, and is driven by a hostile guest. The first byte chooses: bits 0 and 1 the model;
 * bit 2 whether the stream goes as it is, or in sections whose envelope is right (u8 type, u16 size, payload); bit 3 whether
 * a stream is loaded at all. After it accesses of the guest follow: u8 what, u16 offset, u32 value, or its memory.
 */
#include <errno.h>
#include <isa-l/crc.h>
#include <stdlib.h>
#include <string.h>

#include "devices/model.h"
#include "devices/stream.h"
#include "lib/deadline.h"
#include "tests/fuzz/fuzz.h"

#define MEMORY (64u << 10)
#define ACCESSES_MAX 256
#define TIMERS_MAX 64

struct host {
    struct device_host host; /* first */
    uint8_t memory[MEMORY];
    uint64_t timer_at_ns;
};

static int dma_read(struct device_host *host, enum device_dma_purpose purpose, uint64_t iova, void *data, size_t size)
{
    (void)purpose;
    if (iova > MEMORY || size > MEMORY - iova)
        return EFAULT;
    memcpy(data, ((struct host *)host)->memory + iova, size);
    return 0;
}

static int dma_write(struct device_host *host, enum device_dma_purpose purpose, uint64_t iova, const void *data,
                     size_t size)
{
    (void)purpose;
    if (iova > MEMORY || size > MEMORY - iova)
        return EFAULT;
    memcpy(((struct host *)host)->memory + iova, data, size);
    return 0;
}

static bool dma_reaches_peer(struct device_host *host, uint64_t iova, uint64_t size)
{
    (void)host;
    (void)size;
    return iova >= MEMORY / 2;
}

static unsigned int irq_count(struct device_host *host, unsigned int index)
{
    (void)host;
    return index == VFIO_PCI_MSIX_IRQ_INDEX ? 2 : 0;
}

static bool irq_raise(struct device_host *host, unsigned int index, unsigned int vector)
{
    (void)host;
    (void)index;
    return vector % 2 == 0;
}

static void irq_level(struct device_host *host, bool asserted)
{
    (void)host;
    (void)asserted;
}

static void set_timer(struct device_host *host, uint64_t at_ns)
{
    ((struct host *)host)->timer_at_ns = at_ns;
}

static void was_reset(struct device_host *host)
{
    (void)host;
}

static void state_changed(struct device_host *host, unsigned int state)
{
    (void)host;
    (void)state;
}

static const struct device_host_ops host_ops = {.dma_read = dma_read,
                                                .dma_write = dma_write,
                                                .dma_reaches_peer = dma_reaches_peer,
                                                .irq_count = irq_count,
                                                .irq_raise = irq_raise,
                                                .irq_level = irq_level,
                                                .set_timer = set_timer,
                                                .was_reset = was_reset,
                                                .state_changed = state_changed};

/* Sections of any content in an envelope that is right. */
static void load_sections(struct device *device, struct fuzz_input *input)
{
    struct stream_writer writer = {0};

    stream_writer_start(&writer);
    while (input->size) {
        uint32_t type = (uint32_t)fuzz_number(input, 1);
        size_t length = fuzz_number(input, 2);
        const uint8_t *payload = fuzz_bytes(input, &length);

        if (type == 0xff)
            break;
        stream_section_begin(&writer, type);
        buffer_put(&writer.out, payload, length);
        stream_section_finish(&writer);
    }
    stream_writer_end(&writer);
    device_data_write(device, writer.out.data, writer.out.size);
    stream_writer_free(&writer);
}

static void load(struct device *device, struct fuzz_input *input, bool raw)
{
    size_t length = 4096;
    const uint8_t *data;

    if (device_arc(device, VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_STOP) ||
        device_arc(device, VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_RESUMING))
        return;
    if (raw) {
        data = fuzz_bytes(input, &length);
        device_data_write(device, data, length);
    } else {
        load_sections(device, input);
    }
    if (device_arc(device, VFIO_DEVICE_STATE_RESUMING, VFIO_DEVICE_STATE_STOP) ||
        device_arc(device, VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_RUNNING))
        device_reset(device);
}

static void access_region(struct device *device, unsigned int index, uint64_t offset, uint64_t value, bool write)
{
    struct device_region region = {0};
    size_t count = (size_t)1 << (offset & 3);

    device_get_region(device, index, &region);
    offset = (offset >> 2) & ~(uint64_t)(count - 1);
    if (offset + count > region.size)
        return;
    if (write)
        device_region_write(device, index, offset, &value, count);
    else
        device_region_read(device, index, offset, &value, count);
}

static void drive(struct device *device, struct host *host, struct fuzz_input *input)
{
    for (int i = 0; i < ACCESSES_MAX && input->size; i++) {
        uint8_t what = (uint8_t)fuzz_number(input, 1);
        uint64_t offset = fuzz_number(input, 2);
        size_t length = what >> 2;
        const uint8_t *bytes;

        switch (what & 3) {
        case 0:
        case 1:
            access_region(device, (what >> 2) % 9, offset, fuzz_number(input, 4), what & 1);
            break;
        case 2:
            bytes = fuzz_bytes(input, &length);
            if (offset + length <= MEMORY)
                memcpy(host->memory + offset, bytes, length);
            break;
        default:
            device_doorbell(device, offset % 2);
            break;
        }
        for (int timer = 0; timer < TIMERS_MAX && host->timer_at_ns && host->timer_at_ns <= clock_now_ns(); timer++) {
            host->timer_at_ns = 0;
            device_timer(device);
        }
    }
}

/* What it saves then is what it can load. */
static void save_and_load(struct device *device)
{
    uint8_t *data = malloc(4 << 20);
    size_t size = 0, count = 0;
    enum device_data result = DEVICE_DATA;

    if (data && !device_arc(device, VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_STOP) &&
        !device_arc(device, VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_STOP_COPY)) {
        while (result == DEVICE_DATA && size < 3 << 20) {
            result = device_data_read(device, data + size, 65536, &count);
            size += count;
        }
        fuzz_assert(result == DEVICE_DATA_END, "a stream that has no end");
        fuzz_assert(!device_arc(device, VFIO_DEVICE_STATE_STOP_COPY, VFIO_DEVICE_STATE_STOP), "STOP_COPY to STOP");
        device_reset(device);
        fuzz_assert(!device_arc(device, VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_STOP), "RUNNING to STOP");
        fuzz_assert(!device_arc(device, VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_RESUMING), "STOP to RESUMING");
        fuzz_assert(!device_data_write(device, data, size), "a state of its own that a device does not load");
        fuzz_assert(!device_arc(device, VFIO_DEVICE_STATE_RESUMING, VFIO_DEVICE_STATE_STOP), "RESUMING to STOP");
    }
    free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const models[] = {"dma", "uart", "tally", "dma"};
    struct fuzz_input input = {data, size};
    uint8_t choice = (uint8_t)fuzz_number(&input, 1);
    struct host *host = calloc(1, sizeof(*host));
    struct device_options options;
    struct error error = ERROR_INIT;
    struct device *device;

    host->host.ops = &host_ops;
    device_options_defaults(&options);
    options.model = models[choice & 3];
    options.memory_size = 64 << 10;
    options.window_size = 4096;
    options.latency_ns = 0;
    options.migration_flags = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P;
    device = device_model_find(options.model)->create(&options, &host->host, &error);
    fuzz_assert(device != NULL, error.text);
    if (choice & 8)
        load(device, &input, choice & 4);
    drive(device, host, &input);
    save_and_load(device);
    device_destroy(device);
    free(host);
    return 0;
}
