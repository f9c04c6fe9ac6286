/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cmd/probe_compare.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/board/pci_probe.h"
#include "vmm/vfio/fsm.h"
#include "vmm/vfio/migration.h"

static void add(char lines[static COMPARE_LINES_MAX][ERROR_TEXT_MAX], unsigned int *count, const char *format,
                va_list arguments)
{
    if (*count < COMPARE_LINES_MAX)
        vsnprintf(lines[(*count)++], ERROR_TEXT_MAX, format, arguments);
}

static void refuse(struct comparison *comparison, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void refuse(struct comparison *comparison, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    add(comparison->reason, &comparison->reason_count, format, arguments);
    va_end(arguments);
}

static void differ(struct comparison *comparison, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void differ(struct comparison *comparison, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    add(comparison->difference, &comparison->difference_count, format, arguments);
    va_end(arguments);
}

int compare_collect(struct vfio_device *device, struct compare_end *end, struct error *error)
{
    const struct kernel_place *place = kernel_get_place(device);
    struct error cause = ERROR_INIT;

    memset(end, 0, sizeof(*end));
    snprintf(end->name, sizeof(end->name), "%s", device->name);
    snprintf(end->backend, sizeof(end->backend), "%s", device->ops->name);
    if (device_facts_collect(device, &end->facts, error) < 0)
        return -1;
    end->has_place = place != NULL;
    if (place)
        end->place = *place;
    end->has_description = pci_probe(device, &end->description, &cause) == 0;
    if (!end->has_description)
        snprintf(end->no_description, sizeof(end->no_description), "%s", cause.text);
    if (!end->facts.migration_flags && device->ops->explain_no_migration)
        device->ops->explain_no_migration(device, end->no_migration, sizeof(end->no_migration));
    return 0;
}

/* What each end must be, whatever the other is. */
static void look_at_end(const struct compare_end *end, const char *which, struct comparison *comparison)
{
    const struct device_facts *facts = &end->facts;

    if (!end->has_description)
        refuse(comparison, "%s cannot be given to a guest: %.800s", which, end->no_description);
    if (!(facts->migration_flags & VFIO_MIGRATION_STOP_COPY))
        refuse(comparison, "%s cannot be migrated: it has not the feature MIGRATION%s%.700s", which,
               end->no_migration[0] ? ": " : "", end->no_migration);
    if (facts->state_known && facts->state != VFIO_DEVICE_STATE_RUNNING)
        refuse(comparison, "%s is in %s, and would have to be in RUNNING: set it to that, or reset it", which,
               migration_state_name(facts->state));
}

static void take_difference(void *context, const char *property, uint64_t wanted, uint64_t found)
{
    refuse(context, "a guest sees another device: its %s is 0x%" PRIx64 ", and 0x%" PRIx64 " at the destination",
           property, wanted, found);
}

static void compare_migration(const struct device_facts *from, const struct device_facts *to,
                              struct comparison *comparison)
{
    uint64_t only = from->migration_flags & ~to->migration_flags, other = to->migration_flags & ~from->migration_flags;

    if ((only | other) & VFIO_MIGRATION_P2P)
        differ(comparison, "only the %s has the P2P states, which both need where a guest has several devices",
               only & VFIO_MIGRATION_P2P ? "source" : "destination");
    if (only & VFIO_MIGRATION_PRE_COPY)
        differ(comparison, "only the source has PRE_COPY: the way back is after the stop alone");
    if (other & VFIO_MIGRATION_PRE_COPY)
        differ(comparison, "only the destination has PRE_COPY: the source's state goes after the stop");
    if (from->dma_logging != to->dma_logging)
        differ(comparison, "only the %s has a log of its DMA", from->dma_logging ? "source" : "destination");
    if (from->data_size_known && to->data_size_known && from->data_size != to->data_size)
        differ(comparison,
               "MIG_DATA_SIZE is %" PRIu64 " bytes, and %" PRIu64
               " at the destination: they may be set up differently (firmware, queues, resources)",
               from->data_size, to->data_size);
}

static void compare_places(const struct compare_end *from, const struct compare_end *to, struct comparison *comparison)
{
    if (strcmp(from->backend, to->backend))
        differ(comparison, "they are reached by other ways: %s and %s", from->backend, to->backend);
    if (!from->has_place || !to->has_place)
        return;
    if (!strcmp(from->place.name, to->place.name))
        differ(comparison, "they are one device: stopcopy migrate --same-device");
    else if (strcmp(from->place.driver, to->place.driver))
        differ(comparison, "their drivers are %s and %s: whether one takes the other's stream is for them to say",
               from->place.driver, to->place.driver);
}

void compare_ends(const struct compare_end *from, const struct compare_end *to, struct comparison *comparison)
{
    memset(comparison, 0, sizeof(*comparison));
    look_at_end(from, "the source", comparison);
    look_at_end(to, "the destination", comparison);
    if (from->has_description && to->has_description)
        board_compare(&from->description, &to->description, take_difference, comparison);
    if (from->facts.migration_flags && to->facts.migration_flags)
        compare_migration(&from->facts, &to->facts, comparison);
    compare_places(from, to, comparison);
}

/* What only trying can tell. */
static void say_try(const struct compare_end *from, const struct compare_end *to, char text[static ERROR_TEXT_MAX])
{
    snprintf(text, ERROR_TEXT_MAX, "stopcopy state %s save FILE && stopcopy state %s load FILE", from->name, to->name);
}

void compare_print_text(const struct compare_end *from, const struct compare_end *to,
                        const struct comparison *comparison)
{
    char text[ERROR_TEXT_MAX];

    printf("%s to %s: %s\n", from->name, to->name,
           comparison->reason_count ? "no" : "yes, as far as can be seen from outside");
    for (unsigned int i = 0; i < comparison->reason_count; i++)
        printf("  no: %s\n", comparison->reason[i]);
    for (unsigned int i = 0; i < comparison->difference_count; i++)
        printf("  differs: %s\n", comparison->difference[i]);
    if (comparison->reason_count)
        return;
    say_try(from, to, text);
    printf("  whether the content of its state is taken, only loading it tells: %s\n", text);
}

static json_t *json_lines(const char (*lines)[ERROR_TEXT_MAX], unsigned int count)
{
    json_t *array = json_array();

    for (unsigned int i = 0; i < count; i++)
        json_array_append_new(array, json_string(lines[i]));
    return array;
}

int compare_print_json(const struct compare_end *from, const struct compare_end *to,
                       const struct comparison *comparison)
{
    json_t *root =
        json_pack("{s:s,s:s,s:b,s:o,s:o}", "from", from->name, "to", to->name, "possible", !comparison->reason_count,
                  "reasons", json_lines(comparison->reason, comparison->reason_count), "differences",
                  json_lines(comparison->difference, comparison->difference_count));
    char command[ERROR_TEXT_MAX];
    char *text;

    say_try(from, to, command);
    if (!comparison->reason_count)
        json_object_set_new(root, "try", json_string(command));
    text = json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    if (!text)
        return -1;
    puts(text);
    free(text);
    return 0;
}
