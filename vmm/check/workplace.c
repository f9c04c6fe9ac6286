/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/check/workplace.h"

#include "vmm/check/traffic.h"

#define LIGHT_STOPS 3u

static int open_place(struct check_context *context, struct workplace *place, bool peer, struct error *error)
{
    *place = (struct workplace){.context = context};
    if (bench_open(&place->bench, context->device, error) < 0 ||
        (peer && bench_map_peer(&place->bench, context->tells_peers, error) < 0))
        return error_prefix(error, "the device cannot be put to work");
    place->work = work_open(context->traffic->kind, &place->bench, context->seed, error);
    return place->work ? 0 : error_prefix(error, "the device does not work before it is checked");
}

int workplace_open(struct check_context *context, struct workplace *place, struct error *error)
{
    return open_place(context, place, false, error);
}

int workplace_open_with_peer(struct check_context *context, struct workplace *place, struct error *error)
{
    return open_place(context, place, true, error);
}

void workplace_close(struct workplace *place)
{
    struct error error = ERROR_INIT;
    struct check_answer answer;

    check_close_session(place->context);
    /* A device that does not do as it is told is the framework's to settle. */
    (void)check_set(place->context, VFIO_DEVICE_STATE_RUNNING, &answer, &error);
    (void)bench_set_command(&place->bench, PCI_COMMAND_MASTER, 0, NULL);
    work_close(place->work);
    bench_close(&place->bench);
}

void workplace_abandon(struct workplace *place)
{
    work_close(place->work);
    bench_free(&place->bench);
}

int workplace_stop_once(struct workplace *place, unsigned int state, bool *in_flight, struct error *error)
{
    place->work->heavy = place->idle_stops >= LIGHT_STOPS;
    if (work_submit(place->work, error) < 0 || check_go(place->context, state, error) < 0)
        return -1;
    place->work->heavy = false;
    *in_flight = work_in_flight(place->work) > 0;
    place->idle_stops = *in_flight ? 0 : place->idle_stops + 1;
    return 0;
}

int workplace_stop(struct workplace *place, unsigned int state, bool *in_flight, struct error *error)
{
    *in_flight = false;
    for (unsigned int i = 0; i < WORKPLACE_STOPS_MAX && !*in_flight; i++) {
        if (i > 0 && check_time_up(place->context))
            break;
        if (i > 0 && workplace_go_on(place, error) < 0)
            return -1;
        if (workplace_stop_once(place, state, in_flight, error) < 0)
            return -1;
    }
    return 0;
}

int workplace_go_on(struct workplace *place, struct error *error)
{
    check_close_session(place->context);
    if (check_go(place->context, VFIO_DEVICE_STATE_RUNNING, error) < 0 || work_drain(place->work, error) < 0)
        return -1;
    return work_run(place->work, place->work->kind->few, error) < 0 ? -1 : work_drain(place->work, error);
}

static int load(struct workplace *place, const struct buffer *image, struct error *error)
{
    struct check_load load;

    if (check_load_image(place->context, image->data, image->size, NULL, &load, error) < 0)
        return -1;
    if (load.step != CHECK_LOAD_ACCEPTED)
        return error_set(error, load.number, "%s: its own stream is refused, after %zu of %zu bytes",
                         place->context->device->name, load.written, image->size);
    return 0;
}

int workplace_move(struct workplace *place, struct error *error)
{
    struct check_context *context = place->context;
    struct buffer image = BUFFER_INIT;
    int result = -1;

    if (!context->session && check_go(context, VFIO_DEVICE_STATE_STOP_COPY, error) < 0)
        return -1;
    if (check_read_image(context, NULL, &image, error) == 0 && check_go(context, VFIO_DEVICE_STATE_STOP, error) == 0) {
        check_close_session(context);
        if (check_reset(context, error) == 0 && load(place, &image, error) == 0 &&
            bench_restore_config(&place->bench, error) == 0)
            result = bench_bind_interrupts(&place->bench, error);
    }
    buffer_free(&image);
    return result;
}
