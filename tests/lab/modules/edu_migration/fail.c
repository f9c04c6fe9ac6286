// SPDX-License-Identifier: GPL-2.0
/*
 * Failures on purpose: a test aid, which no driver in the field has. By the module's parameters, at any time:
 *
 *   echo 'STOP>STOP_COPY' > /sys/module/edu_migration/parameters/fail_next_arc
 *   echo 1 > /sys/module/edu_migration/parameters/enter_error
 *
 * The next time that a device comes to this arc, it fails with EIO, and fail_next_arc is empty again. The device stays where
 * it was, or, with enter_error, it is in ERROR.
 */
#include <linux/module.h>
#include <linux/string.h>

#include "edu.h"

static char fail_next_arc[40];
module_param_string(fail_next_arc, fail_next_arc, sizeof(fail_next_arc), 0644);
MODULE_PARM_DESC(fail_next_arc, "FROM>TO: this arc fails once, with EIO (a test aid)");

static bool enter_error;
module_param(enter_error, bool, 0644);
MODULE_PARM_DESC(enter_error, "the arc that fails by fail_next_arc leaves the device in ERROR (a test aid)");

static const char *const edu_state_name[] = {
	[VFIO_DEVICE_STATE_ERROR] = "ERROR",
	[VFIO_DEVICE_STATE_STOP] = "STOP",
	[VFIO_DEVICE_STATE_RUNNING] = "RUNNING",
	[VFIO_DEVICE_STATE_STOP_COPY] = "STOP_COPY",
	[VFIO_DEVICE_STATE_RESUMING] = "RESUMING",
	[VFIO_DEVICE_STATE_RUNNING_P2P] = "RUNNING_P2P",
	[VFIO_DEVICE_STATE_PRE_COPY] = "PRE_COPY",
	[VFIO_DEVICE_STATE_PRE_COPY_P2P] = "PRE_COPY_P2P",
};

static bool edu_is_arc(const char *wanted, const char *from, const char *to)
{
	size_t length = strlen(from);

	return !strncmp(wanted, from, length) && wanted[length] == '>' && sysfs_streq(wanted + length + 1, to);
}

bool edu_fails_on_purpose(struct edu_device *edu, enum vfio_device_mig_state next)
{
	bool fails, error;

	kernel_param_lock(THIS_MODULE);
	fails = edu_is_arc(fail_next_arc, edu_state_name[edu->state], edu_state_name[next]);
	error = enter_error;
	if (fails)
		fail_next_arc[0] = '\0';
	kernel_param_unlock(THIS_MODULE);
	if (fails && error) {
		edu_drain_transfer(edu);
		edu_end_session(edu);
		edu->state = VFIO_DEVICE_STATE_ERROR;
	}
	return fails;
}
