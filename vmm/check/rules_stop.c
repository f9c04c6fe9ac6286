/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A stopped device is still, answers, and goes on with its work afterwards. */
#include <string.h>

#include "vmm/check/groups.h"
#include "vmm/check/stop_watch.h"
#include "vmm/check/traffic.h"
#include "vmm/check/workplace.h"

#define STOPS 6u

#define BASIS_STOP                                                                                                     \
    "linux/vfio.h, enum vfio_device_mig_state, RUNNING_P2P -> STOP: while in STOP the device must not "                \
    "generate interrupts, DMA, or any other change to external state, and must not change its internal "               \
    "state; PRE_COPY_P2P -> STOP_COPY: in STOP_COPY it has the same behavior as in STOP"
#define BASIS_RESPOND                                                                                                  \
    "linux/vfio.h, enum vfio_device_mig_state, RUNNING_P2P -> STOP: when stopped the device and the driver "           \
    "must accept and respond to interaction to support external subsystems, for example PCI MSI-X and PCI "            \
    "config space"
#define BASIS_GOES_ON                                                                                                  \
    "linux/vfio.h, enum vfio_device_mig_state, RUNNING_P2P -> STOP and -> RUNNING: in STOP the device must "           \
    "not change its internal state, and in RUNNING it is fully operational: what it had to do before, it "             \
    "does then"
#define BASIS_MOVED                                                                                                    \
    "linux/vfio.h, enum vfio_device_mig_state, PRE_COPY_P2P -> STOP_COPY: the end of the stream stands for "           \
    "the entire device state; RESUMING -> STOP: what was written is incorporated into the internal state of "          \
    "the device"

static const unsigned int stopped_states[] = {VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_STOP_COPY};
#define STOPPED_STATES (sizeof(stopped_states) / sizeof(stopped_states[0]))

/* Runs in a device that was stopped at work. Returns 0 with its findings in the result, or -1. */
typedef int (*stopped_step)(struct workplace *place, unsigned int state, struct check_result *result,
                            struct error *error);

/* Without an operation in flight a stop proves nothing. */
static bool stopped_idle(bool in_flight, unsigned int state, struct check_result *result)
{
    if (!in_flight)
        check_not_tried(result, "it had completed all of its operations each time when it came to %s",
                        migration_state_name(state));
    return !in_flight;
}

/* The step is taken at every stop, though it is the ones with operations in flight that count. */
static int stop_in(struct workplace *place, unsigned int state, stopped_step step, struct check_result *result,
                   struct error *error)
{
    bool in_flight = false;

    for (unsigned int i = 0; i < WORKPLACE_STOPS_MAX && !in_flight; i++) {
        if (i > 0 && check_time_up(place->context))
            break;
        if (i > 0 && workplace_go_on(place, error) < 0)
            return -1;
        if (workplace_stop_once(place, state, &in_flight, error) < 0 || step(place, state, result, error) < 0)
            return -1;
        if (result->outcome != CHECK_OK)
            return 0;
    }
    (void)stopped_idle(in_flight, state, result);
    return 0;
}

static int stop_and(struct check_context *context, stopped_step step, struct check_result *result, struct error *error)
{
    struct workplace place;
    int status = workplace_open(context, &place, error);

    for (size_t i = 0; i < STOPPED_STATES && status == 0 && result->outcome == CHECK_OK; i++) {
        if (i > 0)
            status = workplace_go_on(&place, error);
        if (status == 0)
            status = stop_in(&place, stopped_states[i], step, result, error);
    }
    workplace_close(&place);
    return status;
}

/* The work itself was wrong: that is the finding. Anything else keeps the rule from being carried out. */
static int judge_work(int status, struct check_result *result, const struct error *error)
{
    if (status == 0 || !error->rule[0])
        return status;
    check_broken(result, "%s (%s)", error->text, error->rule);
    return 0;
}

