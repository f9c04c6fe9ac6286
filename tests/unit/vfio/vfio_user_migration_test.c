/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Features, the data transfer session, and what is built on them in migration.c. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "tests/unit/vfio/fake_server.h"
#include "vmm/vfio/migration.h"

/* What waits in vain is ended. */
TestSuite(migration, .timeout = 120);

#define STOPCOPY "{\"capabilities\":{\"max_data_xfer_size\":64,\"stopcopy\":{\"version\":1}}}"
#define PLAIN "{\"capabilities\":{\"max_data_xfer_size\":64}}"

/* A device that goes where it is told, whose stream is of left bytes. */
struct fake_device {
    const char *json;
    uint64_t flags;
    uint32_t state;
    size_t left;
    bool pre_copy_again; /* ENOMSG at the end of what there is in PRE_COPY */
    bool long_replies;   /* as long as the request, whatever size says */
    uint32_t wrong_size; /* added to size */
    uint32_t refuse_state;
    size_t written;
    unsigned int messages;
};

static void serve_feature(struct fake_server *server, struct fake_device *fake)
{
    struct {
        uint32_t argsz;
        uint32_t flags;
        union {
            uint64_t number;
            struct vfio_device_feature_mig_state state;
        };
    } feature = {.number = 0};

    memcpy(&feature, server->message.payload, server->message.size < 16 ? server->message.size : 16);
    switch (feature.flags & VFIO_DEVICE_FEATURE_MASK) {
    case VFIO_DEVICE_FEATURE_MIGRATION:
        feature.number = fake->flags;
        break;
    case VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE:
        if (feature.flags & VFIO_DEVICE_FEATURE_SET) {
            if (feature.state.device_state == fake->refuse_state) {
                fake_reply_error(server, EINVAL);
                return;
            }
            fake->state = feature.state.device_state;
        }
        feature.state.device_state = fake->state;
        break;
    case VFIO_DEVICE_FEATURE_MIG_DATA_SIZE:
        feature.number = fake->left;
        break;
    default:
        fake_reply_error(server, ENOTTY);
        return;
    }
    fake_reply(server, &feature, 16);
}

static void serve_read(struct fake_server *server, struct fake_device *fake)
{
    struct vfio_user_migration_data data;
    uint8_t reply[sizeof(data) + 128] = {0};
    uint32_t wanted;

    memcpy(&data, server->message.payload, sizeof(data));
    cr_assert_leq(data.size, 64);
    cr_assert_eq(data.argsz, sizeof(data) + data.size);
    wanted = data.size;
    if (!fake->left && fake->pre_copy_again) {
        fake_reply_error(server, ENOMSG);
        return;
    }
    data.size = fake->left < wanted ? (uint32_t)fake->left : wanted;
    memset(reply + sizeof(data), 0xab, data.size);
    fake->left -= data.size;
    data.size += fake->wrong_size;
    data.argsz = (uint32_t)sizeof(data) + data.size;
    memcpy(reply, &data, sizeof(data));
    fake_reply(server, reply, sizeof(data) + (fake->long_replies ? wanted : data.size - fake->wrong_size));
}

static void serve_device(struct fake_server *server)
{
    struct fake_device *fake = server->argument;

    fake_version(server, fake->json);
    while (fake_receive(server)) {
        fake->messages++;
        switch (server->message.header.command) {
        case VFIO_USER_DEVICE_FEATURE:
            serve_feature(server, fake);
            break;
        case VFIO_USER_MIG_DATA_READ:
            serve_read(server, fake);
            break;
        case VFIO_USER_MIG_DATA_WRITE:
            cr_assert_leq(server->message.size, 8 + 64);
            fake->written += server->message.size - 8;
            fake_reply(server, NULL, 0);
            break;
        case VFIO_USER_STOPCOPY_PRECOPY_INFO: {
            struct vfio_user_precopy_info info = {24, VFIO_PRECOPY_INFO_REINIT, 100, 200};

            fake_reply(server, &info, sizeof(info));
            break;
        }
        default:
            fake_reply(server, NULL, 0);
        }
    }
}

