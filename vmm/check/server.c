/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel does for every driver, and what a server of vfio-user has to do itself. */
#include "vmm/check/bench.h"
#include "vmm/check/check_context.h"
#include "vmm/check/groups.h"
#include "vmm/vfio/vfio_user.h"

/* What the rules of other groups map is elsewhere, and taken away by then. */
#define NOWHERE UINT64_C(0x700000000)
#define NOWHERE_SIZE UINT64_C(0x200000)

static bool is_served(struct check_context *context, struct check_result *result)
{
    if (!vfio_user_get_agreement(context->device))
        check_not_applicable(result, "it is not served over vfio-user");
    return result->outcome == CHECK_OK;
}

static int run_unmap_of_nothing(struct check_context *context, struct check_result *result, struct error *error)
{
    struct error refusal = ERROR_INIT;
    struct vfio_device_info_summary info;

    if (!is_served(context, result))
        return 0;
    check_expect(result, "a DMA_UNMAP of what was never mapped is refused");
    if (vfio_user_unmap_unchecked(context->device, NOWHERE, NOWHERE_SIZE, &refusal) == 0)
        check_broken(result, "it succeeds");
    check_expect(result, "it answers after a DMA_UNMAP of what was never mapped");
    if (context->device->ops->get_info(context->device, &info, &refusal) < 0)
        check_broken(result, "%s", refusal.text);
    (void)error;
    return 0;
}

/* The good stream, once an empty write has come, refused or not. */
static int write_and_load(struct check_context *context, struct check_result *result, struct error *error)
{
    struct error refusal = ERROR_INIT;
    struct check_load load;
    unsigned int state;

    check_expect(result, "it answers after a write of no bytes in RESUMING");
    if (context->device->ops->session_write(context->session, "", 0, &refusal) < 0)
        check_note(result, "a write of no bytes is refused: %s", refusal.text);
    if (check_state(context, &state, &refusal) < 0) {
        check_broken(result, "%s", refusal.text);
        return 0;
    }
    if (check_settle(context, error) < 0 ||
        check_load_image(context, context->image.data, context->image.size, NULL, &load, error) < 0)
        return -1;
    check_expect(result, "a good stream loads after a write of no bytes");
    if (load.step != CHECK_LOAD_ACCEPTED)
        check_broken(result, "refused after %zu bytes, with errno %d", load.written, load.number);
    return 0;
}

static int run_empty_write(struct check_context *context, struct check_result *result, struct error *error)
{
    struct vfio_data_session *stray;

    if (!context->image.size)
        return error_set(error, 0, "%s", context->no_image);
    if (check_go(context, VFIO_DEVICE_STATE_RESUMING, error) < 0)
        return -1;
    stray = vfio_user_stray_session(context->device, false);
    if (stray) {
        check_close_session(context);
        context->session = stray;
    }
    if (!context->session)
        return error_set(error, 0, "no data transfer session came with RESUMING");
    return write_and_load(context, result, error);
}

static const struct check_rule rules[] = {
    {
        .name = "server/unmap-of-nothing-refused",
        .level = CHECK_MUST,
        .basis = "the vfio-user specification, VFIO_USER_DMA_UNMAP: the address and size of the region that is taken "
                 "away must be those of a mapping that was made",
        .causes = "a search for the region whose failure is not looked at",
        .field = "servers that answer an unmap of what is not mapped as done",
        .cost = "1 request",
        .run = run_unmap_of_nothing,
    },
    {
        .name = "server/empty-write",
        .level = CHECK_MUST,
        .basis = "linux/vfio.h, VFIO_DEVICE_STATE_RESUMING: the data is an opaque sequence of bytes, written in any "
                 "pieces; write(2) of no bytes reaches a driver as well, and no request of a client may end a server",
        .causes = "a length of 0 that is allocated, mapped or divided by",
        .field = "a region of size zero, or an empty buffer, that crashed the destination",
        .hazard = CHECK_HAZARD_BAD_IMAGE,
        .cost = "1 write, 1 load",
        .needs = CHECK_NEEDS_MIGRATION,
        .run = run_empty_write,
    },
};

const struct check_group check_server_group = {rules, sizeof(rules) / sizeof(rules[0])};
