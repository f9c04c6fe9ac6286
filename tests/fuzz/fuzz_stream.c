/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A destination and the stream of a hostile source. The first byte: bit 0 leaves out a good HELLO, bit 1 a good BOARD; with
 * bit 2 the rest goes as it is. Without it records follow, with sequence and checksums as they must be: u8 type, u8
 * instance, u16 size of the payload, payload. The machine has no KVM; its device takes what comes.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/io.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/board/fake_device.h"
#include "vmm/migrate/handover.h"
#include "vmm/report/event_log.h"

#define MEMORY (16u << 20)
/* Nobody answers: what does not come at once never does. */
#define TIMEOUT_NS 200000000u
#define RECORDS_MAX 256

struct fuzz_device {
    struct fake_device base; /* first */
    struct vfio_device_ops ops;
    struct vfio_data_session session;
    uint32_t state;
    bool pending;
};

static int feature(struct vfio_device *device, uint32_t flags, void *data, size_t size, struct error *error)
{
    struct fuzz_device *fuzz = (struct fuzz_device *)device;
    struct vfio_device_feature_migration *migration = data;
    struct vfio_device_feature_mig_state *state = data;

    (void)size;
    switch (flags & VFIO_DEVICE_FEATURE_MASK) {
    case VFIO_DEVICE_FEATURE_MIGRATION:
        migration->flags = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P;
        return 0;
    case VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE:
        if (flags & VFIO_DEVICE_FEATURE_GET) {
            state->device_state = fuzz->state;
        } else {
            fuzz->state = state->device_state;
            fuzz->pending = fuzz->state == VFIO_DEVICE_STATE_RESUMING;
        }
        return 0;
    default:
        return error_set(error, ENOTTY, "no such feature");
    }
}

static struct vfio_data_session *take_session(struct vfio_device *device)
{
    struct fuzz_device *fuzz = (struct fuzz_device *)device;

    fuzz->session.device = device;
    return fuzz->pending ? &fuzz->session : NULL;
}

static ssize_t session_write(struct vfio_data_session *session, const void *data, size_t size, struct error *error)
{
    (void)session;
    (void)data;
    (void)error;
    return (ssize_t)size;
}

static void session_close(struct vfio_data_session *session)
{
    (void)session;
}

static void set_timeout(struct vfio_device *device, uint64_t ns)
{
    (void)device;
    (void)ns;
}

static void open_device(struct fuzz_device *device)
{
    fake_device_init(&device->base);
    device->ops = *device->base.vfio.ops;
    device->ops.feature = feature;
    device->ops.take_session = take_session;
    device->ops.session_write = session_write;
    device->ops.session_close = session_close;
    device->ops.set_timeout = set_timeout;
    device->base.vfio.ops = &device->ops;
    device->state = VFIO_DEVICE_STATE_RUNNING;
}

static void send_board(struct stream *stream, struct vfio_device *const *devices, struct deadline deadline)
{
    struct board_wishes wishes = {.memory_size = MEMORY, .vcpus = 1, .wanted[WORKLOAD_CPU] = true};
    struct buffer tree = BUFFER_INIT;
    struct error error = ERROR_INIT;
    struct board board;

    fuzz_assert(board_describe(&wishes, devices, 1, &board, &error) == 0 && board_to_tree(&board, &tree, &error) == 0,
                error.text);
    stream_send(stream, STREAM_BOARD, 0, tree.data, tree.size, deadline, NULL);
    buffer_free(&tree);
}

static void send_records(struct stream *stream, struct fuzz_input *input, struct deadline deadline)
{
    for (int i = 0; i < RECORDS_MAX && input->size; i++) {
        uint32_t type = (uint32_t)fuzz_number(input, 1) % STREAM_TYPES;
        uint32_t instance = (uint32_t)fuzz_number(input, 1);
        size_t length = fuzz_number(input, 2);
        const uint8_t *payload = fuzz_bytes(input, &length);

        if (stream_send(stream, type, instance, payload, length, deadline, NULL) < 0)
            return;
    }
}

/* The socket has room for all of it: nobody reads yet. */
static void send_all(int socket, struct fuzz_input *input, struct vfio_device *const *devices)
{
    uint8_t choice = (uint8_t)fuzz_number(input, 1);
    struct deadline deadline = deadline_in_ns(TIMEOUT_NS);
    struct stream stream;

    stream_open(&stream, socket, "the destination");
    if (!(choice & 1))
        handover_hello_send(&stream, true, false, 0, deadline, NULL);
    if (!(choice & 2))
        send_board(&stream, devices, deadline);
    if (choice & 4)
        io_write_full(socket, input->data, input->size, deadline, "the destination", NULL);
    else
        send_records(&stream, input, deadline);
    stream.fd = -1;
    stream_close(&stream);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct proof_snapshot paused;
    struct fuzz_input input = {data, size};
    struct fuzz_device *device = calloc(1, sizeof(*device));
    struct vfio_device *devices[1] = {&device->base.vfio};
    struct destination_config config = {.peer = "the source",
                                        .devices = devices,
                                        .device_count = 1,
                                        .verify = VERIFY_OFF,
                                        .merge_log = true,
                                        .log = event_log_new("destination", -1),
                                        .timeout_ns = TIMEOUT_NS,
                                        .message_timeout_ns = TIMEOUT_NS,
                                        .arc_timeout_ns = TIMEOUT_NS};
    struct error error = ERROR_INIT;
    struct destination *destination;
    struct machine *machine = NULL;
    int other;

    open_device(device);
    config.fd = fuzz_pair(&other);
    send_all(other, &input, devices);
    shutdown(other, SHUT_WR);
    destination = destination_new(&config, NULL);
    fuzz_assert(destination != NULL, "no destination");
    if (destination_receive(destination, &machine, &paused, &error) == HANDOVER_DONE)
        destination_finish(destination, &error);
    destination_free(destination);
    machine_free(machine);
    event_log_free(config.log);
    close(other);
    free(device);
    return 0;
}
