/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One passed-through device, whatever serves it. A backend is the kernel's uAPI (linux/vfio.h) and nothing more; all
 * that knows about migration sits above it and is the same for every backend.
 *
 * Threads: regions may be accessed from several threads at once. Everything else is called by one thread at a time.
 */
#ifndef STOPCOPY_VFIO_DEVICE_H
#define STOPCOPY_VFIO_DEVICE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/deadline.h"
#include "lib/error.h"
#include "stopcopy/vfio_compat.h"

struct vfio_device;
struct vfio_data_session;

#define VFIO_REGIONS_MAX 16
#define VFIO_SPARSE_MAX 16
#define VFIO_DOORBELLS_MAX 64

/* A part of a region that may be mapped. */
struct vfio_area {
    uint64_t offset;
    uint64_t size;
};

struct vfio_region {
    uint32_t flags; /* VFIO_REGION_INFO_FLAG_* */
    uint64_t size;  /* 0: the device has no such region */
    /* What may be mapped (the sparse mmap capability, or all of it), and from where: mmap(mmap_fd, mmap_offset +
     * area.offset). The descriptor is the device's. mmap_fd is -1 where nothing may. */
    int mmap_fd;
    uint64_t mmap_offset;
    unsigned int area_count;
    struct vfio_area area[VFIO_SPARSE_MAX];
};

struct vfio_irq {
    uint32_t flags; /* VFIO_IRQ_INFO_* */
    uint32_t count;
};

/* A doorbell: an eventfd that the device listens to in place of writes to a region (KVM_IOEVENTFD). The fd is the
 * device's. */
struct vfio_doorbell {
    uint32_t region;
    uint64_t offset;
    uint32_t size; /* 0: any width */
    bool match;
    uint64_t datamatch;
    int fd;
};

struct vfio_device_info_summary {
    uint32_t flags; /* VFIO_DEVICE_FLAGS_* */
    uint32_t regions;
    uint32_t irqs;
};

/* What read answers. */
enum vfio_data_result {
    VFIO_DATA_ERROR = -1,
    VFIO_DATA_DATA = 0,  /* *count bytes, at least one */
    VFIO_DATA_END = 1,   /* the end of the stream: read() == 0 of the kernel, a short read of vfio-user; *count may
                            still be more than 0 */
    VFIO_DATA_AGAIN = 2, /* PRE_COPY: nothing for now, the stream goes on (ENOMSG) */
};

/* Why a device can be used no more. */
enum vfio_gone {
    VFIO_GONE_SERVER,
    VFIO_GONE_REQUEST, /* the host wants it back: VFIO_PCI_REQ_IRQ_INDEX */
    VFIO_GONE_ERROR,   /* it reported an error that is not recovered from (AER): VFIO_PCI_ERR_IRQ_INDEX */
};

/*
 * The operations of a backend. Each is one ioctl of the uAPI, or the message that stands for it; errors carry the errno
 * that the device answered. A deadline applies to each call: the backend's default, or that of set_timeout.
 */
struct vfio_device_ops {
    /* "vfio-user", "vfio-group", "vfio-cdev" */
    const char *name;

    void (*close)(struct vfio_device *device);

    /* VFIO_DEVICE_GET_INFO, GET_REGION_INFO, GET_IRQ_INFO. */
    int (*get_info)(struct vfio_device *device, struct vfio_device_info_summary *info, struct error *error);
    int (*get_region)(struct vfio_device *device, uint32_t index, struct vfio_region *region, struct error *error);
    int (*get_irq)(struct vfio_device *device, uint32_t index, struct vfio_irq *irq, struct error *error);
    /* Doorbells of a region that the device offers as eventfds. Returns how many, 0 where it has none, -1. */
    int (*get_doorbells)(struct vfio_device *device, uint32_t region, struct vfio_doorbell *doorbells, size_t maximum,
                         struct error *error);

    /* pread and pwrite on a region: all of count bytes or an error. Thread safe. */
    int (*region_read)(struct vfio_device *device, uint32_t region, uint64_t offset, void *data, size_t count,
                       struct error *error);
    int (*region_write)(struct vfio_device *device, uint32_t region, uint64_t offset, const void *data, size_t count,
                        struct error *error);

    /* VFIO_DEVICE_SET_IRQS. data follows struct vfio_irq_set: eventfds as int32_t, bools as uint8_t. The descriptors
     * stay the caller's. */
    int (*set_irqs)(struct vfio_device *device, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
                    const void *data, size_t data_size, struct error *error);

    /*
     * Maps [iova, iova + size) to memory: host is where this process has it; fd and offset where another process can
     * map it from (fd -1: it cannot, and the device reaches it by asking us). writable: the device may write.
     */
    int (*dma_map)(struct vfio_device *device, uint64_t iova, uint64_t size, void *host, int fd, uint64_t offset,
                   bool writable, struct error *error);
    /* The same for a BAR of another device, where the backend can tell its device that it is one. NULL: dma_map. */
    int (*dma_map_peer)(struct vfio_device *device, uint64_t iova, uint64_t size, void *host, int fd, uint64_t offset,
                        bool writable, struct error *error);
    int (*dma_unmap)(struct vfio_device *device, uint64_t iova, uint64_t size, struct error *error);

