/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a destination takes, in which order, from a source that is this test. */
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
#define TIMEOUT_NS 5000000000u
#define DEVICES 2

struct fake {
    struct fake_device base;
    struct vfio_device_ops ops;
    unsigned int state;
    bool pending;
    uint64_t written;
    struct vfio_data_session session;
    bool refuses_to_run;
    bool logging, unmapped, stopped_late; /* DMA_LOGGING_STOP came after its memory was gone */
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
        if (flags & VFIO_DEVICE_FEATURE_GET) {
            state->device_state = fake->state;
        } else if (fake->refuses_to_run && state->device_state == VFIO_DEVICE_STATE_RUNNING_P2P) {
            return error_set(error, EIO, "it does not run");
        } else {
            fake->state = state->device_state;
            fake->pending = fake->state == VFIO_DEVICE_STATE_RESUMING;
        }
        return 0;
    case VFIO_DEVICE_FEATURE_DMA_LOGGING_START:
    case VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP:
    case VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT:
        if (!fake->logging)
            return error_set(error, ENOTTY, "no such feature");
        if (flags == (VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP))
            fake->stopped_late = fake->unmapped;
        return 0;
    default:
        return error_set(error, ENOTTY, "no such feature");
    }
}

static int dma_unmap(struct vfio_device *device, uint64_t iova, uint64_t size, struct error *error)
{
    (void)iova, (void)size, (void)error;
    ((struct fake *)device)->unmapped = true;
    return 0;
}

static struct vfio_data_session *take_session(struct vfio_device *device)
{
    struct fake *fake = (struct fake *)device;

    fake->session.device = device;
    return fake->pending ? &fake->session : NULL;
}

