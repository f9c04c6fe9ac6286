/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Discovery: what a device says of itself by VFIO_DEVICE_FEATURE, and what it must refuse there. */
#include <errno.h>

#include "vmm/check/check_context.h"
#include "vmm/check/groups.h"
#include "vmm/vfio/fsm.h"
#include "vmm/vfio/migration.h"

#define GET VFIO_DEVICE_FEATURE_GET
#define SET VFIO_DEVICE_FEATURE_SET
#define PROBE VFIO_DEVICE_FEATURE_PROBE
#define MIGRATION VFIO_DEVICE_FEATURE_MIGRATION
#define MIG_DEVICE_STATE VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE

/* An index that no feature has. */
#define NO_FEATURE 0xfffeu

/* One VFIO_DEVICE_FEATURE. The payload asks for the state that the device has, in case it is taken. */
static int ask(struct check_context *context, uint32_t flags, size_t size, struct error *error)
{
    union {
        uint8_t room[64];
        struct vfio_device_feature_mig_state state;
    } payload = {.state = {.device_state = VFIO_DEVICE_STATE_RUNNING, .data_fd = -1}};

    return context->device->ops->feature(context->device, flags, &payload, size, error);
}

static void expect_refusal(struct check_context *context, struct check_result *result, uint32_t flags, size_t size,
                           const char *what)
{
    struct error error = ERROR_INIT;

    check_expect(result, "%s: refused with an errno", what);
    if (ask(context, flags, size, &error) == 0)
        check_broken(result, "it succeeded");
    else if (error.number == EPROTO)
        check_broken(result, "%s", error.text);
}

static void expect_success(struct check_context *context, struct check_result *result, uint32_t flags, size_t size,
                           const char *what)
{
    struct error error = ERROR_INIT;

    check_expect(result, "%s: success", what);
    if (ask(context, flags, size, &error) < 0)
        check_broken(result, "%s", error.text);
}

static int run_stop_copy_offered(struct check_context *context, struct check_result *result, struct error *error)
{
    struct vfio_device_feature_migration migration = {.flags = 0};
    struct error refusal = ERROR_INIT;

    (void)error;
    if (context->device->ops->feature(context->device, GET | MIGRATION, &migration, sizeof(migration), &refusal) < 0) {
        check_not_applicable(result, "it has no migration: %.300s", refusal.text);
        return 0;
    }
    check_expect(result, "VFIO_MIGRATION_STOP_COPY among the flags");
    if (!(migration.flags & VFIO_MIGRATION_STOP_COPY))
        check_broken(result, "flags 0x%llx", (unsigned long long)migration.flags);
    return 0;
}

static int run_flags_defined(struct check_context *context, struct check_result *result, struct error *error)
{
    (void)error;
    if (!context->flags) {
        check_not_applicable(result, "it has no migration");
        return 0;
    }
    check_expect(result, "flags that the uAPI defines: STOP_COPY, with P2P, with PRE_COPY, or with both");
    if (!fsm_flags_defined(context->flags))
        check_broken(result, "flags 0x%llx: what they mean is not defined, and nothing that rests on them is judged",
                     (unsigned long long)context->flags);
    return 0;
}

static int run_probe_supported(struct check_context *context, struct check_result *result, struct error *error)
{
    (void)error;
    expect_success(context, result, PROBE | MIGRATION, 8, "PROBE of MIGRATION");
    expect_success(context, result, PROBE | GET | MIGRATION, 8, "PROBE of MIGRATION with GET");
    expect_success(context, result, PROBE | MIG_DEVICE_STATE, 8, "PROBE of MIG_DEVICE_STATE");
    expect_success(context, result, PROBE | GET | MIG_DEVICE_STATE, 8, "PROBE of MIG_DEVICE_STATE with GET");
    expect_success(context, result, PROBE | SET | MIG_DEVICE_STATE, 8, "PROBE of MIG_DEVICE_STATE with SET");
    expect_success(context, result, PROBE | GET | SET | MIG_DEVICE_STATE, 8,
                   "PROBE of MIG_DEVICE_STATE with GET and SET");
    return 0;
}

static int run_probe_without_data(struct check_context *context, struct check_result *result, struct error *error)
{
    (void)error;
    expect_success(context, result, PROBE | GET | MIGRATION, 0, "PROBE of MIGRATION with GET, without data");
    expect_success(context, result, PROBE | SET | MIG_DEVICE_STATE, 0,
                   "PROBE of MIG_DEVICE_STATE with SET, without data");
    return 0;
}

