/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/check/traffic.h"

#include <stdlib.h>

struct check_traffic *check_traffic_open(struct check_context *context, const char **why)
{
    const struct work_kind *kind = work_find(context->device);
    struct check_traffic *traffic;

    if (!kind) {
        *why = "no driver here knows this device";
        return NULL;
    }
    traffic = calloc(1, sizeof(*traffic));
    if (!traffic) {
        *why = "there is no memory for its driver";
        return NULL;
    }
    traffic->kind = kind;
    return traffic;
}

void check_traffic_close(struct check_traffic *traffic)
{
    free(traffic);
}
