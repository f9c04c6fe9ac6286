/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The migration of one device: its flags, its states, and the way from one state to another, the same for every
 * backend. linux/vfio.h, VFIO_DEVICE_FEATURE_MIGRATION and VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE.
 */
#ifndef STOPCOPY_VFIO_MIGRATION_H
#define STOPCOPY_VFIO_MIGRATION_H

#include "vmm/vfio/vfio_device.h"

/* VFIO_MIGRATION_*: *flags is 0 where the device has no migration (ENOTTY or the like). */
int migration_get_flags(struct vfio_device *device, uint64_t *flags, struct error *error);
int migration_get_state(struct vfio_device *device, unsigned int *state, struct error *error);

/* One VFIO_DEVICE_FEATURE SET to state, as the uAPI has it: the device may go several arcs. */
int migration_set_state(struct vfio_device *device, unsigned int state, struct error *error);

/* VFIO_DEVICE_FEATURE_MIG_DATA_SIZE. Returns 0, or -1 with ENOTTY where the device has no such feature. */
int migration_get_data_size(struct vfio_device *device, uint64_t *bytes, struct error *error);

/*
 * VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2: from here on the flags of VFIO_MIG_GET_PRECOPY_INFO are the device's, and it says by
 * VFIO_PRECOPY_INFO_REINIT that it has initial bytes anew. Returns false where the device has not the feature: its flags say
 * nothing then.
 */
bool migration_use_precopy_info_v2(struct vfio_device *device);

/*
 * Reads to the end of the session's stream, and gives each piece to sink (which returns 0, or -1 with error). Rules:
 * "device/no-answer", "device/read-failed", "device/enomsg-in-stop-copy".
 */
typedef int (*migration_sink)(void *context, const void *data, size_t size, struct error *error);
int migration_read_to_end(struct vfio_data_session *session, void *buffer, size_t buffer_size, migration_sink sink,
                          void *context, uint64_t *bytes, struct error *error);
/*
 * An end is one: whoever reads on gets nothing more. What came was a short read, if more comes: rule
 * "device/data-after-end". bytes: that came, for the error.
 */
int migration_check_end(struct vfio_data_session *session, void *buffer, size_t buffer_size, uint64_t bytes,
                        struct error *error);
/* Both, one after the other. */
int migration_read_all(struct vfio_data_session *session, void *buffer, size_t buffer_size, migration_sink sink,
                       void *context, uint64_t *bytes, struct error *error);
/* Makes the error of a read the rule "device/read-failed", where it has none of its own. Returns -1. */
int migration_read_failed(struct vfio_data_session *session, uint64_t bytes, struct error *error);
/* Writes all of it, continuing after partial writes. */
int migration_write_all(struct vfio_data_session *session, const void *data, size_t size, struct error *error);

#endif
