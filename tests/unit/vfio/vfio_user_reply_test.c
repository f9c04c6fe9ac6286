/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Replies that are wrong, late or missing, and what becomes of the connection. */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/io.h"
#include "tests/unit/vfio/fake_server.h"

/* What waits in vain is ended. */
TestSuite(vfio_user_reply, .timeout = 120);

struct wire_info {
    uint32_t argsz;
    uint32_t flags;
    uint32_t regions;
    uint32_t irqs;
};

static const struct wire_info good_info = {16, VFIO_DEVICE_FLAGS_PCI, 9, 5};

/* A reply to GET_INFO as it should be, to be spoiled. */
static struct vfio_user_header good_header(const struct fake_server *server)
{
    return (struct vfio_user_header){
        .message_id = server->message.header.message_id,
        .command = VFIO_USER_DEVICE_GET_INFO,
        .size = sizeof(struct vfio_user_header) + sizeof(good_info),
        .flags = VFIO_USER_FLAG_TYPE_REPLY,
    };
}

/* What is changed about the reply. */
struct spoil {
    uint16_t id_change;
    uint16_t command_change;
    uint32_t size;
    uint32_t flags;
    uint32_t argsz;
    size_t fd_count;
};

static void spoiled_reply(struct fake_server *server)
{
    const struct spoil *spoil = server->argument;
    struct vfio_user_header header;
    struct wire_info info = good_info;
    int fds[32];

    fake_version(server, NULL);
    fake_expect(server, VFIO_USER_DEVICE_GET_INFO);
    header = good_header(server);
    header.message_id = (uint16_t)(header.message_id + spoil->id_change);
    header.command = (uint16_t)(header.command + spoil->command_change);
    if (spoil->size)
        header.size = spoil->size;
    if (spoil->flags)
        header.flags = spoil->flags;
    if (spoil->argsz)
        info.argsz = spoil->argsz;
    for (size_t i = 0; i < spoil->fd_count; i++)
        fds[i] = eventfd(0, EFD_CLOEXEC);
    fake_send(server, &header, &info, sizeof(info), fds, spoil->fd_count);
    for (size_t i = 0; i < spoil->fd_count; i++)
        close(fds[i]);
    fake_drain(server);
}

static void assert_protocol_error(const struct spoil *spoil)
{
    struct vfio_device_info_summary info;
    struct error error = ERROR_INIT;
    struct error again = ERROR_INIT;
    struct fake_server server;
    struct vfio_device *device = fake_open_good(&server, spoiled_reply, (void *)spoil, FAKE_TIMEOUT_NS);
    struct pollfd gone = {.fd = device->ops->gone_fd(device), .events = POLLIN};

    cr_assert_eq(device->ops->get_info(device, &info, &error), -1);
    cr_assert_eq(error.number, EPROTO, "%s", error.text);
    cr_assert_str_eq(error.rule, "vfio-user/protocol");
    cr_assert_eq(strncmp(error.text, "fake: DEVICE_GET_INFO: ", 23), 0, "%s", error.text);
    /* The connection is of no more use, and says why. */
    cr_assert_eq(device->ops->reset(device, &again), -1);
    cr_assert_eq(again.number, EPROTO);
    cr_assert_eq(strncmp(again.text, "fake: DEVICE_RESET: ", 20), 0, "%s", again.text);
    cr_assert_not_null(strstr(again.text, error.text), "%s", again.text);
    cr_assert_eq(poll(&gone, 1, 5000), 1);
    fake_close(&server, device);
}

Test(vfio_user_reply, every_field_is_checked)
{
    static const struct spoil spoils[] = {
        {.id_change = 1},
        {.command_change = 1},
        {.size = 1},
        {.size = 15},
        {.size = 16},
        {.size = 31},
        {.size = 33},
        {.size = 0xffffffff},
        {.flags = 2},
        {.flags = 15},
        /* An error with more of a payload than the reply has room for. */
        {.flags = VFIO_USER_FLAG_TYPE_REPLY | VFIO_USER_FLAG_ERROR, .size = 33},
        {.flags = VFIO_USER_FLAG_TYPE_REPLY | VFIO_USER_FLAG_ERROR, .size = 0xffffffff},
        {.flags = VFIO_USER_FLAG_TYPE_REPLY | VFIO_USER_FLAG_ERROR, .fd_count = 1},
        {.argsz = 15},
        {.fd_count = 1},
        {.fd_count = 32},
    };

    for (size_t i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++)
        assert_protocol_error(&spoils[i]);
}

