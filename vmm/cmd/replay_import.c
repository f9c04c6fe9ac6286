/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cmd/replay_import.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <linux/vfio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "vmm/vfio/fsm.h"
#include "vmm/vfio/migration.h"

#define SIDE "qemu"
#define NAME_BYTES 128
#define CALLS_MAX 1000000u
#define LINE_BYTES (64u << 20)
#define DATA_BYTES (16u << 20) /* of one read or write */

struct call {
    double time;
    size_t order; /* in which it was read: of the same time the earlier first */
    json_t *line;
};

struct import {
    char name[NAME_BYTES]; /* of the device, "" until one is named */
    struct call *call;
    size_t calls, room;
    size_t left_out;
    bool has_data; /* some line has the stream's own bytes: the sizes alone are not needed */
    struct error *error;
};

/* line is taken over. */
static int add(struct import *import, double time, json_t *line)
{
    struct call *more;

    if (!line || import->calls == CALLS_MAX) {
        json_decref(line);
        return error_set(import->error, line ? E2BIG : ENOMEM, "there are more than %u calls", CALLS_MAX);
    }
    if (import->calls == import->room) {
        import->room = import->room ? 2 * import->room : 256;
        more = realloc(import->call, import->room * sizeof(*more));
        if (!more) {
            json_decref(line);
            return error_set(import->error, ENOMEM, "importing");
        }
        import->call = more;
    }
    import->call[import->calls] = (struct call){.time = time, .order = import->calls, .line = line};
    import->calls++;
    return 1;
}

static json_t *new_line(const char *operation, long result)
{
    return json_pack("{s:s, s:i, s:s, s:I}", "side", SIDE, "device", 0, "op", operation, "result", (json_int_t)result);
}

