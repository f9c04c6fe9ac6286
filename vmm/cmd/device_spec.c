/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cmd/device_spec.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/options.h"
#include "stopcopy/dma_device.h"
#include "stopcopy/vfio_compat.h"

#define OPTIONS_MAX 32
/* DEVICE,to=DEVICE,to=DEVICE has no meaning. */
#define DESTINATIONS_MAX 1

static const char test_options[] =
    "model, memory, window, queues, vectors, latency, dirty-rate, features, dma, fault and to";

static int parse_features(const char *text, struct device_option *option, struct error *error)
{
    static const struct {
        const char *name;
        uint64_t flag;
    } features[] = {
        {"none", 0},
        {"stop-copy", VFIO_MIGRATION_STOP_COPY},
        {"p2p", VFIO_MIGRATION_P2P},
        {"pre-copy", VFIO_MIGRATION_PRE_COPY},
    };
    char words[64];
    char *rest = words;

    if (strlen(text) >= sizeof(words))
        return error_set(error, 0, "features: '%s' is too long", text);
    strcpy(words, text);
    option->given = true;
    option->value = 0;
    while (rest) {
        const char *word = strsep(&rest, "+");
        size_t i = 0;

        while (i < sizeof(features) / sizeof(features[0]) && strcmp(word, features[i].name))
            i++;
        if (i == sizeof(features) / sizeof(features[0]))
            return error_set(error, 0,
                             "features: there is no '%s'; there are stop-copy, p2p and pre-copy, joined by "
                             "'+', and none",
                             word);
        option->value |= features[i].flag;
    }
    return 0;
}

static int parse_dma(const char *text, bool *by_message, struct error *error)
{
    *by_message = !strcmp(text, "message");
    if (!*by_message && strcmp(text, "fd"))
        return error_set(error, 0, "dma: '%s' is neither fd nor message", text);
    return 0;
}

/* The fault's own options are separated by ':' here, because the comma is taken. */
static int add_fault(struct device_spec *spec, const char *text, struct error *error)
{
    char *fault;

    if (spec->fault_count == DEVICE_FAULTS_MAX)
        return error_set(error, 0, "fault: more than %d", DEVICE_FAULTS_MAX);
    if (!*text || strlen(text) >= sizeof(spec->faults[0]))
        return error_set(error, 0, "fault: '%s' is not a fault's name", text);
    fault = spec->faults[spec->fault_count];
    strcpy(fault, text);
    for (char *colon = strchr(fault, ':'); colon; colon = strchr(colon, ':'))
        *colon = ',';
    spec->fault_count++;
    return 0;
}

static int parse_model(struct device_spec *spec, const char *text, struct error *error)
{
    if (strcmp(text, "dma") && strcmp(text, "tally") && strcmp(text, "uart"))
        return error_set(error, 0, "model: there is no '%s'; there are dma, tally and uart", text);
    strcpy(spec->model, text);
    return 0;
}

static int parse_window(struct device_spec *spec, const char *text, struct error *error)
{
    static const char trapped[] = ":trapped";
    char size[32];
    size_t length = strlen(text);

    spec->window_trapped = length > strlen(trapped) && !strcmp(text + length - strlen(trapped), trapped);
    length -= spec->window_trapped ? strlen(trapped) : 0;
    if (length >= sizeof(size))
        return error_set(error, 0, "window: '%s' is not a size such as 64K, or 64K:trapped", text);
    memcpy(size, text, length);
    size[length] = '\0';
    spec->window.given = true;
    return option_parse_size(size, "window", &spec->window.value, error);
}

static int parse_test_option(struct device_spec *spec, const char *key, const char *value, struct error *error)
{
    if (!strcmp(key, "model"))
        return parse_model(spec, value, error);
    if (!strcmp(key, "features"))
        return parse_features(value, &spec->features, error);
    if (!strcmp(key, "dma"))
        return parse_dma(value, &spec->dma_by_message, error);
    if (!strcmp(key, "fault"))
        return add_fault(spec, value, error);
    if (!strcmp(key, "memory")) {
        spec->memory.given = true;
        return option_parse_size(value, key, &spec->memory.value, error);
    }
    if (!strcmp(key, "window"))
        return parse_window(spec, value, error);
    if (!strcmp(key, "dirty-rate")) {
        spec->dirty_rate.given = true;
        return option_parse_size(value, key, &spec->dirty_rate.value, error);
    }
    if (!strcmp(key, "latency")) {
        spec->latency.given = true;
        return option_parse_time(value, key, &spec->latency.value, error);
    }
    if (!strcmp(key, "queues")) {
        spec->queues.given = true;
        return option_parse_number(value, key, 1, DMA_QUEUES_MAX, &spec->queues.value, error);
    }
    if (!strcmp(key, "vectors")) {
        spec->vectors.given = true;
        return option_parse_number(value, key, 1, DMA_VECTORS_MAX, &spec->vectors.value, error);
    }
    return error_set(error, 0, "a test device has no option '%s'; there are %s", key, test_options);
}

