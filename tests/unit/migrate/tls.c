/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TLS between the records and the socket: what goes through whole, and what a hostile other end gets. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/io.h"
#include "vmm/migrate/handover.h"

#define TIMEOUT_NS 10000000000u

struct ends {
    struct tls_credentials *client_key, *server_key;
    struct stream client, server;
    struct error failure;
    int result;
};

static struct deadline soon(void)
{
    return deadline_in_ns(TIMEOUT_NS);
}

static struct tls_credentials *key(enum tls_role role)
{
    static const char line[] = "move:00112233445566778899aabbccddeeff\n";
    char path[] = "/tmp/tls-test-XXXXXX";
    struct tls_options options = {.psk_file = path};
    struct error error = ERROR_INIT;
    struct tls_credentials *credentials;
    int fd = mkstemp(path);

    cr_assert(fd >= 0 && write(fd, line, sizeof(line) - 1) == sizeof(line) - 1);
    close(fd);
    credentials = tls_credentials_read(&options, role, NULL, &error);
    unlink(path);
    cr_assert(credentials, "%s", error.text);
    return credentials;
}

static void *serve(void *context)
{
    struct ends *ends = context;

    ends->result = stream_secure(&ends->server, ends->server_key, soon(), &ends->failure);
    return NULL;
}

static void open_ends(struct ends *ends)
{
    struct error error = ERROR_INIT;
    pthread_t thread;
    int pair[2];

    *ends = (struct ends){.client_key = key(TLS_CLIENT), .server_key = key(TLS_SERVER)};
    cr_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    stream_open(&ends->client, pair[0], "the server");
    stream_open(&ends->server, pair[1], "the client");
    cr_assert(pthread_create(&thread, NULL, serve, ends) == 0);
    cr_assert_eq(stream_secure(&ends->client, ends->client_key, soon(), &error), 0, "%s", error.text);
    pthread_join(thread, NULL);
    cr_assert_eq(ends->result, 0, "%s", ends->failure.text);
}

static void close_ends(struct ends *ends)
{
    stream_close(&ends->client);
    stream_close(&ends->server);
    tls_credentials_free(ends->client_key);
    tls_credentials_free(ends->server_key);
}

static void *send_sizes(void *context)
{
    static uint8_t data[STREAM_DATA_MAX];
    struct ends *ends = context;

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7 + i / 251);
    ends->result = 0;
    for (size_t size = 0; size <= sizeof(data) && ends->result == 0; size = size * 3 + 1)
        ends->result = stream_send_parts(&ends->client, STREAM_RAM, 0, "01234567", 8, data, size, soon(), NULL);
    if (ends->result == 0)
        ends->result = stream_send_parts(&ends->client, STREAM_RAM, 0, "01234567", 8, data, sizeof(data), soon(), NULL);
    return NULL;
}

/* Sizes around and far over a TLS record's. */
Test(tls, records_of_all_sizes)
{
    struct stream_record record = {.size = 0};
    struct error error = ERROR_INIT;
    struct ends ends;
    pthread_t thread;

    open_ends(&ends);
    cr_assert(pthread_create(&thread, NULL, send_sizes, &ends) == 0);
    while (record.size < STREAM_DATA_MAX + 8)
        cr_assert_eq(stream_receive(&ends.server, &record, soon(), &error), 0, "%s", error.text);
    pthread_join(thread, NULL);
    cr_expect_eq(ends.result, 0);
    close_ends(&ends);
}

/* The end of the connection is one, with or without TLS's word on it. */
Test(tls, end_of_the_connection)
{
    struct stream_record record;
    struct error error = ERROR_INIT;
    struct ends ends;

    for (int cut = 0; cut < 2; cut++) {
        open_ends(&ends);
        if (cut)
            shutdown(ends.client.fd, SHUT_RDWR);
        stream_close(&ends.client);
        cr_expect_eq(stream_receive(&ends.server, &record, soon(), &error), -1);
        cr_expect_eq(error.number, ECONNRESET, "%s", error.text);
        close_ends(&ends);
    }
}

