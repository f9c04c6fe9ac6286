/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tagged, versioned records, of which the board's state consists: u32 tag, u32 version, u32 size, then the body. */
#ifndef STOPCOPY_RECORD_H
#define STOPCOPY_RECORD_H

#include "lib/buffer.h"
#include "lib/error.h"

enum record_tag {
    RECORD_SERIAL = 0x4c524553,       /* "SERL" */
    RECORD_TEST_CONTROL = 0x54534554, /* "TEST" */
    RECORD_PCI_HOST = 0x48494350,     /* "PCIH" */
    RECORD_PCI_CONFIG = 0x43494350,   /* "PCIC" */
    RECORD_INTX = 0x58544e49,         /* "INTX" */
    RECORD_MSIX = 0x5849534d,         /* "MSIX" */
};

/* Begins a record and returns what record_end wants. */
size_t record_begin(struct buffer *buffer, enum record_tag tag, uint32_t version);
void record_end(struct buffer *buffer, size_t begin);

/* Takes the next record, which must be this one; body is over what it holds. */
int record_take(struct cursor *cursor, enum record_tag tag, uint32_t version, struct cursor *body, struct error *error);

#endif