static ssize_t session_write(struct vfio_data_session *session, const void *data, size_t size, struct error *error)
{
    (void)data, (void)error;
    ((struct fake *)session->device)->written += size;
    return (ssize_t)size;
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
    struct fake fake[DEVICES];
    struct vfio_device *device[DEVICES];
    struct machine *source; /* whose state is sent; it has no devices */
    struct stream stream;
    struct destination *destination;
    pthread_t thread;
    enum handover_outcome outcome;
    struct error error;
    uint64_t sent_data[DEVICES + 1]; /* of each device's stream; the last is a device that is not there */
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

static void *receive(void *argument)
{
    struct fixture *fixture = argument;
    static struct proof_snapshot paused;
    struct machine *machine = NULL;

    fixture->outcome = destination_receive(fixture->destination, &machine, &paused, &fixture->error);
    machine_free(machine);
    return NULL;
}

static void send_payload(struct fixture *fixture, enum stream_type type, uint32_t instance, const void *data,
                         size_t size)
{
    /* A destination that has refused already does not read any more. */
    stream_send(&fixture->stream, type, instance, data, size, deadline_in_ns(TIMEOUT_NS), NULL);
}

static void set_up_with(struct fixture *fixture, enum verify_mode verify)
{
    struct board_wishes wishes = {.memory_size = MEMORY, .vcpus = 1, .wanted[WORKLOAD_CPU] = true};
    struct destination_config config = {.peer = "the source",
                                        .devices = fixture->device,
                                        .device_count = DEVICES,
                                        .verify = verify,
                                        .timeout_ns = TIMEOUT_NS,
                                        .message_timeout_ns = TIMEOUT_NS,
                                        .arc_timeout_ns = TIMEOUT_NS};
    struct buffer tree = BUFFER_INIT;
    struct handover_hello hello;
    struct stream_record record;
    struct board board;
    int pair[2];

    need_kvm();
    memset(fixture, 0, sizeof(*fixture));
    for (size_t i = 0; i < DEVICES; i++) {
        struct fake *fake = &fixture->fake[i];

        fake_device_init(&fake->base);
        fake->ops = *fake->base.vfio.ops;
        fake->ops.feature = feature;
        fake->ops.take_session = take_session;
        fake->ops.session_write = session_write;
        fake->ops.session_close = session_close;
        fake->ops.set_timeout = set_timeout;
        fake->ops.dma_unmap = dma_unmap;
        fake->base.vfio.ops = &fake->ops;
        fake->state = VFIO_DEVICE_STATE_RUNNING;
        fixture->device[i] = &fake->base.vfio;
    }
    cr_assert(board_describe(&wishes, NULL, 0, &board, &fixture->error) == 0, "%s", fixture->error.text);
    fixture->source = machine_new(&board, NULL, NULL, &fixture->error);
    cr_assert(fixture->source, "%s", fixture->error.text);
    cr_assert(board_describe(&wishes, fixture->device, DEVICES, &board, &fixture->error) == 0, "%s",
              fixture->error.text);
    cr_assert(board_to_tree(&board, &tree, &fixture->error) == 0);
    cr_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    stream_open(&fixture->stream, pair[0], "the destination");
    config.fd = pair[1];
    fixture->destination = destination_new(&config, &fixture->error);
    cr_assert(fixture->destination);
    cr_assert(pthread_create(&fixture->thread, NULL, receive, fixture) == 0);
    cr_assert(handover_hello_send(&fixture->stream, true, false, 0, deadline_in_ns(TIMEOUT_NS), &fixture->error) == 0);
    cr_assert(handover_hello_receive(&fixture->stream, false, &hello, deadline_in_ns(TIMEOUT_NS), &fixture->error) ==
              0);
    send_payload(fixture, STREAM_BOARD, 0, tree.data, tree.size);
    cr_assert(stream_receive(&fixture->stream, &record, deadline_in_ns(TIMEOUT_NS), &fixture->error) == 0);
    cr_assert(record.type == STREAM_PREPARED, "%.*s", (int)record.size, (const char *)record.data);
    buffer_free(&tree);
}

static void set_up(struct fixture *fixture)
{
    set_up_with(fixture, VERIFY_OFF);
}

/* Waits for the destination's end. */
static void finish_with(struct fixture *fixture, enum handover_outcome outcome)
{
    pthread_join(fixture->thread, NULL);
    cr_expect(fixture->outcome == outcome);
    destination_free(fixture->destination);
    stream_close(&fixture->stream);
    machine_free(fixture->source);
}

static void finish(struct fixture *fixture)
{
    finish_with(fixture, HANDOVER_ON_SOURCE);
}

/* A record as a source sends it. DEVICE_END says that 4 bytes were sent: one DEVICE_DATA. */
static void send_good(struct fixture *fixture, enum stream_type type, uint32_t instance)
{
    static const uint8_t page[8 + RAM_PAGE_SIZE];
    uint64_t numbers[5] = {0, htole64(RAM_PAGE_SIZE)};
    struct {
        uint64_t offset;
        char bytes[4];
    } data = {.bytes = {'d', 'a', 't', 'a'}};
    struct vm *vm = machine_vm(fixture->source);
    struct buffer state = BUFFER_INIT;

    switch (type) {
    case STREAM_RAM:
        send_payload(fixture, type, instance, page, sizeof(page));
        break;
    case STREAM_RAM_ZERO:
        send_payload(fixture, type, instance, numbers, 16);
        break;
    case STREAM_DEVICE_DATA:
        data.offset = htole64(fixture->sent_data[instance]);
        fixture->sent_data[instance] += sizeof(data.bytes);
        send_payload(fixture, type, instance, &data, sizeof(data.offset) + sizeof(data.bytes));
        break;
    case STREAM_DEVICE_END:
        numbers[0] = htole64(4);
        send_payload(fixture, type, instance, numbers, 8);
        break;
    case STREAM_VM:
        cr_assert(vm_get_state(vm, &state, &fixture->error) == 0, "%s", fixture->error.text);
        break;
    case STREAM_VCPU:
        cr_assert(vm_vcpu_get_state(vm, 0, &state, &fixture->error) == 0, "%s", fixture->error.text);
        break;
    case STREAM_BOARD_STATE:
        cr_assert(machine_get_board_state(fixture->source, &state, &fixture->error) == 0, "%s", fixture->error.text);
        break;
    case STREAM_END:
        send_payload(fixture, type, instance, numbers, 40);
        break;
    default:
        send_payload(fixture, type, instance, NULL, 0);
    }
    if (state.size)
        send_payload(fixture, type, instance, state.data, state.size);
    buffer_free(&state);
}

struct step {
    enum stream_type type;
    uint32_t instance;
};

#define STEPS_MAX 10
#define STOPPED                                                                                                        \
    {STREAM_VM, 0}, {STREAM_VCPU, 0},                                                                                  \
    {                                                                                                                  \
        STREAM_BOARD_STATE, 0                                                                                          \
    }
#define DATA(index)                                                                                                    \
    {                                                                                                                  \
        STREAM_DEVICE_DATA, index                                                                                      \
    }

/* The last of each is out of order; what comes before it is in order. */
static const struct step wrong[][STEPS_MAX] = {
    {{STREAM_VCPU, 0}},
    {{STREAM_BOARD_STATE, 0}},
    {{STREAM_END, 0}},
    {{STREAM_DEVICE_END, 0}},
    {{STREAM_DEVICE_STATE, 0}},
    {DATA(DEVICES)},
    {{STREAM_RAM, 0}, {STREAM_ALIVE, 0}},
    {DATA(0), {STREAM_ALIVE, 0}},
    {DATA(1), DATA(0), {STREAM_RAM, 0}, DATA(1), {STREAM_DEVICE_END, 1}},
    {{STREAM_VM, 0}, {STREAM_VM, 0}},
    {{STREAM_VM, 0}, {STREAM_RAM, 0}},
    {{STREAM_VM, 0}, {STREAM_RAM_ZERO, 0}},
    {{STREAM_VM, 0}, DATA(0)},
    {{STREAM_VM, 0}, {STREAM_BOARD_STATE, 0}},
    {{STREAM_VM, 0}, {STREAM_VCPU, 0}, {STREAM_VCPU, 1}},
    {STOPPED, {STREAM_RAM, 0}},
    {STOPPED, {STREAM_END, 0}},
    {STOPPED, DATA(1)},
    {STOPPED, DATA(0), DATA(1)},
    {STOPPED, DATA(0), {STREAM_DEVICE_STATE, 0}},
    {STOPPED, DATA(0), {STREAM_DEVICE_END, 0}, DATA(0)},
    {STOPPED, DATA(0), {STREAM_DEVICE_END, 0}, {STREAM_DEVICE_END, 0}},
    {STOPPED, DATA(0), {STREAM_DEVICE_END, 0}, {STREAM_DEVICE_END, 1}},
    {{STREAM_COMMIT, 0}},
};

Test(destination, refuses_what_is_out_of_order)
{
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct stream_record record;
        struct fixture fixture;

        set_up(&fixture);
        for (size_t step = 0; step < STEPS_MAX && wrong[i][step].type; step++)
            send_good(&fixture, wrong[i][step].type, wrong[i][step].instance);
        cr_expect(stream_receive(&fixture.stream, &record, deadline_in_ns(TIMEOUT_NS), NULL) == 0 &&
                      record.type == STREAM_REFUSED,
                  "%zu", i);
        finish(&fixture);
        cr_expect(!strcmp(fixture.error.rule, "stream/order") && strstr(fixture.error.text, "out of order"), "%zu: %s",
                  i, fixture.error.text);
    }
}

