/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stream of a stopped device: its end, its segmentation, its size, and who may read it when. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/check/check_context.h"
#include "vmm/check/groups.h"
#include "vmm/vfio/migration.h"
#include "vmm/vfio/vfio_user.h"

/* Reads and writes of a few bytes only at the beginning of a stream, so that a long one comes to its end. */
#define SMALL_STEPS 4096
#define READS_AFTER_END 3
/* An estimate more than this times the stream's length is nonsense. */
#define SIZE_FACTOR 16
#define SIZE_SLACK (1u << 20)

struct segmentation {
    const char *name;
    check_piece piece;
};

static size_t piece_large(struct check_context *context)
{
    (void)context;
    return SIZE_MAX;
}

static size_t few_steps(struct check_context *context, size_t size)
{
    return context->steps++ < SMALL_STEPS ? size : 65521;
}

static size_t piece_byte(struct check_context *context)
{
    return few_steps(context, 1);
}

static size_t piece_odd(struct check_context *context)
{
    return few_steps(context, 7);
}

static size_t piece_prime(struct check_context *context)
{
    return few_steps(context, 4093);
}

static size_t piece_random(struct check_context *context)
{
    return few_steps(context, 1 + (size_t)check_random(context, 512));
}

static const struct segmentation segmentations[] = {
    {"1 byte at a time", piece_byte},         {"7 bytes at a time", piece_odd}, {"4093 bytes at a time", piece_prime},
    {"pieces of random sizes", piece_random}, {"all at once", piece_large},
};

#define SEGMENTATIONS (sizeof(segmentations) / sizeof(segmentations[0]))

static size_t first_difference(const struct buffer *one, const struct buffer *other)
{
    size_t shorter = one->size < other->size ? one->size : other->size;
    size_t i = 0;

    while (i < shorter && one->data[i] == other->data[i])
        i++;
    return i;
}

static bool is_equal(const struct buffer *one, const struct buffer *other)
{
    return one->size == other->size && (!one->size || !memcmp(one->data, other->data, one->size));
}

static void describe_difference(struct check_result *result, const struct buffer *one, const struct buffer *other)
{
    check_broken(result, "%zu bytes instead of %zu, different from byte %zu on", other->size, one->size,
                 first_difference(one, other));
}

static int run_end(struct check_context *context, struct check_result *result, struct error *error)
{
    uint8_t data[64];
    struct buffer image = BUFFER_INIT;
    struct error refusal = ERROR_INIT;

    if (check_place(context, VFIO_DEVICE_STATE_STOP, error) < 0 ||
        check_go(context, VFIO_DEVICE_STATE_STOP_COPY, error) < 0)
        return -1;
    check_expect(result, "in STOP_COPY the stream comes to its end");
    if (check_read_image(context, NULL, &image, &refusal) < 0) {
        /* An end for the time being is the finding of another rule. */
        if (refusal.number == ENOMSG) {
            *error = refusal;
            buffer_free(&image);
            return -1;
        }
        check_broken(result, "%s", refusal.text);
    }
    check_expect(result, "every read after the end is at the end again");
    for (int i = 0; result->outcome == CHECK_OK && i < READS_AFTER_END; i++) {
        size_t count = 0;
        enum vfio_data_result got =
            context->device->ops->session_read(context->session, data, sizeof(data), &count, &refusal);

        if (got != VFIO_DATA_END || count)
            check_broken(result, "read %d after it: %s, %zu bytes", i + 1,
                         got == VFIO_DATA_ERROR   ? refusal.text
                         : got == VFIO_DATA_AGAIN ? "ENOMSG"
                                                  : "data",
                         count);
    }
    buffer_free(&image);
    return 0;
}

