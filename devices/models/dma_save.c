/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state as a stream, made section by section as it is read, so that never more than one section is held. Memory
 * comes first: the pages that were written, then those that changed since they were sent. In PRE_COPY the stream pauses
 * there; in STOP_COPY window, registers, queues, vectors and configuration follow, and the end.
 */
#include <errno.h>
#include <string.h>

#include "devices/models/dma.h"

#define MEMORY_HEAD 16u
#define RUN_OVERHEAD (STREAM_SECTION_OVERHEAD + MEMORY_HEAD)

static bool in_pre_copy(const struct dma_device *dma)
{
    return dma->migration_state == VFIO_DEVICE_STATE_PRE_COPY || dma->migration_state == VFIO_DEVICE_STATE_PRE_COPY_P2P;
}

static void put_identity(const struct dma_device *dma, struct stream_writer *writer)
{
    stream_section_begin(writer, DMA_SECTION_IDENTITY);
    buffer_put_u32(&writer->out, DMA_STREAM_MODEL);
    buffer_put_u32(&writer->out, dma->queues);
    buffer_put_u32(&writer->out, dma->vectors);
    buffer_put_u32(&writer->out, 0);
    buffer_put_u64(&writer->out, dma->memory.size);
    buffer_put_u64(&writer->out, dma->scratch.size);
    buffer_put_u64(&writer->out, dma->window_size);
    buffer_put_u64(&writer->out, dma->migration_flags);
    stream_section_finish(writer);
}

static void put_memory(struct stream_writer *writer, enum dma_area area, const uint8_t *base, struct dma_memory_run run)
{
    stream_section_begin(writer, DMA_SECTION_MEMORY);
    buffer_put_u32(&writer->out, area);
    buffer_put_u32(&writer->out, 0);
    buffer_put_u64(&writer->out, run.page * DMA_MEMORY_PAGE);
    buffer_put(&writer->out, base + run.page * DMA_MEMORY_PAGE, run.count * DMA_MEMORY_PAGE);
    stream_section_finish(writer);
}

static void put_registers(const struct dma_device *dma, struct stream_writer *writer)
{
    stream_section_begin(writer, DMA_SECTION_REGISTERS);
    buffer_put_u32(&writer->out, dma->state->scratch);
    buffer_put_u32(&writer->out, dma->state->acknowledge_errors);
    buffer_put_u64(&writer->out, dma->state->dirtier_position);
    stream_section_finish(writer);
}

static void put_queue(const struct dma_device *dma, struct stream_writer *writer, unsigned int number)
{
    const struct dma_queue *queue = &dma->state->queue[number];
    struct buffer *out = &writer->out;

    stream_section_begin(writer, DMA_SECTION_QUEUE);
    buffer_put_u32(out, number);
    buffer_put_u32(out, queue->enabled);
    buffer_put_u32(out, queue->error);
    buffer_put_u32(out, queue->vector);
    buffer_put_u32(out, queue->entries);
    buffer_put_u32(out, queue->in_flight);
    buffer_put_u64(out, queue->ring);
    buffer_put_u64(out, queue->completions);
    buffer_put_u64(out, queue->shared);
    buffer_put_u64(out, queue->tail);
    buffer_put_u64(out, queue->completed);
    for (unsigned int i = 0; i < queue->in_flight; i++) {
        const struct dma_operation *operation = &queue->operation[(queue->first + i) % DMA_QUEUE_IN_FLIGHT_MAX];

        buffer_put_u64(out, operation->due_ns);
        buffer_put_u32(out, operation->descriptor.opcode);
        buffer_put_u32(out, operation->descriptor.length);
        buffer_put_u64(out, operation->descriptor.sequence);
        buffer_put_u64(out, operation->descriptor.source);
        buffer_put_u64(out, operation->descriptor.destination);
        buffer_put_u64(out, operation->descriptor.operand);
    }
    stream_section_finish(writer);
}

