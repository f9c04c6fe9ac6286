/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PRE_COPY: its data, its end for the time being, its estimates, and the one session over the saving group. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/check/check_context.h"
#include "vmm/check/groups.h"
#include "vmm/vfio/migration.h"
#include "vmm/vfio/vfio_user.h"

#define PRE_COPY VFIO_DEVICE_STATE_PRE_COPY
#define PRE_COPY_P2P VFIO_DEVICE_STATE_PRE_COPY_P2P
#define STOP_COPY VFIO_DEVICE_STATE_STOP_COPY
#define RUNNING VFIO_DEVICE_STATE_RUNNING
#define PIECE 65536u
/* A device that changes its state faster than it is read has no end in PRE_COPY. */
#define BEGINNINGS 20u
#define PRE_COPY_BYTES_MAX ((size_t)32 << 20)

/* What the specification of vfio-user has no message for. */
static bool lacks_estimates(const struct check_context *context, struct check_result *result)
{
    const struct vfio_user_agreement *agreement = vfio_user_get_agreement(context->device);

    if (!agreement || agreement->stopcopy)
        return false;
    check_not_applicable(result, "vfio-user has neither PRECOPY_INFO nor an end for the time being, unless both ends "
                                 "have the capability \"stopcopy\"");
    return true;
}

static int get_info(struct check_context *context, struct vfio_precopy_info *info, struct error *error)
{
    *info = (struct vfio_precopy_info){.argsz = sizeof(*info)};
    if (!context->session)
        return error_set(error, 0, "there is no data transfer session");
    return context->device->ops->session_precopy_info(context->session, info, error);
}

/*
 * Reads in a state of PRE_COPY until there is nothing for now, or maximum bytes. *last is what the last read answered.
 */
static int read_some(struct check_context *context, size_t maximum, struct buffer *image, enum vfio_data_result *last,
                     struct error *error)
{
    size_t done = 0;
    size_t count;
    uint8_t *data;

    if (!context->session)
        return error_set(error, 0, "no data transfer session came with PRE_COPY");
    data = malloc(PIECE);
    if (!data)
        return error_set(error, ENOMEM, "reading in PRE_COPY");
    do {
        size_t left = maximum - done;

        *last = context->device->ops->session_read(context->session, data, left < PIECE ? left : PIECE, &count, error);
        if (*last == VFIO_DATA_ERROR)
            break;
        buffer_put(image, data, count);
        done += count;
    } while (*last == VFIO_DATA_DATA && done < maximum && !check_time_up(context));
    free(data);
    if (image->failed)
        return error_set(error, ENOMEM, "holding a stream");
    return *last == VFIO_DATA_ERROR ? -1 : 0;
}

/* What to do on the way of a transfer: states in order, and how much is read in each of PRE_COPY's. */
struct way {
    const char *name;
    unsigned int count;
    struct {
        unsigned int state;
        size_t bytes;
    } step[5];
};

/* Goes the way, to the stream's end in STOP_COPY, and loads what came. */
static int transfer(struct check_context *context, const struct way *way, struct check_result *result,
                    struct error *error)
{
    struct buffer image = BUFFER_INIT;
    struct check_answer answer;
    struct check_load load;
    enum vfio_data_result last;
    int status = -1;

    if (check_settle(context, error) < 0)
        return -1;
    for (unsigned int i = 0; i < way->count; i++) {
        if (check_set(context, way->step[i].state, &answer, error) < 0)
            goto out;
        if (answer.number) {
            error_set(error, answer.number, "%s", answer.text);
            goto out;
        }
        check_expect(result, "%s: the session goes on, data_fd is -1, at %s", way->name,
                     migration_state_name(way->step[i].state));
        if (i && answer.session && way->step[i - 1].state != RUNNING)
            check_broken(result, "a new session");
        if (way->step[i].state == RUNNING)
            buffer_clear(&image);
        if (way->step[i].bytes && read_some(context, way->step[i].bytes, &image, &last, error) < 0)
            goto out;
    }
    if (check_read_image(context, NULL, &image, error) < 0)
        goto out;
    check_expect(result, "%s: what was read of the session, %zu bytes, can be loaded", way->name, image.size);
    if (check_settle(context, error) < 0 || check_load_image(context, image.data, image.size, NULL, &load, error) < 0)
        goto out;
    if (load.step != CHECK_LOAD_ACCEPTED)
        check_broken(result, "refused after %zu bytes, with errno %d (%s)", load.written, load.number,
                     strerror(load.number));
    status = 0;
out:
    buffer_free(&image);
    return status;
}

#define ALL PRE_COPY_BYTES_MAX

