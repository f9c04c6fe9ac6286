/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stopcopy bringup: everything that fits a device, each in a process of its own, with one report. */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/options.h"
#include "vmm/campaign/bringup_plan.h"
#include "vmm/cmd/campaign_run.h"
#include "vmm/cmd/cmd.h"
#include "vmm/cmd/command_error.h"
#include "vmm/cmd/device_spec.h"

#define MEMORY_DEFAULT (UINT64_C(256) << 20)
#define REPEAT_DEFAULT 2u
#define REPEAT_MAX 10000u

struct bringup_options {
    struct campaign_options common;
    struct bringup_wishes wishes;
    struct device_spec spec;
    char own[4096];
};

enum {
    OPTION_HAZARD = CAMPAIGN_OPTION_NEXT,
    OPTION_REPEAT,
    OPTION_AT_OPS,
    OPTION_MEMORY,
    OPTION_VCPUS,
    OPTION_SEED,
    OPTION_IMAGE,
    OPTION_IRQCHIP,
    OPTION_VFIO,
    OPTION_TIMEOUT,
};

static const struct argp_option options[] = {
    CAMPAIGN_OPTIONS,
    {"hazard", OPTION_HAZARD, "none|reset|all", 0,
     "What may be done to the device: reset it, and (all) give it bad streams (default: all; reset for vfio:)", 0},
    {"repeat", OPTION_REPEAT, "N", 0, "Migrations of a step, there and back (default: 2)", 0},
    {"at-ops", OPTION_AT_OPS, "N", 0, "Operations before each migration, and after it (default: as suits the device)",
     0},
    {"memory", OPTION_MEMORY, "SIZE", 0, "RAM of the guest (default: 256M)", 2},
    {"vcpus", OPTION_VCPUS, "N", 0, "vCPUs of the guest (default: 2)", 2},
    {"seed", OPTION_SEED, "N", 0, "Seed of the workloads (default: 1)", 2},
    {"image", OPTION_IMAGE, "FILE", 0, "The guest's image", 2},
    {"irqchip", OPTION_IRQCHIP, "split|full", 0, "Interrupt controller (default: split; full for INTx alone)", 2},
    {"vfio", OPTION_VFIO, "group|cdev", 0, "The way to a device of the kernel's (default: cdev where there is one)", 2},
    {"timeout", OPTION_TIMEOUT, "TIME", 0, "Limit of each wait for the other end or the guest (default: 60s)", 2},
    {NULL, 0, NULL, 0, NULL, 0},
};

/* A word for every step that has a guest: "--vcpus=4". */
static void pass_on(struct argp_state *state, struct bringup_wishes *wishes, const char *option, const char *argument)
{
    char *word;

    if (wishes->passed_on == BRINGUP_PASSED_ON_MAX || asprintf(&word, "--%s=%s", option, argument) < 0)
        argp_error(state, "--%s: too many options", option);
    else
        wishes->word[wishes->passed_on++] = word;
}

static void take_number(struct argp_state *state, const char *argument, const char *option, uint64_t most,
                        uint64_t *number)
{
    struct error error = ERROR_INIT;

    if (option_parse_number(argument, option, 1, most, number, &error) < 0)
        argp_error(state, "%s", error.text);
}

static void take_choice(struct argp_state *state, const char *argument, const char *option, const char *choices,
                        const char **choice)
{
    const char *found = strstr(choices, argument);
    size_t length = strlen(argument);

    if (!length || !found || (found != choices && found[-1] != '|') || (found[length] && found[length] != '|'))
        argp_error(state, "%s %s: it is one of %s", option, argument, choices);
    *choice = argument;
}