static void put_data(json_t *line, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    char *text = malloc(2 * size + 1), digest[17];

    snprintf(digest, sizeof(digest), "%016" PRIx64, (uint64_t)XXH3_64bits(data, size));
    json_object_set_new(line, "bytes", json_integer((json_int_t)size));
    json_object_set_new(line, "digest", json_string(digest));
    if (!text)
        return;
    for (size_t i = 0; i < size; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    text[2 * size] = '\0';
    json_object_set_new(line, "data", json_string(text));
    free(text);
}

/* Is it an event of the device that is wanted? The first that is named is, where none is asked for. */
static bool is_device(struct import *import, const char *name)
{
    if (!import->name[0])
        snprintf(import->name, sizeof(import->name), "%s", name);
    return !strcmp(import->name, name);
}

static bool find_state(const char *name, unsigned int *state)
{
    for (*state = VFIO_DEVICE_STATE_STOP; *state <= VFIO_DEVICE_STATE_PRE_COPY_P2P; (*state)++)
        if (!strcmp(migration_state_name(*state), name))
            return true;
    return false;
}

static int add_state(struct import *import, double time, const char *name)
{
    struct vfio_device_feature_mig_state wish = {.data_fd = -1};
    unsigned int state;
    json_t *line;

    if (!find_state(name, &state))
        return 0;
    wish.device_state = state;
    line = new_line("feature", 0);
    json_object_set_new(line, "flags", json_integer(VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE));
    json_object_set_new(line, "says", json_sprintf("DEVICE_FEATURE SET %s", name));
    put_data(line, &wish, sizeof(wish));
    if (add(import, time, line) < 0)
        return -1;
    /* A move inside the saving group goes on with the session that there is; where there is none this takes none. */
    if (state == VFIO_DEVICE_STATE_RESUMING || state == VFIO_DEVICE_STATE_PRE_COPY ||
        state == VFIO_DEVICE_STATE_STOP_COPY)
        return add(import, time, new_line("take_session", 0));
    return 1;
}

static int add_access(struct import *import, double time, bool write, unsigned int region, uint64_t offset,
                      uint64_t value, unsigned int size)
{
    json_t *line;

    if (size > sizeof(value) || !size)
        return 0;
    line = new_line(write ? "region_write" : "region_read", 0);
    json_object_set_new(line, "region", json_integer(region));
    json_object_set_new(line, "offset", json_integer((json_int_t)offset));
    put_data(line, &value, size); /* PCI is little endian, and so is every host that builds this */
    return add(import, time, line);
}

/* "vfio_...(NAME...) ...": 1 where it became a call, 0 where it did not. */
static int take_trace(struct import *import, double time, const char *text)
{
    char name[NAME_BYTES], state[32];
    uint64_t offset, value;
    unsigned int size;

    if (sscanf(text, "vfio_migration_set_device_state (%127[^)]) state %31[A-Z0-9_]", name, state) == 2 ||
        sscanf(text, "vfio_migration_set_state (%127[^)]) state %31[A-Z0-9_]", name, state) == 2)
        return is_device(import, name) ? add_state(import, time, state) : 0;
    if (sscanf(text, "vfio_save_block (%127[^)]) data_size %u", name, &size) == 2) {
        json_t *line;

        if (!is_device(import, name) || size > DATA_BYTES)
            return 0;
        line = new_line("session_read", size ? 0 : 1);
        json_object_set_new(line, "size", json_integer(size));
        json_object_set_new(line, "without_bytes", json_true());
        return add(import, time, line);
    }
    if (sscanf(text, "vfio_pci_write_config (%127[^,], @0x%" SCNx64 ", 0x%" SCNx64 ", len=0x%x)", name, &offset, &value,
               &size) == 4)
        return is_device(import, name)
                   ? add_access(import, time, true, VFIO_PCI_CONFIG_REGION_INDEX, offset, value, size)
                   : 0;
    if (sscanf(text, "vfio_pci_read_config (%127[^,], @0x%" SCNx64 ", len=0x%x) 0x%" SCNx64, name, &offset, &size,
               &value) == 4)
        return is_device(import, name)
                   ? add_access(import, time, false, VFIO_PCI_CONFIG_REGION_INDEX, offset, value, size)
                   : 0;
    return 0;
}

/* PCI addresses have colons: "NAME:regionN+0xOFFSET" is taken apart from its end. */
static int take_region(struct import *import, double time, const char *text)
{
    bool write = !strncmp(text, "vfio_region_write (", 19);
    const char *begin = text + (write ? 19 : 18), *end = strstr(text, ":region");
    char name[NAME_BYTES];
    uint64_t offset, value;
    unsigned int region, size;

    if (!end || end < begin || (size_t)(end - begin) >= sizeof(name))
        return 0;
    snprintf(name, sizeof(name), "%.*s", (int)(end - begin), begin);
    if (write && sscanf(end, ":region%u+0x%" SCNx64 ", 0x%" SCNx64 ", %u)", &region, &offset, &value, &size) != 4)
        return 0;
    if (!write && sscanf(end, ":region%u+0x%" SCNx64 ", %u) = 0x%" SCNx64, &region, &offset, &size, &value) != 4)
        return 0;
    return is_device(import, name) ? add_access(import, time, write, region, offset, value, size) : 0;
}

/* The bytes of "\x01\x02..." up to its closing quote: how many, -1 where it is none of strace's -xx, or cut off. */
static ssize_t take_bytes(const char *text, uint8_t *bytes, size_t room, const char **end)
{
    size_t count = 0;
    unsigned int value;

    if (*text++ != '"')
        return -1;
    while (*text != '"') {
        if (count == room || sscanf(text, "\\x%2x", &value) != 1)
            return -1;
        bytes[count++] = (uint8_t)value;
        text += 4;
    }
    *end = text + 1;
    return **end == '.' ? -1 : (ssize_t)count;
}

/* What strace -y has between '<' and '>', which with -xx is in hex as well: is it the data_fd of a migration? */
static bool is_data_descriptor(const char *text, const char *end)
{
    char name[NAME_BYTES];
    size_t used = 0;
    unsigned int value;

    while (text < end && used + 1 < sizeof(name)) {
        bool hex = sscanf(text, "\\x%2x", &value) == 1;

        name[used++] = hex ? (char)value : *text;
        text += hex ? 4 : 1;
    }
    name[used] = '\0';
    return !strncmp(name, "anon_inode:", 11) && strstr(name, "mig");
}

/* "read(42<anon_inode:mlx5vf_mig>, "\x...", 4096) = 12", write alike. */
static int take_data(struct import *import, double time, const char *text, bool write)
{
    const char *descriptor = strchr(text, '<'), *close = descriptor ? strchr(descriptor, '>') : NULL, *after;
    uint8_t *bytes;
    ssize_t count = -1;
    size_t size;
    long result;
    json_t *line = NULL;

    if (!close || strncmp(close, ">, ", 3) != 0 || !is_data_descriptor(descriptor + 1, close))
        return 0;
    bytes = malloc(DATA_BYTES);
    if (bytes)
        count = take_bytes(close + 3, bytes, DATA_BYTES, &after);
    if (count >= 0 && sscanf(after, ", %zu) = %ld", &size, &result) == 2 && result >= 0 && size <= DATA_BYTES &&
        (write || result == count)) {
        line = new_line(write ? "session_write" : "session_read", write ? result : result == 0);
        if (!write)
            json_object_set_new(line, "size", json_integer((json_int_t)size));
        put_data(line, bytes, (size_t)count);
        import->has_data = true;
    }
    free(bytes);
    return line ? add(import, time, line) : 0;
}

static int take_strace(struct import *import, double time, const char *text)
{
    if (!strncmp(text, "read(", 5) || !strncmp(text, "write(", 6))
        return take_data(import, time, text, text[0] == 'w');
    if (!strncmp(text, "ioctl(", 6) && strstr(text, ", VFIO_DEVICE_RESET) = 0"))
        return add(import, time, new_line("reset", 0));
    return 0;
}

/* "PID@SECONDS.MICROSECONDS:event ..." of QEMU's log, "PID SECONDS.MICROSECONDS call(...) = ..." of strace; either without
 * the process. */
static int take_line(struct import *import, const char *text)
{
    const char *at = strchr(text, '@'), *event = strstr(text, "vfio_");
    char *end;
    double time;

    if (at && event && at < event) {
        time = strtod(at + 1, &end);
        if (end == at + 1 || *end != ':' || end + 1 != event)
            return 0;
        return !strncmp(event, "vfio_region_write (", 19) || !strncmp(event, "vfio_region_read (", 18)
                   ? take_region(import, time, event)
                   : take_trace(import, time, event);
    }
    time = strtod(text, &end);
    if (end == text)
        return 0;
    if (!memchr(text, '.', (size_t)(end - text))) {
        text = end;
        time = strtod(text, &end);
        if (end == text)
            return 0;
    }
    return take_strace(import, time, end + strspn(end, " "));
}

static int read_file(struct import *import, const char *name)
{
    FILE *file = fopen(name, "re");
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    int result = 0;

    if (!file)
        return error_set(import->error, errno, "%s", name);
    while (result >= 0 && (length = getline(&line, &room, file)) >= 0) {
        if ((size_t)length > LINE_BYTES) {
            result = error_set(import->error, E2BIG, "%s: a line has more than %u MiB", name, LINE_BYTES >> 20);
            break;
        }
        line[strcspn(line, "\n")] = '\0';
        result = take_line(import, line);
        import->left_out += result == 0;
    }
    free(line);
    fclose(file);
    return result < 0 ? -1 : 0;
}

static int compare_calls(const void *first, const void *second)
{
    const struct call *a = first, *b = second;

    if (a->time < b->time || a->time > b->time)
        return a->time < b->time ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static int write_calls(struct import *import, FILE *out)
{
    size_t written = 0;

    if (import->calls)
        qsort(import->call, import->calls, sizeof(*import->call), compare_calls);
    for (size_t i = 0; i < import->calls; i++) {
        /* The sizes of QEMU's trace and the bytes of strace are the same reads. */
        if (import->has_data && json_object_get(import->call[i].line, "without_bytes"))
            continue;
        json_object_del(import->call[i].line, "without_bytes");
        json_object_set_new(import->call[i].line, "time_ns", json_integer((json_int_t)(import->call[i].time * 1e9)));
        if (json_dumpf(import->call[i].line, out, JSON_COMPACT) < 0 || fputc('\n', out) == EOF)
            return error_set(import->error, errno, "writing the calls");
        written++;
    }
    fprintf(stderr, "stopcopy replay: %zu calls of %s, %zu lines left out\n", written,
            import->name[0] ? import->name : "a device without a name", import->left_out);
    return written ? 0 : error_set(import->error, 0, "no line of it is a call to a device that is known");
}

int replay_import(const char *const *files, size_t count, const char *name, FILE *out, struct error *error)
{
    struct import import = {.error = error};
    int result = 0;

    if (name)
        snprintf(import.name, sizeof(import.name), "%s", name);
    for (size_t i = 0; i < count && result == 0; i++)
        result = read_file(&import, files[i]);
    if (result == 0)
        result = write_calls(&import, out);
    for (size_t i = 0; i < import.calls; i++)
        json_decref(import.call[i].line);
    free(import.call);
    return result;
}