static int run_one_session(struct check_context *context, struct check_result *result, struct error *error)
{
    static const struct way plain = {"PRE_COPY, STOP_COPY", 2, {{PRE_COPY, ALL}, {STOP_COPY, 0}}};
    static const struct way p2p[] = {
        {"PRE_COPY, PRE_COPY_P2P, STOP_COPY", 3, {{PRE_COPY, ALL}, {PRE_COPY_P2P, ALL}, {STOP_COPY, 0}}},
        {"PRE_COPY, PRE_COPY_P2P, PRE_COPY, STOP_COPY",
         4,
         {{PRE_COPY, 100}, {PRE_COPY_P2P, 100}, {PRE_COPY, ALL}, {STOP_COPY, 0}}},
    };

    if (transfer(context, &plain, result, error) < 0)
        return -1;
    for (size_t i = 0; context->flags & VFIO_MIGRATION_P2P && i < sizeof(p2p) / sizeof(p2p[0]); i++)
        if (transfer(context, &p2p[i], result, error) < 0)
            return -1;
    return 0;
}

static int run_left_early(struct check_context *context, struct check_result *result, struct error *error)
{
    static const struct way ways[] = {
        {"PRE_COPY without a read, STOP_COPY", 2, {{PRE_COPY, 0}, {STOP_COPY, 0}}},
        {"PRE_COPY with a byte read, STOP_COPY", 2, {{PRE_COPY, 1}, {STOP_COPY, 0}}},
        {"PRE_COPY with 5000 bytes read, STOP_COPY", 2, {{PRE_COPY, 5000}, {STOP_COPY, 0}}},
    };

    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        if (transfer(context, &ways[i], result, error) < 0)
            return -1;
    return 0;
}

/* On a device that has not been saved since it was reset: PRE_COPY and back, and all of it once more. */
static int cancel_and_begin(struct check_context *context, struct check_result *result, struct error *error)
{
    static const unsigned int next[] = {PRE_COPY, STOP_COPY};
    struct check_answer answer;

    if (context->can_reset && check_reset(context, error) < 0)
        return -1;
    for (size_t i = 0; i < sizeof(next) / sizeof(next[0]); i++) {
        if (check_settle(context, error) < 0 || check_go(context, PRE_COPY, error) < 0 ||
            check_go(context, RUNNING, error) < 0)
            return -1;
        check_expect(result, "after PRE_COPY was cancelled, by RUNNING, the device goes to %s",
                     migration_state_name(next[i]));
        if (check_set(context, next[i], &answer, error) < 0)
            return -1;
        if (answer.number)
            check_broken(result, "%s", answer.text);
        if (answer.number)
            return 0;
    }
    return 0;
}

static int run_cancelled(struct check_context *context, struct check_result *result, struct error *error)
{
    static const struct way ways[] = {
        {"PRE_COPY, back to RUNNING, PRE_COPY, STOP_COPY",
         4,
         {{PRE_COPY, ALL}, {RUNNING, 0}, {PRE_COPY, ALL}, {STOP_COPY, 0}}},
        {"PRE_COPY with 100 bytes read, back to RUNNING, STOP_COPY",
         3,
         {{PRE_COPY, 100}, {RUNNING, 0}, {STOP_COPY, 0}}},
    };

    if (cancel_and_begin(context, result, error) < 0 || result->outcome != CHECK_OK)
        return result->outcome == CHECK_OK ? -1 : 0;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        if (transfer(context, &ways[i], result, error) < 0)
            return -1;
    return 0;
}

static int run_info_supported(struct check_context *context, struct check_result *result, struct error *error)
{
    static const unsigned int states[] = {PRE_COPY, PRE_COPY_P2P};
    struct vfio_precopy_info info;
    struct error refusal = ERROR_INIT;

    if (lacks_estimates(context, result))
        return 0;
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        if (states[i] == PRE_COPY_P2P && !(context->flags & VFIO_MIGRATION_P2P))
            continue;
        if (check_go(context, states[i], error) < 0)
            return -1;
        check_expect(result, "PRECOPY_INFO succeeds in %s", migration_state_name(states[i]));
        if (get_info(context, &info, &refusal) < 0)
            check_broken(result, "%s", refusal.text);
    }
    return 0;
}

static int run_info_outside(struct check_context *context, struct check_result *result, struct error *error)
{
    struct vfio_precopy_info info;
    struct error refusal = ERROR_INIT;

    if (lacks_estimates(context, result))
        return 0;
    if (check_go(context, PRE_COPY, error) < 0 || check_go(context, STOP_COPY, error) < 0)
        return -1;
    check_expect(result, "PRECOPY_INFO in STOP_COPY: refused with EINVAL");
    if (get_info(context, &info, &refusal) == 0)
        check_broken(result, "it succeeded");
    else if (refusal.number != EINVAL)
        check_broken(result, "errno %d (%s)", refusal.number, strerror(refusal.number));
    return 0;
}