static int run_probe_unsupported(struct check_context *context, struct check_result *result, struct error *error)
{
    (void)error;
    expect_refusal(context, result, PROBE | SET | MIGRATION, 8, "PROBE of MIGRATION with SET");
    expect_refusal(context, result, PROBE | NO_FEATURE, 8, "PROBE of a feature that does not exist");
    return 0;
}

static int run_unknown_feature(struct check_context *context, struct check_result *result, struct error *error)
{
    (void)error;
    expect_refusal(context, result, GET | NO_FEATURE, 64, "GET of a feature that does not exist");
    expect_refusal(context, result, SET | NO_FEATURE, 64, "SET of a feature that does not exist");
    return 0;
}

static int run_get_set_exclusive(struct check_context *context, struct check_result *result, struct error *error)
{
    (void)error;
    expect_refusal(context, result, GET | SET | MIG_DEVICE_STATE, 8, "GET and SET of MIG_DEVICE_STATE at once");
    expect_refusal(context, result, GET | SET | MIGRATION, 8, "GET and SET of MIGRATION at once");
    return 0;
}

static int run_no_method(struct check_context *context, struct check_result *result, struct error *error)
{
    (void)error;
    expect_refusal(context, result, MIGRATION, 8, "MIGRATION with neither GET nor SET nor PROBE");
    expect_refusal(context, result, MIG_DEVICE_STATE, 8, "MIG_DEVICE_STATE with neither GET nor SET nor PROBE");
    return 0;
}

static int run_set_of_flags(struct check_context *context, struct check_result *result, struct error *error)
{
    uint64_t flags;

    expect_refusal(context, result, SET | MIGRATION, 8, "SET of MIGRATION");
    if (migration_get_flags(context->device, &flags, error) < 0)
        return -1;
    check_expect(result, "the flags afterwards as before, 0x%llx", (unsigned long long)context->flags);
    if (flags != context->flags)
        check_broken(result, "0x%llx", (unsigned long long)flags);
    return 0;
}

static int run_unknown_flags(struct check_context *context, struct check_result *result, struct error *error)
{
    (void)error;
    expect_refusal(context, result, GET | MIGRATION | 1u << 20, 8, "GET of MIGRATION with bit 20 of the flags");
    expect_refusal(context, result, GET | MIGRATION | 1u << 31, 8, "GET of MIGRATION with bit 31 of the flags");
    return 0;
}

static int run_argsz(struct check_context *context, struct check_result *result, struct error *error)
{
    (void)error;
    expect_refusal(context, result, GET | MIGRATION, 0, "GET of MIGRATION with an argsz without room for data");
    expect_refusal(context, result, GET | MIGRATION, 4, "GET of MIGRATION with an argsz of 4 bytes of data");
    expect_refusal(context, result, GET | MIG_DEVICE_STATE, 0,
                   "GET of MIG_DEVICE_STATE with an argsz without room for data");
    expect_refusal(context, result, SET | MIG_DEVICE_STATE, 4,
                   "SET of MIG_DEVICE_STATE with an argsz of 4 bytes of data");
    return 0;
}

static int run_running_at_open(struct check_context *context, struct check_result *result, struct error *error)
{
    unsigned int state;

    if (check_reopen(context, error) < 0 || check_state(context, &state, error) < 0)
        return -1;
    check_expect(result, "RUNNING after it was opened");
    if (state != VFIO_DEVICE_STATE_RUNNING)
        check_broken(result, "%s (%u)", migration_state_name(state), state);
    return 0;
}

static int run_reset_declared(struct check_context *context, struct check_result *result, struct error *error)
{
    (void)error;
    if (!context->can_reset) {
        check_not_applicable(result, "it has no VFIO_DEVICE_RESET, or its hazard is not allowed");
        return 0;
    }
    check_expect(result, "VFIO_DEVICE_FLAGS_RESET in the flags of a device that has VFIO_DEVICE_RESET");
    if (context->reset_unsaid)
        check_broken(result, "the reset works, and the flag is not set");
    return 0;
}

#define FEATURE "linux/vfio.h, VFIO_DEVICE_FEATURE: "