static error_t parse_guest_option(int key, char *argument, struct argp_state *state)
{
    struct bringup_options *parsed = state->input;
    struct bringup_wishes *wishes = &parsed->wishes;
    struct error error = ERROR_INIT;
    const char *choice;
    uint64_t number;

    switch (key) {
    case OPTION_MEMORY:
        if (option_parse_size(argument, "--memory", &wishes->memory, &error) < 0)
            argp_error(state, "%s", error.text);
        pass_on(state, wishes, "memory", argument);
        return 0;
    case OPTION_VCPUS:
        take_number(state, argument, "--vcpus", 4096, &number);
        pass_on(state, wishes, "vcpus", argument);
        return 0;
    case OPTION_SEED:
        if (option_parse_number(argument, "--seed", 0, UINT64_MAX, &parsed->common.seed, &error) < 0)
            argp_error(state, "%s", error.text);
        pass_on(state, wishes, "seed", argument);
        return 0;
    case OPTION_IMAGE:
        pass_on(state, wishes, "image", argument);
        return 0;
    case OPTION_IRQCHIP:
        take_choice(state, argument, "--irqchip", "split|full", &choice);
        pass_on(state, wishes, "irqchip", argument);
        return 0;
    case OPTION_VFIO:
        take_choice(state, argument, "--vfio", "group|cdev", &wishes->way);
        pass_on(state, wishes, "vfio", argument);
        return 0;
    case OPTION_TIMEOUT:
        if (option_parse_time(argument, "--timeout", &number, &error) < 0)
            argp_error(state, "%s", error.text);
        pass_on(state, wishes, "timeout", argument);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct bringup_options *parsed = state->input;
    struct bringup_wishes *wishes = &parsed->wishes;
    uint64_t number;

    if (campaign_parse_option(key, argument, state, &parsed->common))
        return 0;
    switch (key) {
    case OPTION_HAZARD:
        take_choice(state, argument, "--hazard", "none|reset|all", &wishes->hazard);
        return 0;
    case OPTION_REPEAT:
        take_number(state, argument, "--repeat", REPEAT_MAX, &number);
        wishes->repeat = (unsigned int)number;
        return 0;
    case OPTION_AT_OPS:
        take_number(state, argument, "--at-ops", UINT32_MAX, &wishes->at_ops);
        return 0;
    case ARGP_KEY_ARG:
        if (wishes->device)
            argp_error(state, "one DEVICE only");
        wishes->device = argument;
        return 0;
    case ARGP_KEY_END:
        if (!wishes->device && !parsed->common.resume)
            argp_error(state, "a DEVICE is missing");
        return 0;
    default:
        return parse_guest_option(key, argument, state);
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse_option,
    .args_doc = "DEVICE",
    .doc = "Does everything that fits a device, from what it is to what a failed migration leaves of it, each in a "
           "process of "
           "its own, and ends with one report.\v"
           "DEVICE is test[:KEY=VALUE,...], vfio-user:SOCKET or vfio:BDF; ,to=DEVICE names the one that the guest "
           "migrates "
           "to. The reports of all steps are kept in a folder, from which --resume goes on. What the device held is "
           "lost.\n\n"
           "Examples:\n"
           "  stopcopy bringup test:features=stop-copy+p2p+pre-copy\n"
           "  stopcopy bringup test --plan\n"
           "  stopcopy bringup vfio:0000:3b:00.2,to=vfio:0000:3b:00.3 --folder bringup-1\n"
           "  stopcopy bringup --resume bringup-1",
};

static int parse(int argc, char **argv, struct bringup_options *parsed)
{
    static char name[] = "stopcopy bringup";
    char *first = argv[0];
    int result;

    argv[0] = name;
    argp_err_exit_status = STATUS_USAGE;
    result = argp_parse(&argp, argc, argv, 0, NULL, parsed);
    argv[0] = first;
    return result ? STATUS_USAGE : STATUS_INTACT;
}

/* What follows from the device's own words. */
static int complete_wishes(struct bringup_options *parsed, struct error *error)
{
    struct bringup_wishes *wishes = &parsed->wishes;
    const char *to;

    if (device_spec_parse(wishes->device, &parsed->spec, error) < 0)
        return -1;
    to = strstr(wishes->device, ",to=");
    snprintf(parsed->own, sizeof(parsed->own), "%.*s",
             (int)(to ? to - wishes->device : (ptrdiff_t)sizeof(parsed->own) - 1), wishes->device);
    wishes->own = parsed->own;
    wishes->destination = to ? to + strlen(",to=") : "";
    wishes->is_test = parsed->spec.kind == DEVICE_TEST;
    if (!wishes->hazard)
        wishes->hazard = parsed->spec.kind == DEVICE_VFIO ? "reset" : "all";
    device_spec_free(&parsed->spec);
    return 0;
}

static void plan_rest(struct campaign *campaign, void *context)
{
    const struct bringup_options *parsed = context;

    bringup_plan_rest(campaign, &parsed->wishes, campaign->device);
}

int cmd_bringup(int argc, char **argv)
{
    struct bringup_options parsed = {.common = CAMPAIGN_OPTIONS_INIT("bringup"),
                                     .wishes = {.repeat = REPEAT_DEFAULT, .memory = MEMORY_DEFAULT}};
    struct error error = ERROR_INIT;
    struct campaign campaign;
    int status = parse(argc, argv, &parsed);

    if (status)
        return status;
    if (parsed.common.resume) {
        struct campaign_options now = parsed.common;

        /* The command is that of the first time: what is said now concerns this time alone. */
        status = campaign_resume_words(&now, &argc, &argv);
        if (status)
            return status;
        parsed = (struct bringup_options){.common = CAMPAIGN_OPTIONS_INIT("bringup"),
                                          .wishes = {.repeat = REPEAT_DEFAULT, .memory = MEMORY_DEFAULT}};
        status = parse(argc, argv, &parsed);
        if (status)
            return status;
        campaign_resume_options(&parsed.common, &now);
    }
    if (!parsed.wishes.device) {
        error_set(&error, 0, "the journal's command names no DEVICE");
        return command_error("bringup", &error);
    }
    if (complete_wishes(&parsed, &error) < 0 || campaign_init(&campaign, "bringup", parsed.wishes.device, &error) < 0)
        return command_error("bringup", &error);
    status = campaign_open(&campaign, &parsed.common, argc, argv, &error);
    if (status == STATUS_INTACT) {
        bringup_plan_probe(&campaign, &parsed.wishes);
        status = campaign_carry_out(&campaign, &parsed.common, plan_rest, &parsed, &error);
    }
    campaign_close(&campaign, &parsed.common);
    for (size_t i = 0; i < parsed.wishes.passed_on; i++)
        free((char *)parsed.wishes.word[i]);
    return status;
}