/* As libvfio-user does where a change of the migration state fails: the request comes back. */
static void error_with_payload(struct fake_server *server)
{
    struct vfio_user_header header;

    fake_version(server, NULL);
    fake_expect(server, VFIO_USER_REGION_WRITE);
    header = (struct vfio_user_header){
        .message_id = server->message.header.message_id,
        .command = VFIO_USER_REGION_WRITE,
        .size = (uint32_t)(sizeof(header) + server->message.size),
        .flags = VFIO_USER_FLAG_TYPE_REPLY | VFIO_USER_FLAG_ERROR,
        .error_number = EBUSY,
    };
    fake_send(server, &header, server->message.payload, server->message.size, NULL, 0);
    fake_expect(server, VFIO_USER_DEVICE_GET_INFO);
    fake_reply(server, &good_info, sizeof(good_info));
}

Test(vfio_user_reply, an_error_with_a_payload_is_the_operations_alone)
{
    static const uint8_t data[1000];
    struct vfio_device_info_summary info;
    struct error error = ERROR_INIT;
    struct fake_server server;
    struct vfio_device *device = fake_open_good(&server, error_with_payload, NULL, FAKE_TIMEOUT_NS);

    cr_assert_eq(device->ops->region_write(device, 0, 0, data, sizeof(data), &error), -1);
    cr_expect_eq(error.number, EBUSY, "%s", error.text);
    cr_assert_eq(device->ops->get_info(device, &info, &error), 0, "%s", error.text);
    cr_expect_eq(info.regions, 9);
    fake_close(&server, device);
}

static void cut_off(struct fake_server *server)
{
    struct vfio_user_header header;
    size_t size = *(size_t *)server->argument;
    char bytes[sizeof(header) + sizeof(good_info)];

    fake_version(server, NULL);
    fake_expect(server, VFIO_USER_DEVICE_GET_INFO);
    header = good_header(server);
    memcpy(bytes, &header, sizeof(header));
    memcpy(bytes + sizeof(header), &good_info, sizeof(good_info));
    fake_send_raw(server, bytes, size);
}

Test(vfio_user_reply, a_reply_that_is_cut_off_is_the_servers_end)
{
    for (size_t size = 0; size < 32; size += 5) {
        struct vfio_device_info_summary info;
        struct error error = ERROR_INIT;
        struct fake_server server;
        struct vfio_device *device = fake_open_good(&server, cut_off, &size, FAKE_TIMEOUT_NS);

        cr_assert_eq(device->ops->get_info(device, &info, &error), -1);
        cr_assert_eq(error.number, ECONNRESET, "%s", error.text);
        cr_assert_not_null(strstr(error.text, "closed the connection"), "%s", error.text);
        fake_close(&server, device);
    }
}

static void byte_by_byte(struct fake_server *server)
{
    struct vfio_user_header header;

    fake_version(server, NULL);
    fake_expect(server, VFIO_USER_DEVICE_GET_INFO);
    header = good_header(server);
    for (size_t i = 0; i < sizeof(header); i++)
        fake_send_raw(server, (char *)&header + i, 1);
    for (size_t i = 0; i < sizeof(good_info); i++)
        fake_send_raw(server, (const char *)&good_info + i, 1);
    fake_drain(server);
}

Test(vfio_user_reply, a_reply_may_come_in_pieces)
{
    struct vfio_device_info_summary info;
    struct error error = ERROR_INIT;
    struct fake_server server;
    struct vfio_device *device = fake_open_good(&server, byte_by_byte, NULL, FAKE_TIMEOUT_NS);

    cr_assert_eq(device->ops->get_info(device, &info, &error), 0, "%s", error.text);
    cr_assert_eq(info.flags, VFIO_DEVICE_FLAGS_PCI);
    cr_assert_eq(info.regions, 9);
    cr_assert_eq(info.irqs, 5);
    fake_close(&server, device);
}

static void answer_errors(struct fake_server *server)
{
    static const uint32_t numbers[] = {EBUSY, 0, 4096, 0xffffffff};

    fake_version(server, NULL);
    for (size_t i = 0; i < 4; i++) {
        fake_expect(server, VFIO_USER_DEVICE_RESET);
        fake_reply_error(server, numbers[i]);
    }
    fake_expect(server, VFIO_USER_DEVICE_RESET);
    fake_reply(server, NULL, 0);
    fake_drain(server);
}

Test(vfio_user_reply, errors_carry_the_servers_errno_and_leave_the_connection_usable)
{
    static const int numbers[] = {EBUSY, EIO, EIO, EIO};
    struct error error = ERROR_INIT;
    struct fake_server server;
    struct vfio_device *device = fake_open_good(&server, answer_errors, NULL, FAKE_TIMEOUT_NS);

    for (size_t i = 0; i < 4; i++) {
        cr_assert_eq(device->ops->reset(device, &error), -1);
        cr_assert_eq(error.number, numbers[i]);
        cr_assert_eq(strncmp(error.text, "fake: DEVICE_RESET: ", 20), 0, "%s", error.text);
    }
    cr_assert_eq(device->ops->reset(device, &error), 0);
    fake_close(&server, device);
}