static int watch_memory(struct workplace *place, unsigned int state, struct check_result *result, struct error *error)
{
    struct stop_watch watch;

    check_expect(result, "in %s no byte of the memory that it can reach changes within %llu ms",
                 migration_state_name(state), (unsigned long long)(place->context->stop_hold_ns / 1000000));
    if (stop_watch_memory(&place->bench, place->context->stop_hold_ns, &watch, error) < 0)
        return -1;
    if (watch.bytes)
        check_broken(result, "%llu bytes changed, the first at IOVA 0x%llx from 0x%02x to 0x%02x",
                     (unsigned long long)watch.bytes, (unsigned long long)watch.iova, watch.expected, watch.seen);
    return 0;
}

static bool needs_dma(struct check_context *context, struct check_result *result)
{
    if (!context->traffic->kind->dma)
        check_not_applicable(result, "%s does no DMA", context->traffic->kind->name);
    return context->traffic->kind->dma;
}

static int run_no_dma(struct check_context *context, struct check_result *result, struct error *error)
{
    return needs_dma(context, result) ? stop_and(context, watch_memory, result, error) : 0;
}

/* What it does now runs into nothing, and it, or its work, complains afterwards. */
static int take_mappings(struct workplace *place, unsigned int state, struct check_result *result, struct error *error)
{
    check_expect(result, "in %s it does without all of its mappings for %llu ms, and goes on with its work afterwards",
                 migration_state_name(state), (unsigned long long)(place->context->stop_hold_ns / 1000000));
    if (bench_unmap(&place->bench, error) < 0)
        return -1;
    stop_watch_hold(place->context->stop_hold_ns);
    if (bench_map(&place->bench, error) < 0)
        return -1;
    return judge_work(workplace_go_on(place, error), result, error);
}

static int run_no_dma_unmapped(struct check_context *context, struct check_result *result, struct error *error)
{
    return needs_dma(context, result) ? stop_and(context, take_mappings, result, error) : 0;
}

/* A server's interrupts are there before its answer. An interrupt of a host's may be on its way to another CPU. */
#define INTERRUPT_ON_ITS_WAY_NS 1000000u

static int watch_interrupts(struct workplace *place, unsigned int state, struct check_result *result,
                            struct error *error)
{
    uint64_t before, after;

    (void)error;
    check_expect(result, "in %s no interrupt comes within %llu ms", migration_state_name(state),
                 (unsigned long long)(place->context->stop_hold_ns / 1000000));
    if (!check_is_served(place->context))
        stop_watch_hold(INTERRUPT_ON_ITS_WAY_NS);
    before = bench_count_all_interrupts(&place->bench);
    stop_watch_hold(place->context->stop_hold_ns);
    after = bench_count_all_interrupts(&place->bench);
    if (after != before)
        check_broken(result, "%llu came", (unsigned long long)(after - before));
    return 0;
}

static int run_no_interrupt(struct check_context *context, struct check_result *result, struct error *error)
{
    return stop_and(context, watch_interrupts, result, error);
}

/* Bits of the status register tell of what the device did, and may change. */
static void compare_config(struct bench *bench, const uint8_t *seen, unsigned int state, struct check_result *result)
{
    check_expect(result, "in %s its configuration space reads as it did in RUNNING", migration_state_name(state));
    for (unsigned int i = 0; i < PCI_STD_HEADER_SIZEOF; i++) {
        if (i == PCI_STATUS || i == PCI_STATUS + 1 || seen[i] == bench->config[i])
            continue;
        check_broken(result, "the byte at 0x%02x, which was 0x%02x, is 0x%02x", i, bench->config[i], seen[i]);
        return;
    }
}

