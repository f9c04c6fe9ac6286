/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/migrate/stream.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <isa-l/crc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/io.h"
#include "vmm/board/machine.h"

#define TEXT_MAX 1024u
/* Of a corked stream. */
#define GATHERED_RECORD_MAX (32u << 10)
#define GATHERED_MAX (256u << 10)

struct header {
    uint32_t type;
    uint32_t instance;
    uint64_t length;
    uint32_t sequence;
    uint32_t crc;
};

static const struct {
    const char *name;
    uint32_t maximum; /* bytes of payload */
} types[STREAM_TYPES] = {
    [STREAM_HELLO] = {"HELLO", 256},
    [STREAM_BOARD] = {"BOARD", 256 << 10},
    [STREAM_PREPARED] = {"PREPARED", 64},
    [STREAM_REFUSED] = {"REFUSED", TEXT_MAX},
    [STREAM_RAM] = {"RAM", STREAM_DATA_MAX + 8},
    [STREAM_VCPU] = {"VCPU", 64 << 10},
    [STREAM_VM] = {"VM", 64 << 10},
    [STREAM_BOARD_STATE] = {"BOARD_STATE", 256 << 10},
    [STREAM_DEVICE_STATE] = {"DEVICE_STATE", 256 << 10},
    [STREAM_DEVICE_DATA] = {"DEVICE_DATA", STREAM_DATA_MAX + 8},
    [STREAM_DEVICE_END] = {"DEVICE_END", 8},
    [STREAM_END] = {"END", 40},
    [STREAM_READY] = {"READY", 0},
    [STREAM_COMMIT] = {"COMMIT", 0},
    [STREAM_NOT_STARTED] = {"NOT_STARTED", TEXT_MAX},
    [STREAM_RUNNING] = {"RUNNING", 8},
    [STREAM_FAILED] = {"FAILED", TEXT_MAX},
    [STREAM_DIGESTS] = {"DIGESTS", STREAM_DATA_MAX + 8},
    [STREAM_LOG] = {"LOG", 8 << 20},
    [STREAM_RAM_SHARED] = {"RAM_SHARED", 24 * BOARD_RAM_RANGES_MAX},
    [STREAM_BYE] = {"BYE", 0},
    [STREAM_ALIVE] = {"ALIVE", 0},
    [STREAM_RAM_ZERO] = {"RAM_ZERO", 16},
    [STREAM_CANCELLED] = {"CANCELLED", TEXT_MAX},
};

const char *stream_type_name(unsigned int type)
{
    return type < STREAM_TYPES && types[type].name ? types[type].name : "?";
}

void stream_open(struct stream *stream, int fd, const char *peer)
{
    *stream = (struct stream){.fd = fd};
    snprintf(stream->peer, sizeof(stream->peer), "%s", peer);
}

int stream_secure(struct stream *stream, const struct tls_credentials *credentials, struct deadline deadline,
                  struct error *error)
{
    if (!credentials)
        return 0;
    stream->tls = tls_open(credentials, stream->fd, deadline, stream->peer, error);
    if (stream->tls)
        return 0;
    /* Nothing is said to, or taken from, whoever did not prove who it is. */
    stream->broken = true;
    io_close(&stream->fd);
    return -1;
}

void stream_binding(const struct stream *stream, uint8_t binding[TLS_BINDING_SIZE])
{
    memset(binding, 0, TLS_BINDING_SIZE);
    if (stream->tls)
        tls_binding(stream->tls, binding);
}

void stream_close(struct stream *stream)
{
    tls_close(stream->tls);
    stream->tls = NULL;
    io_close(&stream->fd);
    buffer_free(&stream->payload);
    buffer_free(&stream->gathered);
}

static uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *bytes = data;

    /* The library takes an int's worth at a time. */
    while (size) {
        size_t part = size > INT32_MAX ? INT32_MAX : size;

        crc = crc32_iscsi((unsigned char *)bytes, (int)part, crc);
        bytes += part;
        size -= part;
    }
    return crc;
}

static uint32_t header_crc(const struct header *header)
{
    return ~crc32c(~0u, header, offsetof(struct header, crc));
}

/* What goes into a record, in up to two parts, and along with it. */
struct content {
    const void *head;
    size_t head_size;
    const void *data;
    size_t size;
    const int *fds;
    size_t fd_count;
};

static int send_parts(struct stream *stream, struct iovec parts[4], const struct content *content,
                      struct deadline deadline, struct error *error)
{
    if (stream->tls)
        return content->fd_count ? error_set(error, EINVAL, "no descriptors go through TLS")
                                 : tls_send(stream->tls, parts, 4, deadline, stream->peer, error);
    if (!stream->saved)
        return io_send(stream->fd, parts, 4, content->fds, content->fd_count, deadline, stream->peer, error);
    for (size_t i = 0; i < 4; i++)
        if (io_write_full(stream->fd, parts[i].iov_base, parts[i].iov_len, deadline, stream->peer, error) < 0)
            return -1;
    return 0;
}

