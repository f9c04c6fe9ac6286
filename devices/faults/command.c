/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/faults/command.h"

#include <string.h>

bool command_is_feature(const struct device_command *command, uint32_t feature, uint32_t operation)
{
    const uint32_t mask =
        VFIO_DEVICE_FEATURE_MASK | VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PROBE;
    struct vfio_device_feature head;

    if (command->number != VFIO_USER_DEVICE_FEATURE)
        return false;
    memcpy(&head, command->payload, sizeof(head));
    return (head.flags & mask) == (feature | operation);
}

bool command_sets_state(const struct device_command *command, unsigned int *state)
{
    struct vfio_device_feature_mig_state wanted;

    if (!command_is_feature(command, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, VFIO_DEVICE_FEATURE_SET) ||
        command->size < sizeof(struct vfio_device_feature) + sizeof(wanted))
        return false;
    memcpy(&wanted, command->payload + sizeof(struct vfio_device_feature), sizeof(wanted));
    *state = wanted.device_state;
    return true;
}

int command_accept(struct device_command *command)
{
    buffer_clear(command->reply);
    buffer_put(command->reply, command->payload, command->size);
    return 0;
}
