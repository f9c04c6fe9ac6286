/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Migration of a device that the guest left in an unusual condition: the state is the same, and so is what comes after. */
#include <string.h>

#include "vmm/check/groups.h"
#include "vmm/check/stop_watch.h"
#include "vmm/check/traffic.h"
#include "vmm/check/workplace.h"

#define NEEDS (CHECK_NEEDS_MIGRATION | CHECK_NEEDS_RESET | CHECK_NEEDS_TRAFFIC)
#define COST "a save, a reset and a load"
#define COMPLETE_MS 500
#define COMPLETE_STEP_NS 1000000u
#define TAKES_MAX 1000u
#define FLR_NS 100000000u /* PCI Express Base, section 6.6.2: time that a function has to complete its reset */

#define BASIS_ANY                                                                                                      \
    "linux/vfio.h, enum vfio_device_mig_state, PRE_COPY_P2P -> STOP_COPY: the end of the stream stands for "           \
    "the entire device state; RESUMING -> STOP: what was written is incorporated into the internal state of "          \
    "the device. No condition in which the guest may have left it is excepted"

/* Puts the guest's condition in place, before the move, and ends it afterwards, in RUNNING. */
struct condition {
    const char *what;
    int (*begin)(struct workplace *place, struct check_result *result, struct error *error);
    int (*end)(struct workplace *place, struct error *error);
    bool driver;  /* a driver is loaded while it is moved */
    bool at_work; /* and its operations are done, and not taken: no interrupt came */
};

/* The device works anew: another driver's start, which finds whatever the move has left. */
static int work_anew(struct workplace *place, struct error *error)
{
    work_close(place->work);
    place->work = NULL;
    memset(place->bench.interrupts, 0, sizeof(place->bench.interrupts));
    for (unsigned int i = 0; i < place->bench.range_count; i++)
        place->bench.range[i].used = 0;
    memset(place->bench.memory, 0, place->bench.memory_size);
    place->work = work_open(place->context->traffic->kind, &place->bench, place->context->seed, error);
    return place->work ? 0 : -1;
}

static int judge(int status, struct check_result *result, const struct error *error)
{
    if (status < 0)
        check_broken(result, "%s%s%s", error->text, error->rule[0] ? " " : "", error->rule);
    return 0;
}

/* What fails from here on fails because of the condition: without it workplace_move() was seen to work by another rule. */
static int move_in(struct workplace *place, const struct condition *condition, struct check_result *result)
{
    struct error error = ERROR_INIT;

    check_expect(result, "it is saved, reset and loaded %s", condition->what);
    if (workplace_move(place, &error) < 0)
        return judge(-1, result, &error);
    check_expect(result, "it works after it was saved, reset and loaded %s", condition->what);
    if (check_go(place->context, VFIO_DEVICE_STATE_RUNNING, &error) < 0 || condition->end(place, &error) < 0)
        return judge(-1, result, &error);
    return judge(condition->driver ? workplace_go_on(place, &error) : work_anew(place, &error), result, &error);
}

/* Until what was submitted is done, and announced by nothing but an interrupt that waits; or for as long as that may take. */
static void let_complete(struct workplace *place)
{
    struct deadline deadline = deadline_in_ms(COMPLETE_MS);

    while (work_in_flight(place->work) && !deadline_expired(deadline))
        stop_watch_hold(COMPLETE_STEP_NS);
}

/*
 * Until no interrupt is on its way: a server's are there before its answer, and each one that is taken may let another
 * one come.
 */
static int take_interrupts(struct workplace *place, struct error *error)
{
    uint64_t seen;
    unsigned int state, left = TAKES_MAX;

    do {
        seen = bench_count_all_interrupts(&place->bench);
        if (work_step(place->work, error) < 0 || check_state(place->context, &state, error) < 0)
            return -1;
    } while (bench_count_all_interrupts(&place->bench) != seen && --left);
    return 0;
}

static int try_condition(struct check_context *context, const struct condition *condition, struct check_result *result,
                         struct error *error)
{
    struct workplace place = {.context = context};
    int status;