/* What waits goes now. */
static int send_gathered(struct stream *stream, struct deadline deadline, struct error *error)
{
    struct content nothing = {.head = NULL};
    struct iovec parts[4] = {{stream->gathered.data, stream->gathered.size}};
    int result = 0;

    if (stream->gathered.failed)
        result = error_set(error, ENOMEM, "gathering records for %s", stream->peer);
    else if (stream->gathered.size)
        result = send_parts(stream, parts, &nothing, deadline, error);
    buffer_clear(&stream->gathered);
    stream->broken |= result < 0;
    return result;
}

void stream_cork(struct stream *stream)
{
    stream->corked = true;
}

int stream_uncork(struct stream *stream, struct deadline deadline, struct error *error)
{
    stream->corked = false;
    return send_gathered(stream, deadline, error);
}

/* A small record of a corked stream waits; before any other goes what waits. */
static int send_or_gather(struct stream *stream, struct iovec parts[4], size_t length, const struct content *content,
                          struct deadline deadline, struct error *error)
{
    if (stream->corked && length <= GATHERED_RECORD_MAX && !content->fd_count &&
        stream->gathered.size + length <= GATHERED_MAX) {
        for (size_t i = 0; i < 4; i++)
            buffer_put(&stream->gathered, parts[i].iov_base, parts[i].iov_len);
        return 0;
    }
    if (send_gathered(stream, deadline, error) < 0)
        return -1;
    return send_parts(stream, parts, content, deadline, error);
}

static int send_content(struct stream *stream, enum stream_type type, uint32_t instance, const struct content *content,
                        struct deadline deadline, struct error *error)
{
    size_t length = content->head_size + content->size;
    struct header header = {.type = htole32(type),
                            .instance = htole32(instance),
                            .length = htole64(length),
                            .sequence = htole32(stream->sent)};
    uint32_t crc = htole32(~crc32c(crc32c(~0u, content->head, content->head_size), content->data, content->size));
    uint64_t start = clock_now_ns();
    struct iovec parts[4] = {{&header, sizeof(header)},
                             {(void *)content->head, content->head_size},
                             {(void *)content->data, content->size},
                             {&crc, 4}};

    if (length > types[type].maximum)
        return error_set(error, EMSGSIZE, "sending %s to %s: %zu bytes are more than the %" PRIu32 " of such a record",
                         stream_type_name(type), stream->peer, length, types[type].maximum);
    header.crc = htole32(header_crc(&header));
    if (send_or_gather(stream, parts, length, content, deadline, error) < 0) {
        stream->broken = true;
        return error_prefix(error, "sending %s", stream_type_name(type));
    }
    stream->sent++;
    stream->bytes_sent += sizeof(header) + length + sizeof(crc);
    stream->send_ns += clock_now_ns() - start;
    return 0;
}

int stream_send_parts(struct stream *stream, enum stream_type type, uint32_t instance, const void *head,
                      size_t head_size, const void *data, size_t size, struct deadline deadline, struct error *error)
{
    struct content content = {.head = head, .head_size = head_size, .data = data, .size = size};

    return send_content(stream, type, instance, &content, deadline, error);
}

int stream_send(struct stream *stream, enum stream_type type, uint32_t instance, const void *data, size_t size,
                struct deadline deadline, struct error *error)
{
    return stream_send_parts(stream, type, instance, NULL, 0, data, size, deadline, error);
}

int stream_send_fds(struct stream *stream, enum stream_type type, uint32_t instance, const void *data, size_t size,
                    const int *fds, size_t fd_count, struct deadline deadline, struct error *error)
{
    struct content content = {.data = data, .size = size, .fds = fds, .fd_count = fd_count};

    return send_content(stream, type, instance, &content, deadline, error);
}

int stream_send_text(struct stream *stream, enum stream_type type, const char *text, struct deadline deadline,
                     struct error *error)
{
    return stream_send(stream, type, 0, text, strnlen(text, TEXT_MAX), deadline, error);
}

static int read_full(struct stream *stream, void *data, size_t size, struct deadline deadline, struct error *error)
{
    if (stream->tls)
        return tls_read_full(stream->tls, data, size, deadline, stream->peer, error);
    return io_read_full(stream->fd, data, size, deadline, stream->peer, error);
}

static int check_header(struct stream *stream, const struct header *header, struct error *error)
{
    uint32_t type = le32toh(header->type);
    uint64_t length = le64toh(header->length);

    if (header_crc(header) != le32toh(header->crc))
        return error_rule(error, "stream/invalid", 0, "record %" PRIu32 " from %s: the header's checksum is wrong",
                          stream->received, stream->peer);
    if (le32toh(header->sequence) != stream->received)
        return error_rule(error, "stream/invalid", 0, "record %" PRIu32 " from %s: it has the number %" PRIu32,
                          stream->received, stream->peer, le32toh(header->sequence));
    if (type >= STREAM_TYPES || !types[type].name)
        return error_rule(error, "stream/invalid", 0, "record %" PRIu32 " from %s: unknown type %" PRIu32,
                          stream->received, stream->peer, type);
    if (stream->payload_max && length > stream->payload_max)
        return error_rule(error, "stream/invalid", 0, "record %" PRIu32 " (%s) from %s: %" PRIu64 " bytes before HELLO",
                          stream->received, types[type].name, stream->peer, length);
    if (length > types[type].maximum)
        return error_rule(error, "stream/invalid", 0,
                          "record %" PRIu32 " (%s) from %s: %" PRIu64 " bytes are more than %" PRIu32, stream->received,
                          types[type].name, stream->peer, length, types[type].maximum);
    return 0;
}