static struct vfio_device *open_fake(struct fake_server *server, struct fake_device *fake)
{
    return fake_open_good(server, serve_device, fake, FAKE_TIMEOUT_NS);
}

Test(migration, flags_beyond_the_specification_need_the_capability)
{
    const char *jsons[] = {STOPCOPY, PLAIN};

    for (size_t i = 0; i < 2; i++) {
        struct fake_device fake = {.json = jsons[i], .flags = 7, .left = 1000};
        struct error error = ERROR_INIT;
        struct fake_server server;
        struct vfio_device *device = open_fake(&server, &fake);
        uint64_t flags;
        uint64_t size = 0;
        int status;

        cr_assert_eq(migration_get_flags(device, &flags, &error), 0, "%s", error.text);
        cr_assert_eq(flags, i ? VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_PRE_COPY : 7);
        status = migration_get_data_size(device, &size, &error);
        cr_assert_eq(status, i ? -1 : 0);
        if (i)
            cr_assert_eq(error.number, ENOTTY);
        else
            cr_assert_eq(size, 1000);
        fake_close(&server, device);
        cr_assert_eq(fake.messages, i ? 1 : 2);
    }
}

static void answer_features(struct fake_server *server)
{
    fake_version(server, NULL);
    fake_expect(server, VFIO_USER_DEVICE_FEATURE);
    fake_reply_error(server, *(uint32_t *)server->argument);
    fake_drain(server);
}

Test(migration, a_device_without_the_feature_has_no_flags_and_other_errors_stay_errors)
{
    static const struct {
        uint32_t number;
        int status;
    } cases[] = {{ENOTTY, 0}, {EINVAL, 0}, {EOPNOTSUPP, 0}, {EIO, -1}, {ENODEV, -1}};

    for (size_t i = 0; i < 5; i++) {
        struct error error = ERROR_INIT;
        struct fake_server server;
        uint32_t number = cases[i].number;
        struct vfio_device *device = fake_open_good(&server, answer_features, &number, FAKE_TIMEOUT_NS);
        uint64_t flags = 99;

        cr_assert_eq(migration_get_flags(device, &flags, &error), cases[i].status);
        cr_assert_eq(flags, 0);
        fake_close(&server, device);
    }
}

static int count_bytes(void *context, const void *data, size_t size, struct error *error)
{
    (void)error;
    for (size_t i = 0; i < size; i++)
        cr_assert_eq(((const uint8_t *)data)[i], 0xab);
    *(size_t *)context += size;
    return 0;
}

Test(migration, a_stream_is_read_to_its_short_read)
{
    /* A last read that is full is followed by an empty one; replies may be as long as their requests. */
    static const size_t sizes[] = {0, 1, 63, 64, 65, 128, 1000};

    for (size_t i = 0; i < 14; i++) {
        struct fake_device fake = {.json = STOPCOPY, .left = sizes[i / 2], .long_replies = i % 2};
        struct error error = ERROR_INIT;
        struct fake_server server;
        struct vfio_device *device = open_fake(&server, &fake);
        struct vfio_data_session *session;
        uint64_t bytes;
        size_t sunk = 0;
        char buffer[100];

        cr_assert_eq(migration_set_state(device, VFIO_DEVICE_STATE_STOP_COPY, &error), 0, "%s", error.text);
        session = device->ops->take_session(device);
        cr_assert_not_null(session);
        cr_assert_eq(migration_read_all(session, buffer, sizeof(buffer), count_bytes, &sunk, &bytes, &error), 0, "%s",
                     error.text);
        cr_assert_eq(bytes, sizes[i / 2]);
        cr_assert_eq(sunk, sizes[i / 2]);
        device->ops->session_close(session);
        fake_close(&server, device);
    }
}

Test(migration, a_temporary_end_in_stop_copy_breaks_a_rule)
{
    struct fake_device fake = {.json = STOPCOPY, .left = 64, .pre_copy_again = true};
    struct error error = ERROR_INIT;
    struct fake_server server;
    struct vfio_device *device = open_fake(&server, &fake);
    struct vfio_data_session *session;
    uint64_t bytes;
    size_t sunk = 0;
    char buffer[64];

    cr_assert_eq(migration_set_state(device, VFIO_DEVICE_STATE_STOP_COPY, &error), 0);
    session = device->ops->take_session(device);
    cr_assert_eq(migration_read_all(session, buffer, sizeof(buffer), count_bytes, &sunk, &bytes, &error), -1);
    cr_assert_eq(error.number, ENOMSG);
    cr_assert_str_eq(error.rule, "device/enomsg-in-stop-copy");
    device->ops->session_close(session);
    fake_close(&server, device);
}