/* The interrupt line is a byte that software keeps for itself: PCI Local Bus 3.0, section 6.2.4. */
static int keep_a_byte(struct bench *bench, unsigned int state, struct check_result *result, struct error *error)
{
    uint8_t old = bench->config[PCI_INTERRUPT_LINE], written = old ^ 0x5a, seen;

    check_expect(result, "in %s the interrupt line of configuration space keeps what is written",
                 migration_state_name(state));
    if (bench_config_write(bench, PCI_INTERRUPT_LINE, &written, 1, error) < 0 ||
        bench_config_read(bench, PCI_INTERRUPT_LINE, &seen, 1, error) < 0 ||
        bench_config_write(bench, PCI_INTERRUPT_LINE, &old, 1, error) < 0)
        return -1;
    if (seen != written)
        check_broken(result, "0x%02x was written and 0x%02x is read", written, seen);
    return 0;
}

static int read_msix(struct bench *bench, struct error *error)
{
    unsigned int msix = bench_find_capability(bench, PCI_CAP_ID_MSIX);
    static const unsigned int places[] = {PCI_MSIX_TABLE, PCI_MSIX_PBA};

    for (unsigned int i = 0; i < 2 && msix; i++) {
        uint32_t place, entry;

        memcpy(&place, bench->config + msix + places[i], sizeof(place));
        if (bench->device->ops->region_read(bench->device, VFIO_PCI_BAR0_REGION_INDEX + (place & PCI_MSIX_TABLE_BIR),
                                            place & PCI_MSIX_TABLE_OFFSET, &entry, sizeof(entry), error) < 0)
            return -1;
    }
    return 0;
}

static int ask_config(struct workplace *place, unsigned int state, struct check_result *result, struct error *error)
{
    uint8_t seen[BENCH_CONFIG_SIZE];
    struct error refusal = ERROR_INIT;

    check_expect(result, "in %s its configuration space and its MSI-X table answer", migration_state_name(state));
    if (bench_config_read_all(&place->bench, seen, &refusal) < 0 || read_msix(&place->bench, &refusal) < 0) {
        check_broken(result, "%s", refusal.text);
        return 0;
    }
    compare_config(&place->bench, seen, state, result);
    if (result->outcome == CHECK_OK && keep_a_byte(&place->bench, state, result, &refusal) < 0)
        check_broken(result, "%s", refusal.text);
    (void)error;
    return 0;
}

static int run_config_answers(struct check_context *context, struct check_result *result, struct error *error)
{
    return stop_and(context, ask_config, result, error);
}

static int bind_again(struct workplace *place, unsigned int state, struct check_result *result, struct error *error)
{
    struct error refusal = ERROR_INIT;

    (void)error;
    check_expect(result, "in %s its interrupts can be taken away and set up again", migration_state_name(state));
    if (bench_unbind_interrupts(&place->bench, &refusal) < 0 || bench_bind_interrupts(&place->bench, &refusal) < 0)
        check_broken(result, "%s", refusal.text);
    return 0;
}

static int run_interrupts_set_up(struct check_context *context, struct check_result *result, struct error *error)
{
    return stop_and(context, bind_again, result, error);
}

/* One stop at work, what is done in it, and the work goes on. */
static int stop_once(struct workplace *place, unsigned int state, bool move, struct check_result *result,
                     struct error *error)
{
    bool in_flight = true;

    check_expect(result,
                 "after %s the operations that were in flight complete, with their data and an interrupt, and "
                 "so do more of them",
                 move ? "a save, a reset and a load" : migration_state_name(state));
    /* It may have been stopped a few times until it was stopped at work. */
    if (workplace_stop(place, state, &in_flight, error) < 0)
        return judge_work(-1, result, error);
    if (stopped_idle(in_flight, state, result))
        return 0;
    if (move && workplace_move(place, error) < 0)
        return -1;
    return judge_work(workplace_go_on(place, error), result, error);
}

static int stop_often(struct check_context *context, bool move, unsigned int stops, struct check_result *result,
                      struct error *error)
{
    struct workplace place;
    unsigned int done = 0;
    int status = workplace_open(context, &place, error);

    for (; done < stops && status == 0 && result->outcome == CHECK_OK && !check_time_up(context); done++) {
        unsigned int state = move ? VFIO_DEVICE_STATE_STOP_COPY : stopped_states[check_random(context, STOPPED_STATES)];

        status = stop_once(&place, state, move, result, error);
    }
    workplace_close(&place);
    check_tried(result, done, stops);
    return status;
}

