/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device server against a hostile client. The first byte chooses the device, its lowest bit whether VERSION comes before;
 * then messages follow: u8 command, u8 flags, u16 size of the payload, payload. With the flags' bit 7 the bytes go as they
 * are, without a header.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/server/connection.h"
#include "devices/server/guard.h"
#include "lib/buffer.h"
#include "tests/fuzz/fuzz.h"

#define VERSION_JSON "{\"capabilities\":{\"max_msg_fds\":8,\"stopcopy\":{\"version\":1,\"peer_mappings\":true}}}"

static void put_message(struct buffer *out, uint16_t number, uint16_t command, uint32_t flags, const void *payload,
                        size_t size)
{
    struct vfio_user_header header = {
        .message_id = number, .command = command, .size = (uint32_t)(sizeof(header) + size), .flags = flags};

    buffer_put(out, &header, sizeof(header));
    buffer_put(out, payload, size);
}

static void put_version(struct buffer *out)
{
    static const struct {
        uint16_t major, minor;
        char json[sizeof(VERSION_JSON)];
    } version = {VFIO_USER_MAJOR, VFIO_USER_MINOR, VERSION_JSON};

    put_message(out, 0, VFIO_USER_VERSION, 0, &version, sizeof(version));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const models[] = {"dma", "uart", "tally", "dma"};
    struct fuzz_input input = {data, size};
    uint8_t choice = (uint8_t)fuzz_number(&input, 1);
    struct connection *connection = calloc(1, sizeof(*connection));
    struct device_options options;
    struct buffer out = BUFFER_INIT;
    struct error error = ERROR_INIT;
    struct device *device;
    int stop = eventfd(0, EFD_CLOEXEC);
    int other, socket;

    device_options_defaults(&options);
    options.model = models[choice >> 1 & 3];
    options.memory_size = 64 << 10;
    options.latency_ns = 0;
    options.migration_flags = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P;
    /* tally has no PRE_COPY. */
    if ((choice >> 1 & 3) != 2)
        options.migration_flags |= VFIO_MIGRATION_PRE_COPY;
    guard_install();
    if (!(choice & 1))
        put_version(&out);
    for (uint16_t number = 1; input.size; number++) {
        uint16_t command = (uint16_t)fuzz_number(&input, 1);
        uint8_t flags = (uint8_t)fuzz_number(&input, 1);
        size_t length = fuzz_number(&input, 2);
        const uint8_t *payload = fuzz_bytes(&input, &length);

        if (flags & 0x80)
            buffer_put(&out, payload, length);
        else
            put_message(&out, number, command == 0x53 ? VFIO_USER_STOPCOPY_PRECOPY_INFO : command, flags & 0x3fu,
                        payload, length);
    }
    connection_init(connection);
    device = device_model_find(options.model)->create(&options, &connection->host, &error);
    fuzz_assert(device != NULL, error.text);
    socket = fuzz_socket(out.data, out.size, &other);
    connection_serve(socket, stop, device, connection, &error);
    close(socket);
    close(other);
    close(stop);
    device_destroy(device);
    buffer_free(&out);
    free(connection);
    return 0;
}