static void put_vectors(const struct dma_device *dma, struct stream_writer *writer)
{
    stream_section_begin(writer, DMA_SECTION_VECTORS);
    for (unsigned int i = 0; i < dma->vectors; i++) {
        const struct dma_vector *vector = &dma->state->vector[i];

        buffer_put_u64(&writer->out, vector->sequence);
        buffer_put_u32(&writer->out, vector->pending_queues);
        buffer_put_u32(&writer->out, (vector->outstanding ? DMA_VECTOR_FLAG_OUTSTANDING : 0) |
                                         (vector->undelivered ? DMA_VECTOR_FLAG_UNDELIVERED : 0));
        buffer_put(&writer->out, dma->state->msix_table + i * DMA_MSIX_ENTRY_SIZE, DMA_MSIX_ENTRY_SIZE);
    }
    stream_section_finish(writer);
}

static void put_state(const struct dma_device *dma, struct stream_writer *writer)
{
    put_registers(dma, writer);
    for (unsigned int queue = 0; queue < dma->queues; queue++)
        put_queue(dma, writer, queue);
    put_vectors(dma, writer);
    stream_section_begin(writer, DMA_SECTION_CONFIG);
    buffer_put(&writer->out, dma->config.data, PCI_CONFIG_SIZE);
    stream_section_finish(writer);
    stream_writer_end(writer);
}

void dma_save_start(struct dma_device *dma)
{
    struct dma_save *save = &dma->save;

    save->active = true;
    save->phase = DMA_SAVE_MEMORY;
    save->window_position = 0;
    save->cleared = false;
    save->reinit = false;
    save->pending_initial = true;
    stream_writer_start(&save->writer);
    put_identity(dma, &save->writer);
    dma_memory_track(&dma->memory);
    dma_memory_track(&dma->scratch);
}

void dma_save_stop(struct dma_device *dma)
{
    if (!dma->save.active)
        return;
    dma->save.active = false;
    dma_memory_untrack(&dma->memory);
    dma_memory_untrack(&dma->scratch);
    stream_writer_free(&dma->save.writer);
    dma->save.writer = (struct stream_writer){.taken = 0};
}

void dma_save_memory_cleared(struct dma_device *dma)
{
    dma->save.cleared = dma->save.active;
    dma->save.reinit = dma->save.active;
}

/* The next run of pages of an area that is to be sent, initial ones first. False where there is none. */
static bool put_next_run(struct dma_device *dma, enum dma_area area, bool initial)
{
    struct dma_memory *memory = area == DMA_AREA_MEMORY ? &dma->memory : &dma->scratch;
    struct dma_memory_run run = initial ? dma_memory_take_initial(memory) : dma_memory_take_dirty(memory);

    if (!run.count)
        return false;
    dma->save.pending_initial = initial;
    put_memory(&dma->save.writer, area, memory->base, run);
    return true;
}

static bool put_next_memory(struct dma_device *dma)
{
    if (dma->save.cleared) {
        dma->save.cleared = false;
        dma->save.pending_initial = dma->save.reinit;
        stream_section_begin(&dma->save.writer, DMA_SECTION_CLEAR);
        stream_section_finish(&dma->save.writer);
        return true;
    }
    return put_next_run(dma, DMA_AREA_MEMORY, true) || put_next_run(dma, DMA_AREA_SCRATCH, true) ||
           put_next_run(dma, DMA_AREA_MEMORY, false) || put_next_run(dma, DMA_AREA_SCRATCH, false);
}

static bool put_next_window(struct dma_device *dma)
{
    struct dma_memory_run run = dma_window_find(dma, dma->save.window_position);

    if (!run.count)
        return false;
    put_memory(&dma->save.writer, DMA_AREA_WINDOW, dma->window, run);
    dma->save.window_position = run.page + run.count;
    return true;
}

/* Writes the next of the stream. */
static enum device_data produce(struct dma_device *dma)
{
    struct dma_save *save = &dma->save;

    if (save->phase == DMA_SAVE_MEMORY) {
        if (put_next_memory(dma))
            return DEVICE_DATA;
        if (in_pre_copy(dma))
            return DEVICE_DATA_AGAIN;
        save->phase = DMA_SAVE_WINDOW;
    }
    if (save->phase == DMA_SAVE_WINDOW) {
        if (put_next_window(dma))
            return DEVICE_DATA;
        save->phase = DMA_SAVE_STATE;
    }
    if (save->phase == DMA_SAVE_STATE) {
        put_state(dma, &save->writer);
        save->phase = DMA_SAVE_END;
        return DEVICE_DATA;
    }
    return DEVICE_DATA_END;
}

