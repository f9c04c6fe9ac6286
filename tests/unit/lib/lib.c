/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The common library: what the parts rely on of it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/buffer.h"
#include "lib/io.h"
#include "lib/options.h"
#include "stopcopy/vfio_compat.h"

Test(error, carries_number_rule_and_context)
{
    struct error error = ERROR_INIT;

    cr_expect_eq(error_set(&error, ENOENT, "opening %s", "x"), -1);
    cr_expect_str_eq(error.text, "opening x: No such file or directory");
    cr_expect_eq(error.number, ENOENT);
    error_prefix(&error, "device %d", 1);
    cr_expect_str_eq(error.text, "device 1: opening x: No such file or directory");
    error_rule(&error, "stop/no-dma", 0, "it wrote");
    cr_expect_str_eq(error.rule, "stop/no-dma");
    cr_expect_str_eq(error.text, "it wrote");
    cr_expect_eq(error_set(NULL, 0, "nobody asks"), -1);
}

Test(error, long_texts_are_cut_and_not_overrun)
{
    struct error error = ERROR_INIT;
    char text[2 * ERROR_TEXT_MAX];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    error_set(&error, ENOENT, "%s", text);
    cr_expect_eq(strlen(error.text), ERROR_TEXT_MAX - 1u);
    error_prefix(&error, "before");
    cr_expect_eq(strncmp(error.text, "before: xxx", 11), 0);
    error_prefix(&error, "%s", text);
    cr_expect_eq(strncmp(error.text, "before: xxx", 11), 0);
}

Test(options, sizes)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0},         {"4096", 4096},     {"64K", 65536},   {"64k", 65536},
                {"64KiB", 65536}, {"2G", 2ull << 30}, {"0x1000", 4096}, {"1TB", 1ull << 40}};
    static const char *const bad[] = {"", "M", "-1", " 1", "1X", "1MM", "99999999999999999999", "20000000T", "1.5G"};
    struct error error = ERROR_INIT;
    uint64_t bytes;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        cr_expect_eq(option_parse_size(good[i].text, "--memory", &bytes, &error), 0, "%s", good[i].text);
        cr_expect_eq(bytes, good[i].bytes, "%s", good[i].text);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_expect_eq(option_parse_size(bad[i], "--memory", &bytes, &error), -1, "%s", bad[i]);
        cr_expect(strstr(error.text, "--memory"), "%s", error.text);
    }
}

Test(options, times)
{
    static const char *const bad[] = {"", "1", "ms", "-1ms", "1h", "1e300s", "nan", "inf", "1 ms"};
    struct error error = ERROR_INIT;
    uint64_t ns;

    cr_expect_eq(option_parse_time("50us", "--x", &ns, &error), 0);
    cr_expect_eq(ns, 50000u);
    cr_expect_eq(option_parse_time("1.5s", "--x", &ns, &error), 0);
    cr_expect_eq(ns, 1500000000u);
    cr_expect_eq(option_parse_time("0", "--x", &ns, &error), 0);
    cr_expect_eq(ns, 0u);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_eq(option_parse_time(bad[i], "--x", &ns, &error), -1, "%s", bad[i]);
}

Test(options, numbers_keep_their_range)
{
    struct error error = ERROR_INIT;
    uint64_t number;

    cr_expect_eq(option_parse_number("16", "--vcpus", 1, 16, &number, &error), 0);
    cr_expect_eq(number, 16u);
    cr_expect_eq(option_parse_number("17", "--vcpus", 1, 16, &number, &error), -1);
    cr_expect_eq(option_parse_number("0", "--vcpus", 1, 16, &number, &error), -1);
    cr_expect_eq(option_parse_number("1x", "--vcpus", 1, 16, &number, &error), -1);
    cr_expect_eq(option_parse_number("18446744073709551616", "--seed", 0, UINT64_MAX, &number, &error), -1);
}

Test(options, pairs)
{
    struct error error = ERROR_INIT;
    struct option_pair pair[3];
    char text[] = "memory,size=16M,rate=";
    char many[] = "a,b,c,d";
    char nameless[] = "a,=1";
    char empty[] = "";

    cr_expect_eq(option_split(text, "--workload", pair, 3, &error), 3);
    cr_expect_str_eq(pair[0].key, "memory");
    cr_expect_str_eq(pair[0].value, "");
    cr_expect_str_eq(pair[1].key, "size");
    cr_expect_str_eq(pair[1].value, "16M");
    cr_expect_str_eq(pair[2].value, "");
    cr_expect_eq(option_split(many, "--workload", pair, 3, &error), -1);
    cr_expect_eq(option_split(nameless, "--workload", pair, 3, &error), -1);
    cr_expect_eq(option_split(empty, "--workload", pair, 3, &error), 0);
}

Test(buffer, what_is_put_is_got)
{
    struct buffer buffer = BUFFER_INIT;
    struct cursor cursor;

    buffer_put_u8(&buffer, 1);
    buffer_put_u16(&buffer, 0x0203);
    buffer_put_u32(&buffer, 0x04050607);
    buffer_put_u64(&buffer, 0x08090a0b0c0d0e0full);
    for (int i = 0; i < 1000; i++)
        buffer_put(&buffer, "12345678", 8);
    cr_assert_not(buffer.failed);
    cr_expect_eq(buffer.data[1], 0x03, "little endian");
    cursor = cursor_over(buffer.data, buffer.size);
    cr_expect_eq(cursor_get_u8(&cursor), 1);
    cr_expect_eq(cursor_get_u16(&cursor), 0x0203);
    cr_expect_eq(cursor_get_u32(&cursor), 0x04050607u);
    cr_expect_eq(cursor_get_u64(&cursor), 0x08090a0b0c0d0e0full);
    cr_expect(cursor_take(&cursor, 8000));
    cr_expect(cursor_at_end(&cursor));
    buffer_free(&buffer);
}