static int run_work_goes_on(struct check_context *context, struct check_result *result, struct error *error)
{
    return stop_often(context, false, STOPS, result, error);
}

static int run_work_moves(struct check_context *context, struct check_result *result, struct error *error)
{
    return stop_often(context, true, STOPS / 2, result, error);
}

/* What is saved of a device that was stopped at work, twice, with nothing between: its internal state is the same. */
static int save_twice(struct workplace *place, unsigned int state, struct check_result *result, struct error *error)
{
    struct check_context *context = place->context;
    struct buffer one = BUFFER_INIT, other = BUFFER_INIT;
    int status = 0;

    (void)state;
    if (check_save(context, NULL, &one, error) < 0 || check_save(context, NULL, &other, error) < 0)
        status = -1;
    check_expect(result, "stopped at work, it is saved twice, and the two are equal: %zu bytes", one.size);
    if (status == 0 && (one.size != other.size || memcmp(one.data, other.data, one.size) != 0))
        check_broken(result, "they differ%s", one.size == other.size ? "" : ", in size as well");
    buffer_free(&one);
    buffer_free(&other);
    return status;
}

static int run_state_holds(struct check_context *context, struct check_result *result, struct error *error)
{
    struct workplace place;
    int status = workplace_open(context, &place, error);

    if (status == 0)
        status = stop_in(&place, VFIO_DEVICE_STATE_STOP, save_twice, result, error);
    workplace_close(&place);
    return status;
}

/* Interrupts with nothing to be done, over stops and moves at work. */
static int run_no_extra_interrupt(struct check_context *context, struct check_result *result, struct error *error)
{
    struct workplace place;
    int status = workplace_open(context, &place, error);

    if (status == 0 && place.bench.irq_index == VFIO_PCI_INTX_IRQ_INDEX)
        check_not_applicable(result, "its interrupt is by level, which may be raised again as often as it is unmasked");
    for (unsigned int i = 0; i < STOPS && status == 0 && result->outcome == CHECK_OK; i++) {
        uint64_t before = place.work->spurious;
        bool move = i % 2, in_flight;

        status = workplace_stop(&place, VFIO_DEVICE_STATE_STOP_COPY, &in_flight, error);
        if (status == 0 && move)
            status = workplace_move(&place, error);
        if (status == 0)
            status = workplace_go_on(&place, error);
        check_expect(result, "each interrupt after %s announces something", move ? "a load" : "a stop");
        if (status == 0 && place.work->spurious != before)
            check_broken(result, "%llu came with nothing to be done",
                         (unsigned long long)(place.work->spurious - before));
    }
    workplace_close(&place);
    return status;
}

