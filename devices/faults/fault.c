/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/faults/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct fault_kind *const families[] = {
    fault_answer_kinds, fault_arc_kinds,    fault_completion_kinds, fault_interrupt_kinds, fault_load_kinds,
    fault_log_kinds,    fault_memory_kinds, fault_quiesce_kinds,    fault_repeated_kinds,  fault_size_kinds,
    fault_state_kinds,  fault_stream_kinds, fault_p2p_kinds,
};

void fault_kinds_each(void (*call)(void *context, const struct fault_kind *kind), void *context)
{
    for (size_t family = 0; family < sizeof(families) / sizeof(families[0]); family++)
        for (const struct fault_kind *kind = families[family]; kind->name; kind++)
            call(context, kind);
}

struct search {
    const char *name;
    const struct fault_kind *found;
};

static void compare(void *context, const struct fault_kind *kind)
{
    struct search *search = context;

    if (!strcmp(kind->name, search->name))
        search->found = kind;
}

static const struct fault_kind *find_kind(const char *name)
{
    struct search search = {.name = name};

    fault_kinds_each(compare, &search);
    return search.found;
}

/* Is key one of the options that the row lists? */
static bool has_option(const struct fault_row *row, const char *key)
{
    size_t length = strlen(key);

    for (const char *option = row->options; *option; option += strcspn(option, ","), option += *option == ',')
        if (!strncmp(option, key, length) && option[length] == '=')
            return true;
    return false;
}

static int parse_state(const struct option_pair *pair, int *state, struct error *error)
{
    *state = migration_state_from_name(pair->value);
    if (*state >= 0)
        return 0;
    return error_set(error, EINVAL, "fault option %s: there is no state '%s'", pair->key, pair->value);
}

static int parse_to(const struct option_pair *pair, struct fault_request *request, struct error *error)
{
    request->to_error = !strcmp(pair->value, "error");
    if (request->to_error || !strcmp(pair->value, "stay"))
        return 0;
    return error_set(error, EINVAL, "fault option to: '%s' is neither error nor stay", pair->value);
}

static int parse_number(const struct option_pair *pair, struct fault_request *request, struct error *error)
{
    uint64_t number;

    if (option_parse_number(pair->value, "fault option errno", 1, 4095, &number, error) < 0)
        return -1;
    request->number = (int)number;
    return 0;
}

static int take_option(struct fault_request *request, const struct option_pair *pair, struct error *error)
{
    if (!has_option(request->row, pair->key))
        return error_set(error, EINVAL, "fault %s: no option '%s'; it has: %s", request->row->name, pair->key,
                         *request->row->options ? request->row->options : "none");
    if (!strcmp(pair->key, "arc"))
        return parse_state(pair, &request->arc, error);
    if (!strcmp(pair->key, "from"))
        return parse_state(pair, &request->from, error);
    if (!strcmp(pair->key, "to"))
        return parse_to(pair, request, error);
    if (!strcmp(pair->key, "errno"))
        return parse_number(pair, request, error);
    if (!strcmp(pair->key, "one-in"))
        return option_parse_number(pair->value, "fault option one-in", 1, UINT64_MAX, &request->one_in, error);
    if (!strcmp(pair->key, "seed"))
        return option_parse_number(pair->value, "fault option seed", 0, UINT64_MAX, &request->seed, error);
    if (!strcmp(pair->key, "byte")) {
        request->has_byte = true;
        return option_parse_size(pair->value, "fault option byte", &request->byte, error);
    }
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
    request->row = request->kind ? fault_table_find(request->kind->name) : NULL;
    if (!request->row)
        return error_set(error, EINVAL, "there is no fault '%s'; --list-faults names them", count ? pairs[0].key : "");
    for (int i = 1; i < count && !result; i++)
        result = take_option(request, &pairs[i], error);
    return result;
}

int fault_parse(const char *text, struct fault_request *request, struct error *error)
{
    char *copy = strdup(text);
    int result;

    *request = (struct fault_request){.kind = NULL, .from = -1, .arc = -1};
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

struct fault_trigger fault_trigger_from(const struct fault_request *request, uint64_t default_at)
{
    struct fault_trigger trigger = {.one_in = request->one_in, .random = request->seed * 2 + 1};

    if (request->has_at)
        trigger.at = request->at;
    else if (!request->one_in)
        trigger.at = default_at;
    return trigger;
}

bool fault_trigger_strikes(struct fault_trigger *trigger)
{
    trigger->count++;
    if (trigger->at || !trigger->one_in)
        return trigger->count == trigger->at;
    /* A linear congruential generator, of which the upper bits are good enough for a choice. */
    trigger->random = trigger->random * 6364136223846793005ull + 1442695040888963407ull;
    return (trigger->random >> 33) % trigger->one_in == 0;
}

bool fault_state_is_stopped(unsigned int state)
{
    return state == VFIO_DEVICE_STATE_STOP || state == VFIO_DEVICE_STATE_STOP_COPY ||
           state == VFIO_DEVICE_STATE_RESUMING;
}