static int run_initial_bytes(struct check_context *context, struct check_result *result, struct error *error)
{
    struct buffer image = BUFFER_INIT;
    struct vfio_precopy_info info;
    uint64_t at_first;
    enum vfio_data_result last = VFIO_DATA_DATA;
    int status = -1;

    if (lacks_estimates(context, result))
        return 0;
    if (check_go(context, PRE_COPY, error) < 0 || get_info(context, &info, error) < 0)
        return -1;
    at_first = info.initial_bytes;
    check_expect(result, "initial_bytes is not 0 as PRE_COPY begins");
    if (!at_first)
        check_broken(result, "0");
    check_note(result, "initial_bytes %llu, dirty_bytes %llu at first", (unsigned long long)info.initial_bytes,
               (unsigned long long)info.dirty_bytes);
    while (last == VFIO_DATA_DATA && info.initial_bytes && image.size < PRE_COPY_BYTES_MAX && !check_time_up(context))
        if (read_some(context, PIECE, &image, &last, error) < 0 || get_info(context, &info, error) < 0)
            goto out;
    check_expect(result, "initial_bytes, %" PRIu64 " at first, is less after %zu bytes were read", at_first,
                 image.size);
    if (at_first && image.size && info.initial_bytes >= at_first && !(info.flags & VFIO_PRECOPY_INFO_REINIT))
        check_broken(result, "%llu", (unsigned long long)info.initial_bytes);
    status = 0;
out:
    buffer_free(&image);
    return status;
}

static int run_dirty_bytes(struct check_context *context, struct check_result *result, struct error *error)
{
    struct vfio_precopy_info info = {.dirty_bytes = 0};
    uint64_t least = UINT64_MAX;

    if (lacks_estimates(context, result))
        return 0;
    /* A device that changes by itself may have done so before it is asked. */
    for (unsigned int i = 0; i < BEGINNINGS && least; i++) {
        if (check_settle(context, error) < 0 || check_go(context, PRE_COPY, error) < 0 ||
            get_info(context, &info, error) < 0)
            return -1;
        least = info.dirty_bytes < least ? info.dirty_bytes : least;
    }
    check_expect(result, "dirty_bytes is 0 as PRE_COPY begins, before any data was read, at least once of %u times",
                 BEGINNINGS);
    if (least)
        check_broken(result, "%" PRIu64 " and more", least);
    return 0;
}

/* To the end for the time being. A device that never comes there is one that changes its state all the time. */
static int reach_end(struct check_context *context, enum vfio_data_result *last, struct error *error)
{
    struct buffer image = BUFFER_INIT;
    int status;

    if (check_go(context, PRE_COPY, error) < 0)
        return -1;
    status = read_some(context, PRE_COPY_BYTES_MAX, &image, last, error);
    buffer_free(&image);
    return status;
}

static int run_temporary_end(struct check_context *context, struct check_result *result, struct error *error)
{
    enum vfio_data_result last;

    if (lacks_estimates(context, result))
        return 0;
    if (reach_end(context, &last, error) < 0)
        return -1;
    check_expect(result, "where there is nothing to read for now, read fails with ENOMSG");
    if (last == VFIO_DATA_DATA)
        check_not_tried(result, "there was always more to read, for %zu bytes", PRE_COPY_BYTES_MAX);
    else if (last == VFIO_DATA_END)
        check_broken(result, "read answers 0, which stands for the end of the stream");
    return 0;
}

static int run_nothing_left(struct check_context *context, struct check_result *result, struct error *error)
{
    struct buffer image = BUFFER_INIT;
    struct vfio_precopy_info info = {.argsz = 0};
    enum vfio_data_result last;
    int status = -1;

    if (lacks_estimates(context, result))
        return 0;
    if (reach_end(context, &last, error) < 0)
        return -1;
    /* Between the two calls the device may have changed something: then there is data again. */
    for (int i = 0; i < 3 && last != VFIO_DATA_DATA; i++) {
        if (get_info(context, &info, error) < 0)
            goto out;
        if (!info.initial_bytes && !info.dirty_bytes)
            break;
        if (read_some(context, PIECE, &image, &last, error) < 0)
            goto out;
        if (image.size)
            buffer_clear(&image);
    }
    check_expect(result, "initial_bytes and dirty_bytes are 0 at the end for the time being");
    if (last == VFIO_DATA_DATA)
        check_not_tried(result, "there was always more to read");
    else if (info.initial_bytes || info.dirty_bytes)
        check_broken(result, "initial_bytes %llu, dirty_bytes %llu", (unsigned long long)info.initial_bytes,
                     (unsigned long long)info.dirty_bytes);
    status = 0;
out:
    buffer_free(&image);
    return status;
}

