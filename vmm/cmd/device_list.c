/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cmd/device_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/fault_table.h"

#define SPEC_TEXT_MAX 4096

/* Whose faults a list of devices gets. */
struct fault_sides {
    bool source;
    bool destination;
};

static bool belongs(const char *fault, struct fault_sides sides)
{
    const struct fault_row *row = fault_table_find(fault);

    return !row || (sides.source && row->place != FAULT_DESTINATION) ||
           (sides.destination && row->place != FAULT_SOURCE);
}

/* The words for a test device that also has these faults. */
static int add_faults(const struct options *options, const char *text, struct fault_sides sides,
                      char words[static SPEC_TEXT_MAX], struct error *error)
{
    size_t length = strlen(text);

    if (length >= SPEC_TEXT_MAX)
        return error_set(error, ENAMETOOLONG, "--device '%.40s...'", text);
    strcpy(words, text);
    if (strncmp(text, "test", 4))
        return 0;
    for (size_t i = 0; i < options->device_fault_count; i++) {
        size_t room = SPEC_TEXT_MAX - length;
        const char *separator = !strchr(words, ':') ? ":" : words[length - 1] == ':' ? "" : ",";
        int added;

        if (!belongs(options->device_fault[i], sides))
            continue;
        added = snprintf(words + length, room, "%sfault=%s", separator, options->device_fault[i]);

        if (added < 0 || (size_t)added >= room)
            return error_set(error, ENAMETOOLONG, "--fault '%.40s...'", options->device_fault[i]);
        /* Within a device's options the comma is taken: a fault's own are set off by colons. */
        for (char *comma = words + length + 1; (comma = strchr(comma, ',')) != NULL;)
            *comma = ':';
        length += (size_t)added;
    }
    return 0;
}

/* One device, beside those of the list. */
static int open_one(struct device_list *list, const struct options *options, const char *text, bool other_side,
                    struct fault_sides sides, struct opened_device *opened, struct error *error)
{
    struct device_spec *chosen;
    char words[SPEC_TEXT_MAX];
    struct device_spec spec;
    int result;

    if (add_faults(options, text, sides, words, error) < 0)
        return -1;
    if (device_spec_parse(words, &spec, error) < 0)
        return -1;
    chosen = other_side && spec.to ? spec.to : &spec;
    chosen->kernel.way = options->way;
    chosen->kernel.peers_reach = options->device_count > 1 && !options->no_p2p;
    chosen->no_sandbox = options->no_sandbox;
    chosen->logged = options->uapi_log != NULL;
    chosen->log_fd = options->uapi_log_fd;
    chosen->log_side = other_side ? "destination" : "source";
    chosen->log_index = (unsigned int)list->count;
    chosen->keeps_streams = options->keep.file != NULL;
    chosen->keep_fd = options->keep.folder_fd;
    result = device_open_beside(chosen, NULL, options->message_timeout_ns, list->device, list->count, opened, error);
    device_spec_free(&spec);
    return result;
}

int device_list_open(struct device_list *list, const struct options *options, bool other_side, bool source_faults,
                     bool destination_faults, struct error *error)
{
    struct fault_sides sides = {.source = source_faults, .destination = destination_faults};

    *list = (struct device_list){0};
    for (size_t i = 0; i < options->device_count; i++) {
        if (open_one(list, options, options->device[i], other_side, sides, &list->opened[i], error) < 0) {
            device_list_close(list, NULL);
            return -1;
        }
        list->device[i] = list->opened[i].device;
        list->count++;
    }
    return 0;
}

int device_list_check_ends(const struct options *options, struct error *error)
{
    for (size_t i = 0; i < options->device_count; i++) {
        struct device_spec spec;
        bool both;

        if (device_spec_parse(options->device[i], &spec, error) < 0)
            return -1;
        if (options->same_device && spec.to) {
            error_set(error, 0, "--same-device: %s is to be at both ends, and ,to= names another", spec.name);
            device_spec_free(&spec);
            return -1;
        }
        both = !options->same_device && spec.kind == DEVICE_VFIO &&
               (!spec.to || (spec.to->kind == DEVICE_VFIO && !strcmp(spec.target, spec.to->target)));
        if (both)
            error_set(error, 0,
                      "%s would be at both ends at once: name another for the destination: --device %s,to=vfio:BDF; or "
                      "take --same-device",
                      spec.name, spec.name);
        device_spec_free(&spec);
        if (both)
            return -1;
    }
    return 0;
}

void device_list_close(struct device_list *list, struct event_log *log)
{
    while (list->count) {
        struct error error = ERROR_INIT;

        if (device_close(&list->opened[--list->count], &error) < 0)
            event_note(log, "closing device %zu: %s", list->count, error.text);
    }
}
