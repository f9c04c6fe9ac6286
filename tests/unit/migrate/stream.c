/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stream's records: whatever is cut, changed, repeated or left out is refused, by one clear error. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/io.h"
#include "vmm/migrate/handover.h"

#define WIRE_MAX 8192u

struct wire {
    uint8_t bytes[WIRE_MAX];
    size_t size;
    size_t record[8]; /* where each record begins */
    size_t records;
};

static struct deadline soon(void)
{
    return deadline_in_ms(10000);
}

/* What three records look like on the wire: an empty one, a text, one in two parts. */
static void make_wire(struct wire *wire)
{
    struct error error = ERROR_INIT;
    struct stream stream;
    int pair[2];
    ssize_t count;

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    stream_open(&stream, pair[0], "the test");
    wire->size = wire->records = 0;
    for (int i = 0; i < 3; i++) {
        wire->record[wire->records++] = wire->size;
        if (i == 0)
            cr_assert_eq(stream_send(&stream, STREAM_READY, 0, NULL, 0, soon(), &error), 0, "%s", error.text);
        else if (i == 1)
            cr_assert_eq(stream_send_text(&stream, STREAM_REFUSED, "no such board", soon(), &error), 0, "%s",
                         error.text);
        else
            cr_assert_eq(stream_send_parts(&stream, STREAM_RAM, 1, "12345678", 8, wire->bytes, 100, soon(), &error), 0,
                         "%s", error.text);
        count = read(pair[1], wire->bytes + wire->size, WIRE_MAX - wire->size);
        cr_assert_gt(count, 0);
        wire->size += (size_t)count;
    }
    wire->record[wire->records] = wire->size;
    stream_close(&stream);
    close(pair[1]);
}