static int run_no_enomsg(struct check_context *context, struct check_result *result, struct error *error)
{
    struct buffer image = BUFFER_INIT;
    struct error refusal = ERROR_INIT;

    if (check_place(context, VFIO_DEVICE_STATE_STOP, error) < 0 ||
        check_go(context, VFIO_DEVICE_STATE_STOP_COPY, error) < 0)
        return -1;
    check_expect(result, "in STOP_COPY no read answers ENOMSG");
    if (check_read_image(context, NULL, &image, &refusal) < 0) {
        if (refusal.number == ENOMSG)
            check_broken(result, "ENOMSG %s", refusal.text);
        else
            *error = refusal;
    }
    buffer_free(&image);
    return result->outcome == CHECK_OK && refusal.text[0] ? -1 : 0;
}

/* Do two ordinary saves of the stopped device give the same? */
static int saves_repeat(struct check_context *context, bool *repeat, struct error *error)
{
    struct buffer one = BUFFER_INIT;
    struct buffer other = BUFFER_INIT;
    int failed = check_save(context, NULL, &one, error) < 0 || check_save(context, NULL, &other, error) < 0;

    *repeat = is_equal(&one, &other);
    buffer_free(&one);
    buffer_free(&other);
    return failed ? -1 : 0;
}

/* The device takes the stream. Returns 1, 0 where it is refused, -1. */
static int is_accepted(struct check_context *context, const struct buffer *image, check_piece piece,
                       struct check_load *load, struct error *error)
{
    if (check_settle(context, error) < 0 || check_load_image(context, image->data, image->size, piece, load, error) < 0)
        return -1;
    return load->step == CHECK_LOAD_ACCEPTED;
}

static void describe_refusal(struct check_result *result, const struct check_load *load, size_t size)
{
    check_broken(result, "refused %s after %zu of %zu bytes, with errno %d (%s)",
                 load->step == CHECK_LOAD_REFUSED_WRITE ? "by a write" : "by RESUMING to STOP", load->written, size,
                 load->number, load->number ? strerror(load->number) : "none");
}

static int try_reads(struct check_context *context, const struct segmentation *segmentation, bool repeat,
                     struct check_result *result, struct error *error)
{
    struct buffer image = BUFFER_INIT;
    struct buffer again = BUFFER_INIT;
    struct check_load load;
    int accepted = -1;

    context->steps = 0;
    if (check_settle(context, error) < 0 || check_save(context, NULL, &again, error) < 0 ||
        check_save(context, segmentation->piece, &image, error) < 0)
        goto out;
    check_expect(result, "read %s, the stream is the same as read by the megabyte", segmentation->name);
    if (repeat && !is_equal(&again, &image))
        describe_difference(result, &again, &image);
    accepted = is_accepted(context, &image, NULL, &load, error);
    check_expect(result, "read %s, the stream can be loaded", segmentation->name);
    if (accepted == 0)
        describe_refusal(result, &load, image.size);
out:
    buffer_free(&again);
    buffer_free(&image);
    return accepted < 0 ? -1 : 0;
}

static int run_read_segmentation(struct check_context *context, struct check_result *result, struct error *error)
{
    bool repeat;

    if (saves_repeat(context, &repeat, error) < 0)
        return -1;
    if (!repeat)
        check_note(result, "two saves of the stopped device differ, so that only the loading was judged");
    for (size_t i = 0; i < SEGMENTATIONS; i++)
        if (try_reads(context, &segmentations[i], repeat, result, error) < 0)
            return -1;
    return 0;
}

static int need_image(struct check_context *context, struct error *error)
{
    return context->image.size ? 0 : error_set(error, 0, "%s", context->no_image);
}

/* Loads by one megabyte and by the segmentation, and compares what is saved then. */
static int try_writes(struct check_context *context, const struct segmentation *segmentation, bool repeat,
                      const struct buffer *expected, struct check_result *result, struct error *error)
{
    struct buffer image = BUFFER_INIT;
    struct check_load load;
    int accepted;

    context->steps = 0;
    accepted = is_accepted(context, &context->image, segmentation->piece, &load, error);
    check_expect(result, "written %s, the stream is taken", segmentation->name);
    if (accepted == 0)
        describe_refusal(result, &load, context->image.size);
    check_expect(result, "written %s, the stream makes the same device as written by the megabyte", segmentation->name);
    if (accepted > 0 && repeat) {
        if (check_save(context, NULL, &image, error) < 0)
            accepted = -1;
        else if (!is_equal(expected, &image))
            describe_difference(result, expected, &image);
    }
    buffer_free(&image);
    return accepted < 0 ? -1 : 0;
}