    if (condition->driver) {
        status = workplace_open(context, &place, error);
        if (status == 0 && condition->at_work)
            status = take_interrupts(&place, error);
    } else {
        status = check_reset(context, error);
        if (status == 0)
            status = bench_open(&place.bench, context->device, error);
    }
    if (status == 0)
        status = condition->begin(&place, result, error);
    if (status == 0 && condition->at_work)
        status = work_submit(place.work, error);
    if (status == 0 && condition->at_work)
        let_complete(&place);
    if (status == 0 && result->outcome == CHECK_OK)
        status = move_in(&place, condition, result);
    if (place.bench.device)
        workplace_close(&place);
    return status;
}

static int nothing(struct workplace *place, struct check_result *result, struct error *error)
{
    (void)place, (void)result, (void)error;
    return 0;
}

static int nothing_to_end(struct workplace *place, struct error *error)
{
    (void)place, (void)error;
    return 0;
}

static int run_no_driver(struct check_context *context, struct check_result *result, struct error *error)
{
    static const struct condition condition = {
        .what = "before any driver was loaded", .begin = nothing, .end = nothing_to_end};

    return try_condition(context, &condition, result, error);
}

/* The bits stay off in what is restored after the load, too. */
static int switch_off(struct workplace *place, uint16_t bits, struct error *error)
{
    if (bench_set_command(&place->bench, bits, 0, error) < 0)
        return -1;
    return bench_config_read(&place->bench, PCI_COMMAND, place->bench.config + PCI_COMMAND, 2, error);
}

static int switch_on(struct workplace *place, struct error *error)
{
    if (bench_set_command(&place->bench, 0, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, error) < 0)
        return -1;
    return bench_config_read(&place->bench, PCI_COMMAND, place->bench.config + PCI_COMMAND, 2, error);
}

static int master_off(struct workplace *place, struct check_result *result, struct error *error)
{
    (void)result;
    return switch_off(place, PCI_COMMAND_MASTER, error);
}

static int run_bus_master_off(struct check_context *context, struct check_result *result, struct error *error)
{
    static const struct condition condition = {
        .what = "with bus mastering off", .begin = master_off, .end = switch_on, .driver = true};

    return try_condition(context, &condition, result, error);
}

static int decoding_off(struct workplace *place, struct check_result *result, struct error *error)
{
    (void)result;
    return switch_off(place, PCI_COMMAND_MEMORY | PCI_COMMAND_IO, error);
}

static int run_decoding_off(struct check_context *context, struct check_result *result, struct error *error)
{
    static const struct condition condition = {
        .what = "with its BARs not decoded", .begin = decoding_off, .end = switch_on, .driver = true};

    return try_condition(context, &condition, result, error);
}

static int set_power(struct workplace *place, uint16_t power, struct error *error)
{
    unsigned int at = bench_find_capability(&place->bench, PCI_CAP_ID_PM) + PCI_PM_CTRL;
    uint16_t control;

    if (bench_config_read(&place->bench, at, &control, sizeof(control), error) < 0)
        return -1;
    control = (uint16_t)((control & ~PCI_PM_CTRL_STATE_MASK) | power);
    return bench_config_write(&place->bench, at, &control, sizeof(control), error);
}

static int power_down(struct workplace *place, struct check_result *result, struct error *error)
{
    if (bench_find_capability(&place->bench, PCI_CAP_ID_PM))
        return set_power(place, 3, error);
    check_not_applicable(result, "it has no power management capability");
    return 0;
}

/* A function may lose all of its configuration on the way from D3hot. */
static int power_up(struct workplace *place, struct error *error)
{
    if (set_power(place, 0, error) < 0 || bench_restore_config(&place->bench, error) < 0)
        return -1;
    return bench_bind_interrupts(&place->bench, error);
}

static int run_d3hot(struct check_context *context, struct check_result *result, struct error *error)
{
    static const struct condition condition = {.what = "in D3hot", .begin = power_down, .end = power_up};

    return try_condition(context, &condition, result, error);
}

static int mask(struct workplace *place, struct check_result *result, struct error *error)
{
    if (place->bench.irq_maskable)
        return bench_mask_interrupts(&place->bench, true, error);
    check_not_applicable(result, "its interrupts cannot be masked (VFIO_IRQ_INFO_MASKABLE)");
    return 0;
}

static int unmask(struct workplace *place, struct error *error)
{
    return bench_mask_interrupts(&place->bench, false, error);
}

static int run_masked(struct check_context *context, struct check_result *result, struct error *error)
{
    static const struct condition condition = {.what = "with its interrupts masked and pending",
                                               .begin = mask,
                                               .end = unmask,
                                               .driver = true,
                                               .at_work = true};

    return try_condition(context, &condition, result, error);
}

