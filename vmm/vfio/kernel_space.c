/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/vfio/kernel_space.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "lib/io.h"

struct kernel_space *kernel_space_new(const struct kernel_host *host, const struct kernel_space_ops *ops, int group)
{
    struct kernel_space *space = calloc(1, sizeof(*space));

    if (!space)
        return NULL;
    space->ops = ops;
    space->host = host;
    space->users = 1;
    space->group = group;
    space->group_fd = space->fd = -1;
    return space;
}

void kernel_space_release(struct kernel_space *space)
{
    if (!space || --space->users)
        return;
    /* Closing the descriptors undoes the mappings. */
    io_close(&space->group_fd);
    io_close(&space->fd);
    free(space->mapping);
    free(space);
}

static struct kernel_mapping *find_mapping(struct kernel_space *space, uint64_t iova, uint64_t size)
{
    for (size_t i = 0; i < space->mapping_count; i++)
        if (space->mapping[i].iova == iova && space->mapping[i].size == size)
            return &space->mapping[i];
    return NULL;
}

static bool in_ranges(const struct kernel_space *space, uint64_t iova, uint64_t size)
{
    for (unsigned int i = 0; i < space->range_count; i++)
        if (iova >= space->range[i].start && iova <= space->range[i].last && size - 1 <= space->range[i].last - iova)
            return true;
    return !space->range_count;
}

/* "0x0 to 0xfedfffff, 0xfef00000 to ..." */
static void say_ranges(const struct kernel_space *space, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (unsigned int i = 0; i < space->range_count && used < size; i++) {
        int added = snprintf(text + used, size - used, "%s0x%llx to 0x%llx", i ? ", " : "",
                             (unsigned long long)space->range[i].start, (unsigned long long)space->range[i].last);

        used += added > 0 ? (size_t)added : 0;
    }
}

static int check(const struct kernel_space *space, uint64_t iova, uint64_t size, const void *host, struct error *error)
{
    uint64_t smallest = space->page_sizes & -space->page_sizes;
    char ranges[ERROR_TEXT_MAX / 3];

    if (!size || size - 1 > UINT64_MAX - iova)
        return error_set(error, EINVAL, "0x%llx bytes at 0x%llx", (unsigned long long)size, (unsigned long long)iova);
    if (smallest && (iova | size | (uintptr_t)host) & (smallest - 1))
        return error_set(error, EINVAL,
                         "the IOMMU's smallest page is %llu KiB, and 0x%llx bytes at 0x%llx are not in whole ones: use "
                         "a host kernel with 4 KiB pages for its IOMMU",
                         (unsigned long long)smallest / 1024, (unsigned long long)size, (unsigned long long)iova);
    if (in_ranges(space, iova, size))
        return 0;
    say_ranges(space, ranges, sizeof(ranges));
    return error_set(error, ERANGE,
                     "0x%llx bytes at 0x%llx are not within the addresses that the device's IOMMU can map (%s): give "
                     "the guest less --memory",
                     (unsigned long long)size, (unsigned long long)iova, ranges);
}

/* ENOMEM has one cause above all. */
static int explain_map(uint64_t iova, uint64_t size, int number, struct error *error)
{
    struct rlimit limit;

    if (number == ENOMEM && getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        return error_set(error, ENOMEM,
                         "the limit of locked memory is %llu KiB, and %llu KiB more of the guest's are to be locked "
                         "(iommufd counts all of a user's): raise it by ulimit -l unlimited, or LimitMEMLOCK=infinity "
                         "of a systemd unit, or give less --memory",
                         (unsigned long long)limit.rlim_cur / 1024, (unsigned long long)size / 1024);
    return error_set(error, number, "mapping 0x%llx bytes at 0x%llx for DMA", (unsigned long long)size,
                     (unsigned long long)iova);
}

int kernel_space_map(struct kernel_space *space, uint64_t iova, uint64_t size, void *host, bool writable,
                     struct error *error)
{
    struct kernel_mapping *mapping = find_mapping(space, iova, size);
    struct kernel_mapping *grown;

    if (mapping && mapping->users < space->users) {
        mapping->users++;
        return 0;
    }
    if (check(space, iova, size, host, error))
        return -1;
    grown = realloc(space->mapping, (space->mapping_count + 1) * sizeof(*grown));
    if (!grown)
        return error_set(error, ENOMEM, "noting a mapping for DMA");
    space->mapping = grown;
    if (space->ops->map(space, iova, size, host, writable))
        return explain_map(iova, size, errno, error);
    space->mapping[space->mapping_count++] = (struct kernel_mapping){.iova = iova, .size = size, .users = 1};
    return 0;
}

int kernel_space_unmap(struct kernel_space *space, uint64_t iova, uint64_t size, struct error *error)
{
    struct kernel_mapping *mapping = find_mapping(space, iova, size);

    if (!mapping)
        return error_set(error, ENOENT, "0x%llx bytes at 0x%llx are not mapped for DMA", (unsigned long long)size,
                         (unsigned long long)iova);
    if (mapping->users > 1) {
        mapping->users--;
        return 0;
    }
    if (space->ops->unmap(space, iova, size))
        return error_set(error, errno, "unmapping 0x%llx bytes at 0x%llx from DMA", (unsigned long long)size,
                         (unsigned long long)iova);
    *mapping = space->mapping[--space->mapping_count];
    return 0;
}

int kernel_space_log(struct kernel_space *space, bool on, struct error *error)
{
    if (on ? space->log_users > 0 : space->log_users > 1) {
        space->log_users += on ? 1 : -1u;
        return 0;
    }
    if (!on && !space->log_users)
        return error_set(error, EINVAL, "the IOMMU's dirty log is not on");
    if (space->ops->log(space, on))
        return error_set(error, errno, "the IOMMU's dirty log cannot be switched %s", on ? "on" : "off");
    space->log_users = on;
    return 0;
}

int kernel_space_report(struct kernel_space *space, uint64_t iova, uint64_t size, uint64_t page_size, uint64_t *bitmap,
                        struct error *error)
{
    if (space->ops->report(space, iova, size, page_size, bitmap))
        return error_set(error, errno, "the IOMMU's dirty log of 0x%llx bytes at 0x%llx", (unsigned long long)size,
                         (unsigned long long)iova);
    return 0;
}
