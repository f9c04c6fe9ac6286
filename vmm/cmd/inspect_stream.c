/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cmd/inspect_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/io.h"
#include "vmm/board/machine.h"
#include "vmm/cmd/inspect_device.h"
#include "vmm/migrate/ram.h"
#include "vmm/migrate/stream.h"

#define WRONG_MAX 32
#define LISTED_MAX 100000

struct inspection {
    struct stream stream;
    int folder;
    int output[BOARD_DEVICES_MAX]; /* the devices' streams */
    json_t *result;
    json_t *wrong;
    json_t *records; /* NULL: not listed */
    struct inspect_device device[BOARD_DEVICES_MAX];
    uint64_t ram_records, ram_bytes, zero_bytes, digests;
    uint64_t vcpus, vcpu_bytes;
    uint64_t at;          /* where the record under way begins */
    struct error failure; /* of what is written */
};

static __attribute__((format(printf, 2, 3))) void find_wrong(struct inspection *inspection, const char *format, ...)
{
    char text[512];
    va_list arguments;

    if (json_array_size(inspection->wrong) >= WRONG_MAX)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    json_array_append_new(inspection->wrong, json_pack("{s:I,s:I,s:s}", "at", (json_int_t)inspection->at, "record",
                                                       (json_int_t)inspection->stream.received, "text", text));
}