static int run_write_segmentation(struct check_context *context, struct check_result *result, struct error *error)
{
    struct buffer expected = BUFFER_INIT;
    struct check_load load;
    bool repeat;
    int status = -1;

    if (need_image(context, error) < 0 || saves_repeat(context, &repeat, error) < 0)
        return -1;
    if (is_accepted(context, &context->image, NULL, &load, error) < 0)
        goto out;
    if (load.step == CHECK_LOAD_ACCEPTED && check_save(context, NULL, &expected, error) < 0)
        goto out;
    status = 0;
    for (size_t i = 0; status == 0 && i < SEGMENTATIONS; i++)
        status = try_writes(context, &segmentations[i], repeat && expected.size, &expected, result, error);
out:
    buffer_free(&expected);
    return status;
}

static int run_load(struct check_context *context, struct check_result *result, struct error *error)
{
    struct check_load load;

    if (need_image(context, error) < 0)
        return -1;
    check_expect(result, "the device's own stream is taken, write by write, and by RESUMING to STOP");
    for (int i = 0; i < 2; i++) {
        int accepted = is_accepted(context, &context->image, NULL, &load, error);

        if (accepted < 0)
            return -1;
        if (!accepted)
            describe_refusal(result, &load, context->image.size);
        if (load.step == CHECK_LOAD_ACCEPTED && check_go(context, VFIO_DEVICE_STATE_RUNNING, error) < 0)
            check_broken(result, "it does not run afterwards: %.300s", error->text);
    }
    return 0;
}

static int run_load_keeps_state(struct check_context *context, struct check_result *result, struct error *error)
{
    struct buffer image = BUFFER_INIT;
    struct check_load load;
    int accepted;

    if (need_image(context, error) < 0)
        return -1;
    accepted = is_accepted(context, &context->image, NULL, &load, error);
    if (accepted == 0)
        return error_set(error, 0, "its own stream is refused");
    if (accepted < 0 || check_save(context, NULL, &image, error) < 0) {
        buffer_free(&image);
        return -1;
    }
    check_expect(result, "what was loaded is saved again as it was");
    if (!is_equal(&context->image, &image))
        describe_difference(result, &context->image, &image);
    buffer_free(&image);
    return 0;
}

/* The session as the device still may hold it: of the kernel the old descriptor, of vfio-user one of no state. */
static struct vfio_data_session *take_old_session(struct check_context *context, bool saving)
{
    struct vfio_data_session *stray = vfio_user_stray_session(context->device, saving);

    if (stray) {
        check_close_session(context);
        context->session = stray;
    }
    return context->session;
}

static int try_old_session(struct check_context *context, unsigned int to, struct check_result *result,
                           struct error *error)
{
    uint8_t data[64];
    size_t count = 0;
    enum vfio_data_result got;

    if (check_settle(context, error) < 0 || check_place(context, VFIO_DEVICE_STATE_STOP, error) < 0 ||
        check_go(context, VFIO_DEVICE_STATE_STOP_COPY, error) < 0 || check_go(context, to, error) < 0)
        return -1;
    if (!take_old_session(context, true))
        return error_set(error, 0, "no data transfer session came with STOP_COPY");
    check_expect(result, "in %s the session of STOP_COPY gives no data", migration_state_name(to));
    got = context->device->ops->session_read(context->session, data, sizeof(data), &count, error);
    if (got == VFIO_DATA_DATA || (got == VFIO_DATA_END && count))
        check_broken(result, "%zu bytes", count);
    check_close_session(context);
    return 0;
}