Test(migration, the_size_of_a_read_is_checked_against_what_was_asked_for_and_what_came)
{
    /* More than came; more than was asked for. */
    for (size_t i = 0; i < 2; i++) {
        struct fake_device fake = {.json = STOPCOPY, .left = i ? 64 : 10, .wrong_size = 1, .long_replies = i};
        struct error error = ERROR_INIT;
        struct fake_server server;
        struct vfio_device *device = open_fake(&server, &fake);
        struct vfio_data_session *session;
        size_t count;
        char buffer[64];

        cr_assert_eq(migration_set_state(device, VFIO_DEVICE_STATE_STOP_COPY, &error), 0);
        session = device->ops->take_session(device);
        cr_assert_eq(device->ops->session_read(session, buffer, sizeof(buffer), &count, &error), VFIO_DATA_ERROR);
        cr_assert_eq(error.number, EPROTO, "%s", error.text);
        cr_assert_eq(count, 0);
        device->ops->session_close(session);
        fake_close(&server, device);
    }
}

Test(migration, the_end_for_the_time_being_in_pre_copy)
{
    static const struct {
        const char *json;
        bool enomsg;
        enum vfio_data_result at_end;
    } cases[] = {
        {STOPCOPY, true, VFIO_DATA_AGAIN},
        {STOPCOPY, false, VFIO_DATA_END}, /* the wrong end, which a check names */
        {PLAIN, false, VFIO_DATA_AGAIN},  /* it cannot say so otherwise */
        {PLAIN, true, VFIO_DATA_AGAIN},
    };

    for (size_t i = 0; i < 4; i++) {
        struct fake_device fake = {.json = cases[i].json, .left = 10, .pre_copy_again = cases[i].enomsg};
        struct error error = ERROR_INIT;
        struct fake_server server;
        struct vfio_device *device = open_fake(&server, &fake);
        struct vfio_data_session *session;
        size_t count;
        char buffer[64];

        cr_assert_eq(migration_set_state(device, VFIO_DEVICE_STATE_PRE_COPY, &error), 0);
        session = device->ops->take_session(device);
        cr_assert_eq(device->ops->session_read(session, buffer, sizeof(buffer), &count, &error), VFIO_DATA_DATA);
        cr_assert_eq(count, 10);
        cr_assert_eq(device->ops->session_read(session, buffer, sizeof(buffer), &count, &error), cases[i].at_end);
        cr_assert_eq(count, 0);
        device->ops->session_close(session);
        fake_close(&server, device);
    }
}

Test(migration, all_is_written_in_parts_that_the_server_takes)
{
    struct fake_device fake = {.json = STOPCOPY};
    struct error error = ERROR_INIT;
    struct fake_server server;
    struct vfio_device *device = open_fake(&server, &fake);
    struct vfio_data_session *session;
    char data[1000] = {0};

    cr_assert_eq(migration_set_state(device, VFIO_DEVICE_STATE_RESUMING, &error), 0);
    session = device->ops->take_session(device);
    cr_assert_eq(migration_write_all(session, data, sizeof(data), &error), 0, "%s", error.text);
    device->ops->session_close(session);
    fake_close(&server, device);
    cr_assert_eq(fake.written, 1000);
}

