/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stopcopy probe: what a device is and supports, and what is missing for migration. */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/options.h"
#include "vmm/cmd/cmd.h"
#include "vmm/cmd/command_error.h"
#include "vmm/cmd/device_facts.h"
#include "vmm/cmd/device_spec.h"
#include "vmm/cmd/host_facts.h"
#include "vmm/cmd/probe_compare.h"
#include "vmm/vfio/vfio_user.h"

struct probe_options {
    const char *device;
    const char *other; /* --compare: the destination, else NULL */
    bool compare;
    const char *device_program;
    uint64_t timeout_ns;
    enum kernel_way way;
    bool json;
};

enum {
    OPTION_JSON = 256,
    OPTION_COMPARE,
    OPTION_DEVICE_PROGRAM,
    OPTION_TIMEOUT,
    OPTION_VFIO,
};

static const struct argp_option options[] = {
    {"json", OPTION_JSON, NULL, 0, "Print a JSON object instead of text", 0},
    {"compare", OPTION_COMPARE, NULL, 0, "Of two devices, say whether the first one's state can go to the second", 0},
    {"device-program", OPTION_DEVICE_PROGRAM, "FILE", 0, "The server of test devices (default: stopcopy-device)", 0},
    {"vfio", OPTION_VFIO, "group|cdev", 0, "The way to a device of the kernel's (default: cdev where there is one)", 0},
    {"timeout", OPTION_TIMEOUT, "TIME", 0, "How long the device may take for one answer (default: 5s)", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct probe_options *parsed = state->input;
    struct error error = ERROR_INIT;

    switch (key) {
    case OPTION_JSON:
        parsed->json = true;
        return 0;
    case OPTION_COMPARE:
        parsed->compare = true;
        return 0;
    case OPTION_DEVICE_PROGRAM:
        parsed->device_program = argument;
        return 0;
    case OPTION_VFIO:
        if (device_spec_parse_way(argument, &parsed->way, &error) < 0)
            argp_error(state, "%s", error.text);
        return 0;
    case OPTION_TIMEOUT:
        if (option_parse_time(argument, "--timeout", &parsed->timeout_ns, &error) < 0)
            argp_error(state, "%s", error.text);
        return 0;
    case ARGP_KEY_ARG:
        if (parsed->other)
            argp_error(state, "more than two devices");
        if (parsed->device)
            parsed->other = argument;
        else
            parsed->device = argument;
        return 0;
    case ARGP_KEY_END:
        if (!parsed->device)
            argp_error(state, "a DEVICE is missing");
        if (parsed->compare && !parsed->other)
            argp_error(state, "--compare takes two devices");
        if (!parsed->compare && parsed->other)
            argp_error(state, "one DEVICE only, or two with --compare");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse_option,
    .args_doc = "DEVICE\n--compare DEVICE DEVICE",
    .doc = "Prints what a device is and supports, and what is missing for its migration.\v"
           "DEVICE is test[:KEY=VALUE,...], vfio-user:SOCKET or vfio:BDF. Nothing of the device is changed.\n\n"
           "Examples:\n"
           "  stopcopy probe test\n"
           "  stopcopy probe vfio:0000:3b:00.2 --json\n"
           "  stopcopy probe --compare vfio:0000:3b:00.2 vfio:0000:3b:00.3",
};

static const char *yes(bool is_true)
{
    return is_true ? "yes" : "no";
}

static void print_identity(const struct vfio_device *device, const struct device_facts *facts)
{
    printf("%s: served by %s, flags 0x%x (reset: %s)\n", device->name, device->ops->name, facts->info.flags,
           yes(facts->info.flags & VFIO_DEVICE_FLAGS_RESET));
    if (!facts->config_size)
        return;
    printf("  PCI %04x:%04x, subsystem %04x:%04x, revision %02x, class %06x\n",
           device_facts_config16(facts, PCI_VENDOR_ID), device_facts_config16(facts, PCI_DEVICE_ID),
           device_facts_config16(facts, PCI_SUBSYSTEM_VENDOR_ID), device_facts_config16(facts, PCI_SUBSYSTEM_ID),
           facts->config[PCI_REVISION_ID], device_facts_config32(facts, PCI_CLASS_REVISION) >> 8);
    for (unsigned int i = 0; i < facts->capability_count; i++)
        printf("  capability 0x%02x at 0x%02x: %s\n", facts->capabilities[i].id, facts->capabilities[i].offset,
               device_facts_capability_name(facts->capabilities[i].id));
}

static void print_agreement(const struct vfio_user_agreement *agreement)
{
    printf(
        "  vfio-user %u.%u: transfers up to %u bytes, %u descriptors a message, %u DMA mappings, page sizes 0x%" PRIx64
        ", twin socket: %s, write_multiple: %s, stopcopy: %s\n",
        agreement->major, agreement->minor, agreement->max_data_xfer_size, agreement->max_msg_fds,
        agreement->max_dma_maps, agreement->pgsizes, yes(agreement->twin_socket >= 0), yes(agreement->write_multiple),
        yes(agreement->stopcopy));
}

static void print_regions(const struct device_facts *facts)
{
    for (unsigned int i = 0; i < facts->region_count; i++) {
        const struct vfio_region *region = &facts->regions[i];

        if (!region->size)
            continue;
        printf("  region %u (%s): 0x%" PRIx64 " bytes, %s%s", i, device_facts_region_name(i), region->size,
               region->flags & VFIO_REGION_INFO_FLAG_READ ? "r" : "-",
               region->flags & VFIO_REGION_INFO_FLAG_WRITE ? "w" : "-");
        for (unsigned int j = 0; j < region->area_count; j++)
            printf(", 0x%" PRIx64 " at 0x%" PRIx64 " can be mapped", region->area[j].size, region->area[j].offset);
        if (facts->doorbell_counts[i])
            printf(", %d doorbells by eventfd", facts->doorbell_counts[i]);
        printf("\n");
    }
}

static void print_irqs(const struct device_facts *facts)
{
    for (unsigned int i = 0; i < facts->irq_count; i++) {
        const struct vfio_irq *irq = &facts->irqs[i];

        if (irq->count)
            printf("  interrupt %u (%s): %u%s%s%s%s\n", i, device_facts_irq_name(i), irq->count,
                   irq->flags & VFIO_IRQ_INFO_EVENTFD ? ", eventfd" : "",
                   irq->flags & VFIO_IRQ_INFO_MASKABLE ? ", maskable" : "",
                   irq->flags & VFIO_IRQ_INFO_AUTOMASKED ? ", automasked" : "",
                   irq->flags & VFIO_IRQ_INFO_NORESIZE ? ", noresize" : "");
    }
}

static void print_migration(const struct device_facts *facts)
{
    uint64_t flags = facts->migration_flags;

    printf("  migration: flags 0x%" PRIx64 "%s%s%s%s", flags, flags & VFIO_MIGRATION_STOP_COPY ? " STOP_COPY" : "",
           flags & VFIO_MIGRATION_P2P ? " P2P" : "", flags & VFIO_MIGRATION_PRE_COPY ? " PRE_COPY" : "",
           flags ? "" : " (none)");
    if (facts->state_known)
        printf(", state %s (%u)", migration_state_name(facts->state), facts->state);
    if (facts->data_size_known)
        printf(", %" PRIu64 " bytes of state", facts->data_size);
    printf(", DMA logging: %s\n", yes(facts->dma_logging));
}

static void print_host(const struct host_facts *host)
{
    const struct kernel_place *place = host->place;

    printf("  host: %s, driver %s, %s, IOMMU group %d", place->name, place->driver[0] ? place->driver : "(none)",
           place->cdev[0] ? place->cdev : "no cdev", place->group);
    for (unsigned int i = 0; i < host->member_count; i++)
        printf("%s%s (%s)", i ? ", " : ": ", host->member[i].name,
               host->member[i].driver[0] ? host->member[i].driver : "no driver");
    printf("\n  host: NUMA node %s, reset by %s", place->numa_node[0] ? place->numa_node : "not known",
           place->reset_method[0] ? place->reset_method : "nothing that sysfs names");
    if (host->debugfs_state[0])
        printf(", the kernel's debugfs says %s", host->debugfs_state);
    printf("\n");
    if (host->ats || host->pri || host->pasid)
        printf("  hidden from the guest:%s%s%s\n", host->ats ? " ATS" : "", host->pri ? " PRI" : "",
               host->pasid ? " PASID" : "");
}

static void print_text(const struct vfio_device *device, const struct device_facts *facts,
                       const struct host_facts *host)
{
    const struct vfio_user_agreement *agreement = vfio_user_get_agreement(device);
    const char *words;

    print_identity(device, facts);
    if (agreement)
        print_agreement(agreement);
    if (host->place)
        print_host(host);
    print_regions(facts);
    print_irqs(facts);
    print_migration(facts);
    for (unsigned int i = 0; (words = device_facts_missing(facts, i)); i++)
        printf("  missing: %s\n", words);
    for (unsigned int i = 0; i < host->advice_count; i++)
        printf("  missing: %s\n", host->advice[i]);
}

static json_t *json_identity(const struct device_facts *facts)
{
    json_t *capabilities = json_array();

    for (unsigned int i = 0; i < facts->capability_count; i++)
        json_array_append_new(capabilities, json_pack("{s:i,s:i,s:s}", "id", facts->capabilities[i].id, "offset",
                                                      facts->capabilities[i].offset, "name",
                                                      device_facts_capability_name(facts->capabilities[i].id)));
    return json_pack("{s:i,s:i,s:i,s:i,s:i,s:i,s:o}", "vendor", device_facts_config16(facts, PCI_VENDOR_ID), "device",
                     device_facts_config16(facts, PCI_DEVICE_ID), "subsystem_vendor",
                     device_facts_config16(facts, PCI_SUBSYSTEM_VENDOR_ID), "subsystem",
                     device_facts_config16(facts, PCI_SUBSYSTEM_ID), "revision", facts->config[PCI_REVISION_ID],
                     "class", (int)(device_facts_config32(facts, PCI_CLASS_REVISION) >> 8), "capabilities",
                     capabilities);
}

static json_t *json_regions(const struct device_facts *facts)
{
    json_t *regions = json_array();

    for (unsigned int i = 0; i < facts->region_count; i++) {
        const struct vfio_region *region = &facts->regions[i];
        json_t *areas = json_array();

        for (unsigned int j = 0; j < region->area_count; j++)
            json_array_append_new(areas, json_pack("{s:I,s:I}", "offset", (json_int_t)region->area[j].offset, "size",
                                                   (json_int_t)region->area[j].size));
        json_array_append_new(regions, json_pack("{s:i,s:s,s:i,s:I,s:o,s:i}", "index", (int)i, "name",
                                                 device_facts_region_name(i), "flags", (int)region->flags, "size",
                                                 (json_int_t)region->size, "mappable", areas, "doorbells",
                                                 facts->doorbell_counts[i]));
    }
    return regions;
}

static json_t *json_irqs(const struct device_facts *facts)
{
    json_t *irqs = json_array();

    for (unsigned int i = 0; i < facts->irq_count; i++)
        json_array_append_new(irqs,
                              json_pack("{s:i,s:s,s:i,s:I}", "index", (int)i, "name", device_facts_irq_name(i), "flags",
                                        (int)facts->irqs[i].flags, "count", (json_int_t)facts->irqs[i].count));
    return irqs;
}

static json_t *json_migration(const struct device_facts *facts)
{
    json_t *migration =
        json_pack("{s:I,s:b}", "flags", (json_int_t)facts->migration_flags, "dma_logging", facts->dma_logging);

    if (facts->state_known) {
        json_object_set_new(migration, "state", json_string(migration_state_name(facts->state)));
        json_object_set_new(migration, "state_number", json_integer(facts->state));
    }
    if (facts->data_size_known)
        json_object_set_new(migration, "data_size", json_integer((json_int_t)facts->data_size));
    return migration;
}

static json_t *json_agreement(const struct vfio_user_agreement *agreement)
{
    return json_pack("{s:i,s:i,s:I,s:I,s:I,s:I,s:b,s:b,s:b}", "major", agreement->major, "minor", agreement->minor,
                     "max_data_xfer_size", (json_int_t)agreement->max_data_xfer_size, "max_msg_fds",
                     (json_int_t)agreement->max_msg_fds, "max_dma_maps", (json_int_t)agreement->max_dma_maps, "pgsizes",
                     (json_int_t)agreement->pgsizes, "twin_socket", agreement->twin_socket >= 0, "write_multiple",
                     agreement->write_multiple, "stopcopy", agreement->stopcopy);
}

static json_t *json_host(const struct host_facts *host)
{
    const struct kernel_place *place = host->place;
    json_t *members = json_array();

    for (unsigned int i = 0; i < host->member_count; i++)
        json_array_append_new(members,
                              json_pack("{s:s,s:s}", "name", host->member[i].name, "driver", host->member[i].driver));
    return json_pack("{s:s,s:s,s:s,s:i,s:o,s:s,s:s,s:s,s:b,s:b,s:b}", "name", place->name, "driver", place->driver,
                     "cdev", place->cdev, "iommu_group", place->group, "iommu_group_members", members, "numa_node",
                     place->numa_node, "reset_method", place->reset_method, "debugfs_state", host->debugfs_state,
                     "hidden_ats", host->ats, "hidden_pri", host->pri, "hidden_pasid", host->pasid);
}

static int print_json(const struct vfio_device *device, const struct device_facts *facts, const struct host_facts *host)
{
    const struct vfio_user_agreement *agreement = vfio_user_get_agreement(device);
    json_t *missing = json_array();
    json_t *root;
    const char *words;
    char *text;

    for (unsigned int i = 0; (words = device_facts_missing(facts, i)); i++)
        json_array_append_new(missing, json_string(words));
    for (unsigned int i = 0; i < host->advice_count; i++)
        json_array_append_new(missing, json_string(host->advice[i]));
    root = json_pack("{s:s,s:s,s:i,s:o,s:o,s:o,s:o}", "device", device->name, "backend", device->ops->name, "flags",
                     (int)facts->info.flags, "regions", json_regions(facts), "interrupts", json_irqs(facts),
                     "migration", json_migration(facts), "missing", missing);
    if (facts->config_size)
        json_object_set_new(root, "pci", json_identity(facts));
    if (host->place)
        json_object_set_new(root, "host", json_host(host));
    if (agreement)
        json_object_set_new(root, "vfio_user", json_agreement(agreement));
    text = json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    if (!text)
        return -1;
    puts(text);
    free(text);
    return 0;
}

static int probe(const struct probe_options *parsed, const struct device_spec *spec)
{
    struct opened_device opened;
    struct device_facts facts;
    struct host_facts host;
    struct error error = ERROR_INIT;
    int status = STATUS_INTACT;

    if (device_open(spec, parsed->device_program, parsed->timeout_ns, &opened, &error) < 0)
        return command_error("probe", &error);
    if (device_facts_collect(opened.device, &facts, &error) < 0) {
        status = command_error("probe", &error);
        goto out;
    }
    host_facts_collect(opened.device, facts.migration_flags, &host);
    if (!parsed->json) {
        print_text(opened.device, &facts, &host);
    } else if (print_json(opened.device, &facts, &host) < 0) {
        error_set(&error, 0, "%s: what it is cannot be written as JSON", opened.device->name);
        status = command_error("probe", &error);
    }
out:
    if (device_close(&opened, &error) < 0)
        status = command_error("probe", &error);
    return status;
}

/* The device is closed again: the two may be one. */
static int collect_end(const struct probe_options *parsed, const char *text, struct compare_end *end)
{
    struct error error = ERROR_INIT;
    struct opened_device opened;
    struct device_spec spec;
    int status = STATUS_INTACT;

    if (device_spec_parse(text, &spec, &error) < 0)
        return command_error("probe", &error);
    spec.kernel.way = parsed->way;
    if (device_open(&spec, parsed->device_program, parsed->timeout_ns, &opened, &error) < 0) {
        status = command_error("probe", &error);
    } else {
        if (compare_collect(opened.device, end, &error) < 0)
            status = command_error("probe", &error);
        if (device_close(&opened, &error) < 0)
            status = command_error("probe", &error);
    }
    device_spec_free(&spec);
    return status;
}

static int compare(const struct probe_options *parsed)
{
    struct compare_end *ends = calloc(2, sizeof(*ends));
    struct comparison *comparison = calloc(1, sizeof(*comparison));
    struct error error = ERROR_INIT;
    int status = STATUS_USAGE;

    if (!ends || !comparison) {
        error_set(&error, ENOMEM, "comparing two devices");
        command_error("probe", &error);
        goto out;
    }
    status = collect_end(parsed, parsed->device, &ends[0]);
    if (status == STATUS_INTACT)
        status = collect_end(parsed, parsed->other, &ends[1]);
    if (status != STATUS_INTACT)
        goto out;
    compare_ends(&ends[0], &ends[1], comparison);
    if (!parsed->json) {
        compare_print_text(&ends[0], &ends[1], comparison);
    } else if (compare_print_json(&ends[0], &ends[1], comparison) < 0) {
        error_set(&error, ENOMEM, "writing the comparison as JSON");
        status = command_error("probe", &error);
        goto out;
    }
    status = comparison->reason_count ? STATUS_BROKEN : STATUS_INTACT;
out:
    free(ends);
    free(comparison);
    return status;
}

int cmd_probe(int argc, char **argv)
{
    static char name[] = "stopcopy probe";
    struct probe_options parsed = {.timeout_ns = DEVICE_TIMEOUT_NS};
    struct device_spec spec;
    struct error error = ERROR_INIT;
    int status;

    argv[0] = name;
    argp_err_exit_status = STATUS_USAGE;
    if (argp_parse(&argp, argc, argv, 0, NULL, &parsed))
        return STATUS_USAGE;
    if (parsed.compare)
        return compare(&parsed);
    if (device_spec_parse(parsed.device, &spec, &error) < 0)
        return command_error("probe", &error);
    spec.kernel.way = parsed.way;
    status = probe(&parsed, &spec);
    device_spec_free(&spec);
    return status;
}