/* Says when the client has hung up. */
static void never_answer(struct fake_server *server)
{
    fake_version(server, NULL);
    fake_drain(server);
    cr_assert_eq(eventfd_write(*(int *)server->argument, 1), 0);
}

Test(vfio_user_reply, silence_ends_at_the_deadline)
{
    struct vfio_device_feature_mig_state state = {.device_state = VFIO_DEVICE_STATE_STOP_COPY};
    struct vfio_device_info_summary info;
    struct error error = ERROR_INIT;
    struct fake_server server;
    int hung_up = eventfd(0, EFD_CLOEXEC);
    struct vfio_device *device = fake_open_good(&server, never_answer, &hung_up, FAKE_TIMEOUT_NS);
    struct pollfd gone = {.fd = device->ops->gone_fd(device), .events = POLLIN};
    struct pollfd end = {.fd = hung_up, .events = POLLIN};

    device->ops->set_timeout(device, FAKE_SHORT_TIMEOUT_NS);
    cr_assert_eq(device->ops->feature(device, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &state,
                                      sizeof(state), &error),
                 -1);
    cr_assert_str_eq(error.text, "fake: DEVICE_FEATURE SET STOP_COPY: no answer within 50 ms");
    cr_assert_eq(error.number, ETIMEDOUT);
    cr_assert_eq(poll(&gone, 1, 5000), 1);
    cr_assert_eq(poll(&end, 1, 5000), 1, "the server is not told");
    /* At once, and with the first cause. */
    device->ops->set_timeout(device, UINT64_MAX);
    cr_assert_eq(device->ops->get_info(device, &info, &error), -1);
    cr_assert_eq(error.number, ETIMEDOUT);
    cr_assert_not_null(strstr(error.text, "SET STOP_COPY: no answer within 50 ms"), "%s", error.text);
    fake_close(&server, device);
}

static void fill_the_socket(struct fake_server *server)
{
    char byte;

    fake_version(server, NULL);
    /* Takes nothing of what comes, until the client gives up. */
    while (recv(server->socket, &byte, 1, MSG_PEEK) > 0) {
        struct pollfd poll_fd = {.fd = server->socket, .events = POLLRDHUP};

        poll(&poll_fd, 1, 5000);
        break;
    }
}

Test(vfio_user_reply, a_server_that_does_not_read_is_bounded_too)
{
    static char data[1 << 20];
    struct error error = ERROR_INIT;
    struct fake_server server;
    struct vfio_device *device = fake_open_good(&server, fill_the_socket, NULL, FAKE_TIMEOUT_NS);

    device->ops->set_timeout(device, FAKE_SHORT_TIMEOUT_NS);
    cr_assert_eq(device->ops->region_write(device, 0, 0, data, sizeof(data), &error), -1);
    cr_assert_eq(error.number, ETIMEDOUT, "%s", error.text);
    fake_close(&server, device);
}

static void leave(struct fake_server *server)
{
    fake_version(server, NULL);
}

Test(vfio_user_reply, the_servers_end_is_noticed_without_a_roundtrip)
{
    struct vfio_device_info_summary info;
    struct error error = ERROR_INIT;
    struct fake_server server;
    struct vfio_device *device = fake_open_good(&server, leave, NULL, FAKE_TIMEOUT_NS);
    struct pollfd gone = {.fd = device->ops->gone_fd(device), .events = POLLIN};

    cr_assert_eq(poll(&gone, 1, 5000), 1);
    cr_assert_eq(device->ops->get_info(device, &info, &error), -1);
    cr_assert(error.number == EPIPE || error.number == ECONNRESET, "%s", error.text);
    fake_close(&server, device);
}

static void unasked_reply(struct fake_server *server)
{
    struct vfio_user_header header;

    fake_version(server, NULL);
    header = good_header(server);
    fake_send(server, &header, &good_info, sizeof(good_info), NULL, 0);
    fake_drain(server);
}

Test(vfio_user_reply, a_reply_to_nothing_is_refused)
{
    struct vfio_device_info_summary info;
    struct error error = ERROR_INIT;
    struct fake_server server;
    struct vfio_device *device = fake_open_good(&server, unasked_reply, NULL, FAKE_TIMEOUT_NS);

    cr_assert_eq(device->ops->get_info(device, &info, &error), -1);
    cr_assert_eq(error.number, EPROTO, "%s", error.text);
    fake_close(&server, device);
}
