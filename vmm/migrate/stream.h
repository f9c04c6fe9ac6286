/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stream between two VMM processes: records in both directions over one connection. docs/stream.md has it byte by
 * byte. A record is a header of 24 bytes (type, instance, length, sequence, CRC32C of these), its payload, and the CRC32C of
 * the payload. Lengths are bounded by type, the sequence counts up from 0 in each direction, so that a record lost,
 * repeated or changed is seen.
 */
#ifndef STOPCOPY_STREAM_H
#define STOPCOPY_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buffer.h"
#include "lib/deadline.h"
#include "lib/error.h"
#include "vmm/migrate/tls.h"

#define STREAM_MAGIC 0x59504f43504f5453ull /* "STOPCOPY" */
#define STREAM_VERSION 4u
#define STREAM_HELLO_MAX 1024u     /* bytes of a record before HELLO was seen to be one */
#define STREAM_DATA_MAX (1u << 20) /* bytes of RAM, or of a device's data, in one record */

/* In the order in which they come; what comes out of it is refused. */
enum stream_type {
    STREAM_HELLO = 1,         /* both: magic, version, role, clock, host */
    STREAM_BOARD = 2,         /* source: the board as a device tree */
    STREAM_PREPARED = 3,      /* destination: the machine stands */
    STREAM_RAM = 4,           /* instance: range. u64 offset into it, then pages */
    STREAM_VM = 5,            /* clock, interrupt controller */
    STREAM_VCPU = 6,          /* instance: vCPU */
    STREAM_BOARD_STATE = 7,   /* serial port, test port */
    STREAM_DEVICE_DATA = 8,   /* instance: device. u64 offset into its own stream, then a piece of it */
    STREAM_DEVICE_END = 9,    /* instance: device. u64 total bytes of it */
    STREAM_DEVICE_STATE = 10, /* instance: device. What the VMM keeps for it */
    STREAM_END = 11,          /* u64 pages of RAM, u64 records sent before, u64 the pause, by the destination's clock,
                                u64 its error, u64 the start of the first round, by that clock */
    STREAM_READY = 12,        /* destination: everything is loaded and checked */
    STREAM_COMMIT = 13,       /* source: the point of no return */
    STREAM_RUNNING = 14,      /* destination: the guest runs. u64 when its vCPUs were resumed */
    STREAM_DIGESTS = 15,      /* source: instance: range. u64 first page, then a u64 for each page */
    STREAM_LOG = 16,          /* source: its events, a JSON array */
    STREAM_BYE = 17,          /* source: nothing more comes */
    STREAM_REFUSED = 18,      /* destination, before COMMIT: why not; nothing was started */
    STREAM_NOT_STARTED = 19,  /* destination, after COMMIT: why; no device left STOP, no vCPU entered */
    STREAM_FAILED = 20,       /* destination, after COMMIT: why; the guest is the destination's and does not run */
    STREAM_ALIVE = 21,        /* source, after PREPARED, before the first of what follows: the guest still works */
    STREAM_RAM_ZERO = 22, /* instance: range. u64 offset into it, u64 bytes: pages that were sent and are zero now */
    STREAM_CANCELLED =
        23, /* instance: enum stream_cancelled. Source, before COMMIT: why the migration ends; the guest stays */
    STREAM_RAM_SHARED = 24, /* source, before BOARD: RAM's memfds, attached by SCM_RIGHTS, and for each u64 st_dev,
                               u64 st_ino, u64 size */
    STREAM_TYPES
};

enum stream_cancelled {
    STREAM_CANCELLED_BY_FAILURE = 0,
    STREAM_CANCELLED_AT_END = 1, /* the guest came to its end first */
};

struct stream {
    int fd;          /* the stream's: closed by stream_close */
    struct tls *tls; /* the stream's; NULL: nothing is between the records and fd */
    char peer[280];
    bool saved;             /* fd is a file's, and not a socket */
    const uint8_t *boot_id; /* of this host, for HELLO; NULL: it is read */
    uint32_t hold_s;        /* how long this end may keep the other waiting at steps: HELLO says it */
    uint32_t sent;
    uint32_t received;
    uint64_t bytes_sent;
    uint64_t send_ns; /* spent sending them */
    bool broken;      /* a record could not be sent, or not whole */
    bool corked;      /* small records wait in gathered */
    struct buffer gathered;
    uint64_t bytes_received;
    uint32_t payload_max;  /* of the next record, below its type's; 0: its type's */
    struct buffer payload; /* of the record received last */
};

struct stream_record {
    enum stream_type type;
    uint32_t instance;
    const void *data; /* valid until the next call */
    size_t size;
};

const char *stream_type_name(unsigned int type);

void stream_open(struct stream *stream, int fd, const char *peer);
void stream_close(struct stream *stream);

/*
 * Puts TLS between the records and the socket; nothing where credentials is NULL. Before the first record, at both ends.
 * The credentials must live as long as the stream. Errors as for tls_open.
 */
int stream_secure(struct stream *stream, const struct tls_credentials *credentials, struct deadline deadline,
                  struct error *error);
/* What both ends of this connection and nobody else know of it; all zero without TLS. */
void stream_binding(const struct stream *stream, uint8_t binding[TLS_BINDING_SIZE]);

int stream_send(struct stream *stream, enum stream_type type, uint32_t instance, const void *data, size_t size,
                struct deadline deadline, struct error *error);
/*
 * From now on small records wait for the next large one, or for stream_uncork: each that goes alone wakes the other end, and
 * takes the processor from this one where they share it. Nothing is to be waited for before stream_uncork.
 */
void stream_cork(struct stream *stream);
int stream_uncork(struct stream *stream, struct deadline deadline, struct error *error);
/* The same, with the payload in two parts. */
int stream_send_parts(struct stream *stream, enum stream_type type, uint32_t instance, const void *head,
                      size_t head_size, const void *data, size_t size, struct deadline deadline, struct error *error);
/* The same with descriptors (SCM_RIGHTS, UNIX sockets only), attached to the record's first byte. They stay the caller's. */
int stream_send_fds(struct stream *stream, enum stream_type type, uint32_t instance, const void *data, size_t size,
                    const int *fds, size_t fd_count, struct deadline deadline, struct error *error);
/* A record whose payload is a text: REFUSED, NOT_STARTED, FAILED. */
int stream_send_text(struct stream *stream, enum stream_type type, const char *text, struct deadline deadline,
                     struct error *error);

/* Receives the next record, whole and checked. Errors have the rule "stream/invalid" where what came is not a record. */
int stream_receive(struct stream *stream, struct stream_record *record, struct deadline deadline, struct error *error);

/* The same, with the descriptors that came with it: at most *fd_count, and then as many as came, which are the caller's. */
int stream_receive_fds(struct stream *stream, struct stream_record *record, int *fds, size_t *fd_count,
                       struct deadline deadline, struct error *error);

/*
 * Reads a saved stream through: every record whole, BYE the last of them, and nothing after it. Then goes back to its
 * beginning. The error says where it is cut off, or what is wrong and where.
 */
int stream_check_saved(int fd, const char *name, struct error *error);

/* The payload as printable, NUL-terminated text. */
void stream_text(const struct stream_record *record, char *text, size_t size);

#endif
