/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cmd/replay_device.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include "lib/io.h"

#define READ_MAX (64u << 20)
#define MAPPING_MAX (1ull << 32)

/* What a line's call answered here. */
struct answer {
    long result;
    struct error error;
    const void *data; /* what came, NULL where nothing is compared */
    size_t size;
};

static uint64_t number_of(const json_t *line, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(line, name));
}

/* The bytes of a member in hex: a new block, NULL where the log has them not, or not whole. */
static uint8_t *bytes_of(const json_t *line, const char *name, size_t *size)
{
    const char *text = json_string_value(json_object_get(line, name));
    size_t length = text ? strlen(text) : 0;
    uint8_t *bytes;

    *size = length / 2;
    if (!text || length % 2 || !(bytes = calloc(1, length / 2 + 1)))
        return NULL;
    for (size_t i = 0; i < length / 2; i++) {
        unsigned int value;

        if (sscanf(text + 2 * i, "%2x", &value) != 1) {
            free(bytes);
            return NULL;
        }
        bytes[i] = (uint8_t)value;
    }
    return bytes;
}

static void __attribute__((format(printf, 4, 5)))
differ(struct replay *replay, unsigned int number, const char *operation, const char *format, ...)
{
    va_list arguments;

    replay->different++;
    printf("line %u, %s: ", number, operation);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

/* answered: the object with the bytes and the digest that came then. */
static void compare(struct replay *replay, unsigned int number, const json_t *line, const json_t *answered,
                    const struct answer *answer)
{
    const char *operation = json_string_value(json_object_get(line, "op"));
    const char *then = json_string_value(json_object_get(answered, "digest"));
    long result = (long)json_integer_value(json_object_get(line, "result"));
    int error = (int)number_of(line, "errno");
    char digest[17];

    if (result != answer->result)
        differ(replay, number, operation, "the result was %ld (errno %d), and is %ld%s%s", result, error,
               answer->result, answer->result < 0 ? ": " : "", answer->result < 0 ? answer->error.text : "");
    else if (result < 0 && error != answer->error.number)
        differ(replay, number, operation, "errno was %d, and is %d: %s", error, answer->error.number,
               answer->error.text);
    if (result != answer->result || result < 0 || !answer->data || !then)
        return;
    snprintf(digest, sizeof(digest), "%016" PRIx64, (uint64_t)XXH3_64bits(answer->data, answer->size));
    if (answer->size != number_of(answered, "bytes"))
        differ(replay, number, operation, "%" PRIu64 " bytes came, and now %zu", number_of(answered, "bytes"),
               answer->size);
    else if (strcmp(digest, then))
        differ(replay, number, operation, "the %zu bytes that came are others", answer->size);
}

static bool replay_region(struct replay *replay, unsigned int number, const json_t *line, bool write)
{
    struct answer answer = {.error = ERROR_INIT};
    uint32_t region = (uint32_t)number_of(line, "region");
    size_t size = number_of(line, "bytes");
    uint8_t *data;

    if (size > READ_MAX)
        return false;
    data = write ? bytes_of(line, "data", &size) : calloc(1, size + 1);
    if (!data)
        return false;
    if (write)
        answer.result = replay->device->ops->region_write(replay->device, region, number_of(line, "offset"), data, size,
                                                          &answer.error);
    else
        answer.result = replay->device->ops->region_read(replay->device, region, number_of(line, "offset"), data, size,
                                                         &answer.error);
    if (!write)
        answer.data = data;
    answer.size = size;
    compare(replay, number, line, line, &answer);
    free(data);
    return true;
}

static bool replay_feature(struct replay *replay, unsigned int number, const json_t *line)
{
    struct answer answer = {.error = ERROR_INIT};
    const json_t *answered = json_object_get(line, "answer");
    size_t size;
    uint8_t *data = bytes_of(line, "data", &size);

    if (!data)
        return false;
    answer.result =
        replay->device->ops->feature(replay->device, (uint32_t)number_of(line, "flags"), data, size, &answer.error);
    answer.data = answered ? data : NULL;
    answer.size = size;
    compare(replay, number, line, answered, &answer);
    free(data);
    return true;
}

static bool replay_map(struct replay *replay, unsigned int number, const json_t *line)
{
    struct answer answer = {.error = ERROR_INIT};
    uint64_t size = number_of(line, "size");
    void *host;
    int fd;

    if (replay->mappings == REPLAY_MAPPINGS_MAX || !size || size > MAPPING_MAX)
        return false;
    fd = memfd_create("stopcopy-replay", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)size) < 0) {
        io_close(&fd);
        return false;
    }
    host = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (host != MAP_FAILED) {
        replay->mapping[replay->mappings].host = host;
        replay->mapping[replay->mappings++].size = size;
        answer.result = replay->device->ops->dma_map(replay->device, number_of(line, "iova"), size, host,
                                                     json_is_true(json_object_get(line, "fd")) ? fd : -1, 0,
                                                     json_is_true(json_object_get(line, "writable")), &answer.error);
        compare(replay, number, line, NULL, &answer);
    }
    io_close(&fd);
    return host != MAP_FAILED;
}