static const struct check_rule rules[] = {
    {
        .name = "discovery/stop-copy-offered",
        .level = CHECK_MUST,
        .basis =
            "linux/vfio.h, VFIO_DEVICE_FEATURE_MIGRATION: where GET succeeds, at least VFIO_MIGRATION_STOP_COPY has "
            "to be set",
        .causes = "flags that are filled in only after the firmware was asked, and are asked for before",
        .cost = "1 query",
        .run = run_stop_copy_offered,
    },
    {
        .name = "discovery/flags-defined",
        .level = CHECK_OBSERVED,
        .basis = "linux/vfio.h, VFIO_DEVICE_FEATURE_MIGRATION: sets of flags other than STOP_COPY, with P2P, with "
                 "PRE_COPY, and with both, have a meaning that is left to the future",
        .causes = "a flag of a newer uAPI than this program knows",
        .cost = "none",
        .run = run_flags_defined,
    },
    {
        .name = "discovery/probe-supported",
        .level = CHECK_MUST,
        .basis = FEATURE "PROBE succeeds where the feature is supported with every method, GET or SET, that was named",
        .causes = "PROBE that is handled as if it were the method named with it",
        .cost = "6 queries",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_probe_supported,
    },
    {
        .name = "discovery/probe-without-data",
        .level = CHECK_MUST,
        .basis = FEATURE "PROBE does not need the data portion",
        .causes = "the length being checked before PROBE is looked at",
        .cost = "2 queries",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_probe_without_data,
    },
    {
        .name = "discovery/probe-unsupported-refused",
        .level = CHECK_MUST,
        .basis = FEATURE "PROBE tells by its success that a feature is there with the methods named, so it has to fail "
                         "where one is not",
        .causes = "PROBE that succeeds for every feature, or that does not look at the methods",
        .cost = "2 queries",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_probe_unsupported,
    },
    {
        .name = "discovery/unknown-feature-refused",
        .level = CHECK_MUST,
        .basis = FEATURE "0 stands for success; a feature that is not there cannot have succeeded",
        .causes = "a default branch that falls through to success",
        .cost = "2 queries",
        .run = run_unknown_feature,
    },
    {
        .name = "discovery/get-and-set-refused",
        .level = CHECK_MUST,
        .basis = FEATURE "GET and SET exclude each other, but for PROBE",
        .causes = "a test for one of the bits, with the other not looked at",
        .cost = "2 queries",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_get_set_exclusive,
    },
    {
        .name = "discovery/no-method-refused",
        .level = CHECK_SHOULD,
        .basis = FEATURE "a feature is got, set or probed; the kernel refuses a request for none of these",
        .causes = "a request without GET that is taken for SET",
        .cost = "2 queries",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_no_method,
    },
    {
        .name = "discovery/set-of-flags-refused",
        .level = CHECK_SHOULD,
        .basis = "linux/vfio.h, VFIO_DEVICE_FEATURE_MIGRATION: the flags are what the device supports; only GET is "
                 "described, and the kernel refuses SET",
        .causes = "methods that are not checked against the feature",
        .cost = "2 queries",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_set_of_flags,
    },
    {
        .name = "discovery/unknown-flags-refused",
        .level = CHECK_SHOULD,
        .basis = FEATURE "the flags have the feature's index, GET, SET and PROBE; the kernel refuses any other bit, so "
                         "that one can get a meaning later",
        .causes = "flags that are masked instead of checked",
        .cost = "2 queries",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_unknown_flags,
    },
    {
        .name = "discovery/argsz-too-small-refused",
        .level = CHECK_SHOULD,
        .basis = "linux/vfio.h, throughout: argsz is the room that the user gave; what does not fit there has to be "
                 "refused, as the kernel does with EINVAL",
        .causes =
            "an answer that is as long as the structure, whatever room there is: memory of the user is overwritten",
        .cost = "4 queries",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_argsz,
    },
    {
        .name = "discovery/running-at-open",
        .level = CHECK_SHOULD,
        .basis =
            "linux/vfio.h, VFIO_DEVICE_FEATURE_MIGRATION and enum vfio_device_mig_state: RUNNING is always there and "
            "is a device's ordinary operation; nothing but the user's requests and a reset changes the state",
        .causes = "the state of the user before that is kept when the device is closed",
        .field = "vfio-user servers that keep the migration state over connections",
        .cost = "the device is closed and opened again",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_running_at_open,
    },
    {
        .name = "discovery/reset-declared",
        .level = CHECK_SHOULD,
        .basis =
            "linux/vfio.h, VFIO_DEVICE_GET_INFO: VFIO_DEVICE_FLAGS_RESET says that the device supports reset. A VMM "
            "that goes by it cannot take a device out of ERROR, or out of a RESUMING that failed",
        .causes = "a driver of its own VFIO_DEVICE_RESET whose answer to GET_INFO was written before it",
        .hazard = CHECK_HAZARD_NONE,
        .cost = "none: a reset where the flag is missing, before the first rule, with the hazard that allows it",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_reset_declared,
    },
};

const struct check_group check_discovery_group = {rules, sizeof(rules) / sizeof(rules[0])};