Test(buffer, a_cursor_never_passes_the_end)
{
    uint8_t data[3] = {1, 2, 3};
    struct cursor cursor = cursor_over(data, sizeof(data));

    cr_expect_eq(cursor_get_u32(&cursor), 0u);
    cr_expect(cursor.failed);
    cr_expect_eq(cursor_get_u8(&cursor), 0, "and stays failed");
    cr_expect_not(cursor_at_end(&cursor));
    cursor = cursor_over(data, sizeof(data));
    cr_expect_null(cursor_take(&cursor, SIZE_MAX));
}

Test(buffer, an_impossible_size_fails_and_is_remembered)
{
    struct buffer buffer = BUFFER_INIT;

    cr_expect_null(buffer_extend(&buffer, SIZE_MAX));
    buffer_put_u8(&buffer, 1);
    cr_expect(buffer.failed);
    cr_expect_eq(buffer.size, 0u);
    buffer_free(&buffer);
}

Test(io, whole_reads_and_early_ends)
{
    struct error error = ERROR_INIT;
    char data[8];
    bool ended;
    int pair[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    cr_assert_eq(io_write_full(pair[0], "abcdefghij", 10, deadline_in_ms(1000), "the peer", &error), 0);
    cr_expect_eq(io_read_full(pair[1], data, 8, deadline_in_ms(1000), "the peer", &error), 0);
    cr_expect_eq(memcmp(data, "abcdefgh", 8), 0);
    close(pair[0]);
    cr_expect_eq(io_read_full(pair[1], data, 8, deadline_in_ms(1000), "the peer", &error), -1);
    cr_expect_eq(error.number, ECONNRESET);
    cr_expect(strstr(error.text, "after 2 of 8 bytes"), "%s", error.text);
    cr_expect_eq(io_read_full_or_end(pair[1], data, 8, deadline_in_ms(1000), "the peer", &ended, &error), 0);
    cr_expect(ended);
    close(pair[1]);
}

Test(io, deadlines_hold_in_both_directions)
{
    struct error error = ERROR_INIT;
    static char data[4 << 20];
    int pair[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    cr_expect_eq(io_read_full(pair[0], data, 1, deadline_in_ms(1), "the peer", &error), -1);
    cr_expect_eq(error.number, ETIMEDOUT);
    cr_expect(strstr(error.text, "read from the peer"), "%s", error.text);
    cr_expect_eq(io_write_full(pair[0], data, sizeof(data), deadline_in_ms(1), "the peer", &error), -1);
    cr_expect_eq(error.number, ETIMEDOUT);
    cr_expect(strstr(error.text, "write to the peer"), "%s", error.text);
    close(pair[0]);
    close(pair[1]);
}

Test(io, descriptors_go_with_the_bytes_and_too_many_are_closed)
{
    struct error error = ERROR_INIT;
    struct iovec vector = {.iov_base = "x", .iov_len = 1};
    int pair[2], fds[4], got[4];
    size_t count = 4;
    char byte;

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    for (int i = 0; i < 4; i++)
        fds[i] = open("/dev/null", O_RDONLY);
    cr_assert_eq(io_send(pair[0], &vector, 1, fds, 4, deadline_in_ms(1000), "the peer", &error), 0, "%s", error.text);
    cr_assert_eq(io_receive(pair[1], &byte, 1, got, &count, deadline_in_ms(1000), "the peer", &error), 1, "%s",
                 error.text);
    cr_assert_eq(count, 4u);
    for (int i = 0; i < 4; i++) {
        cr_expect(fcntl(got[i], F_GETFD) & FD_CLOEXEC);
        close(got[i]);
    }
    vector = (struct iovec){.iov_base = "x", .iov_len = 1};
    cr_assert_eq(io_send(pair[0], &vector, 1, fds, 4, deadline_in_ms(1000), "the peer", &error), 0);
    count = 2;
    cr_expect_eq(io_receive(pair[1], &byte, 1, got, &count, deadline_in_ms(1000), "the peer", &error), -1);
    cr_expect_eq(error.number, EMSGSIZE);
    cr_expect_eq(count, 0u);
    cr_expect_lt(fcntl(got[0], F_GETFD), 0, "nothing is left open");
    close(pair[0]);
    close(pair[1]);
}

Test(migration_state, names_go_there_and_back)
{
    for (unsigned int state = 0; state < MIGRATION_STATES; state++)
        cr_expect_eq(migration_state_from_name(migration_state_name(state)), (int)state);
    cr_expect_eq(migration_state_from_name("stop-copy"), VFIO_DEVICE_STATE_STOP_COPY);
    cr_expect_eq(migration_state_from_name("STOP"), VFIO_DEVICE_STATE_STOP);
    cr_expect_eq(migration_state_from_name("STOPPED"), -1);
    cr_expect_eq(migration_state_from_name(""), -1);
    cr_expect_str_eq(migration_state_name(8), "?");
}
