/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cmd/inspect_device.h"

#include <endian.h>
#include <inttypes.h>
#include <isa-l/crc.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAGIC "SCDEVICE"
#define HEADER_SIZE 16u
#define SECTION_HEAD 12u
#define SECTION_MAX 0x110000u
#define SECTION_END 0xffffffffu
#define MODEL_DMA 1u
#define MODEL_UART 0x54524155u
#define MODEL_TALLY 0x594c4154u

struct section_head {
    uint32_t type, number, length;
};

int inspect_device_begin(struct inspect_device *device)
{
    *device = (struct inspect_device){
        .begun = true, .reference = true, .digest = XXH3_createState(), .sections = json_array()};
    if (!device->digest || !device->sections)
        return -1;
    XXH3_64bits_reset(device->digest);
    return 0;
}

void inspect_device_free(struct inspect_device *device)
{
    XXH3_freeState(device->digest);
    buffer_free(&device->part);
    json_decref(device->sections);
    *device = (struct inspect_device){0};
}

static __attribute__((format(printf, 3, 4))) void find_wrong(struct inspect_device *device, uint64_t at,
                                                             const char *format, ...)
{
    va_list arguments;

    if (device->wrong[0])
        return;
    device->wrong_at = at;
    va_start(arguments, format);
    vsnprintf(device->wrong, sizeof(device->wrong), format, arguments);
    va_end(arguments);
}

static const char *section_name(uint32_t model, uint32_t type)
{
    static const char *const dma[] = {"?",         "identity", "memory",  "clear",
                                      "registers", "queue",    "vectors", "configuration"};
    static const char *const uart[] = {"?", "identity", "port", "interrupt", "configuration"};

    if (type == SECTION_END)
        return "end";
    if (model == MODEL_DMA && type < sizeof(dma) / sizeof(dma[0]))
        return dma[type];
    if (model == MODEL_UART && type < sizeof(uart) / sizeof(uart[0]))
        return uart[type];
    return model == MODEL_TALLY && type == 1 ? "record" : "?";
}

static const char *model_name(uint32_t model)
{
    return model == MODEL_DMA ? "dma" : model == MODEL_UART ? "uart" : model == MODEL_TALLY ? "tally" : "?";
}

/* Sections of one type that follow one another are one entry. */
static void list_section(struct inspect_device *device, const struct section_head *head)
{
    size_t count = json_array_size(device->sections);
    json_t *last = count ? json_array_get(device->sections, count - 1) : NULL;

    if (last && json_integer_value(json_object_get(last, "type")) == (json_int_t)head->type) {
        json_object_set_new(last, "count", json_integer(json_integer_value(json_object_get(last, "count")) + 1));
        json_object_set_new(last, "bytes",
                            json_integer(json_integer_value(json_object_get(last, "bytes")) + head->length));
        return;
    }
    json_array_append_new(device->sections,
                          json_pack("{s:I,s:I,s:s,s:I,s:I}", "at", (json_int_t)device->part_at, "type",
                                    (json_int_t)head->type, "name", section_name(device->model, head->type), "count",
                                    (json_int_t)1, "bytes", (json_int_t)head->length));
}

static void take_section(struct inspect_device *device, const uint8_t *data, const struct section_head *head)
{
    uint32_t crc, own = ~crc32_iscsi((unsigned char *)data, (int)(SECTION_HEAD + head->length), ~0u);
    uint64_t before = 0;

    memcpy(&crc, data + SECTION_HEAD + head->length, sizeof(crc));
    if (le32toh(crc) != own)
        find_wrong(device, device->part_at, "section %" PRIu32 ": its checksum is wrong", head->number);
    if (head->number != device->next)
        find_wrong(device, device->part_at, "section %" PRIu32 " comes where %" PRIu32 " is due", head->number,
                   device->next);
    device->next = head->number + 1;
    if (!device->model && head->length >= 4) {
        memcpy(&device->model, data + SECTION_HEAD, 4);
        device->model = le32toh(device->model);
    }
    if (head->type == SECTION_END) {
        if (head->length == sizeof(before))
            memcpy(&before, data + SECTION_HEAD, sizeof(before));
        if (head->length != sizeof(before) || le64toh(before) != device->part_at)
            find_wrong(device, device->part_at, "the end section does not count the %" PRIu64 " bytes before it",
                       device->part_at);
        device->ended = true;
    }
    list_section(device, head);
}

/* Takes what is whole at the beginning of data. Returns its bytes, 0 where more has to come. */
static size_t take_part(struct inspect_device *device, const uint8_t *data, size_t size)
{
    struct section_head head;

    if (device->part_at == 0) {
        if (size < HEADER_SIZE)
            return 0;
        if (data[8] != 1 || data[9] || data[10] || data[11])
            find_wrong(device, 8, "the version is not 1");
        return HEADER_SIZE;
    }
    if (size < SECTION_HEAD)
        return 0;
    memcpy(&head, data, sizeof(head));
    head = (struct section_head){le32toh(head.type), le32toh(head.number), le32toh(head.length)};
    if (head.length > SECTION_MAX) {
        find_wrong(device, device->part_at, "a section of %" PRIu32 " bytes, more than there can be", head.length);
        return size;
    }
    if (size < SECTION_HEAD + head.length + 4)
        return 0;
    take_section(device, data, &head);
    return SECTION_HEAD + head.length + 4;
}

void inspect_device_feed(struct inspect_device *device, const void *data, size_t size)
{
    size_t done = 0, taken;

    XXH3_64bits_update(device->digest, data, size);
    device->bytes += size;
    if (!device->reference || !size)
        return;
    if (device->ended)
        find_wrong(device, device->part_at, "it goes on after its end");
    /* Past the first thing that is wrong nothing can be read for sure. */
    if (device->wrong[0])
        return;
    buffer_put(&device->part, data, size);
    if (device->part.failed ||
        (device->part_at == 0 && device->part.size >= 8 && memcmp(device->part.data, MAGIC, 8))) {
        device->reference = false;
        buffer_free(&device->part);
        return;
    }
    while (!device->wrong[0] && !device->ended &&
           (taken = take_part(device, device->part.data + done, device->part.size - done)) != 0) {
        done += taken;
        device->part_at += taken;
    }
    if (device->ended && device->part.size > done)
        find_wrong(device, device->part_at, "it goes on after its end");
    memmove(device->part.data, device->part.data + done, device->part.size - done);
    device->part.size -= done;
}

void inspect_device_finish(struct inspect_device *device)
{
    if (device->part_at == 0)
        device->reference = false;
    if (device->reference && !device->ended)
        find_wrong(device, device->part_at, "it is cut off: the end section is missing");
}

json_t *inspect_device_json(const struct inspect_device *device)
{
    char digest[17];
    json_t *json;

    snprintf(digest, sizeof(digest), "%016" PRIx64, (uint64_t)XXH3_64bits_digest(device->digest));
    json = json_pack("{s:I,s:s}", "bytes", (json_int_t)device->bytes, "digest", digest);
    if (!json || !device->reference)
        return json;
    json_object_set_new(json, "model", json_string(model_name(device->model)));
    json_object_set(json, "sections", device->sections);
    if (device->wrong[0]) {
        json_object_set_new(json, "wrong", json_string(device->wrong));
        json_object_set_new(json, "wrong_at", json_integer((json_int_t)device->wrong_at));
    }
    return json;
}
