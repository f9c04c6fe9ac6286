/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A device's stream as a whole: saved, and loaded. */
#include <errno.h>
#include <stdlib.h>

#include "vmm/check/check_context.h"
#include "vmm/vfio/migration.h"

#define PIECE ((size_t)1 << 20)

static size_t piece_size(struct check_context *context, check_piece piece)
{
    size_t size = piece ? piece(context) : PIECE;

    return size && size < PIECE ? size : size ? PIECE : 1;
}

int check_read_image(struct check_context *context, check_piece piece, struct buffer *image, struct error *error)
{
    const struct vfio_device_ops *ops = context->device->ops;
    enum vfio_data_result result = VFIO_DATA_DATA;
    uint8_t *data;
    size_t count;

    if (!context->session)
        return error_set(error, 0, "%s: no data transfer session came with it", context->device->name);
    data = malloc(PIECE);
    if (!data)
        return error_set(error, ENOMEM, "reading a stream");
    while (result == VFIO_DATA_DATA) {
        if (check_time_up(context)) {
            error_set(error, ETIME, "the rule's time was up after %zu bytes", image->size);
            result = VFIO_DATA_ERROR;
            break;
        }
        result = ops->session_read(context->session, data, piece_size(context, piece), &count, error);
        if (result == VFIO_DATA_ERROR)
            break;
        if (result == VFIO_DATA_AGAIN) {
            error_set(error, ENOMSG, "after %zu bytes, in STOP_COPY", image->size);
            break;
        }
        if (image->size + count > CHECK_IMAGE_MAX) {
            error_set(error, E2BIG, "the stream has more than %zu bytes", CHECK_IMAGE_MAX);
            result = VFIO_DATA_ERROR;
            break;
        }
        buffer_put(image, data, count);
    }
    free(data);
    if (image->failed)
        return error_set(error, ENOMEM, "holding a stream");
    return result == VFIO_DATA_END ? 0 : -1;
}

int check_save(struct check_context *context, check_piece piece, struct buffer *image, struct error *error)
{
    if (check_place(context, VFIO_DEVICE_STATE_STOP, error) < 0 ||
        check_go(context, VFIO_DEVICE_STATE_STOP_COPY, error) < 0 || check_read_image(context, piece, image, error) < 0)
        return error_prefix(error, "saving");
    if (check_go(context, VFIO_DEVICE_STATE_STOP, error) < 0)
        return error_prefix(error, "after saving");
    check_close_session(context);
    return 0;
}

/* Returns 0 when all was taken, 1 where it was refused, -1 where the device does not answer. */
static int write_image(struct check_context *context, const uint8_t *data, size_t size, check_piece piece,
                       struct check_load *load, struct error *error)
{
    while (load->written < size) {
        size_t left = size - load->written;
        size_t part = piece_size(context, piece);
        struct error refusal = ERROR_INIT;
        ssize_t count = context->device->ops->session_write(context->session, data + load->written,
                                                            part < left ? part : left, &refusal);

        if (count < 0) {
            load->step = CHECK_LOAD_REFUSED_WRITE;
            load->number = refusal.number;
            return check_state(context, &load->state, error) < 0 ? -1 : 1;
        }
        load->written += (size_t)count < left ? (size_t)count : left;
    }
    return 0;
}

int check_load_image(struct check_context *context, const void *data, size_t size, check_piece piece,
                     struct check_load *load, struct error *error)
{
    struct check_answer answer;
    int written;

    *load = (struct check_load){.step = CHECK_LOAD_ACCEPTED};
    if (check_place(context, VFIO_DEVICE_STATE_STOP, error) < 0 ||
        check_go(context, VFIO_DEVICE_STATE_RESUMING, error) < 0)
        return error_prefix(error, "loading");
    if (!context->session)
        return error_set(error, 0, "%s: no data transfer session came with RESUMING", context->device->name);
    written = write_image(context, data, size, piece, load, error);
    if (written)
        return written < 0 ? -1 : 0;
    if (check_set(context, VFIO_DEVICE_STATE_STOP, &answer, error) < 0)
        return error_prefix(error, "RESUMING to STOP");
    load->state = answer.state;
    load->number = answer.number;
    if (answer.number)
        load->step = CHECK_LOAD_REFUSED_STOP;
    return 0;
}

/* Out of a transfer that was refused only a reset leads; that it does is part of the proof. */
static int end_refused(struct check_context *context, struct error *error)
{
    unsigned int state;

    check_close_session(context);
    if (check_state(context, &state, error) < 0)
        return -1;
    if (!context->can_reset || (state != VFIO_DEVICE_STATE_RESUMING && state != VFIO_DEVICE_STATE_ERROR))
        return check_settle(context, error);
    if (check_reset(context, error) < 0) {
        struct error refusal = *error;

        return error_rule(error, "reset/running", 0, "%s", refusal.text);
    }
    if (check_state(context, &state, error) < 0)
        return -1;
    if (state != VFIO_DEVICE_STATE_RUNNING)
        return error_rule(error, "reset/running", 0, "after the reset it is in %s", migration_state_name(state));
    return 0;
}

int check_prove_load(struct check_context *context, struct error *error)
{
    struct check_load load;

    if (end_refused(context, error) < 0)
        return -1;
    if (!context->image.size)
        return 0;
    if (check_load_image(context, context->image.data, context->image.size, NULL, &load, error) < 0)
        return -1;
    if (load.step != CHECK_LOAD_ACCEPTED)
        return error_set(error, load.number, "the good stream is refused %s, after %zu of %zu bytes",
                         load.step == CHECK_LOAD_REFUSED_WRITE ? "by a write" : "by RESUMING to STOP", load.written,
                         context->image.size);
    return 0;
}