static int run_old_session(struct check_context *context, struct check_result *result, struct error *error)
{
    if (try_old_session(context, VFIO_DEVICE_STATE_STOP, result, error) < 0)
        return -1;
    return try_old_session(context, VFIO_DEVICE_STATE_RUNNING, result, error);
}

static int run_old_resuming(struct check_context *context, struct check_result *result, struct error *error)
{
    struct check_load load;

    if (need_image(context, error) < 0)
        return -1;
    if (check_load_image(context, context->image.data, context->image.size, NULL, &load, error) < 0)
        return -1;
    if (load.step != CHECK_LOAD_ACCEPTED)
        return error_set(error, 0, "its own stream is refused");
    if (!take_old_session(context, false))
        return error_set(error, 0, "no data transfer session came with RESUMING");
    check_expect(result, "in STOP the session of RESUMING takes no data");
    if (context->device->ops->session_write(context->session, context->image.data, context->image.size, error) > 0)
        check_broken(result, "it took some");
    check_close_session(context);
    return 0;
}

static int run_saves_equal(struct check_context *context, struct check_result *result, struct error *error)
{
    struct buffer one = BUFFER_INIT;
    struct buffer other = BUFFER_INIT;
    int status = -1;

    if (check_save(context, NULL, &one, error) < 0 || check_save(context, NULL, &other, error) < 0)
        goto out;
    check_expect(result, "two saves of the stopped device are equal");
    if (!is_equal(&one, &other))
        describe_difference(result, &one, &other);
    check_note(result, "the stream has %zu bytes", one.size);
    status = 0;
out:
    buffer_free(&one);
    buffer_free(&other);
    return status;
}

static void judge_size(const struct check_context *context, uint64_t estimate, uint64_t length,
                       struct check_result *result)
{
    if (context->declares & CHECK_DECLARES_EXACT_SIZE) {
        check_expect(result, "MIG_DATA_SIZE of the stopped device is the stream's length, %" PRIu64, length);
        if (estimate != length)
            check_broken(result, "%" PRIu64, estimate);
        return;
    }
    check_expect(result, "MIG_DATA_SIZE of the stopped device is near the stream's length, %" PRIu64, length);
    if ((!estimate && length) || estimate / SIZE_FACTOR > length + SIZE_SLACK)
        check_broken(result, "%" PRIu64, estimate);
    else if (estimate != length)
        check_note(result, "MIG_DATA_SIZE %" PRIu64 ", the stream has %" PRIu64 " bytes", estimate, length);
}

static int run_size(struct check_context *context, struct check_result *result, struct error *error)
{
    struct buffer image = BUFFER_INIT;
    struct error refusal = ERROR_INIT;
    uint64_t estimate;
    int status = -1;

    if (check_place(context, VFIO_DEVICE_STATE_STOP, error) < 0)
        return -1;
    if (migration_get_data_size(context->device, &estimate, &refusal) < 0) {
        if (refusal.number == ENOTTY) {
            check_not_applicable(result, "it has no MIG_DATA_SIZE");
            return 0;
        }
        check_expect(result, "MIG_DATA_SIZE of the stopped device");
        check_broken(result, "%s", refusal.text);
        return 0;
    }
    if (check_save(context, NULL, &image, error) == 0) {
        judge_size(context, estimate, image.size, result);
        status = 0;
    }
    buffer_free(&image);
    return status;
}

#define ARCS "linux/vfio.h, enum vfio_device_mig_state: "
#define STATE "linux/vfio.h, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE: "
#define PRECOPY "linux/vfio.h, VFIO_MIG_GET_PRECOPY_INFO: "

