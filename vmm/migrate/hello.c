/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/io.h"
#include "vmm/migrate/handover.h"

void handover_read_boot_id(uint8_t id[BOOT_ID_SIZE])
{
    char text[64] = "";
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    size_t digit = 0;

    memset(id, 0, 16);
    io_close(&fd);
    for (ssize_t i = 0; i < length && digit < 32; i++) {
        unsigned int value;

        if (sscanf((char[]){text[i], '\0'}, "%1x", &value) != 1)
            continue;
        id[digit / 2] = (uint8_t)(id[digit / 2] << 4 | value);
        digit++;
    }
}

void handover_hello_fill(struct handover_hello *hello, const uint8_t *boot_id)
{
    struct timespec wall = {0};

    clock_gettime(CLOCK_REALTIME, &wall);
    *hello = (struct handover_hello){.version = STREAM_VERSION,
                                     .clock_ns = clock_now_ns(),
                                     .wall_ns = (uint64_t)wall.tv_sec * 1000000000u + (uint64_t)wall.tv_nsec};
    if (boot_id)
        memcpy(hello->boot_id, boot_id, sizeof(hello->boot_id));
    else
        handover_read_boot_id(hello->boot_id);
}

bool handover_hello_same_boot(const struct handover_hello *a, const struct handover_hello *b)
{
    static const uint8_t unknown[16];

    return !memcmp(a->boot_id, b->boot_id, sizeof(a->boot_id)) && memcmp(a->boot_id, unknown, sizeof(unknown));
}

int handover_hello_send(struct stream *stream, bool sends, bool digests, uint64_t guest_tsc, struct deadline deadline,
                        struct error *error)
{
    struct buffer payload = BUFFER_INIT;
    struct handover_hello hello;
    int result;

    handover_hello_fill(&hello, stream->boot_id);
    buffer_put_u64(&payload, STREAM_MAGIC);
    buffer_put_u32(&payload, STREAM_VERSION);
    buffer_put_u8(&payload, sends);
    buffer_put_u8(&payload, digests);
    buffer_put_u16(&payload, (uint16_t)(stream->hold_s < STEP_HOLD_MAX_S ? stream->hold_s : STEP_HOLD_MAX_S));
    buffer_put_u64(&payload, hello.clock_ns);
    buffer_put_u64(&payload, hello.wall_ns);
    buffer_put_u64(&payload, guest_tsc);
    buffer_put(&payload, hello.boot_id, sizeof(hello.boot_id));
    stream_binding(stream, hello.binding);
    buffer_put(&payload, hello.binding, sizeof(hello.binding));
    result = payload.failed ? error_set(error, ENOMEM, "HELLO")
                            : stream_send(stream, STREAM_HELLO, 0, payload.data, payload.size, deadline, error);
    buffer_free(&payload);
    return result;
}

int handover_hello_receive(struct stream *stream, bool sends, struct handover_hello *hello, struct deadline deadline,
                           struct error *error)
{
    struct stream_record record;
    struct cursor cursor;
    uint8_t binding[TLS_BINDING_SIZE];
    uint64_t magic;
    char text[512];

    /* Whoever it is that connected gets no more memory than that. */
    stream->payload_max = STREAM_HELLO_MAX;
    if (stream_receive(stream, &record, deadline, error) < 0)
        return error_prefix(error, "waiting for HELLO");
    stream->payload_max = 0;
    if (record.type == STREAM_REFUSED) {
        stream_text(&record, text, sizeof(text));
        return error_set(error, 0, "%s answered REFUSED: %s", stream->peer, text);
    }
    cursor = cursor_over(record.data, record.size);
    magic = cursor_get_u64(&cursor);
    hello->version = cursor_get_u32(&cursor);
    hello->sends = cursor_get_u8(&cursor);
    hello->digests = cursor_get_u8(&cursor);
    hello->hold_s = cursor_get_u16(&cursor);
    if (hello->hold_s > STEP_HOLD_MAX_S)
        hello->hold_s = STEP_HOLD_MAX_S;
    hello->clock_ns = cursor_get_u64(&cursor);
    hello->wall_ns = cursor_get_u64(&cursor);
    hello->guest_tsc = cursor_get_u64(&cursor);
    cursor_get(&cursor, hello->boot_id, sizeof(hello->boot_id));
    if (record.type == STREAM_HELLO && !cursor.failed && magic == STREAM_MAGIC && hello->version == STREAM_VERSION)
        cursor_get(&cursor, hello->binding, sizeof(hello->binding));
    if (record.type != STREAM_HELLO || cursor.failed || magic != STREAM_MAGIC)
        return error_rule(error, "stream/invalid", 0, "%s does not speak stopcopy's protocol", stream->peer);
    if (hello->version != STREAM_VERSION)
        return error_rule(error, "stream/version", 0, "%s speaks version %u of the stream, this program %u",
                          stream->peer, hello->version, STREAM_VERSION);
    if (!cursor_at_end(&cursor) || hello->sends != sends)
        return error_rule(error, "stream/invalid", 0, "%s is not %s", stream->peer,
                          sends ? "a source" : "a destination");
    stream_binding(stream, binding);
    if (memcmp(hello->binding, binding, sizeof(binding)))
        return error_rule(error, "stream/not-authenticated", 0,
                          "what %s says of the connection is not so of this one: it was meant for another",
                          stream->peer);
    return 0;
}
