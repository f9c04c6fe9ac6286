/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/buffer.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

void buffer_free(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer)BUFFER_INIT;
}

void buffer_clear(struct buffer *buffer)
{
    buffer->size = 0;
    buffer->failed = false;
}

void *buffer_extend(struct buffer *buffer, size_t size)
{
    void *start;

    if (buffer->failed || size > SIZE_MAX / 2 - buffer->size) {
        buffer->failed = true;
        return NULL;
    }
    if (buffer->size + size > buffer->room) {
        size_t room = buffer->room ? buffer->room : 256;
        uint8_t *data;

        while (room < buffer->size + size)
            room *= 2;
        data = realloc(buffer->data, room);
        if (!data) {
            buffer->failed = true;
            return NULL;
        }
        buffer->data = data;
        buffer->room = room;
    }
    start = buffer->data + buffer->size;
    buffer->size += size;
    return start;
}

void buffer_put(struct buffer *buffer, const void *data, size_t size)
{
    void *start = size ? buffer_extend(buffer, size) : NULL;

    if (start)
        memcpy(start, data, size);
}

void buffer_put_u8(struct buffer *buffer, uint8_t value)
{
    buffer_put(buffer, &value, sizeof(value));
}

void buffer_put_u16(struct buffer *buffer, uint16_t value)
{
    value = htole16(value);
    buffer_put(buffer, &value, sizeof(value));
}

void buffer_put_u32(struct buffer *buffer, uint32_t value)
{
    value = htole32(value);
    buffer_put(buffer, &value, sizeof(value));
}

void buffer_put_u64(struct buffer *buffer, uint64_t value)
{
    value = htole64(value);
    buffer_put(buffer, &value, sizeof(value));
}

struct cursor cursor_over(const void *data, size_t size)
{
    return (struct cursor){.data = data, .left = size};
}

const void *cursor_take(struct cursor *cursor, size_t size)
{
    const void *start = cursor->data;

    if (cursor->failed || size > cursor->left) {
        cursor->failed = true;
        return NULL;
    }
    cursor->data += size;
    cursor->left -= size;
    return start;
}

void cursor_get(struct cursor *cursor, void *data, size_t size)
{
    const void *start = cursor_take(cursor, size);

    if (start && size)
        memcpy(data, start, size);
    else
        memset(data, 0, size);
}

uint8_t cursor_get_u8(struct cursor *cursor)
{
    uint8_t value;

    cursor_get(cursor, &value, sizeof(value));
    return value;
}

uint16_t cursor_get_u16(struct cursor *cursor)
{
    uint16_t value;

    cursor_get(cursor, &value, sizeof(value));
    return le16toh(value);
}

uint32_t cursor_get_u32(struct cursor *cursor)
{
    uint32_t value;

    cursor_get(cursor, &value, sizeof(value));
    return le32toh(value);
}

uint64_t cursor_get_u64(struct cursor *cursor)
{
    uint64_t value;

    cursor_get(cursor, &value, sizeof(value));
    return le64toh(value);
}

bool cursor_at_end(const struct cursor *cursor)
{
    return !cursor->failed && cursor->left == 0;
}
