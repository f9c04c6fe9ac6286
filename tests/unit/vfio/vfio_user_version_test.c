/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Negotiation, and what a server may get wrong in it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/vfio/fake_server.h"
#include "vmm/vfio/vfio_user_client.h"

/* What waits in vain is ended. */
TestSuite(vfio_user_version, .timeout = 120);

static void version_then_drain(struct fake_server *server)
{
    fake_version(server, server->argument);
    fake_drain(server);
}

static struct vfio_user_agreement agree(char *json)
{
    struct fake_server server;
    struct vfio_device *device = fake_open_good(&server, version_then_drain, json, FAKE_TIMEOUT_NS);
    struct vfio_user_agreement agreement = vfio_user_of(device)->agreement;

    fake_close(&server, device);
    return agreement;
}

Test(vfio_user_version, defaults_count_where_the_server_says_nothing)
{
    char *replies[] = {NULL, "{}", "{\"capabilities\":{}}"};

    for (size_t i = 0; i < 3; i++) {
        struct vfio_user_agreement agreement = agree(replies[i]);

        cr_assert_eq(agreement.max_msg_fds, 1);
        cr_assert_eq(agreement.max_data_xfer_size, 1048576);
        cr_assert_eq(agreement.max_dma_maps, 65535);
        cr_assert_eq(agreement.pgsizes, 4096);
        cr_assert_not(agreement.stopcopy);
        cr_assert_eq(agreement.twin_socket, -1);
    }
}

Test(vfio_user_version, the_servers_numbers_count)
{
    struct vfio_user_agreement agreement =
        agree("{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":65536,\"max_dma_maps\":3,\"pgsizes\":12288,"
              "\"write_multiple\":true,\"migration\":{\"pgsize\":4096},\"stopcopy\":{\"version\":1}}}");

    cr_assert_eq(agreement.max_msg_fds, 8);
    cr_assert_eq(agreement.max_data_xfer_size, 65536);
    cr_assert_eq(agreement.max_dma_maps, 3);
    cr_assert_eq(agreement.pgsizes, 12288);
    cr_assert(agreement.write_multiple);
    cr_assert(agreement.stopcopy);
}

Test(vfio_user_version, peer_mappings_are_part_of_our_capability)
{
    cr_assert(agree("{\"capabilities\":{\"stopcopy\":{\"version\":1,\"peer_mappings\":true}}}").peer_mappings);
    cr_assert_not(agree("{\"capabilities\":{\"stopcopy\":{\"version\":1}}}").peer_mappings);
    cr_assert_not(agree("{\"capabilities\":{\"stopcopy\":{\"version\":2,\"peer_mappings\":true}}}").peer_mappings);
    cr_assert_not(agree("{\"capabilities\":{\"peer_mappings\":true}}").peer_mappings);
}

Test(vfio_user_version, another_version_of_our_capability_is_not_agreed_on)
{
    cr_assert_not(agree("{\"capabilities\":{\"stopcopy\":{\"version\":2}}}").stopcopy);
    cr_assert_not(agree("{\"capabilities\":{\"stopcopy\":{}}}").stopcopy);
}

Test(vfio_user_version, transfers_are_bounded_by_what_we_offered)
{
    cr_assert_eq(agree("{\"capabilities\":{\"max_data_xfer_size\":4294967295}}").max_data_xfer_size,
                 CLIENT_MAX_DATA_XFER_SIZE);
}

Test(vfio_user_version, bad_capabilities_are_refused)
{
    char *replies[] = {
        "",
        "[]",
        "{",
        "{\"capabilities\":[]}",
        "{\"capabilities\":{\"max_msg_fds\":\"8\"}}",
        "{\"capabilities\":{\"max_msg_fds\":-1}}",
        "{\"capabilities\":{\"max_msg_fds\":1.5}}",
        "{\"capabilities\":{\"max_msg_fds\":1,\"max_msg_fds\":2}}",
        "{\"capabilities\":{\"max_data_xfer_size\":0}}",
        "{\"capabilities\":{\"max_data_xfer_size\":99999999999}}",
        "{\"capabilities\":{\"max_data_xfer_size\":99999999999999999999999}}",
        "{\"capabilities\":{\"max_dma_maps\":0}}",
        "{\"capabilities\":{\"pgsizes\":0}}",
        "{\"capabilities\":{\"write_multiple\":1}}",
        "{\"capabilities\":{\"twin_socket\":true}}",
        "{\"capabilities\":{\"twin_socket\":{\"supported\":1}}}",
        "{\"capabilities\":{\"twin_socket\":{\"supported\":true}}}",
        "{\"capabilities\":{\"twin_socket\":{\"supported\":true,\"fd_index\":0}}}",
        "{\"capabilities\":{\"stopcopy\":1}}",
        "{\"capabilities\":{\"stopcopy\":{\"version\":1,\"peer_mappings\":1}}}",
        "{\"capabilities\":{\"stopcopy\":{\"version\":\"1\"}}}",
    };

    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        struct error error = ERROR_INIT;
        struct fake_server server;
        struct vfio_device *device = fake_open(&server, version_then_drain, replies[i], FAKE_TIMEOUT_NS, &error);

        cr_assert_null(device, "%s was taken", replies[i]);
        cr_assert_eq(error.number, EPROTO, "%s: %s", replies[i], error.text);
        cr_assert_eq(strncmp(error.text, "fake: VERSION: ", 15), 0, "%s", error.text);
        fake_close(&server, device);
    }
}

