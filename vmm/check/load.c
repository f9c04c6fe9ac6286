/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Streams that no device wrote: cut off, extended, changed, of another device. Each is followed by a proof that the device
 * can still be used: a reset, and the good stream.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/check/check_context.h"
#include "vmm/check/groups.h"
#include "vmm/vfio/migration.h"

/* Streams up to this length are cut at every byte. */
#define EVERY_LENGTH_MAX 1024
#define SAMPLES 256
#define HEAD 64
#define TAIL 32

/* What is to be judged of a bad stream. */
enum aspect {
    ASPECT_REFUSED,     /* by a write, or by RESUMING to STOP */
    ASPECT_PATH,        /* the state after a refusal */
    ASPECT_SANE,        /* the state afterwards; refused or not */
    ASPECT_RECOVERS,    /* the reset after a refusal, and what follows */
    ASPECT_WRITE_HOLDS, /* what a write refused, RESUMING to STOP refuses as well */
};

static int need_image(struct check_context *context, struct error *error)
{
    return context->image.size ? 0 : error_set(error, 0, "%s", context->no_image);
}

static void expect_good(const char *what, const struct error *failure, struct check_result *result)
{
    check_expect(result, "%s: after it the good stream is taken (a refusal being ended by a reset)", what);
    check_broken(result, "%s", failure->text);
}

/* Resets the device and loads the good stream. Where that fails it is a finding; a device that is opened anew may be fit
 * for the other rules then. */
static int prove(struct check_context *context, enum aspect aspect, const char *what, struct check_result *result,
                 struct error *error)
{
    struct error failure = ERROR_INIT;

    if (check_prove_load(context, &failure) == 0)
        return 0;
    /* A reset that does not work has rules of its own. */
    if (aspect == ASPECT_RECOVERS || strcmp(failure.rule, "reset/running"))
        expect_good(what, &failure, result);
    if (check_reopen(context, error) == 0 && check_prove_load(context, error) == 0)
        return 0;
    return error_prefix(error, "no longer usable");
}

static void judge_refused(const char *what, const struct check_load *load, struct check_result *result)
{
    check_expect(result, "%s: refused by a write or by RESUMING to STOP", what);
    if (load->step == CHECK_LOAD_ACCEPTED)
        check_broken(result, "it was taken, and the device is in %s", migration_state_name(load->state));
}

static void judge_path(const char *what, const struct check_load *load, struct check_result *result)
{
    check_expect(result, "%s: refused, so that the device is in RESUMING or in ERROR", what);
    if (load->step != CHECK_LOAD_ACCEPTED && load->state != VFIO_DEVICE_STATE_RESUMING &&
        load->state != VFIO_DEVICE_STATE_ERROR)
        check_broken(result, "%s (%u)", migration_state_name(load->state), load->state);
}

static int judge_sane(struct check_context *context, const char *what, const struct check_load *load,
                      struct check_result *result, struct error *error)
{
    struct check_answer answer;

    judge_path(what, load, result);
    if (load->step != CHECK_LOAD_ACCEPTED)
        return 0;
    check_expect(result, "%s: taken, so that the device is in STOP and can run", what);
    if (check_set(context, VFIO_DEVICE_STATE_RUNNING, &answer, error) < 0)
        return -1;
    if (load->state != VFIO_DEVICE_STATE_STOP || answer.number || answer.state != VFIO_DEVICE_STATE_RUNNING)
        check_broken(result, "in %s; then %s", migration_state_name(load->state),
                     answer.number ? answer.text : migration_state_name(answer.state));
    return 0;
}

static int judge_write_holds(struct check_context *context, const char *what, const struct check_load *load,
                             struct check_result *result, struct error *error)
{
    struct check_answer answer;

    if (load->step != CHECK_LOAD_REFUSED_WRITE || load->state != VFIO_DEVICE_STATE_RESUMING)
        return 0;
    if (check_set(context, VFIO_DEVICE_STATE_STOP, &answer, error) < 0)
        return -1;
    check_expect(result, "%s: a write was refused with errno %d, so RESUMING to STOP is refused", what, load->number);
    if (!answer.number)
        check_broken(result, "it succeeded, and the device is in %s", migration_state_name(answer.state));
    return 0;
}

/* Gives the device a bad stream, judges what it made of it, and proves that it can be used. */
static int try_stream(struct check_context *context, enum aspect aspect, const void *data, size_t size,
                      const char *what, struct check_load *load, struct check_result *result, struct error *error)
{
    int status = 0;

    if (check_settle(context, error) < 0 || check_load_image(context, data, size, NULL, load, error) < 0)
        return -1;
    if (aspect == ASPECT_REFUSED)
        judge_refused(what, load, result);
    else if (aspect == ASPECT_PATH || aspect == ASPECT_RECOVERS)
        judge_path(what, load, result);
    else if (aspect == ASPECT_SANE)
        status = judge_sane(context, what, load, result, error);
    else
        status = judge_write_holds(context, what, load, result, error);
    return status < 0 ? -1 : prove(context, aspect, what, result, error);
}