static bool replay_unmap_or_reset(struct replay *replay, unsigned int number, const json_t *line, bool unmap)
{
    struct answer answer = {.error = ERROR_INIT};

    answer.result = unmap ? replay->device->ops->dma_unmap(replay->device, number_of(line, "iova"),
                                                           number_of(line, "size"), &answer.error)
                          : replay->device->ops->reset(replay->device, &answer.error);
    compare(replay, number, line, NULL, &answer);
    return true;
}

static void close_session(struct replay *replay)
{
    if (replay->session)
        replay->device->ops->session_close(replay->session);
    replay->session = NULL;
}

static bool replay_take(struct replay *replay, unsigned int number)
{
    close_session(replay);
    replay->session = replay->device->ops->take_session(replay->device);
    if (!replay->session)
        differ(replay, number, "take_session", "there was a data transfer session, and is none");
    return true;
}

static bool replay_session(struct replay *replay, unsigned int number, const json_t *line, bool write)
{
    struct answer answer = {.error = ERROR_INIT};
    const struct vfio_device_ops *ops = replay->device->ops;
    size_t size = number_of(line, "size");
    size_t count = 0;
    uint8_t *data;

    if (!replay->session || size > READ_MAX)
        return false;
    data = write ? bytes_of(line, "data", &size) : calloc(1, size + 1);
    if (!data)
        return false;
    if (write)
        answer.result = ops->session_write(replay->session, data, size, &answer.error);
    else
        answer.result = ops->session_read(replay->session, data, size, &count, &answer.error);
    answer.data = write ? NULL : data;
    answer.size = count;
    compare(replay, number, line, line, &answer);
    free(data);
    return true;
}

/* Returns false for what cannot be done again. */
static bool replay_operation(struct replay *replay, unsigned int number, const char *operation, const json_t *line)
{
    if (!strcmp(operation, "feature"))
        return replay_feature(replay, number, line);
    if (!strcmp(operation, "region_read") || !strcmp(operation, "region_write"))
        return replay_region(replay, number, line, operation[7] == 'w');
    if (!strcmp(operation, "dma_map"))
        return replay_map(replay, number, line);
    if (!strcmp(operation, "dma_unmap") || !strcmp(operation, "reset"))
        return replay_unmap_or_reset(replay, number, line, operation[0] == 'd');
    if (!strcmp(operation, "take_session"))
        return replay_take(replay, number);
    if (!strcmp(operation, "session_read") || !strcmp(operation, "session_write"))
        return replay_session(replay, number, line, operation[8] == 'w');
    if (strcmp(operation, "session_close"))
        return false;
    close_session(replay);
    return true;
}

void replay_line(struct replay *replay, unsigned int number, const json_t *line)
{
    const char *operation = json_string_value(json_object_get(line, "op"));

    if (operation && replay_operation(replay, number, operation, line))
        replay->done++;
    else
        replay->left_out++;
}

void replay_end(struct replay *replay)
{
    close_session(replay);
    while (replay->mappings) {
        replay->mappings--;
        munmap(replay->mapping[replay->mappings].host, replay->mapping[replay->mappings].size);
    }
}
