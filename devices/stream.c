/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/stream.h"

#include <endian.h>
#include <errno.h>
#include <isa-l/crc.h>
#include <string.h>

#define SECTION_HEAD 12u
#define CRC_SIZE 4u

static uint32_t crc32c(const void *data, size_t size)
{
    /* ISA-L takes a pointer that is not const and an int; a section is far below INT_MAX. */
    return ~crc32_iscsi((unsigned char *)(uintptr_t)data, (int)size, ~0u);
}

static uint32_t load_u32(const uint8_t *data)
{
    uint32_t value;

    memcpy(&value, data, sizeof(value));
    return le32toh(value);
}

static void put_header(struct buffer *buffer)
{
    buffer_put(buffer, STREAM_MAGIC, 8);
    buffer_put_u32(buffer, STREAM_VERSION);
    buffer_put_u32(buffer, 0);
}

void stream_writer_free(struct stream_writer *writer)
{
    buffer_free(&writer->out);
}

void stream_writer_start(struct stream_writer *writer)
{
    buffer_clear(&writer->out);
    writer->taken = 0;
    writer->number = 0;
    put_header(&writer->out);
    writer->written = STREAM_HEADER_SIZE;
}

void stream_section_begin(struct stream_writer *writer, uint32_t type)
{
    if (writer->taken == writer->out.size) {
        buffer_clear(&writer->out);
        writer->taken = 0;
    }
    writer->section = writer->out.size;
    buffer_put_u32(&writer->out, type);
    buffer_put_u32(&writer->out, writer->number++);
    buffer_put_u32(&writer->out, 0);
}

void stream_section_finish(struct stream_writer *writer)
{
    size_t size = writer->out.size - writer->section;
    uint32_t length = htole32((uint32_t)(size - SECTION_HEAD));

    if (writer->out.failed)
        return;
    memcpy(writer->out.data + writer->section + 8, &length, sizeof(length));
    buffer_put_u32(&writer->out, crc32c(writer->out.data + writer->section, size));
    writer->written += size + CRC_SIZE;
}

void stream_writer_end(struct stream_writer *writer)
{
    stream_section_begin(writer, STREAM_SECTION_END);
    buffer_put_u64(&writer->out, writer->written);
    stream_section_finish(writer);
}

size_t stream_writer_take(struct stream_writer *writer, void *data, size_t size)
{
    size_t pending = stream_writer_pending(writer);

    if (size > pending)
        size = pending;
    if (size)
        memcpy(data, writer->out.data + writer->taken, size);
    writer->taken += size;
    return size;
}

size_t stream_writer_pending(const struct stream_writer *writer)
{
    return writer->out.size - writer->taken;
}

void stream_reader_free(struct stream_reader *reader)
{
    buffer_free(&reader->part);
}

void stream_reader_start(struct stream_reader *reader, stream_sink sink, void *context)
{
    struct buffer part = reader->part;

    *reader = (struct stream_reader){.sink = sink, .context = context, .part = part};
    buffer_clear(&reader->part);
}

/* How many bytes the part needs before it can be looked at again; 0 where it is whole. */
static size_t part_wants(const struct stream_reader *reader)
{
    size_t whole = reader->header_done ? SECTION_HEAD : STREAM_HEADER_SIZE;

    if (reader->header_done && reader->part.size >= SECTION_HEAD)
        whole = SECTION_HEAD + (size_t)load_u32(reader->part.data + 8) + CRC_SIZE;
    return whole - reader->part.size;
}

/* A section's head is looked at as soon as it is there, so that a length that cannot be is not waited for. */
static int check_head(const struct stream_reader *reader)
{
    if (load_u32(reader->part.data + 4) != reader->number || load_u32(reader->part.data + 8) > STREAM_SECTION_MAX)
        return EINVAL;
    return 0;
}

static int take_header(struct stream_reader *reader)
{
    if (memcmp(reader->part.data, STREAM_MAGIC, 8) || load_u32(reader->part.data + 8) != STREAM_VERSION ||
        load_u32(reader->part.data + 12))
        return EINVAL;
    reader->header_done = true;
    return 0;
}

static int take_section(struct stream_reader *reader)
{
    size_t covered = reader->part.size - CRC_SIZE;
    uint32_t type = load_u32(reader->part.data);
    struct cursor payload = cursor_over(reader->part.data + SECTION_HEAD, covered - SECTION_HEAD);

    if (crc32c(reader->part.data, covered) != load_u32(reader->part.data + covered))
        return EINVAL;
    reader->number++;
    if (type != STREAM_SECTION_END)
        return reader->sink(reader->context, type, &payload);
    if (cursor_get_u64(&payload) != reader->read || !cursor_at_end(&payload))
        return EINVAL;
    reader->ended = true;
    return 0;
}

static int feed_part(struct stream_reader *reader, const uint8_t **data, size_t *size)
{
    size_t wants = part_wants(reader);
    size_t count = wants < *size ? wants : *size;
    int failed;

    buffer_put(&reader->part, *data, count);
    if (reader->part.failed)
        return ENOMEM;
    *data += count;
    *size -= count;
    if (count < wants)
        return 0;
    if (reader->header_done && reader->part.size == SECTION_HEAD)
        return check_head(reader);
    failed = reader->header_done ? take_section(reader) : take_header(reader);
    reader->read += reader->part.size;
    buffer_clear(&reader->part);
    return failed;
}

int stream_reader_feed(struct stream_reader *reader, const void *data, size_t size)
{
    const uint8_t *next = data;

    while (size && !reader->refused)
        reader->refused = reader->ended ? EINVAL : feed_part(reader, &next, &size);
    return reader->refused;
}

bool stream_reader_complete(const struct stream_reader *reader)
{
    return reader->ended && !reader->refused;
}
