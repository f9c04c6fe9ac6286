/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A state record: a header (magic, version, index, number of sections), then sections, each a tag, a size and its
 * bytes; numbers are little endian. A reader knows every section of its version: an unknown one, a second one of a
 * kind, a missing one, and one of a wrong size are refused by name. docs/stream.md describes the records.
 */
#ifndef STOPCOPY_STATE_RECORD_H
#define STOPCOPY_STATE_RECORD_H

#include "lib/buffer.h"
#include "lib/error.h"

#define STATE_RECORD_VERSION 1u
#define STATE_RECORD_HEADER_SIZE 16u
#define STATE_SECTION_HEADER_SIZE 8u

/* A kind of section. The position in the array of kinds is its tag less one. */
struct state_section_kind {
    const char *name;
    size_t size_min;
    size_t size_max;
    bool optional;
};

struct state_section {
    const void *data; /* NULL: absent */
    size_t size;
};

struct state_writer {
    struct buffer *buffer;
    size_t start;
    uint32_t sections;
};

/* Reserves room for a record of up to size_max bytes and begins it. */
void state_record_begin(struct state_writer *writer, struct buffer *buffer, uint32_t magic, uint32_t index,
                        size_t size_max);
void state_record_add(struct state_writer *writer, unsigned int kind, const void *data, size_t size);
/* Completes the header. Fails with ENOMEM. */
int state_record_end(struct state_writer *writer, struct error *error);

/* Fills sections, one for each kind, with pointers into data. what names the record for the error. */
int state_record_parse(const void *data, size_t size, uint32_t magic, uint32_t index, const char *what,
                       const struct state_section_kind *kinds, size_t kind_count, struct state_section *sections,
                       struct error *error);

#endif