/* The number-th length to cut the stream at, from 1; 0 after the last. All where it is short; else the head, the tail and
 * a sample. */
static size_t pick_length(struct check_context *context, size_t number)
{
    size_t size = context->image.size;

    if (size <= EVERY_LENGTH_MAX)
        return number < size ? number : 0;
    if (number <= HEAD)
        return number;
    if (number <= HEAD + TAIL)
        return size - (number - HEAD);
    return number <= SAMPLES ? HEAD + 1 + (size_t)check_random(context, size - HEAD - TAIL - 1) : 0;
}

static int run_truncated(struct check_context *context, struct check_result *result, struct error *error)
{
    struct check_load load;
    size_t number = 1;
    size_t length;
    char what[96];

    if (need_image(context, error) < 0)
        return -1;
    for (; !check_time_up(context) && (length = pick_length(context, number)); number++) {
        snprintf(what, sizeof(what), "the first %zu of %zu bytes", length, context->image.size);
        if (try_stream(context, ASPECT_REFUSED, context->image.data, length, what, &load, result, error) < 0)
            return -1;
    }
    check_tried(result, number - 1, context->image.size - 1);
    return 0;
}

static int run_empty(struct check_context *context, struct check_result *result, struct error *error)
{
    struct check_load load;

    if (need_image(context, error) < 0)
        return -1;
    return try_stream(context, ASPECT_REFUSED, "", 0, "no byte at all", &load, result, error);
}

static int run_extended(struct check_context *context, struct check_result *result, struct error *error)
{
    size_t size = context->image.size;
    const struct {
        const char *what;
        size_t more;
        bool again;
    } cases[] = {
        {"the stream and a byte more", 1, false},
        {"the stream and 8 bytes of zero more", 8, false},
        {"the stream and 4096 bytes of zero more", 4096, false},
        {"the stream twice", size, true},
    };
    struct check_load load;
    uint8_t *data;
    int status = 0;

    if (need_image(context, error) < 0)
        return -1;
    data = malloc(size + (size < 4096 ? 4096 : size));
    if (!data)
        return error_set(error, ENOMEM, "a stream and more");
    memcpy(data, context->image.data, size);
    for (size_t i = 0; status == 0 && i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (cases[i].again)
            memcpy(data + size, context->image.data, size);
        else
            memset(data + size, 0, cases[i].more);
        status = try_stream(context, ASPECT_REFUSED, data, size + cases[i].more, cases[i].what, &load, result, error);
    }
    free(data);
    return status;
}

static int run_foreign(struct check_context *context, struct check_result *result, struct error *error)
{
    struct buffer foreign = BUFFER_INIT;
    struct check_load load;
    struct error none = ERROR_INIT;
    int status;

    if (!context->opener->foreign_image ||
        context->opener->foreign_image(context->opener->opaque, &foreign, &none) < 0) {
        check_not_tried(result, "there is no stream of another device (--other)%s%s", none.text[0] ? ": " : "",
                        none.text);
        buffer_free(&foreign);
        return 0;
    }
    status = try_stream(context, ASPECT_REFUSED, foreign.data, foreign.size, "the stream of another kind of device",
                        &load, result, error);
    buffer_free(&foreign);
    return status;
}

/* Changes one byte at a time, at places that the seed picks. */
static int each_change(struct check_context *context, enum aspect aspect, struct check_result *result,
                       struct error *error)
{
    size_t size = context->image.size;
    size_t cases = size < SAMPLES ? size : SAMPLES;
    size_t accepted = 0;
    size_t i;
    uint8_t *data;
    int status = 0;

    if (need_image(context, error) < 0)
        return -1;
    data = malloc(size);
    if (!data)
        return error_set(error, ENOMEM, "a changed stream");
    memcpy(data, context->image.data, size);
    for (i = 0; status == 0 && i < cases && !check_time_up(context); i++) {
        size_t at = size <= SAMPLES || i < HEAD ? i : (size_t)check_random(context, size);
        uint8_t flip = (uint8_t)(1 + check_random(context, 255));
        struct check_load load;
        char what[96];

        data[at] ^= flip;
        snprintf(what, sizeof(what), "byte %zu of %zu changed from 0x%02x to 0x%02x", at, size, context->image.data[at],
                 data[at]);
        status = try_stream(context, aspect, data, size, what, &load, result, error);
        accepted += status == 0 && load.step == CHECK_LOAD_ACCEPTED;
        data[at] = context->image.data[at];
    }
    free(data);
    check_tried(result, i, size);
    if (accepted)
        check_note(result, "%zu of %zu changed streams were taken", accepted, i);
    return status;
}

