/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/board/record.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

size_t record_begin(struct buffer *buffer, enum record_tag tag, uint32_t version)
{
    buffer_put_u32(buffer, tag);
    buffer_put_u32(buffer, version);
    buffer_put_u32(buffer, 0);
    return buffer->size;
}

void record_end(struct buffer *buffer, size_t begin)
{
    uint32_t size = htole32((uint32_t)(buffer->size - begin));

    if (!buffer->failed)
        memcpy(buffer->data + begin - sizeof(size), &size, sizeof(size));
}

int record_take(struct cursor *cursor, enum record_tag tag, uint32_t version, struct cursor *body, struct error *error)
{
    char name[5] = {(char)tag, (char)(tag >> 8), (char)(tag >> 16), (char)(tag >> 24)};
    uint32_t seen_tag = cursor_get_u32(cursor);
    uint32_t seen_version = cursor_get_u32(cursor);
    uint32_t size = cursor_get_u32(cursor);
    const void *data = cursor_take(cursor, size);

    if (!data)
        return error_set(error, EINVAL, "board state ends within record %s", name);
    if (seen_tag != tag)
        return error_set(error, EINVAL, "board state has record 0x%08x where %s belongs", seen_tag, name);
    if (seen_version != version)
        return error_set(error, EINVAL, "record %s of the board state has version %u, this program knows %u", name,
                         seen_version, version);
    *body = cursor_over(data, size);
    return 0;
}