static void raw_json(struct fake_server *server)
{
    const struct iovec *payload = server->argument;

    fake_expect(server, VFIO_USER_VERSION);
    fake_reply(server, payload->iov_base, payload->iov_len);
    fake_drain(server);
}

static void assert_raw_refused(const void *payload, size_t size)
{
    struct iovec argument = {(void *)payload, size};
    struct error error = ERROR_INIT;
    struct fake_server server;

    cr_assert_null(fake_open(&server, raw_json, &argument, FAKE_TIMEOUT_NS, &error));
    cr_assert_eq(error.number, EPROTO, "%s", error.text);
    fake_close(&server, NULL);
}

Test(vfio_user_version, the_payload_must_be_whole)
{
    static const char large[70000];

    assert_raw_refused("\0\0\1", 3);          /* cut off */
    assert_raw_refused("\0\0\1\0{}", 6);      /* without a NUL */
    assert_raw_refused("\0\0\1\0{}\0{}", 10); /* a NUL inside */
    assert_raw_refused("\1\0\0\0{}", 7);      /* major 1 */
    assert_raw_refused(large, sizeof(large)); /* longer than any can be */
}

Test(vfio_user_version, what_cannot_be_parsed_is_not_printed_as_it_is)
{
    char reply[] = "{\"capabilities\": \x1b[2Jx}";
    struct error error = ERROR_INIT;
    struct fake_server server;

    cr_assert_null(fake_open(&server, version_then_drain, reply, FAKE_TIMEOUT_NS, &error));
    cr_assert_null(strchr(error.text, '\x1b'), "%s", error.text);
    fake_close(&server, NULL);
}

static void twin_reply(struct fake_server *server)
{
    const char payload[] = "\0\0\1\0{\"capabilities\":{\"twin_socket\":{\"supported\":true,\"fd_index\":0}}}";

    fake_expect(server, VFIO_USER_VERSION);
    fake_reply_fds(server, payload, sizeof(payload), server->argument, 2);
    fake_drain(server);
}

static void twin_reply_of_one(struct fake_server *server)
{
    const char payload[] = "\0\0\1\0{\"capabilities\":{\"twin_socket\":{\"supported\":true,\"fd_index\":0}}}";

    fake_expect(server, VFIO_USER_VERSION);
    fake_reply_fds(server, payload, sizeof(payload), server->argument, 1);
    fake_drain(server);
}

Test(vfio_user_version, a_twin_that_is_no_socket_or_not_alone_is_refused)
{
    struct error error = ERROR_INIT;
    struct fake_server server;
    int not_socket = eventfd(0, 0);
    int pair[2];

    cr_assert_null(fake_open(&server, twin_reply_of_one, &not_socket, FAKE_TIMEOUT_NS, &error));
    cr_assert_eq(error.number, EPROTO);
    fake_close(&server, NULL);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    cr_assert_null(fake_open(&server, twin_reply, pair, FAKE_TIMEOUT_NS, &error));
    cr_assert_eq(error.number, EPROTO);
    fake_close(&server, NULL);
}

static void refuse(struct fake_server *server)
{
    fake_expect(server, VFIO_USER_VERSION);
    fake_reply_error(server, ENOTSUP);
    fake_drain(server);
}

static void hang_up(struct fake_server *server)
{
    (void)server;
}

Test(vfio_user_version, refusal_hangup_and_silence_are_told_apart)
{
    struct error error = ERROR_INIT;
    struct fake_server server;

    cr_assert_null(fake_open(&server, refuse, NULL, FAKE_TIMEOUT_NS, &error));
    cr_assert_eq(error.number, ENOTSUP);
    fake_close(&server, NULL);
    cr_assert_null(fake_open(&server, hang_up, NULL, FAKE_TIMEOUT_NS, &error));
    cr_assert(error.number == ECONNRESET || error.number == EPIPE, "%s", error.text);
    fake_close(&server, NULL);
    cr_assert_null(fake_open(&server, fake_drain, NULL, FAKE_SHORT_TIMEOUT_NS, &error));
    cr_assert_eq(error.number, ETIMEDOUT);
    cr_assert_str_eq(error.text, "fake: VERSION: no answer within 50 ms");
    fake_close(&server, NULL);
}

Test(vfio_user_version, connecting_to_nothing_names_the_path)
{
    struct error error = ERROR_INIT;

    cr_assert_null(vfio_user_open("/nonexistent/device.sock", false, FAKE_TIMEOUT_NS, &error));
    cr_assert_eq(error.number, ENOENT);
    cr_assert_not_null(strstr(error.text, "vfio-user:/nonexistent/device.sock"));
}
