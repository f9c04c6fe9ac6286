/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * linux/vfio.h, with what older headers lack (Debian 12's are of 6.1). configure looks for each by AC_CHECK_DECLS. Also
 * the names of the migration states, which the programs share; they share no logic about them.
 */
#ifndef STOPCOPY_VFIO_COMPAT_H
#define STOPCOPY_VFIO_COMPAT_H

#include "config.h"

#include <linux/ioctl.h>
#include <linux/types.h>
#include <linux/vfio.h>

#if !HAVE_DECL_VFIO_MIGRATION_PRE_COPY
#define VFIO_MIGRATION_PRE_COPY (1 << 2)
#endif
#if !HAVE_DECL_VFIO_DEVICE_STATE_PRE_COPY
#define VFIO_DEVICE_STATE_PRE_COPY 6
#define VFIO_DEVICE_STATE_PRE_COPY_P2P 7
#endif
/* The number of states; linux/vfio.h has VFIO_DEVICE_STATE_NR in newer versions only. */
#define MIGRATION_STATES 8u

#if !HAVE_DECL_VFIO_MIG_GET_PRECOPY_INFO
struct vfio_precopy_info {
    __u32 argsz;
    __u32 flags;
    __aligned_u64 initial_bytes;
    __aligned_u64 dirty_bytes;
};
#define VFIO_MIG_GET_PRECOPY_INFO _IO(VFIO_TYPE, VFIO_BASE + 21)
#endif
#if !HAVE_DECL_VFIO_PRECOPY_INFO_REINIT
#define VFIO_PRECOPY_INFO_REINIT (1 << 0)
#endif
#if !HAVE_DECL_VFIO_DEVICE_FEATURE_MIG_DATA_SIZE
struct vfio_device_feature_mig_data_size {
    __aligned_u64 stop_copy_length;
};
#define VFIO_DEVICE_FEATURE_MIG_DATA_SIZE 9
#endif
#if !HAVE_DECL_VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOV2
#define VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 12
#endif

#if !HAVE_DECL_VFIO_DEVICE_BIND_IOMMUFD
#define VFIO_DEVICE_BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)
#define VFIO_DEVICE_ATTACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 19)
struct vfio_device_attach_iommufd_pt {
    __u32 argsz;
    __u32 flags;
    __u32 pt_id;
};
#endif
/* The argument of VFIO_DEVICE_BIND_IOMMUFD; the token came with 6.17. */
struct vfio_bind_iommufd_argument {
    __u32 argsz; /* VFIO_BIND_IOMMUFD_ARGSZ, or all of it with the token */
    __u32 flags;
    __s32 iommufd;
    __u32 out_devid;
    __aligned_u64 token_uuid_ptr; /* 16 bytes */
};
#define VFIO_BIND_IOMMUFD_ARGSZ 16u
#define VFIO_BIND_IOMMUFD_TOKEN (1u << 0)

/* "RUNNING", "STOP_COPY", ...; "state N" cannot be named and is "?". */
const char *migration_state_name(unsigned int state);
/* The reverse, in either case, with '-' for '_' allowed. Returns the state, or -1. */
int migration_state_from_name(const char *name);

#endif