Test(migration, a_session_lives_as_long_as_the_group)
{
    struct fake_device fake = {.json = STOPCOPY, .left = 1000};
    struct error error = ERROR_INIT;
    struct fake_server server;
    struct vfio_device *device = open_fake(&server, &fake);
    const struct vfio_device_ops *ops = device->ops;
    struct vfio_data_session *session;
    struct vfio_data_session *resuming;
    unsigned int messages;
    size_t count;
    char buffer[64];

    cr_assert_eq(migration_set_state(device, VFIO_DEVICE_STATE_RUNNING, &error), 0);
    cr_assert_null(ops->take_session(device));
    cr_assert_eq(migration_set_state(device, VFIO_DEVICE_STATE_PRE_COPY, &error), 0);
    session = ops->take_session(device);
    cr_assert_not_null(session);
    cr_assert_null(ops->take_session(device), "a session is given once");
    cr_assert_eq(migration_set_state(device, VFIO_DEVICE_STATE_PRE_COPY_P2P, &error), 0);
    cr_assert_eq(migration_set_state(device, VFIO_DEVICE_STATE_STOP_COPY, &error), 0);
    cr_assert_eq(migration_set_state(device, VFIO_DEVICE_STATE_STOP_COPY, &error), 0);
    cr_assert_null(ops->take_session(device), "moving inside of the group opens none");
    cr_assert_eq(ops->session_read(session, buffer, sizeof(buffer), &count, &error), VFIO_DATA_DATA);
    cr_assert_eq(migration_set_state(device, VFIO_DEVICE_STATE_RESUMING, &error), 0);
    resuming = ops->take_session(device);
    cr_assert_not_null(resuming);
    /* It ended with the group, and no message is needed to know that; nor for the wrong direction. */
    messages = fake.messages;
    cr_assert_eq(ops->session_read(session, buffer, sizeof(buffer), &count, &error), VFIO_DATA_ERROR);
    cr_assert_eq(error.number, ENODEV);
    cr_assert_eq(ops->session_write(session, buffer, 1, &error), -1);
    cr_assert_eq(error.number, EBADF);
    cr_assert_eq(ops->session_read(resuming, buffer, sizeof(buffer), &count, &error), VFIO_DATA_ERROR);
    cr_assert_eq(fake.messages, messages);
    cr_assert_eq(ops->session_write(resuming, buffer, 10, &error), 10);
    cr_assert_eq(ops->reset(device, &error), 0);
    cr_assert_eq(ops->session_write(resuming, buffer, 10, &error), -1);
    cr_assert_eq(error.number, ENODEV);
    ops->session_close(session);
    ops->session_close(resuming);
    fake_close(&server, device);
}

Test(migration, after_a_failed_arc_the_state_that_is_read_back_decides)
{
    struct fake_device fake = {.json = STOPCOPY, .left = 1000, .refuse_state = VFIO_DEVICE_STATE_STOP_COPY};
    struct error error = ERROR_INIT;
    struct fake_server server;
    struct vfio_device *device = open_fake(&server, &fake);
    const struct vfio_device_ops *ops = device->ops;
    struct vfio_data_session *session;
    unsigned int state;
    size_t count;
    char buffer[64];

    cr_assert_eq(migration_set_state(device, VFIO_DEVICE_STATE_PRE_COPY, &error), 0);
    session = ops->take_session(device);
    cr_assert_eq(migration_set_state(device, VFIO_DEVICE_STATE_STOP_COPY, &error), -1);
    cr_assert_eq(error.number, EINVAL);
    cr_assert_not_null(strstr(error.text, "fake: DEVICE_FEATURE SET STOP_COPY: "), "%s", error.text);
    cr_assert_eq(migration_get_state(device, &state, &error), 0);
    cr_assert_eq(state, VFIO_DEVICE_STATE_PRE_COPY);
    cr_assert_eq(ops->session_read(session, buffer, sizeof(buffer), &count, &error), VFIO_DATA_DATA);
    /* As if the arc had got as far as STOP. */
    cr_assert_eq(migration_set_state(device, VFIO_DEVICE_STATE_STOP_COPY, &error), -1);
    fake.state = VFIO_DEVICE_STATE_STOP;
    cr_assert_eq(migration_get_state(device, &state, &error), 0);
    cr_assert_eq(ops->session_read(session, buffer, sizeof(buffer), &count, &error), VFIO_DATA_ERROR);
    cr_assert_eq(error.number, ENODEV);
    cr_assert_null(ops->take_session(device));
    ops->session_close(session);
    fake_close(&server, device);
}