static int run_changed_refused(struct check_context *context, struct check_result *result, struct error *error)
{
    return each_change(context, ASPECT_REFUSED, result, error);
}

static int run_changed_sane(struct check_context *context, struct check_result *result, struct error *error)
{
    struct check_load load;

    /* Where the good stream does not run, it is data/load that says so. */
    if (need_image(context, error) < 0 ||
        check_load_image(context, context->image.data, context->image.size, NULL, &load, error) < 0)
        return -1;
    if (load.step != CHECK_LOAD_ACCEPTED || check_go(context, VFIO_DEVICE_STATE_RUNNING, error) < 0)
        return error_set(error, 0, "its own stream does not run either");
    return each_change(context, ASPECT_SANE, result, error);
}

/* A few streams that are bad in different ways, for what is judged of any of them. */
static int each_bad_kind(struct check_context *context, enum aspect aspect, struct check_result *result,
                         struct error *error)
{
    size_t size = context->image.size;
    struct check_load load;
    uint8_t *data;
    int status;

    if (need_image(context, error) < 0)
        return -1;
    data = malloc(size + 1);
    if (!data)
        return error_set(error, ENOMEM, "a bad stream");
    memcpy(data, context->image.data, size);
    data[0] ^= 0xff;
    data[size] = 0;
    status = try_stream(context, aspect, data, size, "its first byte inverted", &load, result, error);
    data[0] ^= 0xff;
    if (status == 0)
        status = try_stream(context, aspect, data, size + 1, "a byte more", &load, result, error);
    if (status == 0)
        status = try_stream(context, aspect, data, size - 1, "its last byte left off", &load, result, error);
    if (status == 0) {
        memset(data, 0xff, size);
        status = try_stream(context, aspect, data, size, "0xff throughout", &load, result, error);
    }
    free(data);
    return status;
}

static int run_refused_write_holds(struct check_context *context, struct check_result *result, struct error *error)
{
    return each_bad_kind(context, ASPECT_WRITE_HOLDS, result, error);
}

static int run_refusal_sane(struct check_context *context, struct check_result *result, struct error *error)
{
    return each_bad_kind(context, ASPECT_PATH, result, error);
}

static int run_good_after_refused(struct check_context *context, struct check_result *result, struct error *error)
{
    struct check_load load;
    size_t half = context->image.size / 2;

    if (need_image(context, error) < 0)
        return -1;
    return try_stream(context, ASPECT_RECOVERS, context->image.data, half, "half of the stream", &load, result, error);
}

/* Where a refusal has left it in ERROR: only a reset leads out. */
static int run_error_left_by_reset(struct check_context *context, struct check_result *result, struct error *error)
{
    struct check_load load;
    struct check_answer answer;

    if (need_image(context, error) < 0 ||
        check_load_image(context, context->image.data, context->image.size / 2, NULL, &load, error) < 0)
        return -1;
    if (load.state != VFIO_DEVICE_STATE_ERROR) {
        check_not_applicable(result, "a bad stream does not bring it to ERROR, but leaves it in %s",
                             migration_state_name(load.state));
        return prove(context, ASPECT_PATH, "half of the stream", result, error);
    }
    for (unsigned int state = 1; state < MIGRATION_STATES; state++) {
        if (check_set(context, state, &answer, error) < 0)
            return -1;
        check_expect(result, "SET of %s in ERROR: refused with an errno, and still ERROR", migration_state_name(state));
        if (!answer.number || answer.state != VFIO_DEVICE_STATE_ERROR)
            check_broken(result, "%s; the device is in %s", answer.number ? answer.text : "it succeeded",
                         migration_state_name(answer.state));
    }
    return prove(context, ASPECT_RECOVERS, "in ERROR", result, error);
}

#define ARCS "linux/vfio.h, enum vfio_device_mig_state, RESUMING to STOP: "
#define STATE "linux/vfio.h, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE: "
#define INVALID                                                                                                        \
    ARCS                                                                                                               \
        "data that is found to be incomplete, inconsistent or invalid otherwise has to fail the request. A write may " \
        "refuse it earlier"
#define NEEDS CHECK_NEEDS_MIGRATION

