/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The vfio-user wire format, as far as client and server share it.
 *
 * Specification: QEMU, docs/interop/vfio-user.rst. All fields are in host byte order. Structures that follow
 * linux/vfio.h to the byte (vfio_device_info, vfio_region_info, vfio_irq_info, vfio_irq_set, vfio_device_feature and the
 * features' own payloads) are used from there and not repeated here.
 */
#ifndef STOPCOPY_VFIO_USER_H
#define STOPCOPY_VFIO_USER_H

#include <stdint.h>

#define VFIO_USER_MAJOR 0
#define VFIO_USER_MINOR 1

enum vfio_user_command {
    VFIO_USER_VERSION = 1,
    VFIO_USER_DMA_MAP = 2,
    VFIO_USER_DMA_UNMAP = 3,
    VFIO_USER_DEVICE_GET_INFO = 4,
    VFIO_USER_DEVICE_GET_REGION_INFO = 5,
    VFIO_USER_DEVICE_GET_REGION_IO_FDS = 6,
    VFIO_USER_DEVICE_GET_IRQ_INFO = 7,
    VFIO_USER_DEVICE_SET_IRQS = 8,
    VFIO_USER_REGION_READ = 9,
    VFIO_USER_REGION_WRITE = 10,
    VFIO_USER_DMA_READ = 11,  /* server to client */
    VFIO_USER_DMA_WRITE = 12, /* server to client */
    VFIO_USER_DEVICE_RESET = 13,
    VFIO_USER_REGION_WRITE_MULTI = 15,
    VFIO_USER_DEVICE_FEATURE = 16,
    VFIO_USER_MIG_DATA_READ = 17,
    VFIO_USER_MIG_DATA_WRITE = 18,
    /* Ours, only where the capability "stopcopy" was agreed on: struct vfio_user_precopy_info. */
    VFIO_USER_STOPCOPY_PRECOPY_INFO = 0x5301,
};

#define VFIO_USER_FLAG_TYPE_MASK 0xfu
#define VFIO_USER_FLAG_TYPE_COMMAND 0u
#define VFIO_USER_FLAG_TYPE_REPLY 1u
#define VFIO_USER_FLAG_NO_REPLY 0x10u
#define VFIO_USER_FLAG_ERROR 0x20u

/* What counts where VERSION's JSON does not say otherwise. */
#define VFIO_USER_DEFAULT_MAX_MSG_FDS 1u
#define VFIO_USER_DEFAULT_MAX_DATA_XFER_SIZE 1048576u
#define VFIO_USER_DEFAULT_MAX_DMA_MAPS 65535u
#define VFIO_USER_DEFAULT_PGSIZES 4096u

/*
 * The capability, in VERSION's JSON, of everything here that goes beyond the specification: the P2P states and flag in
 * FEATURE_MIGRATION, the features 9 (MIG_DATA_SIZE) and 12 (MIG_PRECOPY_INFOv2), PRECOPY_INFO, and a MIG_DATA_READ that
 * ends for the time being with an error reply of ENOMSG. Both ends must send {"capabilities":{"stopcopy":{"version":1}}};
 * without it the device's migration flags are masked to STOP_COPY and PRE_COPY.
 *
 * Where both ends send "peer_mappings":true beside the version, the client marks each DMA_MAP of another device's BAR
 * with VFIO_USER_STOPCOPY_DMA_MAP_PEER, and in the P2P states the device holds the DMA that would reach such a mapping
 * and goes on with all other. Without it any mapping may be another device's, and the device holds all DMA there.
 */
#define VFIO_USER_CAPABILITY_STOPCOPY "stopcopy"
#define VFIO_USER_CAPABILITY_STOPCOPY_VERSION 1
#define VFIO_USER_CAPABILITY_PEER_MAPPINGS "peer_mappings"

struct vfio_user_header {
    uint16_t message_id;
    uint16_t command;
    uint32_t size; /* header included */
    uint32_t flags;
    uint32_t error_number; /* errno, with VFIO_USER_FLAG_ERROR */
};

struct vfio_user_version {
    uint16_t major;
    uint16_t minor;
    char json[]; /* NUL-terminated */
};

#define VFIO_USER_DMA_MAP_READ 1u
#define VFIO_USER_DMA_MAP_WRITE 2u
#define VFIO_USER_STOPCOPY_DMA_MAP_PEER 0x80000000u /* ours, where peer_mappings was agreed on: another device's BAR */

struct vfio_user_dma_map {
    uint32_t argsz;
    uint32_t flags;
    uint64_t offset; /* into the file descriptor */
    uint64_t address;
    uint64_t size;
};

#define VFIO_USER_DMA_UNMAP_GET_DIRTY_BITMAP 1u
#define VFIO_USER_DMA_UNMAP_ALL 2u

struct vfio_user_dma_unmap {
    uint32_t argsz;
    uint32_t flags;
    uint64_t address;
    uint64_t size;
};

/* Follows struct vfio_user_dma_unmap where a bitmap is asked for, and, with the bitmap after it, in the reply. */
struct vfio_user_bitmap {
    uint64_t page_size;
    uint64_t size; /* of the bitmap, in bytes */
    char data[];
};

/* DEVICE_GET_REGION_IO_FDS: the request, and the reply's head. */
struct vfio_user_region_io_fds {
    uint32_t argsz;
    uint32_t flags;
    uint32_t index;
    uint32_t count;
};

#define VFIO_USER_IO_FD_TYPE_IOEVENTFD 0u
#define VFIO_USER_IO_FD_TYPE_IOREGIONFD 1u
#define VFIO_USER_IO_FD_TYPE_IOEVENTFD_SHADOW 2u

struct vfio_user_io_fd {
    uint64_t offset; /* into the region */
    uint64_t size;
    uint32_t fd_index;
    uint32_t type;
    uint32_t flags; /* as kvm_ioeventfd's flags */
    uint32_t padding;
    uint64_t datamatch;
};

struct vfio_user_region_access {
    uint64_t offset;
    uint32_t region;
    uint32_t count;
    char data[];
};

struct vfio_user_region_write_multi_entry {
    uint64_t offset;
    uint32_t region;
    uint32_t count; /* up to 8 */
    uint8_t data[8];
};

struct vfio_user_region_write_multi {
    uint64_t count;
    struct vfio_user_region_write_multi_entry entries[];
};

struct vfio_user_dma_access {
    uint64_t address;
    uint64_t count;
    char data[];
};

struct vfio_user_migration_data {
    uint32_t argsz;
    uint32_t size;
    char data[];
};

/* VFIO_USER_STOPCOPY_PRECOPY_INFO: the request (argsz alone counts) and the reply, as struct vfio_precopy_info. */
struct vfio_user_precopy_info {
    uint32_t argsz;
    uint32_t flags;
    uint64_t initial_bytes;
    uint64_t dirty_bytes;
};

#endif