Test(migration, precopy_info_goes_by_the_capability)
{
    const char *jsons[] = {STOPCOPY, PLAIN};

    for (size_t i = 0; i < 2; i++) {
        struct fake_device fake = {.json = jsons[i]};
        struct error error = ERROR_INIT;
        struct fake_server server;
        struct vfio_device *device = open_fake(&server, &fake);
        struct vfio_data_session *session;
        struct vfio_precopy_info info = {.argsz = sizeof(info)};

        cr_assert_eq(migration_set_state(device, VFIO_DEVICE_STATE_PRE_COPY, &error), 0);
        session = device->ops->take_session(device);
        cr_assert_eq(device->ops->session_precopy_info(session, &info, &error), i ? -1 : 0);
        if (i) {
            cr_assert_eq(error.number, ENOTTY);
        } else {
            cr_assert_eq(info.flags, VFIO_PRECOPY_INFO_REINIT);
            cr_assert_eq(info.initial_bytes, 100);
            cr_assert_eq(info.dirty_bytes, 200);
        }
        device->ops->session_close(session);
        fake_close(&server, device);
    }
}

/* DMA logging: what is behind a pointer for the kernel is on the wire here. */
static void log_device(struct fake_server *server)
{
    struct {
        uint32_t argsz;
        uint32_t flags;
        uint64_t iova;
        uint64_t length;
        uint64_t page_size;
        uint64_t bitmap[2];
    } report;
    uint64_t words[8];

    fake_version(server, NULL);
    fake_expect(server, VFIO_USER_DEVICE_FEATURE);
    cr_assert_eq(server->message.size, 8 + 16 + 2 * 16);
    memcpy(words, server->message.payload, 56);
    cr_assert_eq(words[0], (uint64_t)(VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START) << 32 | 56);
    cr_assert_eq(words[1], 4096);
    cr_assert_eq(words[2], 2);
    cr_assert_eq(words[3], 0x1000);
    cr_assert_eq(words[6], 0x4000);
    words[1] = 8192;
    fake_reply(server, words, 56);
    fake_expect(server, VFIO_USER_DEVICE_FEATURE);
    cr_assert_eq(server->message.size, 8 + 24);
    memcpy(&report, server->message.payload, 32);
    cr_assert_eq(report.argsz, 8 + 24 + 16);
    report.bitmap[0] = 5;
    report.bitmap[1] = UINT64_MAX; /* past the range, too */
    report.page_size += *(uint64_t *)server->argument;
    fake_reply(server, &report, 8 + 24 + 16);
    fake_drain(server);
}

static int run_logging(uint64_t spoil, uint64_t bitmap[2], struct error *error)
{
    struct vfio_device_feature_dma_logging_range ranges[2] = {{0x1000, 0x1000}, {0x3000, 0x4000}};
    struct vfio_device_feature_dma_logging_control control = {
        .page_size = 4096, .num_ranges = 2, .ranges = (uintptr_t)ranges};
    struct vfio_device_feature_dma_logging_report report = {
        .iova = 0x10000, .length = 70 * 4096, .page_size = 4096, .bitmap = (uintptr_t)bitmap};
    struct fake_server server;
    struct vfio_device *device = fake_open_good(&server, log_device, &spoil, FAKE_TIMEOUT_NS);
    int status = device->ops->feature(device, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START, &control,
                                      sizeof(control), error);

    cr_assert_eq(status, 0, "%s", error->text);
    cr_assert_eq(control.page_size, 8192);
    cr_assert_eq(control.ranges, (uintptr_t)ranges);
    status = device->ops->feature(device, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, &report,
                                  sizeof(report), error);
    fake_close(&server, device);
    return status;
}

Test(migration, dma_logging_goes_inline_and_only_sets_bits)
{
    uint64_t bitmap[2] = {UINT64_C(1) << 63, 0};
    struct error error = ERROR_INIT;

    cr_assert_eq(run_logging(0, bitmap, &error), 0, "%s", error.text);
    cr_assert_eq(bitmap[0], UINT64_C(1) << 63 | 5);
    cr_assert_eq(bitmap[1], 63);
    cr_assert_eq(run_logging(1, bitmap, &error), -1);
    cr_assert_eq(error.number, EPROTO);
}