Test(destination, gives_devices_their_data_in_any_turn_while_ram_comes)
{
    struct fixture fixture;

    set_up(&fixture);
    send_good(&fixture, STREAM_ALIVE, 0);
    for (int round = 0; round < 3; round++) {
        send_good(&fixture, STREAM_RAM, 0);
        send_good(&fixture, STREAM_DEVICE_DATA, 1);
        send_good(&fixture, STREAM_RAM_ZERO, 0);
        send_good(&fixture, STREAM_DEVICE_DATA, 0);
    }
    send_good(&fixture, STREAM_VM, 0);
    send_good(&fixture, STREAM_VCPU, 0);
    send_good(&fixture, STREAM_BOARD_STATE, 0);
    send_good(&fixture, STREAM_DEVICE_DATA, 0);
    /* It says 4 where 16 came: the rounds count, too. */
    send_good(&fixture, STREAM_DEVICE_END, 0);
    finish(&fixture);
    cr_expect(strstr(fixture.error.text, "ends after 4 bytes, of which 16 came"), "%s", fixture.error.text);
    cr_expect(fixture.fake[0].written == 16 && fixture.fake[1].written == 12);
    cr_expect(fixture.fake[0].state == VFIO_DEVICE_STATE_RESUMING &&
              fixture.fake[1].state == VFIO_DEVICE_STATE_RESUMING);
}