enum device_data dma_data_read(struct device *device, void *data, size_t size, size_t *count)
{
    struct dma_device *dma = dma_device_of(device);
    struct stream_writer *writer = &dma->save.writer;

    *count = 0;
    for (;;) {
        enum device_data more;

        if (!dma->save.active || writer->out.failed)
            return DEVICE_DATA_FAILED;
        *count += stream_writer_take(writer, (uint8_t *)data + *count, size - *count);
        if (*count == size)
            return DEVICE_DATA;
        more = produce(dma);
        if (more != DEVICE_DATA)
            return more;
    }
}

static uint64_t window_bytes(const struct dma_device *dma, uint64_t page)
{
    uint64_t bytes = 0;
    struct dma_memory_run run;

    for (; (run = dma_window_find(dma, page)).count; page = run.page + run.count)
        bytes += RUN_OVERHEAD + run.count * DMA_MEMORY_PAGE;
    return bytes;
}

static uint64_t state_bytes(const struct dma_device *dma)
{
    struct stream_writer writer = {.taken = 0};
    uint64_t bytes;

    stream_writer_start(&writer);
    put_state(dma, &writer);
    bytes = writer.written - STREAM_HEADER_SIZE;
    stream_writer_free(&writer);
    return bytes;
}

static uint64_t identity_bytes(const struct dma_device *dma)
{
    struct stream_writer writer = {.taken = 0};
    uint64_t bytes;

    stream_writer_start(&writer);
    put_identity(dma, &writer);
    bytes = writer.written;
    stream_writer_free(&writer);
    return bytes;
}

static uint64_t initial_bytes(const struct dma_device *dma)
{
    return dma_memory_bytes(&dma->memory, dma->memory.initial, RUN_OVERHEAD) +
           dma_memory_bytes(&dma->scratch, dma->scratch.initial, RUN_OVERHEAD);
}

static uint64_t dirty_bytes(const struct dma_device *dma)
{
    return dma_memory_bytes(&dma->memory, dma->memory.dirty, RUN_OVERHEAD) +
           dma_memory_bytes(&dma->scratch, dma->scratch.dirty, RUN_OVERHEAD);
}

uint64_t dma_data_size(struct device *device)
{
    struct dma_device *dma = dma_device_of(device);
    uint64_t bytes;

    if (!dma->save.active)
        return identity_bytes(dma) + dma_memory_bytes(&dma->memory, dma->memory.touched, RUN_OVERHEAD) +
               dma_memory_bytes(&dma->scratch, dma->scratch.touched, RUN_OVERHEAD) + window_bytes(dma, 0) +
               state_bytes(dma);
    bytes = stream_writer_pending(&dma->save.writer);
    if (dma->save.phase == DMA_SAVE_MEMORY)
        bytes += initial_bytes(dma) + dirty_bytes(dma) + (dma->save.cleared ? STREAM_SECTION_OVERHEAD : 0);
    if (dma->save.phase <= DMA_SAVE_WINDOW)
        bytes += window_bytes(dma, dma->save.window_position);
    if (dma->save.phase <= DMA_SAVE_STATE)
        bytes += state_bytes(dma);
    return bytes;
}

int dma_precopy_info(struct device *device, bool version2, struct vfio_precopy_info *info)
{
    struct dma_device *dma = dma_device_of(device);
    uint64_t pending = stream_writer_pending(&dma->save.writer);
    uint64_t clear = dma->save.cleared ? STREAM_SECTION_OVERHEAD : 0;

    if (!dma->save.active || !in_pre_copy(dma))
        return EINVAL;
    info->flags = version2 && dma->save.reinit ? VFIO_PRECOPY_INFO_REINIT : 0;
    info->initial_bytes = initial_bytes(dma) + (dma->save.pending_initial ? pending : 0) + (version2 ? clear : 0);
    info->dirty_bytes = dirty_bytes(dma) + (dma->save.pending_initial ? 0 : pending) + (version2 ? 0 : clear);
    if (version2)
        dma->save.reinit = false;
    return 0;
}
