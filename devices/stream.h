/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The envelope of a device's state: a header, then sections, each with its number and a CRC-32C, then an end section.
 * Nothing else is between or after them. All numbers are little endian. docs/device.md has the stream byte by byte.
 *
 *   header   8 bytes STREAM_MAGIC, u32 version, u32 0
 *   section  u32 type, u32 number (0, 1, ...), u32 length of the payload, payload, u32 CRC-32C of all of these
 *   end      a section of type STREAM_SECTION_END, with the u64 count of the bytes before it as its payload
 *
 * So what is cut, extended, swapped, repeated or changed is noticed at the latest where the end is missing.
 */
#ifndef STOPCOPY_DEVICES_STREAM_H
#define STOPCOPY_DEVICES_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buffer.h"

#define STREAM_MAGIC "SCDEVICE"
#define STREAM_VERSION 1u
#define STREAM_HEADER_SIZE 16u
#define STREAM_SECTION_OVERHEAD 16u
#define STREAM_SECTION_MAX 0x110000u /* bytes of a payload, at most */
#define STREAM_SECTION_END 0xffffffffu

struct stream_writer {
    struct buffer out; /* what was written and not yet taken */
    size_t taken;      /* of it */
    size_t section;    /* where the open section begins in out */
    uint32_t number;
    uint64_t written; /* bytes ever */
};

void stream_writer_free(struct stream_writer *writer);
/* Starts over, with the header. */
void stream_writer_start(struct stream_writer *writer);
/* Between these, the payload is added to writer->out. */
void stream_section_begin(struct stream_writer *writer, uint32_t type);
void stream_section_finish(struct stream_writer *writer);
void stream_writer_end(struct stream_writer *writer);
/* Takes up to size bytes of what was written. */
size_t stream_writer_take(struct stream_writer *writer, void *data, size_t size);
/* Bytes that wait to be taken. */
size_t stream_writer_pending(const struct stream_writer *writer);

/* Gets each section that came whole and unharmed, in order, without the end. Returns 0, or an errno to refuse it. */
typedef int (*stream_sink)(void *context, uint32_t type, struct cursor *payload);

struct stream_reader {
    stream_sink sink;
    void *context;
    struct buffer part; /* of the header or the section that is coming */
    bool header_done;
    bool ended;
    int refused; /* the errno for good */
    uint32_t number;
    uint64_t read; /* bytes before part */
};

void stream_reader_free(struct stream_reader *reader);
void stream_reader_start(struct stream_reader *reader, stream_sink sink, void *context);
/* Takes the next bytes, however they are cut. Returns 0, or the errno, which stays: EINVAL for what is not a stream. */
int stream_reader_feed(struct stream_reader *reader, const void *data, size_t size);
/* Was all of a stream read, and nothing refused? */
bool stream_reader_complete(const struct stream_reader *reader);

#endif
