/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An I/O address space that devices of one IOMMU group share: a type1v2 container with its group (linux/vfio.h), or an IOAS
 * of an iommufd (linux/iommufd.h). Mappings are counted, because each device asks for its own. Not thread safe.
 */
#ifndef STOPCOPY_VFIO_KERNEL_SPACE_H
#define STOPCOPY_VFIO_KERNEL_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "vmm/vfio/kernel_host.h"

#define KERNEL_IOVA_RANGES_MAX 64

struct kernel_space;

struct kernel_iova_range {
    uint64_t start, last;
};

struct kernel_mapping {
    uint64_t iova, size;
    unsigned int users;
};

struct kernel_space_ops {
    int (*map)(struct kernel_space *space, uint64_t iova, uint64_t size, void *host, bool writable);
    int (*unmap)(struct kernel_space *space, uint64_t iova, uint64_t size);
    /* The IOMMU's dirty log: 0, or -1 with errno (EOPNOTSUPP: it has none). Sets bits, clears the log. */
    int (*log)(struct kernel_space *space, bool on);
    int (*report)(struct kernel_space *space, uint64_t iova, uint64_t size, uint64_t page_size, uint64_t *bitmap);
};

struct kernel_space {
    const struct kernel_space_ops *ops;
    const struct kernel_host *host;
    unsigned int users; /* devices */
    int group;
    int group_fd; /* -1 with iommufd */
    int fd;       /* the container, or the iommufd */
    uint32_t ioas;
    uint32_t hwpt; /* 0: none with dirty tracking */
    unsigned int log_users;

    uint64_t page_sizes; /* bitmap; 0: not known */
    unsigned int range_count;
    struct kernel_iova_range range[KERNEL_IOVA_RANGES_MAX];

    struct kernel_mapping *mapping;
    size_t mapping_count;
};

/* A new one with no descriptors, for one user. NULL: out of memory. */
struct kernel_space *kernel_space_new(const struct kernel_host *host, const struct kernel_space_ops *ops, int group);
/* The last user closes it. */
void kernel_space_release(struct kernel_space *space);

/*
 * Errors say what the user can do: ERANGE outside of what the IOMMU can address, EINVAL where its pages are too large,
 * ENOMEM past the limit of locked memory.
 */
int kernel_space_map(struct kernel_space *space, uint64_t iova, uint64_t size, void *host, bool writable,
                     struct error *error);
int kernel_space_unmap(struct kernel_space *space, uint64_t iova, uint64_t size, struct error *error);

/* The IOMMU's log, on while one of the users wants it. */
int kernel_space_log(struct kernel_space *space, bool on, struct error *error);
int kernel_space_report(struct kernel_space *space, uint64_t iova, uint64_t size, uint64_t page_size, uint64_t *bitmap,
                        struct error *error);

#endif
