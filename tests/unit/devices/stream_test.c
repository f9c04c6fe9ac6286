/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state's envelope: whatever is done to a stream, it is noticed, in whatever pieces it comes. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/stream.h"

struct seen {
    unsigned int sections;
    uint32_t types[8];
    uint64_t bytes;
    uint32_t refuse; /* this type */
};

static int see(void *context, uint32_t type, struct cursor *payload)
{
    struct seen *seen = context;

    cr_assert_lt(seen->sections, 8);
    seen->types[seen->sections++] = type;
    seen->bytes += payload->left;
    return type == seen->refuse ? EXDEV : 0;
}

/* Three sections, one of them empty. */
static size_t make(uint8_t *data, size_t room)
{
    struct stream_writer writer = {.taken = 0};
    size_t size;

    stream_writer_start(&writer);
    stream_section_begin(&writer, 1);
    buffer_put(&writer.out, "some bytes", 10);
    stream_section_finish(&writer);
    stream_section_begin(&writer, 2);
    stream_section_finish(&writer);
    stream_section_begin(&writer, 3);
    buffer_put_u64(&writer.out, 77);
    stream_section_finish(&writer);
    stream_writer_end(&writer);
    cr_assert_eq(stream_writer_pending(&writer), writer.written);
    size = stream_writer_take(&writer, data, room);
    cr_assert_lt(size, room);
    stream_writer_free(&writer);
    return size;
}

static bool accepted(const uint8_t *data, size_t size, size_t piece, struct seen *seen)
{
    struct stream_reader reader = {.ended = false};
    bool complete;

    stream_reader_start(&reader, see, seen);
    for (size_t done = 0; done < size; done += piece)
        stream_reader_feed(&reader, data + done, size - done < piece ? size - done : piece);
    complete = stream_reader_complete(&reader);
    stream_reader_free(&reader);
    return complete;
}

Test(stream, comes_back_in_any_pieces)
{
    uint8_t data[256];
    size_t size = make(data, sizeof(data));

    for (size_t piece = 1; piece <= size; piece++) {
        struct seen seen = {.sections = 0};

        cr_assert(accepted(data, size, piece, &seen));
        cr_expect_eq(seen.sections, 3);
        cr_expect_eq(seen.bytes, 18);
        cr_expect_eq(seen.types[2], 3);
    }
}

Test(stream, cut_anywhere)
{
    uint8_t data[256];
    size_t size = make(data, sizeof(data));

    for (size_t cut = 0; cut < size; cut++) {
        struct seen seen = {.sections = 0};

        cr_expect_not(accepted(data, cut, 7, &seen), "cut at %zu", cut);
    }
}

Test(stream, changed_anywhere)
{
    uint8_t data[256];
    size_t size = make(data, sizeof(data));

    for (size_t bit = 0; bit < size * 8; bit++) {
        struct seen seen = {.sections = 0};

        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_expect_not(accepted(data, size, size, &seen), "bit %zu", bit);
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

Test(stream, extended)
{
    uint8_t data[512];
    size_t size = make(data, 256);
    struct seen seen = {.sections = 0};

    data[size] = 0;
    cr_expect_not(accepted(data, size + 1, 16, &seen));
    seen.sections = 0;
    memcpy(data + size, data, size);
    cr_expect_not(accepted(data, 2 * size, size, &seen));
}

/* Sections 0 and 2 changed places, which no checksum of a section shows. */
Test(stream, reordered)
{
    uint8_t data[256], swapped[256];
    size_t size = make(data, sizeof(data));
    size_t first = STREAM_HEADER_SIZE, second = first + 16 + 10, third = second + 16, end = third + 16 + 8;
    struct seen seen = {.sections = 0};
    uint8_t *to = swapped;

    memcpy(to, data, first);
    to += first;
    memcpy(to, data + third, end - third);
    to += end - third;
    memcpy(to, data + second, third - second);
    to += third - second;
    memcpy(to, data + first, second - first);
    to += second - first;
    memcpy(to, data + end, size - end);
    cr_expect_not(accepted(swapped, size, size, &seen));
    cr_expect_eq(seen.sections, 0);
}

Test(stream, a_section_left_out)
{
    uint8_t data[256];
    size_t size = make(data, sizeof(data));
    size_t second = STREAM_HEADER_SIZE + 16 + 10;
    struct seen seen = {.sections = 0};

    memmove(data + second, data + second + 16, size - second - 16);
    cr_expect_not(accepted(data, size - 16, size, &seen));
}

/* Not waited for, and not allocated. */
Test(stream, a_length_that_cannot_be)
{
    uint8_t data[64] = "SCDEVICE";
    struct stream_reader reader = {.ended = false};
    struct seen seen = {.sections = 0};

    data[8] = STREAM_VERSION;
    data[16] = 1;
    memset(data + 24, 0xff, 4);
    stream_reader_start(&reader, see, &seen);
    cr_expect_eq(stream_reader_feed(&reader, data, 28), EINVAL);
    cr_expect_lt(reader.part.room, 4096);
    stream_reader_free(&reader);
}

Test(stream, what_was_refused_stays_refused)
{
    uint8_t data[256];
    size_t size = make(data, sizeof(data));
    struct stream_reader reader = {.ended = false};
    struct seen seen = {.refuse = 2};

    stream_reader_start(&reader, see, &seen);
    cr_expect_eq(stream_reader_feed(&reader, data, size), EXDEV);
    cr_expect_eq(stream_reader_feed(&reader, data, 1), EXDEV);
    cr_expect_not(stream_reader_complete(&reader));
    cr_expect_eq(seen.sections, 2);
    stream_reader_free(&reader);
}
