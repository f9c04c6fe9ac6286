/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A device whose stream has no end, and one that says that it has more than there can be: neither keeps a source for ever. */
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/board/fake_device.h"
#include "vmm/migrate/handover.h"

#define MEMORY (16u << 20)
#define TIMEOUT_NS 1000000000u
#define PATIENCE_NS 20000000000u

struct fake {
    struct fake_device base;
    struct vfio_device_ops ops;
    unsigned int state;
    bool endless;
    struct vfio_data_session session;
};

static int feature(struct vfio_device *device, uint32_t flags, void *data, size_t size, struct error *error)
{
    struct fake *fake = (struct fake *)device;
    struct vfio_device_feature_migration *migration = data;
    struct vfio_device_feature_mig_state *state = data;

    (void)size;
    switch (flags & VFIO_DEVICE_FEATURE_MASK) {
    case VFIO_DEVICE_FEATURE_MIGRATION:
        migration->flags = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY;
        return 0;
    case VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE:
        if (flags & VFIO_DEVICE_FEATURE_GET)
            state->device_state = fake->state;
        else
            fake->state = state->device_state;
        return 0;
    default:
        return error_set(error, ENOTTY, "no such feature");
    }
}

static struct vfio_data_session *take_session(struct vfio_device *device)
{
    ((struct fake *)device)->session.device = device;
    return &((struct fake *)device)->session;
}

static enum vfio_data_result session_read(struct vfio_data_session *session, void *data, size_t size, size_t *count,
                                          struct error *error)
{
    struct fake *fake = (struct fake *)session->device;

    (void)data, (void)error;
    if (fake->endless) {
        *count = size < 4096 ? size : 4096;
        return VFIO_DATA_DATA;
    }
    *count = 0;
    return fake->state == VFIO_DEVICE_STATE_STOP_COPY ? VFIO_DATA_END : VFIO_DATA_AGAIN;
}

static int precopy_info(struct vfio_data_session *session, struct vfio_precopy_info *info, struct error *error)
{
    (void)session, (void)error;
    info->initial_bytes = 0;
    info->dirty_bytes = UINT64_MAX;
    return 0;
}

static void session_close(struct vfio_data_session *session)
{
    (void)session;
}

static void set_timeout(struct vfio_device *device, uint64_t ns)
{
    (void)device, (void)ns;
}

struct fixture {
    struct fake fake;
    struct vfio_device *device;
    struct machine *machine;
    struct event_log *log;
    struct source *source;
    struct stream stream;
    pthread_t thread;
    enum handover_outcome outcome;
    struct error error;
};

static void need_kvm(void)
{
    const char *required = getenv("STOPCOPY_REQUIRE_KVM");

    if (access("/dev/kvm", R_OK | W_OK) == 0)
        return;
    if (required && !strcmp(required, "1"))
        cr_assert_fail("/dev/kvm is not there, and STOPCOPY_REQUIRE_KVM=1");
    cr_skip_test("/dev/kvm is not there");
}

static void *migrate(void *argument)
{
    struct fixture *fixture = argument;

    fixture->outcome = HANDOVER_UNKNOWN;
    if (source_prepare(fixture->source, &fixture->error) == 0)
        fixture->outcome = source_migrate(fixture->source, &fixture->error);
    return NULL;
}

static void set_up_device(struct fixture *fixture)
{
    struct fake *fake = &fixture->fake;

    fake_device_init(&fake->base);
    fake->ops = *fake->base.vfio.ops;
    fake->ops.feature = feature;
    fake->ops.take_session = take_session;
    fake->ops.session_read = session_read;
    fake->ops.session_precopy_info = precopy_info;
    fake->ops.session_close = session_close;
    fake->ops.set_timeout = set_timeout;
    fake->base.vfio.ops = &fake->ops;
    fake->state = VFIO_DEVICE_STATE_RUNNING;
    fixture->device = &fake->base.vfio;
}