/* Receives from these bytes, then the end of the connection, until something fails. Returns the records taken. */
static unsigned int receive_all(const void *bytes, size_t size, struct error *error)
{
    struct stream_record record;
    struct stream stream;
    unsigned int records = 0;
    int pair[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    cr_assert_eq(write(pair[0], bytes, size), (ssize_t)size);
    close(pair[0]);
    stream_open(&stream, pair[1], "the test");
    while (stream_receive(&stream, &record, soon(), error) == 0)
        records++;
    stream_close(&stream);
    return records;
}

Test(stream, records_come_out_as_they_went_in)
{
    struct error error = ERROR_INIT;
    struct stream_record record;
    struct stream stream;
    struct wire wire;
    char text[64];
    int pair[2];

    make_wire(&wire);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    cr_assert_eq(write(pair[0], wire.bytes, wire.size), (ssize_t)wire.size);
    stream_open(&stream, pair[1], "the test");
    cr_assert_eq(stream_receive(&stream, &record, soon(), &error), 0, "%s", error.text);
    cr_expect_eq(record.type, STREAM_READY);
    cr_expect_eq(record.size, 0u);
    cr_assert_eq(stream_receive(&stream, &record, soon(), &error), 0, "%s", error.text);
    cr_expect_eq(record.type, STREAM_REFUSED);
    stream_text(&record, text, sizeof(text));
    cr_expect_str_eq(text, "no such board");
    cr_assert_eq(stream_receive(&stream, &record, soon(), &error), 0, "%s", error.text);
    cr_expect_eq(record.type, STREAM_RAM);
    cr_expect_eq(record.instance, 1u);
    cr_expect_eq(record.size, 108u);
    cr_expect_eq(memcmp(record.data, "12345678", 8), 0);
    stream_close(&stream);
    close(pair[0]);
}

Test(stream, cut_at_every_byte)
{
    struct wire wire;

    make_wire(&wire);
    for (size_t cut = 0; cut < wire.size; cut++) {
        struct error error = ERROR_INIT;
        unsigned int whole = 0;

        while (wire.record[whole + 1] <= cut)
            whole++;
        cr_expect_eq(receive_all(wire.bytes, cut, &error), whole, "cut at %zu", cut);
        cr_expect(strstr(error.text, "closed the connection"), "cut at %zu: %s", cut, error.text);
    }
}

Test(stream, every_byte_changed)
{
    struct wire wire;

    make_wire(&wire);
    for (size_t at = 0; at < wire.size; at++) {
        for (unsigned int bit = 0; bit < 8; bit++) {
            struct error error = ERROR_INIT;
            unsigned int whole = 0;

            while (wire.record[whole + 1] <= at)
                whole++;
            wire.bytes[at] ^= (uint8_t)(1u << bit);
            cr_expect_eq(receive_all(wire.bytes, wire.size, &error), whole, "bit %u of byte %zu", bit, at);
            cr_expect_str_eq(error.rule, "stream/invalid", "bit %u of byte %zu: %s", bit, at, error.text);
            wire.bytes[at] ^= (uint8_t)(1u << bit);
        }
    }
}

Test(stream, a_record_left_out_or_repeated)
{
    struct error error = ERROR_INIT;
    struct wire wire;
    uint8_t twice[2 * WIRE_MAX];
    size_t first;

    make_wire(&wire);
    first = wire.record[1];
    cr_expect_eq(receive_all(wire.bytes + first, wire.size - first, &error), 0u);
    cr_expect(strstr(error.text, "number"), "%s", error.text);
    memcpy(twice, wire.bytes, first);
    memcpy(twice + first, wire.bytes, wire.size);
    cr_expect_eq(receive_all(twice, first + wire.size, &error), 1u);
    cr_expect(strstr(error.text, "number"), "%s", error.text);
}

Test(stream, too_long_is_not_sent)
{
    struct error error = ERROR_INIT;
    struct stream stream;
    int pair[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    stream_open(&stream, pair[0], "the test");
    cr_expect_eq(stream_send(&stream, STREAM_COMMIT, 0, "x", 1, soon(), &error), -1);
    cr_expect(strstr(error.text, "COMMIT"), "%s", error.text);
    stream_close(&stream);
    close(pair[1]);
}

Test(stream, a_silent_peer_is_named)
{
    struct error error = ERROR_INIT;
    struct stream_record record;
    struct stream stream;
    int pair[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    stream_open(&stream, pair[0], "the test");
    cr_expect_eq(stream_receive(&stream, &record, deadline_in_ms(1), &error), -1);
    cr_expect_eq(error.number, ETIMEDOUT);
    cr_expect(strstr(error.text, "the test"), "%s", error.text);
    stream_close(&stream);
    close(pair[1]);
}

/* A connection of which nobody knows yet whose it is gets no memory on its word alone. */
Test(stream, nothing_large_before_hello)
{
    struct error error = ERROR_INIT;
    struct handover_hello hello = {0};
    struct stream sender, receiver;
    static uint8_t log[STREAM_HELLO_MAX + 1];
    int pair[2];

    cr_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    stream_open(&sender, pair[0], "the test");
    stream_open(&receiver, pair[1], "the test");
    cr_assert(stream_send(&sender, STREAM_LOG, 0, log, sizeof(log), deadline_in_ms(1000), NULL) == 0);
    cr_expect_eq(handover_hello_receive(&receiver, true, &hello, deadline_in_ms(1000), &error), -1);
    cr_expect_str_eq(error.rule, "stream/invalid");
    cr_expect_eq(receiver.payload.room, 0);
    stream_close(&sender);
    stream_close(&receiver);
}

static size_t waiting(int socket)
{
    uint8_t bytes[4096];
    ssize_t count = recv(socket, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);

    return count < 0 ? 0 : (size_t)count;
}

/* Small records wait together, go before a large one, and come in their order, whole. */
Test(stream, a_corked_one_gathers_small_records)
{
    static uint8_t large[64 << 10];
    struct error error = ERROR_INIT;
    struct stream_record record;
    struct stream from, to;
    int pair[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    stream_open(&from, pair[0], "the test");
    stream_open(&to, pair[1], "the test");
    stream_cork(&from);
    cr_assert_eq(stream_send(&from, STREAM_VM, 0, "one", 3, soon(), &error), 0, "%s", error.text);
    cr_assert_eq(stream_send(&from, STREAM_VCPU, 7, "two", 3, soon(), &error), 0, "%s", error.text);
    cr_expect_eq(waiting(pair[1]), 0, "a small record of a corked stream went at once");
    cr_assert_eq(stream_send_parts(&from, STREAM_RAM, 1, "12345678", 8, large, sizeof(large), soon(), &error), 0);
    cr_assert_eq(stream_send(&from, STREAM_READY, 0, NULL, 0, soon(), &error), 0);
    for (unsigned int i = 0; i < 3; i++) {
        static const enum stream_type types[] = {STREAM_VM, STREAM_VCPU, STREAM_RAM};

        cr_assert_eq(stream_receive(&to, &record, soon(), &error), 0, "%s", error.text);
        cr_expect_eq(record.type, types[i]);
    }
    cr_expect_eq(waiting(pair[1]), 0);
    cr_assert_eq(stream_uncork(&from, soon(), &error), 0);
    cr_assert_eq(stream_receive(&to, &record, soon(), &error), 0, "%s", error.text);
    cr_expect_eq(record.type, STREAM_READY);
    cr_assert_eq(stream_send(&from, STREAM_COMMIT, 0, NULL, 0, soon(), &error), 0);
    cr_expect_gt(waiting(pair[1]), 0, "a record of an uncorked stream waits");
    /* One that nobody takes is an error of whoever lets it go. */
    stream_cork(&from);
    cr_assert_eq(stream_send(&from, STREAM_READY, 0, NULL, 0, soon(), &error), 0);
    stream_close(&to);
    cr_expect_eq(stream_uncork(&from, soon(), &error), -1);
    cr_expect(from.broken);
    stream_close(&from);
}