#define ARCS "linux/vfio.h, enum vfio_device_mig_state: "
#define INFO "linux/vfio.h, VFIO_MIG_GET_PRECOPY_INFO: "
#define NEEDS (CHECK_NEEDS_MIGRATION | CHECK_NEEDS_PRE_COPY)

static const struct check_rule rules[] = {
    {
        .name = "precopy/one-session",
        .level = CHECK_MUST,
        .basis = ARCS "PRE_COPY, PRE_COPY_P2P and STOP_COPY share one session: moving between them changes what is "
                      "streamed, and neither ends the session nor touches its descriptor",
        .causes = "a transfer that is begun again, from its first byte, at STOP_COPY",
        .cost = "3 transfers",
        .needs = NEEDS,
        .run = run_one_session,
    },
    {
        .name = "precopy/left-early",
        .level = CHECK_MUST,
        .basis =
            INFO "it is recommended to leave PRE_COPY only when initial_bytes is 0; leaving it earlier may be slower, "
                 "and is allowed: the end of the stream still stands for the entire state",
        .causes = "data of PRE_COPY that was not read and is dropped at STOP_COPY",
        .cost = "3 transfers",
        .needs = NEEDS,
        .run = run_left_early,
    },
    {
        .name = "precopy/cancelled",
        .level = CHECK_MUST,
        .basis = ARCS "PRE_COPY to RUNNING ends the session; the next one has the entire state again",
        .causes = "a device that is not told that PRE_COPY was given up, and goes on where it was",
        .field = "firmware resources that leak when PRE_COPY is given up",
        .cost = "2 transfers",
        .needs = NEEDS,
        .run = run_cancelled,
    },
    {
        .name = "precopy/info-supported",
        .level = CHECK_MUST,
        .basis = INFO "a driver that offers VFIO_MIGRATION_PRE_COPY has to have it",
        .causes =
            "an ioctl of the data descriptor that was not written, or that knows PRE_COPY alone and not PRE_COPY_P2P",
        .cost = "2 queries",
        .needs = NEEDS,
        .run = run_info_supported,
    },
    {
        .name = "precopy/info-outside-refused",
        .level = CHECK_SHOULD,
        .basis = INFO "it is valid in the states of PRE_COPY alone; in others the driver should answer EINVAL",
        .causes = "an ioctl that does not look at the state",
        .cost = "1 query",
        .needs = NEEDS,
        .run = run_info_outside,
    },
    {
        .name = "precopy/initial-bytes",
        .level = CHECK_SHOULD,
        .basis = INFO "initial_bytes should not be 0 at first, and gets less as data is read",
        .causes = "an estimate that is made once",
        .field = "a state that grew after initial_bytes was reported",
        .cost = "the data of PRE_COPY, once",
        .needs = NEEDS,
        .run = run_initial_bytes,
    },
    {
        .name = "precopy/dirty-bytes",
        .level = CHECK_SHOULD,
        .basis = INFO
        "dirty_bytes is about changes to what was already read, and begins at 0; it may grow as the state is modified",
        .causes = "all that is dirty counted there, initial_bytes included",
        .field = "sizes of pre-copy that were counted twice",
        .cost = "at most 20 queries, each as PRE_COPY begins",
        .needs = NEEDS,
        .run = run_dirty_bytes,
    },
    {
        .name = "precopy/temporary-end",
        .level = CHECK_SHOULD,
        .basis = INFO "a read at the end for the time being should fail with ENOMSG, as 0 is the end of the stream",
        .causes = "the reading function of STOP_COPY used for PRE_COPY",
        .field = "drivers that answer 0: some in the kernel do",
        .cost = "the data of PRE_COPY, once",
        .needs = NEEDS,
        .run = run_temporary_end,
    },
    {
        .name = "precopy/nothing-left",
        .level = CHECK_SHOULD,
        .basis = INFO "the end for the time being is where initial_bytes and dirty_bytes are both 0",
        .causes = "estimates that are not of the data that can be read in PRE_COPY",
        .cost = "the data of PRE_COPY, once",
        .needs = NEEDS,
        .run = run_nothing_left,
    },
};

const struct check_group check_precopy_group = {rules, sizeof(rules) / sizeof(rules[0])};