static const struct check_rule rules[] = {
    {
        .name = "stop/no-dma",
        .level = CHECK_MUST,
        .basis = BASIS_STOP,
        .causes = "the transition returns before the operations in flight are drained or frozen; an engine that is not "
                  "behind the switch that stops the others; a cache that is written back later",
        .field = "caches written back after the state was saved",
        .cost = "2 stops, each for the time of --stop-hold",
        .needs = CHECK_NEEDS_MIGRATION | CHECK_NEEDS_TRAFFIC,
        .run = run_no_dma,
    },
    {
        .name = "stop/no-dma-unmapped",
        .level = CHECK_MUST,
        .basis = BASIS_STOP,
        .causes = "as for stop/no-dma; also reads of descriptors ahead of time, which painted memory does not show",
        .cost = "2 stops, each for the time of --stop-hold; a device that breaks the rule has an IOMMU fault logged",
        .needs = CHECK_NEEDS_MIGRATION | CHECK_NEEDS_TRAFFIC,
        .run = run_no_dma_unmapped,
    },
    {
        .name = "stop/no-interrupt",
        .level = CHECK_MUST,
        .basis = BASIS_STOP,
        .causes = "an interrupt that is moderated or queued, and sent when its time has come; the transition returns "
                  "before the last one is flushed",
        .cost = "2 stops, each for the time of --stop-hold",
        .needs = CHECK_NEEDS_MIGRATION | CHECK_NEEDS_TRAFFIC,
        .run = run_no_interrupt,
    },
    {
        .name = "stop/config-answers",
        .level = CHECK_MUST,
        .basis = BASIS_RESPOND,
        .causes =
            "the function is powered down or its BARs are disabled to stop it, and that can be seen; accesses are "
            "refused in all but the running states",
        .cost = "2 stops",
        .needs = CHECK_NEEDS_MIGRATION | CHECK_NEEDS_TRAFFIC,
        .run = run_config_answers,
    },
    {
        .name = "stop/interrupts-can-be-set-up",
        .level = CHECK_MUST,
        .basis = BASIS_RESPOND,
        .causes =
            "a server refuses DEVICE_SET_IRQS while it is stopped, so that a destination cannot set its interrupts "
            "up before it runs",
        .cost = "2 stops",
        .needs = CHECK_NEEDS_MIGRATION | CHECK_NEEDS_TRAFFIC,
        .run = run_interrupts_set_up,
    },
    {
        .name = "stop/work-goes-on",
        .level = CHECK_MUST,
        .basis = BASIS_GOES_ON,
        .causes = "queues are not looked at again when the device runs again; an interrupt that fell into the stop is "
                  "lost or sent twice; operations in flight are dropped instead of frozen",
        .field = "event queues that were not re-doorbelled, requests stuck after a resume",
        .cost = "6 stops",
        .needs = CHECK_NEEDS_MIGRATION | CHECK_NEEDS_TRAFFIC,
        .run = run_work_goes_on,
    },
    {
        .name = "stop/work-goes-on-after-load",
        .level = CHECK_MUST,
        .basis = BASIS_MOVED,
        .causes =
            "something of a queue is not in the stream: addresses, indexes, operations in flight, interrupts that "
            "are pending or masked; or it is, and is not put to use before the device runs",
        .field = "completions lost after a load, wrong DMA addresses in the stream, pending INTx left out",
        .hazard = CHECK_HAZARD_RESET,
        .cost = "3 saves, resets and loads",
        .needs = CHECK_NEEDS_MIGRATION | CHECK_NEEDS_RESET | CHECK_NEEDS_TRAFFIC,
        .run = run_work_moves,
    },
    {
        .name = "stop/state-holds",
        .level = CHECK_OBSERVED,
        .must_if = CHECK_DECLARES_REPEATABLE,
        .basis = BASIS_STOP ". The uAPI leaves the form of the stream to the device, so that a difference alone breaks "
                            "no rule",
        .causes = "an engine that works on while the device is stopped; a time or uninitialised memory in the stream",
        .field = "a cache that was written back after the state was saved",
        .cost = "a stop at work, 2 saves",
        .needs = CHECK_NEEDS_MIGRATION | CHECK_NEEDS_TRAFFIC,
        .run = run_state_holds,
    },
    {
        .name = "stop/no-extra-interrupt",
        .level = CHECK_SHOULD,
        .basis = BASIS_MOVED ". An interrupt that was delivered before is no longer pending; drivers bear one too "
                             "many, and none bears it gladly",
        .causes =
            "pending and delivered interrupts are not told apart in the stream, so that they are raised once more "
            "to be safe; a stop that keeps what it has sent",
        .field = "an interrupt in flight at the pause that was delivered twice",
        .hazard = CHECK_HAZARD_RESET,
        .cost = "6 stops, 3 of them with a save, a reset and a load",
        .needs = CHECK_NEEDS_MIGRATION | CHECK_NEEDS_RESET | CHECK_NEEDS_TRAFFIC,
        .run = run_no_extra_interrupt,
    },
};

const struct check_group check_stop_group = {rules, sizeof(rules) / sizeof(rules[0])};
