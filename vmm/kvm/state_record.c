/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/kvm/state_record.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

void state_record_begin(struct state_writer *writer, struct buffer *buffer, uint32_t magic, uint32_t index,
                        size_t size_max)
{
    size_t start = buffer->size;

    /* One allocation at most, whatever comes. */
    if (buffer_extend(buffer, size_max))
        buffer->size = start;
    *writer = (struct state_writer){.buffer = buffer, .start = start};
    buffer_put_u32(buffer, magic);
    buffer_put_u32(buffer, STATE_RECORD_VERSION);
    buffer_put_u32(buffer, index);
    buffer_put_u32(buffer, 0);
}

void state_record_add(struct state_writer *writer, unsigned int kind, const void *data, size_t size)
{
    buffer_put_u32(writer->buffer, kind + 1);
    buffer_put_u32(writer->buffer, (uint32_t)size);
    buffer_put(writer->buffer, data, size);
    writer->sections++;
}

int state_record_end(struct state_writer *writer, struct error *error)
{
    uint32_t sections = htole32(writer->sections);

    if (writer->buffer->failed)
        return error_set(error, ENOMEM, "a state record");
    memcpy(writer->buffer->data + writer->start + STATE_RECORD_HEADER_SIZE - sizeof(sections), &sections,
           sizeof(sections));
    return 0;
}

static int parse_section(struct cursor *cursor, const char *what, const struct state_section_kind *kinds,
                         size_t kind_count, struct state_section *sections, struct error *error)
{
    uint32_t tag = cursor_get_u32(cursor);
    uint32_t size = cursor_get_u32(cursor);
    const void *data = cursor_take(cursor, size);
    const struct state_section_kind *kind;

    if (cursor->failed)
        return error_set(error, EINVAL, "%s: cut short in section %" PRIu32, what, tag);
    if (tag < 1 || tag > kind_count)
        return error_set(error, EINVAL, "%s: unknown section %" PRIu32, what, tag);
    kind = &kinds[tag - 1];
    if (sections[tag - 1].data)
        return error_set(error, EINVAL, "%s: a second section '%s'", what, kind->name);
    if (size < kind->size_min || size > kind->size_max)
        return error_set(error, EINVAL, "%s: section '%s' has %" PRIu32 " bytes, and not %zu to %zu", what, kind->name,
                         size, kind->size_min, kind->size_max);
    sections[tag - 1] = (struct state_section){.data = data, .size = size};
    return 0;
}

int state_record_parse(const void *data, size_t size, uint32_t magic, uint32_t index, const char *what,
                       const struct state_section_kind *kinds, size_t kind_count, struct state_section *sections,
                       struct error *error)
{
    struct cursor cursor = cursor_over(data, size);
    uint32_t seen_magic = cursor_get_u32(&cursor);
    uint32_t version = cursor_get_u32(&cursor);
    uint32_t seen_index = cursor_get_u32(&cursor);
    uint32_t count = cursor_get_u32(&cursor);

    memset(sections, 0, kind_count * sizeof(*sections));
    if (cursor.failed)
        return error_set(error, EINVAL, "%s: cut short in its header, at %zu bytes", what, size);
    if (seen_magic != magic)
        return error_set(error, EINVAL, "%s: not such a record: it begins with %#" PRIx32, what, seen_magic);
    if (version != STATE_RECORD_VERSION)
        return error_set(error, EINVAL,
                         "%s: version %" PRIu32 ", and this program knows %u; use the same program on "
                         "both ends",
                         what, version, STATE_RECORD_VERSION);
    if (seen_index != index)
        return error_set(error, EINVAL, "%s: the record is of number %" PRIu32, what, seen_index);
    if (count > kind_count)
        return error_set(error, EINVAL, "%s: %" PRIu32 " sections", what, count);
    for (uint32_t i = 0; i < count; i++)
        if (parse_section(&cursor, what, kinds, kind_count, sections, error) < 0)
            return -1;
    if (!cursor_at_end(&cursor))
        return error_set(error, EINVAL, "%s: %zu bytes after the last section", what, cursor.left);
    for (size_t i = 0; i < kind_count; i++)
        if (!sections[i].data && !kinds[i].optional)
            return error_set(error, EINVAL, "%s: section '%s' is missing", what, kinds[i].name);
    return 0;
}
