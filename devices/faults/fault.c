/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/faults/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct fault_kind *const fault_kinds[] = {
    &fault_completion_repeated,
    &fault_device_byte_changed,
    &fault_p2p_not_quiesced,
    NULL,
};

static const struct fault_kind *find_kind(const char *name)
{
    for (const struct fault_kind *const *kind = fault_kinds; *kind; kind++)
        if (!strcmp((*kind)->name, name))
            return *kind;
    return NULL;
}

static int take_option(struct fault_request *request, const struct option_pair *pair, struct error *error)
{
    if (strcmp(pair->key, "at") || !strstr(request->kind->options, "at="))
        return error_set(error, EINVAL, "fault %s: no option '%s'; it has: %s", request->kind->name, pair->key,
                         *request->kind->options ? request->kind->options : "none");
    request->has_at = true;
    return option_parse_size(pair->value, "fault option at", &request->at, error);
}

static int parse(char *text, struct fault_request *request, struct error *error)
{
    struct option_pair pairs[1 + FAULT_OPTIONS_MAX];
    int count = option_split(text, "--fault", pairs, 1 + FAULT_OPTIONS_MAX, error);
    int result = 0;

    if (count < 0)
        return -1;
    request->kind = count ? find_kind(pairs[0].key) : NULL;
    if (!request->kind)
        return error_set(error, EINVAL, "there is no fault '%s'; --list-faults names them", count ? pairs[0].key : "");
    for (int i = 1; i < count && !result; i++)
        result = take_option(request, &pairs[i], error);
    return result;
}

int fault_parse(const char *text, struct fault_request *request, struct error *error)
{
    char *copy = strdup(text);
    int result;

    *request = (struct fault_request){.kind = NULL};
    if (!copy)
        return error_set(error, ENOMEM, "--fault");
    result = parse(copy, request, error);
    free(copy);
    return result;
}

struct device *fault_push(const struct fault_request *request, struct device *device, struct error *error)
{
    struct device_layer *layer = request->kind->create(request, error);

    return layer ? device_push(device, layer) : NULL;
}

void *fault_layer_new(size_t size, const struct device_ops *down, const struct device_host_ops *up, struct error *error)
{
    struct device_layer *layer = calloc(1, size);

    if (!layer) {
        error_set(error, ENOMEM, "a fault");
        return NULL;
    }
    layer->device.ops = down;
    layer->host.ops = up;
    return layer;
}

void fault_layer_destroy(struct device *device)
{
    free(device);
}
