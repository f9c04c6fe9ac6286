/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "stopcopy/vfio_compat.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>

static const char *const names[MIGRATION_STATES] = {
    [VFIO_DEVICE_STATE_ERROR] = "ERROR",       [VFIO_DEVICE_STATE_STOP] = "STOP",
    [VFIO_DEVICE_STATE_RUNNING] = "RUNNING",   [VFIO_DEVICE_STATE_STOP_COPY] = "STOP_COPY",
    [VFIO_DEVICE_STATE_RESUMING] = "RESUMING", [VFIO_DEVICE_STATE_RUNNING_P2P] = "RUNNING_P2P",
    [VFIO_DEVICE_STATE_PRE_COPY] = "PRE_COPY", [VFIO_DEVICE_STATE_PRE_COPY_P2P] = "PRE_COPY_P2P",
};

const char *migration_state_name(unsigned int state)
{
    return state < MIGRATION_STATES ? names[state] : "?";
}

static bool same(const char *name, const char *text)
{
    for (; *name; name++, text++)
        if (*name != toupper((unsigned char)*text) && !(*name == '_' && *text == '-'))
            return false;
    return !*text;
}

int migration_state_from_name(const char *name)
{
    for (unsigned int state = 0; state < MIGRATION_STATES; state++)
        if (same(names[state], name))
            return (int)state;
    return -1;
}
