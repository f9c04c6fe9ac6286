/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A device that was a source can be a destination, and the other way round: a guest goes there and comes back. */
#include "vmm/check/check_context.h"
#include "vmm/check/groups.h"

#define BASIS                                                                                                          \
    "linux/vfio.h, enum vfio_device_mig_state: what may be asked for depends on the state that a device is in, and "   \
    "not on how it got there; RESUMING can be reached from any state of its flags, and so can STOP_COPY"
#define FIELD "a host that a guest had left, and that could not take it back"

/* One SET that must succeed, in the role that the device had not before. */
static int change_role(struct check_context *context, unsigned int state, const char *before,
                       struct check_result *result, struct error *error)
{
    struct check_answer answer;

    check_expect(result, "after it was %s, the device goes to %s", before, migration_state_name(state));
    if (check_set(context, state, &answer, error) < 0)
        return -1;
    if (answer.number)
        check_broken(result, "%s", answer.text);
    else if (answer.state != state)
        check_broken(result, "it did, and is in %s", migration_state_name(answer.state));
    return 0;
}

/* Nothing is left over of what was tried on it before. */
static int begin_anew(struct check_context *context, struct error *error)
{
    if (context->can_reset && check_reset(context, error) < 0)
        return -1;
    return check_settle(context, error);
}

static int load_good(struct check_context *context, const struct buffer *image, struct check_result *result,
                     struct error *error)
{
    struct check_load load;

    if (check_load_image(context, image->data, image->size, NULL, &load, error) < 0)
        return -1;
    check_expect(result, "it takes the stream that it gave, of %zu bytes", image->size);
    if (load.step != CHECK_LOAD_ACCEPTED)
        check_broken(result, "refused after %zu bytes, with errno %d", load.written, load.number);
    return 0;
}

static int run_load_after_save(struct check_context *context, struct check_result *result, struct error *error)
{
    struct buffer image = BUFFER_INIT;
    int status = -1;

    if (begin_anew(context, error) < 0 || check_save(context, NULL, &image, error) < 0)
        goto out;
    check_close_session(context);
    status = change_role(context, VFIO_DEVICE_STATE_RESUMING, "saved", result, error);
    if (status == 0 && result->outcome == CHECK_OK)
        status = check_settle(context, error);
    if (status == 0 && result->outcome == CHECK_OK)
        status = load_good(context, &image, result, error);
out:
    buffer_free(&image);
    return status;
}

static int run_save_after_load(struct check_context *context, struct check_result *result, struct error *error)
{
    if (!context->image.size)
        return error_set(error, 0, "%s", context->no_image);
    if (begin_anew(context, error) < 0 || load_good(context, &context->image, result, error) < 0)
        return -1;
    if (result->outcome != CHECK_OK)
        return 0;
    check_close_session(context);
    return change_role(context, VFIO_DEVICE_STATE_STOP_COPY, "loaded", result, error);
}

static const struct check_rule rules[] = {
    {
        .name = "roles/load-after-save",
        .level = CHECK_MUST,
        .basis = BASIS,
        .causes = "something of the saving side is not given back when it ends: a buffer, firmware's page list, a flag",
        .field = FIELD,
        .cost = "1 save, 2 transitions to RESUMING, 1 load",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_load_after_save,
    },
    {
        .name = "roles/save-after-load",
        .level = CHECK_MUST,
        .basis = BASIS,
        .causes = "something of the loading side is not given back when it ends",
        .field = FIELD,
        .cost = "1 load, 1 transition to STOP_COPY",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_save_after_load,
    },
};

const struct check_group check_roles_group = {rules, sizeof(rules) / sizeof(rules[0])};