/* What the guest's own reset does to the migration is that of VFIO_DEVICE_RESET. */
static int reset_by_guest(struct workplace *place, struct check_result *result, struct error *error)
{
    struct bench *bench = &place->bench;
    unsigned int express = bench_find_capability(bench, PCI_CAP_ID_EXP);
    uint32_t capabilities = 0;
    uint16_t control;
    unsigned int state;

    if (express)
        memcpy(&capabilities, bench->config + express + PCI_EXP_DEVCAP, sizeof(capabilities));
    if (!(capabilities & PCI_EXP_DEVCAP_FLR)) {
        check_not_applicable(result, "it has no function level reset");
        return 0;
    }
    memcpy(&control, bench->config + express + PCI_EXP_DEVCTL, sizeof(control));
    control |= PCI_EXP_DEVCTL_BCR_FLR;
    if (bench_config_write(bench, express + PCI_EXP_DEVCTL, &control, sizeof(control), error) < 0)
        return -1;
    stop_watch_hold(FLR_NS);
    check_expect(result, "a function level reset by the guest leaves it in RUNNING");
    if (check_state(place->context, &state, error) < 0)
        return -1;
    if (state != VFIO_DEVICE_STATE_RUNNING)
        check_broken(result, "it is in %s", migration_state_name(state));
    return 0;
}

static int run_after_flr(struct check_context *context, struct check_result *result, struct error *error)
{
    static const struct condition condition = {
        .what = "just after the guest's own function level reset", .begin = reset_by_guest, .end = nothing_to_end};

    return try_condition(context, &condition, result, error);
}

static const struct check_rule rules[] = {
    {
        .name = "guest/no-driver",
        .level = CHECK_MUST,
        .basis = BASIS_ANY,
        .causes = "queues that were never set up are taken for granted",
        .field = "null queues crashed the destination where the guest had no driver",
        .hazard = CHECK_HAZARD_RESET,
        .cost = COST,
        .needs = NEEDS,
        .run = run_no_driver,
    },
    {
        .name = "guest/bus-master-off",
        .level = CHECK_MUST,
        .basis = BASIS_ANY,
        .causes = "the state is moved by DMA of the function's own, which the guest has switched off",
        .hazard = CHECK_HAZARD_RESET,
        .cost = COST,
        .needs = NEEDS,
        .run = run_bus_master_off,
    },
    {
        .name = "guest/decoding-off",
        .level = CHECK_MUST,
        .basis = BASIS_ANY,
        .causes = "the driver reads or writes the BARs, which the guest has switched off, to save or to load",
        .hazard = CHECK_HAZARD_RESET,
        .cost = COST,
        .needs = NEEDS,
        .run = run_decoding_off,
    },
    {
        .name = "guest/d3hot",
        .level = CHECK_MUST,
        .basis = BASIS_ANY,
        .causes = "the driver does not wake the function that the guest has put to sleep",
        .hazard = CHECK_HAZARD_RESET,
        .cost = COST,
        .needs = NEEDS,
        .run = run_d3hot,
    },
    {
        .name = "guest/interrupts-masked",
        .level = CHECK_MUST,
        .basis = BASIS_ANY,
        .causes = "pending bits are not in the stream, or are not looked at when the vector is unmasked",
        .field = "INTx that was pending and masked left out of the state: masked for ever",
        .hazard = CHECK_HAZARD_RESET,
        .cost = COST,
        .needs = NEEDS,
        .run = run_masked,
    },
    {
        .name = "guest/after-reset",
        .level = CHECK_MUST,
        .basis = "linux/vfio.h, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE: the state changes by the user's SET and by "
                 "VFIO_DEVICE_RESET alone, so that a reset by the guest leaves RUNNING as it is; and " BASIS_ANY,
        .causes = "a reset through configuration space does not go the way of VFIO_DEVICE_RESET, and leaves the state "
                  "machine, or its session, behind",
        .field = "a reset that races with a transition",
        .hazard = CHECK_HAZARD_RESET,
        .cost = COST,
        .needs = NEEDS,
        .run = run_after_flr,
    },
};

const struct check_group check_guest_group = {rules, sizeof(rules) / sizeof(rules[0])};