/* What follows the header. */
static int receive_payload(struct stream *stream, const struct header *header, struct stream_record *record,
                           struct deadline deadline, struct error *error)
{
    uint32_t type = le32toh(header->type);
    uint8_t *payload;
    size_t length;
    uint32_t crc;

    if (check_header(stream, header, error) < 0)
        return -1;
    length = le64toh(header->length);
    buffer_clear(&stream->payload);
    payload = buffer_extend(&stream->payload, length + sizeof(crc));
    if (!payload)
        return error_set(error, ENOMEM, "a record of %zu bytes from %s", length, stream->peer);
    if (read_full(stream, payload, length + sizeof(crc), deadline, error) < 0)
        return error_prefix(error, "record %" PRIu32 " (%s)", stream->received, stream_type_name(type));
    memcpy(&crc, payload + length, sizeof(crc));
    if (~crc32c(~0u, payload, length) != le32toh(crc))
        return error_rule(error, "stream/invalid", 0,
                          "record %" PRIu32 " (%s) from %s: the payload's checksum is wrong", stream->received,
                          stream_type_name(type), stream->peer);
    stream->received++;
    stream->bytes_received += sizeof(*header) + length + sizeof(crc);
    *record =
        (struct stream_record){.type = type, .instance = le32toh(header->instance), .data = payload, .size = length};
    return 0;
}

int stream_receive(struct stream *stream, struct stream_record *record, struct deadline deadline, struct error *error)
{
    struct header header;

    if (read_full(stream, &header, sizeof(header), deadline, error) < 0)
        return error_prefix(error, "record %" PRIu32, stream->received);
    return receive_payload(stream, &header, record, deadline, error);
}

int stream_receive_fds(struct stream *stream, struct stream_record *record, int *fds, size_t *fd_count,
                       struct deadline deadline, struct error *error)
{
    struct header header;
    size_t room = *fd_count;
    ssize_t first;

    /* The kernel gives descriptors with the first byte that they were sent with. */
    *fd_count = 0;
    if (stream->tls)
        return stream_receive(stream, record, deadline, error);
    first = io_receive(stream->fd, &header, sizeof(header), fds, &room, deadline, stream->peer, error);
    if (first > 0)
        *fd_count = room;
    if (first == 0)
        error_set(error, ECONNRESET, "%s closed the connection after 0 of %zu bytes", stream->peer, sizeof(header));
    if (first <= 0 || io_read_full(stream->fd, (char *)&header + first, sizeof(header) - (size_t)first, deadline,
                                   stream->peer, error) < 0) {
        error_prefix(error, "record %" PRIu32, stream->received);
        goto fail;
    }
    if (receive_payload(stream, &header, record, deadline, error) == 0)
        return 0;
fail:
    while (*fd_count)
        io_close(&fds[--*fd_count]);
    return -1;
}

static int check_saved(struct stream *stream, struct error *error)
{
    struct stream_record record = {.type = STREAM_HELLO};
    struct error cause = ERROR_INIT;
    uint8_t more;

    while (record.type != STREAM_BYE) {
        /* Of a file nothing is waited for. */
        if (stream_receive(stream, &record, deadline_in_ms(UINT32_MAX), &cause) == 0)
            continue;
        if (cause.number == ECONNRESET)
            return error_rule(error, "stream/invalid", 0,
                              "%s is cut off in record %" PRIu32 ", which begins at byte %" PRIu64, stream->peer,
                              stream->received, stream->bytes_received);
        *error = cause;
        return error_prefix(error, "at byte %" PRIu64, stream->bytes_received);
    }
    if (read(stream->fd, &more, 1) != 0)
        return error_rule(error, "stream/invalid", 0, "%s goes on after its end at byte %" PRIu64, stream->peer,
                          stream->bytes_received);
    return 0;
}

int stream_check_saved(int fd, const char *name, struct error *error)
{
    struct stream stream;
    int result;

    stream_open(&stream, fd, name);
    result = check_saved(&stream, error);
    stream.fd = -1;
    stream_close(&stream);
    if (result == 0 && lseek(fd, 0, SEEK_SET) < 0)
        return error_set(error, errno, "%s", name);
    return result;
}

void stream_text(const struct stream_record *record, char *text, size_t size)
{
    size_t length = record->size < size - 1 ? record->size : size - 1;

    memcpy(text, record->data, length);
    text[length] = '\0';
    for (size_t i = 0; i < length; i++)
        if (text[i] < ' ' || text[i] > '~')
            text[i] = '?';
}
