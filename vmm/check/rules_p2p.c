/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The P2P states: what reaches another device rests, and has arrived before the state is entered. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/check/groups.h"
#include "vmm/check/stop_watch.h"
#include "vmm/check/traffic.h"
#include "vmm/check/workplace.h"

#define PAINT_FIRST 0xc3
#define PAINT_SECOND 0x3c

/* Returns whether it is still as it was painted; else the finding, or why there is none. */
static bool is_painted(struct workplace *place, uint8_t paint, const char *when, struct check_result *result)
{
    const struct bench_range *peer = &place->bench.peer;
    uint64_t at = 0;

    while (at < peer->size && peer->host[at] == paint)
        at++;
    if (at == peer->size)
        return true;
    if (place->context->tells_peers)
        check_broken(result, "%s the byte at IOVA 0x%llx of it was changed", when,
                     (unsigned long long)(peer->iova + at));
    else
        check_not_tried(result,
                        "it goes on with DMA, as it may to all but another device, and this backend cannot tell "
                        "it what is one");
    return false;
}

/* In the P2P state, then stopped and read to the end, then back in RUNNING_P2P. */
static int watch_peer(struct workplace *place, unsigned int state, struct check_result *result, struct error *error)
{
    struct check_context *context = place->context;
    const struct bench_range *peer = &place->bench.peer;
    struct buffer image = BUFFER_INIT;
    int status = -1;

    memset(peer->host, PAINT_FIRST, peer->size);
    stop_watch_hold(context->stop_hold_ns / 2);
    check_expect(result, "from %s on, until it is RUNNING again, nothing is written to what stands for another device",
                 migration_state_name(state));
    if (!is_painted(place, PAINT_FIRST, "while it was there", result))
        return 0;
    if (check_go(context, VFIO_DEVICE_STATE_STOP_COPY, error) < 0 || check_read_image(context, NULL, &image, error) < 0)
        goto out;
    status = 0;
    if (!is_painted(place, PAINT_FIRST, "on the way to the end of its stream in STOP_COPY", result))
        goto out;
    check_close_session(context);
    memset(peer->host, PAINT_SECOND, peer->size);
    status = check_go(context, VFIO_DEVICE_STATE_RUNNING_P2P, error);
    if (status == 0) {
        stop_watch_hold(context->stop_hold_ns / 2);
        (void)is_painted(place, PAINT_SECOND, "in RUNNING_P2P, which it came to from STOP,", result);
    }
out:
    buffer_free(&image);
    return status;
}

/* *held: some of its work waits. */
static int quiesce_once(struct workplace *place, unsigned int state, bool *held, struct check_result *result,
                        struct error *error)
{
    const struct bench_range *peer = &place->bench.peer;
    uint8_t *kept;
    int status;

    if (workplace_stop_once(place, state, held, error) < 0)
        return -1;
    kept = malloc(peer->size);
    if (!kept)
        return error_set(error, ENOMEM, "a copy of %llu bytes", (unsigned long long)peer->size);
    memcpy(kept, peer->host, peer->size);
    status = watch_peer(place, state, result, error);
    *held = work_in_flight(place->work) > 0;
    memcpy(peer->host, kept, peer->size);
    free(kept);
    return status;
}

static int quiesce(struct workplace *place, unsigned int state, struct check_result *result, struct error *error)
{
    bool held = false;

    for (unsigned int i = 0; i < WORKPLACE_STOPS_MAX && !held && result->outcome == CHECK_OK; i++) {
        if (i > 0 && check_time_up(place->context))
            break;
        if (i > 0 && workplace_go_on(place, error) < 0)
            return -1;
        if (quiesce_once(place, state, &held, result, error) < 0)
            return -1;
    }
    if (!held)
        check_not_tried(result, "it had completed all of its operations each time when it came to %s",
                        migration_state_name(state));
    return 0;
}

static int run_quiesced(struct check_context *context, struct check_result *result, struct error *error)
{
    static const unsigned int states[] = {VFIO_DEVICE_STATE_RUNNING_P2P, VFIO_DEVICE_STATE_PRE_COPY_P2P};
    size_t count = context->flags & VFIO_MIGRATION_PRE_COPY ? 2 : 1;
    struct workplace place;
    int status;

    if (!context->traffic->kind->dma) {
        check_not_applicable(result, "%s does no DMA", context->traffic->kind->name);
        return 0;
    }
    status = workplace_open_with_peer(context, &place, error);
    for (size_t i = 0; i < count && status == 0 && result->outcome == CHECK_OK; i++) {
        if (i > 0)
            status = workplace_go_on(&place, error);
        if (status == 0)
            status = quiesce(&place, states[i], result, error);
    }
    workplace_close(&place);
    return status;
}

static const struct check_rule rules[] = {
    {
        .name = "p2p/quiesced",
        .level = CHECK_MUST,
        .basis =
            "linux/vfio.h, enum vfio_device_mig_state, the P2P quiescent state: RUNNING_P2P and PRE_COPY_P2P must "
            "prevent the device from initiating any new P2P DMA; where it cannot tell P2P DMA it must stop all DMA; "
            "outstanding operations must be complete before the arc into a P2P state is",
        .causes = "the P2P states do nothing, and the device rests in STOP alone, when the state of another device was "
                  "read already; writes that are posted are not flushed",
        .field = "pages of a peer that changed after its state was read",
        .cost = "1 or 2 saves, for the time of --stop-hold",
        .needs = CHECK_NEEDS_MIGRATION | CHECK_NEEDS_P2P | CHECK_NEEDS_TRAFFIC,
        .run = run_quiesced,
    },
};

const struct check_group check_p2p_group = {rules, sizeof(rules) / sizeof(rules[0])};
