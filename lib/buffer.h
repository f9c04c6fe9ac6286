/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Growing byte buffers to write records into, and cursors that read them back with every length checked. Numbers are
 * little endian. Both are sticky: after a failure (no memory, past the end) further calls do nothing, and one check at
 * the end tells.
 */
#ifndef STOPCOPY_BUFFER_H
#define STOPCOPY_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
    uint8_t *data;
    size_t size;
    size_t room;
    bool failed; /* memory ran out */
};

#define BUFFER_INIT                                                                                                    \
    {                                                                                                                  \
        .data = NULL                                                                                                   \
    }

void buffer_free(struct buffer *buffer);
void buffer_clear(struct buffer *buffer);
/* Adds size bytes and returns where they begin, to be filled in; NULL when memory ran out. Valid until the next call. */
void *buffer_extend(struct buffer *buffer, size_t size);
void buffer_put(struct buffer *buffer, const void *data, size_t size);
void buffer_put_u8(struct buffer *buffer, uint8_t value);
void buffer_put_u16(struct buffer *buffer, uint16_t value);
void buffer_put_u32(struct buffer *buffer, uint32_t value);
void buffer_put_u64(struct buffer *buffer, uint64_t value);

struct cursor {
    const uint8_t *data;
    size_t left;
    bool failed; /* something was read past the end */
};

struct cursor cursor_over(const void *data, size_t size);
/* Returns size bytes and goes past them; NULL past the end. */
const void *cursor_take(struct cursor *cursor, size_t size);
/* Copies size bytes; zeroes past the end. */
void cursor_get(struct cursor *cursor, void *data, size_t size);
uint8_t cursor_get_u8(struct cursor *cursor);
uint16_t cursor_get_u16(struct cursor *cursor);
uint32_t cursor_get_u32(struct cursor *cursor);
uint64_t cursor_get_u64(struct cursor *cursor);
/* Nothing failed and nothing is left. */
bool cursor_at_end(const struct cursor *cursor);

#endif