Test(destination, refuses_data_of_a_device_that_does_not_go_on_where_it_ended)
{
    static const uint64_t offsets[] = {0, 8};

    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        struct fixture fixture;

        set_up(&fixture);
        send_good(&fixture, STREAM_DEVICE_DATA, 0);
        fixture.sent_data[0] = offsets[i];
        send_good(&fixture, STREAM_DEVICE_DATA, 0);
        finish(&fixture);
        cr_expect_str_eq(fixture.error.rule, "stream/device-data-order", "%s", fixture.error.text);
        cr_expect_eq(fixture.fake[0].written, 4);
    }
}

Test(destination, says_why_the_source_cancelled)
{
    struct fixture fixture;

    set_up(&fixture);
    send_good(&fixture, STREAM_RAM, 0);
    send_payload(&fixture, STREAM_CANCELLED, 0, "no convergence", 14);
    finish(&fixture);
    cr_expect(strstr(fixture.error.text, "no convergence") && !fixture.error.rule[0], "%s", fixture.error.text);
}

Test(destination, knows_a_guest_that_came_to_its_end_from_a_failure)
{
    struct fixture fixture;

    set_up(&fixture);
    send_payload(&fixture, STREAM_CANCELLED, STREAM_CANCELLED_AT_END, "too early", 9);
    finish_with(&fixture, HANDOVER_ENDED);
    cr_expect(strstr(fixture.error.text, "too early") && !fixture.error.rule[0], "%s", fixture.error.text);
}

/* The state that the VMM keeps of a device, as a source with such devices has it. */
static void send_device_state(struct fixture *fixture, uint32_t index)
{
    struct board_wishes wishes = {.memory_size = MEMORY, .vcpus = 1, .wanted[WORKLOAD_CPU] = true};
    struct fake_device other[DEVICES];
    struct vfio_device *devices[DEVICES];
    struct buffer state = BUFFER_INIT;
    struct machine *machine;
    struct board board;

    for (size_t i = 0; i < DEVICES; i++) {
        fake_device_init(&other[i]);
        devices[i] = &other[i].vfio;
    }
    cr_assert(board_describe(&wishes, devices, DEVICES, &board, &fixture->error) == 0, "%s", fixture->error.text);
    machine = machine_new(&board, devices, NULL, &fixture->error);
    cr_assert(machine && machine_get_device_state(machine, index, &state, &fixture->error) == 0, "%s",
              fixture->error.text);
    send_payload(fixture, STREAM_DEVICE_STATE, index, state.data, state.size);
    buffer_free(&state);
    machine_free(machine);
}

Test(destination, stops_its_logs_before_the_memory_goes_where_a_device_does_not_run)
{
    static const struct step first[] = {{STREAM_VM, 0}, {STREAM_VCPU, 0}, {STREAM_BOARD_STATE, 0}};
    uint64_t end[5] = {0};
    struct stream_record record;
    struct fixture fixture;

    set_up_with(&fixture, VERIFY_DEFERRED);
    for (size_t i = 0; i < DEVICES; i++)
        fixture.fake[i].logging = fixture.fake[i].refuses_to_run = true;
    for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++)
        send_good(&fixture, first[i].type, first[i].instance);
    for (uint32_t i = 0; i < DEVICES; i++) {
        send_good(&fixture, STREAM_DEVICE_DATA, i);
        send_good(&fixture, STREAM_DEVICE_END, i);
        send_device_state(&fixture, i);
    }
    end[1] = htole64(fixture.stream.sent);
    send_payload(&fixture, STREAM_END, 0, end, sizeof(end));
    cr_assert(stream_receive(&fixture.stream, &record, deadline_in_ns(TIMEOUT_NS), &fixture.error) == 0);
    cr_assert(record.type == STREAM_READY, "%.*s", (int)record.size, (const char *)record.data);
    send_payload(&fixture, STREAM_COMMIT, 0, NULL, 0);
    cr_assert(stream_receive(&fixture.stream, &record, deadline_in_ns(TIMEOUT_NS), &fixture.error) == 0);
    cr_expect(record.type == STREAM_FAILED);
    finish_with(&fixture, HANDOVER_LOST);
    for (size_t i = 0; i < DEVICES; i++)
        cr_expect(fixture.fake[i].unmapped && !fixture.fake[i].stopped_late, "%zu", i);
}