static const struct check_rule rules[] = {
    {
        .name = "load/good-after-refused",
        .level = CHECK_MUST,
        .basis = ARCS "a RESUMING that is to be given up is ended by a reset, after which the device is in RUNNING and "
                      "every transition is open to it",
        .causes = "the rest of the bad stream that is taken for the beginning of the next",
        .cost = "1 bad load",
        .hazard = CHECK_HAZARD_BAD_IMAGE,
        .needs = NEEDS,
        .run = run_good_after_refused,
    },
    {
        .name = "load/refusal-leaves-path",
        .level = CHECK_MUST,
        .basis =
            STATE "after a failure the state is the one before or another along the path, or ERROR: of RESUMING to "
                  "STOP that is RESUMING or ERROR",
        .causes = "the state being noted before the device has agreed",
        .field = "intermediate states that nobody unwinds",
        .cost = "4 bad loads",
        .hazard = CHECK_HAZARD_BAD_IMAGE,
        .needs = NEEDS,
        .run = run_refusal_sane,
    },
    {
        .name = "load/refused-write-holds",
        .level = CHECK_MUST,
        .basis = INVALID ": then what was delivered is still incomplete, and the request has to fail as well",
        .causes = "RESUMING to STOP that looks at the number of bytes alone",
        .field = "the kernel's sample device: a bad header fails the write, and then loads",
        .cost = "4 bad loads",
        .hazard = CHECK_HAZARD_BAD_IMAGE,
        .needs = NEEDS,
        .run = run_refused_write_holds,
    },
    {
        .name = "load/error-left-by-reset",
        .level = CHECK_MUST,
        .basis =
            "linux/vfio.h, enum vfio_device_mig_state, any to ERROR: to recover from ERROR, VFIO_DEVICE_RESET must be "
            "used",
        .causes = "a table with ERROR as an ordinary state",
        .cost = "1 bad load",
        .hazard = CHECK_HAZARD_BAD_IMAGE,
        .needs = NEEDS,
        .run = run_error_left_by_reset,
    },
    {
        .name = "data/empty-refused",
        .level = CHECK_MUST,
        .basis = INVALID,
        .causes = "a transfer of nothing that is taken for a request to change nothing",
        .cost = "1 bad load",
        .hazard = CHECK_HAZARD_BAD_IMAGE,
        .needs = NEEDS,
        .run = run_empty,
    },
    {
        .name = "data/truncated-refused",
        .level = CHECK_MUST,
        .basis = INVALID,
        .causes = "records that are loaded as they come, with nothing that knows whether there was a last one",
        .field = "drivers that compare only the number of bytes with the header, or nothing",
        .cost = "a bad load for each byte of a short stream, 256 of a long one",
        .hazard = CHECK_HAZARD_BAD_IMAGE,
        .needs = NEEDS,
        .run = run_truncated,
    },
    {
        .name = "data/extended-refused",
        .level = CHECK_MUST,
        .basis = INVALID,
        .causes = "a reader that stops looking once it has all it wants",
        .cost = "4 bad loads",
        .hazard = CHECK_HAZARD_BAD_IMAGE,
        .needs = NEEDS,
        .run = run_extended,
    },
    {
        .name = "data/foreign-refused",
        .level = CHECK_MUST,
        .basis = INVALID ". The stream has to be one of a compatible device",
        .causes = "a stream without a magic number, a version and the properties that it needs",
        .field = "drivers that do not refuse a version, a number of queues or a mode that does not fit",
        .cost = "1 bad load",
        .hazard = CHECK_HAZARD_BAD_IMAGE,
        .needs = NEEDS,
        .run = run_foreign,
    },
    {
        .name = "data/changed-byte-sane",
        .level = CHECK_MUST,
        .basis =
            STATE "whether it takes the stream or not, the device is in a state along the path, or ERROR, and a reset "
                  "leads to RUNNING. A change that makes another valid state cannot be told",
        .causes = "lengths and numbers in the stream that are used unchecked",
        .field = "signed overflow in a position; DMA addresses that were wrong",
        .cost = "256 bad loads",
        .hazard = CHECK_HAZARD_BAD_IMAGE,
        .needs = NEEDS,
        .run = run_changed_sane,
    },
    {
        .name = "data/changed-byte-refused",
        .level = CHECK_OBSERVED,
        .must_if = CHECK_DECLARES_CHECKSUM,
        .basis = INVALID ". What a device can find is left to it; one that declares a checksum over all of its stream "
                         "finds any byte",
        .causes = "no checksum, or parts of the stream that are not under it",
        .cost = "256 bad loads",
        .hazard = CHECK_HAZARD_BAD_IMAGE,
        .needs = NEEDS,
        .run = run_changed_refused,
    },
};

const struct check_group check_load_group = {rules, sizeof(rules) / sizeof(rules[0])};