static int parse_test(struct device_spec *spec, char *options, struct error *error)
{
    struct option_pair pairs[OPTIONS_MAX];
    int count = option_split(options, "options", pairs, OPTIONS_MAX, error);

    strcpy(spec->model, "dma");
    for (int i = 0; i < count; i++)
        if (parse_test_option(spec, pairs[i].key, pairs[i].value, error) < 0)
            return -1;
    return count < 0 ? -1 : 0;
}

static int set_target(struct device_spec *spec, const char *target, const char *what, struct error *error)
{
    if (!*target)
        return error_set(error, 0, "%s is missing", what);
    if (strlen(target) >= sizeof(spec->target))
        return error_set(error, 0, "'%s' has more than %zu characters", target, sizeof(spec->target) - 1);
    strcpy(spec->target, target);
    return 0;
}

static int parse_vfio_user(struct device_spec *spec, char *rest, struct error *error)
{
    struct option_pair pairs[OPTIONS_MAX];
    char *options = strchr(rest, ',');
    int count = 0;

    if (options) {
        *options++ = '\0';
        count = option_split(options, "options", pairs, OPTIONS_MAX, error);
    }
    if (count < 0 || set_target(spec, rest, "the socket's path", error) < 0)
        return -1;
    for (int i = 0; i < count; i++) {
        if (strcmp(pairs[i].key, "dma"))
            return error_set(error, 0, "a vfio-user device has no option '%s'; there are dma and to", pairs[i].key);
        if (parse_dma(pairs[i].value, &spec->dma_by_message, error) < 0)
            return -1;
    }
    return 0;
}

/* A UUID as 16 bytes in the order in which they are written. */
static int parse_token(const char *text, uint8_t token[16], struct error *error)
{
    size_t digits = 0;

    for (size_t i = 0; text[i]; i++) {
        static const char hex[] = "0123456789abcdef";
        const char *digit = text[i] == '-' ? NULL : strchr(hex, tolower((unsigned char)text[i]));
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash != (text[i] == '-') || (!dash && !digit) || digits == 32)
            return error_set(error, 0, "vf-token: '%s' is no UUID", text);
        if (dash)
            continue;
        token[digits / 2] = (uint8_t)(token[digits / 2] << 4 | (digit - hex));
        digits++;
    }
    return digits == 32 ? 0 : error_set(error, 0, "vf-token: '%s' is no UUID", text);
}

static int parse_reset(const char *text, enum kernel_reset *reset, struct error *error)
{
    static const char *const names[] = {
        [KERNEL_RESET_FLR] = "flr", [KERNEL_RESET_HOT] = "hot", [KERNEL_RESET_NONE] = "none"};

    for (unsigned int i = KERNEL_RESET_FLR; i <= KERNEL_RESET_NONE; i++) {
        if (!strcmp(text, names[i])) {
            *reset = (enum kernel_reset)i;
            return 0;
        }
    }
    return error_set(error, 0, "reset: '%s' is none of flr, hot and none", text);
}

static int parse_vfio_option(struct device_spec *spec, const char *key, const char *value, struct error *error)
{
    struct kernel_options *kernel = &spec->kernel;
    uint64_t number;

    if (!strcmp(key, "vf-token")) {
        kernel->has_token = true;
        return parse_token(value, kernel->token, error);
    }
    if (!strcmp(key, "fd")) {
        if (option_parse_number(value, key, 3, INT_MAX, &number, error) < 0)
            return -1;
        kernel->fd = (int)number;
        return 0;
    }
    if (!strcmp(key, "no-mmap") && !*value) {
        kernel->no_mmap = true;
        return 0;
    }
    if (!strcmp(key, "rom")) {
        kernel->no_rom = !strcmp(value, "off");
        return kernel->no_rom || !strcmp(value, "on") ? 0
                                                      : error_set(error, 0, "rom: '%s' is neither on nor off", value);
    }
    if (!strcmp(key, "reset"))
        return parse_reset(value, &kernel->reset, error);
    return error_set(error, 0, "a vfio device has no option '%s'; there are vf-token, fd, no-mmap, rom, reset and to",
                     key);
}

