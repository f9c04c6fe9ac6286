/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the layers that falsify commands read and write in them. */
#ifndef STOPCOPY_DEVICES_FAULTS_COMMAND_H
#define STOPCOPY_DEVICES_FAULTS_COMMAND_H

#include "devices/faults/fault.h"
#include "stopcopy/vfio_user.h"

/* VFIO_DEVICE_FEATURE with GET or SET, and no PROBE, of this feature? */
bool command_is_feature(const struct device_command *command, uint32_t feature, uint32_t operation);
/* VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, SET: *state is what is asked for. */
bool command_sets_state(const struct device_command *command, unsigned int *state);
/* Answers as if it had been done: the reply to a SET is the request. */
int command_accept(struct device_command *command);

#endif