/* No file descriptors go through, and none that come are kept. */
Test(tls, no_descriptors)
{
    struct error error = ERROR_INIT;
    struct ends ends;
    int fd = STDERR_FILENO;

    open_ends(&ends);
    cr_expect_eq(stream_send_fds(&ends.client, STREAM_RAM_SHARED, 0, NULL, 0, &fd, 1, soon(), &error), -1);
    close_ends(&ends);
}

/* The deadline holds against one that sends nothing but bytes that never become a record, too. */
Test(tls, deadline)
{
    struct stream_record record;
    struct error error = ERROR_INIT;
    struct ends ends;
    uint8_t part[64] = {23, 3, 3, 64, 0};

    open_ends(&ends);
    cr_expect_eq(stream_receive(&ends.server, &record, deadline_in_ms(10), &error), -1);
    cr_expect_eq(error.number, ETIMEDOUT, "%s", error.text);
    cr_assert(write(ends.client.fd, part, sizeof(part)) == sizeof(part));
    cr_expect_eq(stream_receive(&ends.server, &record, deadline_in_ms(10), &error), -1);
    cr_expect_eq(error.number, ETIMEDOUT, "%s", error.text);
    close_ends(&ends);
}

/* A byte changed on the way, before the stream's own checksums see any. */
Test(tls, forged_record)
{
    struct stream_record record;
    struct error error = ERROR_INIT;
    struct ends ends;
    uint8_t forged[64] = {23, 3, 3, 0, 59};

    open_ends(&ends);
    cr_assert(write(ends.client.fd, forged, sizeof(forged)) == sizeof(forged));
    cr_expect_eq(stream_receive(&ends.server, &record, soon(), &error), -1);
    cr_expect_eq(error.number, ECONNRESET, "%s", error.text);
    close_ends(&ends);
}

/* What is said over one connection is not taken over another, whoever passes it on and whatever keys he has. */
Test(tls, hello_of_another_connection)
{
    struct stream_record record;
    struct handover_hello hello = {0};
    struct error error = ERROR_INIT;
    struct ends one, other;

    open_ends(&one);
    open_ends(&other);
    cr_assert_eq(handover_hello_send(&one.client, true, false, 0, soon(), &error), 0);
    cr_assert_eq(handover_hello_send(&one.client, true, false, 0, soon(), &error), 0);
    cr_expect_eq(handover_hello_receive(&one.server, true, &hello, soon(), &error), 0, "%s", error.text);
    cr_assert_eq(stream_receive(&one.server, &record, soon(), &error), 0);
    cr_assert_eq(stream_send(&other.client, STREAM_HELLO, 0, record.data, record.size, soon(), &error), 0);
    cr_expect_eq(handover_hello_receive(&other.server, true, &hello, soon(), &error), -1);
    cr_expect_str_eq(error.rule, "stream/not-authenticated");
    close_ends(&one);
    close_ends(&other);
}

/* One who fails the handshake is told nothing, and nothing is taken from him. */
Test(tls, nothing_without_a_handshake)
{
    struct tls_credentials *credentials = key(TLS_SERVER);
    struct stream plain, server;
    struct stream_record record;
    struct error error = ERROR_INIT;
    int pair[2];

    cr_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    stream_open(&plain, pair[0], "the server");
    stream_open(&server, pair[1], "the client");
    cr_assert_eq(handover_hello_send(&plain, true, false, 0, soon(), &error), 0);
    cr_expect_eq(stream_secure(&server, credentials, soon(), &error), -1);
    cr_expect_str_eq(error.rule, "stream/not-authenticated");
    cr_expect_eq(stream_send_text(&server, STREAM_REFUSED, "a word", soon(), NULL), -1);
    cr_expect_eq(stream_receive(&server, &record, soon(), NULL), -1);
    stream_close(&plain);
    stream_close(&server);
    tls_credentials_free(credentials);
}
