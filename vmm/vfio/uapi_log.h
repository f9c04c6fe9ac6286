/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device that writes down what is done to another one: each operation of struct vfio_device_ops with its arguments, its
 * result and its time, as a JSON object in a line (docs/by-hand.md). It takes the other's place, whatever backend that is.
 */
#ifndef STOPCOPY_VFIO_UAPI_LOG_H
#define STOPCOPY_VFIO_UAPI_LOG_H

#include "vmm/vfio/vfio_device.h"

/* Data up to so many bytes is written whole, longer data by its length and XXH3-64 alone. */
#define UAPI_LOG_DATA_MAX 4096u

/*
 * Takes device over, and gives one in its place. fd: where the lines go, each in one write; it stays the caller's, and should
 * be open for appending, so that several processes can share the file. side: what each line is marked with ("source"), and
 * the device's index. NULL without memory; device is closed then.
 */
struct vfio_device *uapi_log_wrap(struct vfio_device *device, int fd, const char *side, unsigned int index,
                                  struct error *error);

/*
 * What goes through the device's sessions is written to files in a folder as well, as it is: one for each session,
 * "device-INDEX.SIDE-PID.session-N.saved.bin", or ".loaded.bin". The lines and each file have so many bytes at most. device: as
 * uapi_log_wrap() gave it. folder: a descriptor, which stays the caller's.
 */
#define UAPI_LOG_KEPT_MAX (UINT64_C(256) << 20)
void uapi_log_keep_streams(struct vfio_device *device, int folder);

/* The device whose place was taken; device itself where it is no such one. */
struct vfio_device *uapi_log_inner(struct vfio_device *device);

#endif