    /*
     * The VMM's own log of the DMA that it did on the device's behalf (vfio-user's DMA_WRITE), which no other log has:
     * sets the bit of each page_size (a power of two) of [iova, iova + size) in bitmap, and clears the log there. It is
     * always on, from the mapping onwards. NULL where a backend does no such thing. Thread safe.
     */
    int (*take_own_dirty)(struct vfio_device *device, uint64_t iova, uint64_t size, uint64_t page_size,
                          uint64_t *bitmap, struct error *error);

    /*
     * The dirty log that the IOMMU keeps of what the device writes, on or off, and a report: sets the bit of each
     * page_size of [iova, iova + size), which is one mapping, in bitmap, and clears the log there. EOPNOTSUPP where this
     * IOMMU has none. iommu_log_is_exact: it names the pages that were written, not all that could have been. NULL where a
     * backend has no IOMMU.
     */
    int (*iommu_log)(struct vfio_device *device, bool on, struct error *error);
    int (*iommu_log_report)(struct vfio_device *device, uint64_t iova, uint64_t size, uint64_t page_size,
                            uint64_t *bitmap, struct error *error);
    bool (*iommu_log_is_exact)(struct vfio_device *device);

    /* VFIO_DEVICE_RESET */
    int (*reset)(struct vfio_device *device, struct error *error);

    /* VFIO_DEVICE_FEATURE: flags has the feature and VFIO_DEVICE_FEATURE_GET, SET or PROBE; data is the payload after
     * the header, read and written in place. */
    int (*feature)(struct vfio_device *device, uint32_t flags, void *data, size_t size, struct error *error);

    /* The data transfer session that the last change of state into the saving group or RESUMING gave, taken over: NULL
     * where it gave none. With the kernel this is data_fd. */
    struct vfio_data_session *(*take_session)(struct vfio_device *device);
    enum vfio_data_result (*session_read)(struct vfio_data_session *session, void *data, size_t size, size_t *count,
                                          struct error *error);
    /* Writes up to size bytes. Returns how many were taken, at least 1, or -1. */
    ssize_t (*session_write)(struct vfio_data_session *session, const void *data, size_t size, struct error *error);
    /* VFIO_MIG_GET_PRECOPY_INFO */
    int (*session_precopy_info)(struct vfio_data_session *session, struct vfio_precopy_info *info, struct error *error);
    void (*session_close)(struct vfio_data_session *session);
    /* The session's own descriptor, data_fd, which stays the session's: -1 where there is none. NULL: there never is. */
    int (*session_descriptor)(const struct vfio_data_session *session);

    void (*set_timeout)(struct vfio_device *device, uint64_t ns);
    /* A descriptor that becomes readable (or hangs up) when the device can be used no more, -1 where there is none. */
    int (*gone_fd)(struct vfio_device *device);
    /* Why it became so. NULL: the device's server is gone. */
    enum vfio_gone (*gone_reason)(struct vfio_device *device);
    /* What KVM is told of for its own bookkeeping (KVM_DEV_TYPE_VFIO): the group's or the device's descriptor, which stays
     * the device's. NULL where a backend has none. */
    int (*kvm_fd)(struct vfio_device *device);
    /* Why the device has no migration, and the commands that may give it one. NULL where a backend knows no more than
     * that the feature is missing. */
    void (*explain_no_migration)(struct vfio_device *device, char *text, size_t size);
};

/* The head of every backend's own structure. */
struct vfio_device {
    const struct vfio_device_ops *ops;
    char name[128];                    /* as the user gave it: "vfio-user:/run/x.sock" */
    atomic_uint_fast64_t bar_accesses; /* by region_read and region_write, of a BAR */
};

/* For a backend: counts an access to a region. */
static inline void vfio_device_count_access(struct vfio_device *device, uint32_t region)
{
    if (region <= VFIO_PCI_BAR5_REGION_INDEX)
        atomic_fetch_add_explicit(&device->bar_accesses, 1, memory_order_relaxed);
}

struct vfio_data_session {
    struct vfio_device *device;
};

/*
 * Connects to the vfio-user server at a UNIX socket, or takes over a connected socket. dma_by_message: give no
 * descriptors with DMA_MAP, so that the server must use DMA_READ and DMA_WRITE. timeout_ns bounds every message.
 */
struct vfio_device *vfio_user_open(const char *path, bool dma_by_message, uint64_t timeout_ns, struct error *error);
struct vfio_device *vfio_user_adopt(int socket, const char *name, bool dma_by_message, uint64_t timeout_ns,
                                    struct error *error);

void vfio_device_close(struct vfio_device *device);

/* "DEVICE_FEATURE SET STOP_COPY", "DEVICE_FEATURE GET MIGRATION": what a call of feature is, for errors. */
void vfio_feature_say(uint32_t flags, const void *data, size_t data_size, char *text, size_t size);
const char *vfio_feature_operation(uint32_t flags);
const char *vfio_feature_name(uint32_t flags, const void *data, size_t data_size);

#endif