/* Writes to a new file of the folder; *fd stays open where it is asked for. */
static void extract(struct inspection *inspection, const char *name, int *kept, const void *data, size_t size)
{
    int fd = kept ? *kept : -1;

    if (inspection->folder < 0 || inspection->failure.text[0])
        return;
    if (fd < 0)
        fd = openat(inspection->folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        error_set(&inspection->failure, errno, "--extract: %s", name);
    else
        io_write_full(fd, data, size, deadline_in_ms(UINT32_MAX), name, &inspection->failure);
    if (kept)
        *kept = fd;
    else
        io_close(&fd);
}

static void take_hello(struct inspection *inspection, const struct stream_record *record)
{
    struct cursor cursor = cursor_over(record->data, record->size);
    uint64_t magic = cursor_get_u64(&cursor);
    uint32_t version = cursor_get_u32(&cursor);
    uint64_t wall_ns;

    cursor_take(&cursor, 4);
    cursor_get_u64(&cursor);
    wall_ns = cursor_get_u64(&cursor);
    if (cursor.failed || magic != STREAM_MAGIC)
        find_wrong(inspection, "HELLO is none of stopcopy's");
    else if (version != STREAM_VERSION)
        find_wrong(inspection, "the stream has version %" PRIu32 ", this program knows %u", version, STREAM_VERSION);
    json_object_set_new(inspection->result, "version", json_integer(version));
    json_object_set_new(inspection->result, "saved_at", json_integer((json_int_t)(wall_ns / 1000000000u & INT64_MAX)));
}

static void take_board(struct inspection *inspection, const struct stream_record *record)
{
    struct error error = ERROR_INIT;
    struct board board;
    uint64_t memory = 0;

    extract(inspection, "board.dtb", NULL, record->data, record->size);
    if (board_from_tree(record->data, record->size, &board, &error) < 0) {
        find_wrong(inspection, "the board: %.400s", error.text);
        return;
    }
    for (unsigned int i = 0; i < board.ram_ranges; i++)
        memory += board.ram[i].size;
    json_object_set_new(inspection->result, "board",
                        json_pack("{s:I,s:I,s:I}", "vcpus", (json_int_t)board.vcpus, "memory", (json_int_t)memory,
                                  "devices", (json_int_t)board.device_count));
}

/* A piece of a device's own stream. */
static void take_device_data(struct inspection *inspection, const struct stream_record *record)
{
    struct cursor cursor = cursor_over(record->data, record->size);
    uint64_t offset = cursor_get_u64(&cursor);
    const uint8_t *data = (const uint8_t *)record->data + sizeof(offset);
    struct inspect_device *device;
    size_t size;
    char name[32];

    if (cursor.failed) {
        find_wrong(inspection, "DEVICE_DATA of device %" PRIu32 " is cut off", record->instance);
        return;
    }
    size = record->size - sizeof(offset);
    if (record->instance >= BOARD_DEVICES_MAX) {
        find_wrong(inspection, "there is no device %" PRIu32, record->instance);
        return;
    }
    device = &inspection->device[record->instance];
    if (!device->begun && inspect_device_begin(device) < 0) {
        error_set(&inspection->failure, ENOMEM, "device %" PRIu32, record->instance);
        return;
    }
    if (offset != device->bytes)
        find_wrong(inspection,
                   "the data of device %" PRIu32 " from byte %" PRIu64 " on stands where that from byte %" PRIu64
                   " on was due",
                   record->instance, offset, device->bytes);
    inspect_device_feed(device, data, size);
    snprintf(name, sizeof(name), "device-%" PRIu32 ".bin", record->instance);
    extract(inspection, name, &inspection->output[record->instance], data, size);
}

static void take_device_end(struct inspection *inspection, const struct stream_record *record)
{
    struct cursor cursor = cursor_over(record->data, record->size);
    uint64_t total = cursor_get_u64(&cursor);
    struct inspect_device *device;

    if (record->instance >= BOARD_DEVICES_MAX)
        return;
    device = &inspection->device[record->instance];
    if (!device->begun && inspect_device_begin(device) < 0)
        return;
    inspect_device_finish(device);
    if (!cursor_at_end(&cursor) || total != device->bytes)
        find_wrong(inspection, "device %" PRIu32 " ends after %" PRIu64 " bytes, of which %" PRIu64 " are here",
                   record->instance, total, device->bytes);
    if (device->wrong[0])
        find_wrong(inspection, "device %" PRIu32 ", at byte %" PRIu64 " of its stream: %s", record->instance,
                   device->wrong_at, device->wrong);
}

static void take_end(struct inspection *inspection, const struct stream_record *record)
{
    struct cursor cursor = cursor_over(record->data, record->size);
    uint64_t pages = cursor_get_u64(&cursor);
    uint64_t records = cursor_get_u64(&cursor);

    if (cursor.failed || records != inspection->stream.received - 1)
        find_wrong(inspection, "END counts %" PRIu64 " records before it, and there are %" PRIu32, records,
                   inspection->stream.received - 1);
    if (pages * RAM_PAGE_SIZE != inspection->ram_bytes)
        find_wrong(inspection, "END counts %" PRIu64 " pages of RAM, and there are %" PRIu64, pages,
                   inspection->ram_bytes / RAM_PAGE_SIZE);
}

static void take_state(struct inspection *inspection, const char *form, const struct stream_record *record)
{
    char name[48];

    snprintf(name, sizeof(name), "%s", form);
    if (record->type == STREAM_VCPU)
        snprintf(name, sizeof(name), "vcpu-%" PRIu32 ".bin", record->instance);
    else if (record->type == STREAM_DEVICE_STATE)
        snprintf(name, sizeof(name), "device-%" PRIu32 ".vmm.bin", record->instance);
    extract(inspection, name, NULL, record->data, record->size);
}

static void take_record(struct inspection *inspection, const struct stream_record *record)
{
    switch (record->type) {
    case STREAM_HELLO:
        take_hello(inspection, record);
        return;
    case STREAM_BOARD:
        take_board(inspection, record);
        return;
    case STREAM_RAM:
        inspection->ram_records++;
        inspection->ram_bytes += record->size < 8 ? 0 : record->size - 8;
        return;
    case STREAM_RAM_ZERO:
        inspection->zero_bytes++;
        return;
    case STREAM_VCPU:
        inspection->vcpus++;
        inspection->vcpu_bytes += record->size;
        take_state(inspection, "", record);
        return;
    case STREAM_VM:
        take_state(inspection, "vm.bin", record);
        return;
    case STREAM_BOARD_STATE:
        take_state(inspection, "board-state.bin", record);
        return;
    case STREAM_DEVICE_STATE:
        take_state(inspection, "", record);
        return;
    case STREAM_DEVICE_DATA:
        take_device_data(inspection, record);
        return;
    case STREAM_DEVICE_END:
        take_device_end(inspection, record);
        return;
    case STREAM_END:
        take_end(inspection, record);
        return;
    case STREAM_DIGESTS:
        inspection->digests += record->size < 8 ? 0 : (record->size - 8) / 8;
        return;
    case STREAM_LOG:
        take_state(inspection, "log.json", record);
        return;
    case STREAM_COMMIT:
    case STREAM_BYE:
    case STREAM_ALIVE:
        return;
    default:
        find_wrong(inspection, "%s has no place in a file", stream_type_name(record->type));
    }
}

static void list_record(struct inspection *inspection, const struct stream_record *record)
{
    if (inspection->records && json_array_size(inspection->records) < LISTED_MAX)
        json_array_append_new(inspection->records,
                              json_pack("{s:I,s:s,s:I,s:I}", "at", (json_int_t)inspection->at, "type",
                                        stream_type_name(record->type), "instance", (json_int_t)record->instance,
                                        "bytes", (json_int_t)record->size));
}

/* Record by record, up to the end or what is none. */
static void read_records(struct inspection *inspection)
{
    struct stream_record record = {.type = STREAM_HELLO};
    struct error error = ERROR_INIT;
    uint8_t more;

    while (record.type != STREAM_BYE && !inspection->failure.text[0]) {
        inspection->at = inspection->stream.bytes_received;
        if (stream_receive(&inspection->stream, &record, deadline_in_ms(UINT32_MAX), &error) < 0) {
            find_wrong(inspection, error.number == ECONNRESET ? "it is cut off here: %.400s" : "%.400s", error.text);
            return;
        }
        if ((record.type == STREAM_HELLO) != (inspection->stream.received == 1))
            find_wrong(inspection, "%s is out of order", stream_type_name(record.type));
        list_record(inspection, &record);
        take_record(inspection, &record);
    }
    inspection->at = inspection->stream.bytes_received;
    if (read(inspection->stream.fd, &more, 1) > 0)
        find_wrong(inspection, "it goes on after its end");
}

static json_t *list_devices(struct inspection *inspection)
{
    json_t *devices = json_array();

    for (size_t i = 0; i < BOARD_DEVICES_MAX; i++) {
        json_t *json;

        if (!inspection->device[i].begun)
            continue;
        json = inspect_device_json(&inspection->device[i]);
        json_object_set_new(json, "index", json_integer((json_int_t)i));
        json_array_append_new(devices, json);
    }
    return devices;
}

static json_t *conclude(struct inspection *inspection)
{
    json_t *result = inspection->result;

    json_object_set_new(result, "format", json_string("migration"));
    json_object_set_new(result, "records", json_integer(inspection->stream.received));
    json_object_set_new(result, "bytes", json_integer((json_int_t)inspection->stream.bytes_received));
    json_object_set_new(result, "ram",
                        json_pack("{s:I,s:I,s:I,s:I}", "records", (json_int_t)inspection->ram_records, "bytes",
                                  (json_int_t)inspection->ram_bytes, "zero_records", (json_int_t)inspection->zero_bytes,
                                  "digests", (json_int_t)inspection->digests));
    json_object_set_new(
        result, "vcpus",
        json_pack("{s:I,s:I}", "count", (json_int_t)inspection->vcpus, "bytes", (json_int_t)inspection->vcpu_bytes));
    json_object_set_new(result, "devices", list_devices(inspection));
    json_object_set(result, "wrong", inspection->wrong);
    if (inspection->records)
        json_object_set(result, "list", inspection->records);
    return json_incref(result);
}

json_t *inspect_stream(int fd, const char *name, bool list_records, int folder, struct error *error)
{
    struct inspection inspection = {.folder = folder,
                                    .result = json_object(),
                                    .wrong = json_array(),
                                    .records = list_records ? json_array() : NULL};
    json_t *result = NULL;

    for (size_t i = 0; i < BOARD_DEVICES_MAX; i++)
        inspection.output[i] = -1;
    stream_open(&inspection.stream, fd, name);
    read_records(&inspection);
    if (inspection.failure.text[0])
        *error = inspection.failure;
    else
        result = conclude(&inspection);
    for (size_t i = 0; i < BOARD_DEVICES_MAX; i++) {
        io_close(&inspection.output[i]);
        inspect_device_free(&inspection.device[i]);
    }
    inspection.stream.fd = -1;
    stream_close(&inspection.stream);
    json_decref(inspection.result);
    json_decref(inspection.wrong);
    json_decref(inspection.records);
    return result;
}