/* A migration as far as the source takes it, by this destination: until END or CANCELLED. Returns which came. */
static enum stream_type run(struct fixture *fixture, bool endless, bool pre_copy)
{
    struct board_wishes wishes = {.memory_size = MEMORY, .vcpus = 1, .wanted[WORKLOAD_CPU] = true};
    struct source_config config = {.peer = "the destination",
                                   .device_count = 1,
                                   .pre_copy = pre_copy,
                                   .limits = {.max_downtime_ns = 1, .max_rounds = 2},
                                   .timeout_ns = TIMEOUT_NS,
                                   .message_timeout_ns = TIMEOUT_NS,
                                   .arc_timeout_ns = TIMEOUT_NS};
    struct deadline patience = deadline_in_ns(PATIENCE_NS);
    struct handover_hello hello;
    struct stream_record record = {.type = STREAM_HELLO};
    struct board board;
    int pair[2];

    need_kvm();
    memset(fixture, 0, sizeof(*fixture));
    set_up_device(fixture);
    fixture->fake.endless = endless;
    config.devices = &fixture->device;
    cr_assert(board_describe(&wishes, &fixture->device, 1, &board, &fixture->error) == 0, "%s", fixture->error.text);
    fixture->machine = config.machine = machine_new(&board, &fixture->device, NULL, &fixture->error);
    cr_assert(fixture->machine, "%s", fixture->error.text);
    cr_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    stream_open(&fixture->stream, pair[0], "the source");
    config.fd = pair[1];
    config.log = fixture->log = event_log_new("source", -1);
    fixture->source = source_new(&config, &fixture->error);
    cr_assert(fixture->source && pthread_create(&fixture->thread, NULL, migrate, fixture) == 0);
    cr_assert(handover_hello_receive(&fixture->stream, true, &hello, patience, NULL) == 0);
    cr_assert(handover_hello_send(&fixture->stream, false, false, 0, patience, NULL) == 0);
    cr_assert(stream_receive(&fixture->stream, &record, patience, NULL) == 0 && record.type == STREAM_BOARD);
    cr_assert(stream_send(&fixture->stream, STREAM_PREPARED, 0, NULL, 0, patience, NULL) == 0);
    while (record.type != STREAM_END && record.type != STREAM_CANCELLED)
        cr_assert(!deadline_expired(patience) && stream_receive(&fixture->stream, &record, patience, NULL) == 0,
                  "it goes on and on");
    if (record.type == STREAM_END)
        stream_send_text(&fixture->stream, STREAM_REFUSED, "enough", patience, NULL);
    pthread_join(fixture->thread, NULL);
    cr_expect(fixture->outcome == HANDOVER_ON_SOURCE, "%s", fixture->error.text);
    return record.type;
}

static bool log_has(struct fixture *fixture, const char *text)
{
    json_t *events = event_log_events(fixture->log);
    char *all = json_dumps(events, JSON_COMPACT);
    bool found = all && strstr(all, text);

    json_decref(events);
    free(all);
    return found;
}

static void tear_down(struct fixture *fixture)
{
    machine_pause(fixture->machine, deadline_in_ns(PATIENCE_NS), NULL);
    source_free(fixture->source);
    machine_free(fixture->machine);
    stream_close(&fixture->stream);
    event_log_free(fixture->log);
}

Test(endless, a_stream_without_an_end_is_cut_off)
{
    struct fixture fixture;

    cr_expect(run(&fixture, true, false) == STREAM_CANCELLED);
    cr_expect(!strcmp(fixture.error.rule, "device/stream-endless"), "%s: %s", fixture.error.rule, fixture.error.text);
    cr_expect(strstr(fixture.error.text, "1000 ms"), "%s", fixture.error.text);
    tear_down(&fixture);
}

Test(endless, so_it_is_in_pre_copy)
{
    struct fixture fixture;

    cr_expect(run(&fixture, true, true) == STREAM_CANCELLED);
    cr_expect(!strcmp(fixture.error.rule, "device/stream-endless"), "%s: %s", fixture.error.rule, fixture.error.text);
    tear_down(&fixture);
}

Test(endless, more_bytes_than_there_can_be_are_a_finding_and_no_estimate)
{
    struct fixture fixture;

    cr_expect(run(&fixture, false, true) == STREAM_END, "%s", fixture.error.text);
    cr_expect(log_has(&fixture, "device/precopy-info-nonsense") &&
              log_has(&fixture, "18446744073709551615 dirty bytes"));
    cr_expect(log_has(&fixture, "no convergence after 2 rounds"));
    tear_down(&fixture);
}
