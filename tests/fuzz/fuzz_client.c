/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The vfio-user client against a hostile server, which has said all that it will say before the client asks: replies of u8
 * flags, u16 size of the payload, payload, with the message id that is due and the command that is asked for next. With the
 * flags' bit 7 the bytes go as they are; with bit 6 it is a command of the server's, whose number comes first. The first
 * byte's lowest bit leaves out a good reply to VERSION.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/buffer.h"
#include "stopcopy/vfio_user.h"
#include "tests/fuzz/fuzz.h"
#include "vmm/vfio/migration.h"
#include "vmm/vfio/vfio_device.h"

#define TIMEOUT_NS 50000000u
#define VERSION_JSON "{\"capabilities\":{\"max_msg_fds\":8,\"stopcopy\":{\"version\":1}}}"

/* What follow() asks for, in this order; 0 is the last. */
static const uint16_t asked[] = {VFIO_USER_VERSION,
                                 VFIO_USER_DEVICE_GET_INFO,
                                 VFIO_USER_DEVICE_GET_REGION_INFO,
                                 VFIO_USER_DEVICE_GET_REGION_INFO,
                                 VFIO_USER_DEVICE_GET_IRQ_INFO,
                                 VFIO_USER_DEVICE_GET_REGION_IO_FDS,
                                 VFIO_USER_REGION_READ,
                                 VFIO_USER_REGION_WRITE,
                                 VFIO_USER_DEVICE_FEATURE,
                                 VFIO_USER_DEVICE_FEATURE,
                                 VFIO_USER_MIG_DATA_READ,
                                 VFIO_USER_MIG_DATA_READ,
                                 VFIO_USER_DEVICE_RESET,
                                 0};

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

    put_message(out, 0, VFIO_USER_VERSION, VFIO_USER_FLAG_TYPE_REPLY, &version, sizeof(version));
}

/* Everything that a VMM asks a device, whatever it answered before. */
static void follow(struct vfio_device *device)
{
    struct vfio_device_info_summary info;
    struct vfio_doorbell doorbells[8];
    struct vfio_data_session *session;
    struct {
        uint32_t argsz, flags;
        uint32_t state;
        int32_t fd;
    } feature;
    struct vfio_region region;
    struct vfio_irq irq;
    uint8_t bytes[256];
    size_t count;

    device->ops->get_info(device, &info, NULL);
    for (uint32_t index = 0; index < 2; index++) {
        memset(&region, 0, sizeof(region));
        region.mmap_fd = -1;
        if (device->ops->get_region(device, index * 2, &region, NULL) == 0 && region.mmap_fd >= 0)
            close(region.mmap_fd);
    }
    device->ops->get_irq(device, VFIO_PCI_MSIX_IRQ_INDEX, &irq, NULL);
    if (device->ops->get_doorbells)
        device->ops->get_doorbells(device, 0, doorbells, 8, NULL);
    device->ops->region_read(device, 0, 0, bytes, sizeof(bytes), NULL);
    device->ops->region_write(device, 0, 0, bytes, 4, NULL);
    memset(&feature, 0, sizeof(feature));
    device->ops->feature(device, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION, &feature, 8, NULL);
    memset(&feature, 0, sizeof(feature));
    feature.argsz = VFIO_DEVICE_STATE_STOP_COPY;
    device->ops->feature(device, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &feature, 8, NULL);
    session = device->ops->take_session(device);
    for (int i = 0; session && i < 2; i++)
        if (device->ops->session_read(session, bytes, sizeof(bytes), &count, NULL) >= 0)
            fuzz_assert(count <= sizeof(bytes), "more data than was asked for");
    if (session)
        device->ops->session_close(session);
    device->ops->reset(device, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    bool version = !(fuzz_number(&input, 1) & 1);
    struct buffer out = BUFFER_INIT;
    struct vfio_device *device;
    uint16_t number = 0;
    int other, socket;

    if (version) {
        put_version(&out);
        number++;
    }
    while (input.size) {
        uint8_t flags = (uint8_t)fuzz_number(&input, 1);
        uint16_t command = flags & 0x40 ? (uint16_t)fuzz_number(&input, 1)
                                        : asked[number < sizeof(asked) / sizeof(asked[0]) - 1 ? number : 0];
        size_t length = fuzz_number(&input, 2);
        const uint8_t *payload = fuzz_bytes(&input, &length);

        if (flags & 0x80)
            buffer_put(&out, payload, length);
        else if (flags & 0x40)
            put_message(&out, flags, command, flags & 0x30u, payload, length);
        else
            put_message(&out, number++, command, VFIO_USER_FLAG_TYPE_REPLY | (flags & 0x20u), payload, length);
    }
    socket = fuzz_socket(out.data, out.size, &other);
    device = vfio_user_adopt(socket, "the fuzzer", false, TIMEOUT_NS, NULL);
    if (device) {
        follow(device);
        vfio_device_close(device);
    }
    close(other);
    buffer_free(&out);
    return 0;
}