/* Where the options begin: after the first comma, or in /dev/vfio/GROUP,DEVICE after the second. */
static char *find_options(char *rest)
{
    static const char devices[] = "/dev/vfio/devices/", groups[] = "/dev/vfio/";
    char *comma = strchr(rest, ',');
    bool group = !strncmp(rest, groups, strlen(groups)) && strncmp(rest, devices, strlen(devices)) != 0;

    return comma && group ? strchr(comma + 1, ',') : comma;
}

static int parse_vfio(struct device_spec *spec, char *rest, struct error *error)
{
    struct option_pair pairs[OPTIONS_MAX];
    char *options = find_options(rest);
    int count = 0;

    spec->kernel.fd = -1;
    if (options) {
        *options++ = '\0';
        count = option_split(options, "options", pairs, OPTIONS_MAX, error);
    }
    if (count < 0 || set_target(spec, rest, "the device", error) < 0)
        return -1;
    for (int i = 0; i < count; i++)
        if (parse_vfio_option(spec, pairs[i].key, pairs[i].value, error) < 0)
            return -1;
    return 0;
}

/* text, which may be changed, is one DEVICE without ,to=. */
static int parse_one(struct device_spec *spec, char *text, struct error *error)
{
    if (snprintf(spec->name, sizeof(spec->name), "%s", text) >= (int)sizeof(spec->name))
        strcpy(spec->name + sizeof(spec->name) - 4, "...");
    if (!strcmp(text, "test"))
        return parse_test(spec, text + strlen(text), error);
    if (!strncmp(text, "test:", 5)) {
        spec->kind = DEVICE_TEST;
        return parse_test(spec, text + 5, error);
    }
    if (!strncmp(text, "vfio-user:", 10)) {
        spec->kind = DEVICE_VFIO_USER;
        return parse_vfio_user(spec, text + 10, error);
    }
    if (!strncmp(text, "vfio:", 5)) {
        spec->kind = DEVICE_VFIO;
        return parse_vfio(spec, text + 5, error);
    }
    return error_set(error, 0, "a device is test[:KEY=VALUE,...], vfio-user:SOCKET or vfio:BDF");
}

static int parse_depth(const char *text, struct device_spec *spec, unsigned int depth, struct error *error)
{
    const char *to = strstr(text, ",to=");
    char *own = to ? strndup(text, (size_t)(to - text)) : strdup(text);
    int status = -1;

    *spec = (struct device_spec){.kind = DEVICE_TEST};
    if (!own) {
        error_set(error, ENOMEM, "out of memory");
        goto out;
    }
    if (parse_one(spec, own, error) < 0)
        goto out;
    if (to && depth == DESTINATIONS_MAX) {
        error_set(error, 0, "a destination has no destination of its own");
        goto out;
    }
    if (to) {
        spec->to = malloc(sizeof(*spec->to));
        if (!spec->to)
            error_set(error, ENOMEM, "out of memory");
        else
            status = parse_depth(to + 4, spec->to, depth + 1, error);
        goto out;
    }
    status = 0;
out:
    free(own);
    if (status < 0) {
        free(spec->to);
        spec->to = NULL;
    }
    return status;
}

int device_spec_parse(const char *text, struct device_spec *spec, struct error *error)
{
    if (parse_depth(text, spec, 0, error) < 0)
        return error_prefix(error, "device '%s'", text);
    return 0;
}

int device_spec_parse_way(const char *text, enum kernel_way *way, struct error *error)
{
    if (strcmp(text, "group") && strcmp(text, "cdev"))
        return error_set(error, 0, "--vfio: '%s' is neither group nor cdev", text);
    *way = !strcmp(text, "group") ? KERNEL_WAY_GROUP : KERNEL_WAY_CDEV;
    return 0;
}

void device_spec_free(struct device_spec *spec)
{
    if (spec->to)
        device_spec_free(spec->to);
    free(spec->to);
    spec->to = NULL;
}