static const struct check_rule rules[] = {
    {
        .name = "data/end-of-stream",
        .level = CHECK_MUST,
        .basis = PRECOPY "in STOP_COPY the stream has a permanent end: every read there answers 0",
        .causes = "a read pointer that is set back at the end, or a read past the end that is an error",
        .cost = "1 save",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_end,
    },
    {
        .name = "data/no-enomsg-in-stop-copy",
        .level = CHECK_MUST,
        .basis = PRECOPY "ENOMSG is the end for the time being of PRE_COPY and may not be returned in STOP_COPY",
        .causes = "the same reading function for PRE_COPY and STOP_COPY, which does not look at the state",
        .cost = "1 save",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_no_enomsg,
    },
    {
        .name = "data/load",
        .level = CHECK_MUST,
        .basis =
            ARCS "RESUMING takes the stream of a single session of saving from a compatible device, and none is more "
                 "compatible than itself; and it can be done again",
        .causes = "a check of the stream against what the device happens to be, instead of what it can be",
        .field = "devices that migrate once, and not there and back",
        .cost = "2 loads",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_load,
    },
    {
        .name = "data/load-keeps-state",
        .level = CHECK_OBSERVED,
        .must_if = CHECK_DECLARES_REPEATABLE,
        .basis = ARCS "the stream is the entire state of the device, and a stopped one does not change it: what was "
                      "loaded can be saved again as it was. The uAPI leaves the form of the stream to the device",
        .causes = "state that is loaded wrong, or is no part of the stream; a time or a counter in the stream",
        .cost = "1 load, 1 save",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_load_keeps_state,
    },
    {
        .name = "data/read-segmentation",
        .level = CHECK_MUST,
        .basis =
            STATE "the stream is an opaque sequence of bytes in their order; how many are read at a time is no part "
                  "of it",
        .causes = "a read that gives whole records only and drops what did not fit; a short read taken for the end",
        .field = "clients and servers that take a short read for the end",
        .cost = "5 saves and 5 loads, two of them in up to 4096 small pieces",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_read_segmentation,
    },
    {
        .name = "data/write-segmentation",
        .level = CHECK_MUST,
        .basis = STATE "the user need not keep the segmentation of the reads when it writes the stream in RESUMING",
        .causes = "a header that is parsed out of one write; a write that fails, instead of taking a part",
        .cost = "6 loads and as many saves",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_write_segmentation,
    },
    {
        .name = "data/no-data-after-stop-copy",
        .level = CHECK_MUST,
        .basis = ARCS "STOP_COPY to STOP ends the data transfer session",
        .causes = "a descriptor that keeps its data, or a server that does not look at the state when it is read from",
        .field = "data descriptors that dangle after a transition",
        .cost = "2 short saves",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_old_session,
    },
    {
        .name = "data/no-data-after-resuming",
        .level = CHECK_MUST,
        .basis = ARCS "leaving RESUMING ends the data transfer session",
        .causes = "a server that does not look at the state when it is written to",
        .cost = "1 load",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_old_resuming,
    },
    {
        .name = "data/saves-equal",
        .level = CHECK_OBSERVED,
        .must_if = CHECK_DECLARES_REPEATABLE,
        .basis =
            ARCS "in STOP the device does not change its internal state. The uAPI leaves the form of the stream to "
                 "the device, so that a difference alone breaks no rule",
        .causes = "a device that works on while it is stopped; a time or uninitialised memory in the stream",
        .field = "firmware that writes its cache back after the state was saved",
        .cost = "2 saves",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_saves_equal,
    },
    {
        .name = "data/size",
        .level = CHECK_OBSERVED,
        .must_if = CHECK_DECLARES_EXACT_SIZE,
        .basis =
            "linux/vfio.h, VFIO_DEVICE_FEATURE_MIG_DATA_SIZE: an estimate of the data of STOP_COPY. How near it has "
            "to be is not said",
        .causes = "the size of a buffer in place of what is in it; a size that was asked for only once",
        .field = "size queries that answer nonsense",
        .cost = "1 save",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_size,
    },
};

const struct check_group check_data_group = {rules, sizeof(rules) / sizeof(rules[0])};
