/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is judged of the device over all that was tried before. */
#include "vmm/check/check_context.h"
#include "vmm/check/groups.h"

static int run_keeps_answering(struct check_context *context, struct check_result *result, struct error *error)
{
    (void)error;
    check_expect(result, "the device answers every request, with success or an errno, and is there for the next");
    if (context->lost_count)
        check_broken(result, "%s%s", context->lost, context->lost_count > 1 ? "; and again later" : "");
    return 0;
}

static const struct check_rule rules[] = {
    {
        .name = "device/keeps-answering",
        .level = CHECK_MUST,
        .basis =
            "linux/vfio.h, VFIO_DEVICE_FEATURE and enum vfio_device_mig_state: a request returns 0 or an errno, and "
            "whatever a user does must not end in an error outside of its own context",
        .causes = "a crash, a hang or a broken answer on input that was not checked",
        .field = "a region without a size, or a buffer that is not one, that ended the destination",
        .cost = "none: it looks back at the rules before it",
        .looks_back = true,
        .run = run_keeps_answering,
    },
};

const struct check_group check_device_group = {rules, sizeof(rules) / sizeof(rules[0])};
