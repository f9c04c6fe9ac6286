/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the device is: DEVICE_GET_INFO, GET_REGION_INFO, GET_IRQ_INFO, GET_REGION_IO_FDS. */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/vfio/vfio_user_client.h"

#define REGION_INFO_MAX 4096u
#define PAGE_SIZE_MIN 4096u

int vfio_user_get_info(struct vfio_device *device, struct vfio_device_info_summary *info, struct error *error)
{
    /* Without linux/vfio.h's cap_offset: 16 bytes is the whole of it here. */
    struct {
        uint32_t argsz;
        uint32_t flags;
        uint32_t num_regions;
        uint32_t num_irqs;
    } wire = {.argsz = sizeof(wire)};
    struct vfio_user *client = vfio_user_of(device);
    struct vfio_user_call call = {
        .command = VFIO_USER_DEVICE_GET_INFO,
        .request = {{&wire, sizeof(wire)}},
        .request_count = 1,
        .reply = {{&wire, sizeof(wire)}},
        .reply_minimum = sizeof(wire),
    };

    if (vfio_user_roundtrip(client, &call, error, "DEVICE_GET_INFO") < 0)
        return -1;
    if (wire.argsz < sizeof(wire))
        return vfio_user_violation(client, error, "DEVICE_GET_INFO: argsz is %u, less than %zu", wire.argsz,
                                   sizeof(wire));
    info->flags = wire.flags;
    info->regions = wire.num_regions;
    info->irqs = wire.num_irqs;
    return 0;
}

int vfio_user_get_irq(struct vfio_device *device, uint32_t index, struct vfio_irq *irq, struct error *error)
{
    struct vfio_user *client = vfio_user_of(device);
    struct vfio_irq_info wire = {.argsz = sizeof(wire), .index = index};
    struct vfio_user_call call = {
        .command = VFIO_USER_DEVICE_GET_IRQ_INFO,
        .request = {{&wire, sizeof(wire)}},
        .request_count = 1,
        .reply = {{&wire, sizeof(wire)}},
        .reply_minimum = sizeof(wire),
    };

    if (vfio_user_roundtrip(client, &call, error, "DEVICE_GET_IRQ_INFO of index %u", index) < 0)
        return -1;
    if (wire.argsz < sizeof(wire) || wire.index != index)
        return vfio_user_violation(client, error, "DEVICE_GET_IRQ_INFO of index %u: the reply has argsz %u, index %u",
                                   index, wire.argsz, wire.index);
    irq->flags = wire.flags;
    irq->count = wire.count;
    return 0;
}

/* The reply of GET_REGION_INFO: the structure and its capabilities, of which size bytes are there. */
struct region_reply {
    union {
        struct vfio_region_info info;
        uint8_t bytes[REGION_INFO_MAX];
    };
    size_t size;
};

static bool area_fits(const struct vfio_region *region, uint64_t offset, uint64_t size)
{
    return size && offset % PAGE_SIZE_MIN == 0 && size % PAGE_SIZE_MIN == 0 && offset < region->size &&
           size <= region->size - offset;
}

static int parse_sparse(struct vfio_user *client, const struct region_reply *reply, size_t offset,
                        struct vfio_region *region, struct error *error)
{
    struct vfio_region_info_cap_sparse_mmap sparse;
    uint32_t index = reply->info.index;

    if (reply->size - offset < sizeof(sparse))
        return vfio_user_violation(client, error, "region %u: the sparse mmap capability is cut off", index);
    memcpy(&sparse, reply->bytes + offset, sizeof(sparse));
    if (sparse.nr_areas > (reply->size - offset - sizeof(sparse)) / sizeof(sparse.areas[0]))
        return vfio_user_violation(client, error, "region %u: %u sparse areas do not fit into the reply", index,
                                   sparse.nr_areas);
    if (sparse.nr_areas > VFIO_SPARSE_MAX)
        return error_set(error, E2BIG, "%s: region %u has %u sparse areas, and at most %d can be used",
                         client->device.name, index, sparse.nr_areas, VFIO_SPARSE_MAX);
    region->area_count = sparse.nr_areas;
    for (uint32_t i = 0; i < sparse.nr_areas; i++) {
        struct vfio_region_sparse_mmap_area area;

        memcpy(&area, reply->bytes + offset + sizeof(sparse) + i * sizeof(area), sizeof(area));
        region->area[i] = (struct vfio_area){area.offset, area.size};
        if (!area_fits(region, area.offset, area.size))
            return vfio_user_violation(
                client, error,
                "region %u: sparse area %u (0x%llx bytes at 0x%llx) is not of whole pages inside "
                "of the region's 0x%llx bytes",
                index, i, (unsigned long long)area.size, (unsigned long long)area.offset,
                (unsigned long long)region->size);
    }
    return 0;
}

static int parse_region_capabilities(struct vfio_user *client, const struct region_reply *reply,
                                     struct vfio_region *region, struct error *error)
{
    uint32_t offset = reply->info.cap_offset;
    uint32_t index = reply->info.index;
    size_t hops = 0;

    while (offset) {
        struct vfio_info_cap_header header;

        if (offset < sizeof(reply->info) || offset > reply->size - sizeof(header))
            return vfio_user_violation(client, error, "region %u: a capability at byte %u of %zu", index, offset,
                                       reply->size);
        if (++hops > reply->size / sizeof(header))
            return vfio_user_violation(client, error, "region %u: the capabilities form a loop", index);
        memcpy(&header, reply->bytes + offset, sizeof(header));
        if (header.id == VFIO_REGION_INFO_CAP_SPARSE_MMAP && header.version == 1 &&
            parse_sparse(client, reply, offset, region, error) < 0)
            return -1;
        offset = header.next;
    }
    return 0;
}

/* Access past the end of a file is a SIGBUS, so a region must not reach past it. */
static int check_backing(struct vfio_user *client, uint32_t index, const struct vfio_region *region, int fd,
                         struct error *error)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return error_set(error, errno, "%s: region %u: fstat", client->device.name, index);
    for (unsigned int i = 0; i < region->area_count; i++) {
        uint64_t end = region->area[i].offset + region->area[i].size;

        if (region->mmap_offset % PAGE_SIZE_MIN || end > INT64_MAX || region->mmap_offset > INT64_MAX - end)
            return vfio_user_violation(client, error, "region %u: mmap offset 0x%llx", index,
                                       (unsigned long long)region->mmap_offset);
        if (S_ISREG(status.st_mode) && region->mmap_offset + end > (uint64_t)status.st_size)
            return vfio_user_violation(client, error, "region %u: its file ends at 0x%llx, before area %u does", index,
                                       (unsigned long long)status.st_size, i);
    }
    return 0;
}

static int parse_region(struct vfio_user *client, uint32_t index, struct region_reply *reply, int *fd,
                        struct vfio_region *region, struct error *error)
{
    const struct vfio_region_info *info = &reply->info;

    if (info->argsz < sizeof(*info) || info->index != index)
        return vfio_user_violation(client, error, "DEVICE_GET_REGION_INFO of %u: the reply has argsz %u, index %u",
                                   index, info->argsz, info->index);
    if (info->argsz > REGION_INFO_MAX)
        return error_set(error, E2BIG, "%s: region %u: %u bytes of capabilities", client->device.name, index,
                         info->argsz);
    if (info->argsz > reply->size)
        return vfio_user_violation(client, error, "region %u: argsz is %u, and %zu bytes came", index, info->argsz,
                                   reply->size);
    reply->size = info->argsz;
    region->flags = info->flags;
    region->size = info->size;
    region->mmap_offset = info->offset;
    if (info->flags & VFIO_REGION_INFO_FLAG_CAPS && parse_region_capabilities(client, reply, region, error) < 0)
        return -1;
    if (!(info->flags & VFIO_REGION_INFO_FLAG_MMAP) || !info->size) {
        io_close(fd);
        region->area_count = 0;
        return 0;
    }
    if (*fd < 0)
        return vfio_user_violation(client, error, "region %u can be mapped, and no descriptor came", index);
    if (!region->area_count && area_fits(region, 0, region->size)) {
        region->area_count = 1;
        region->area[0] = (struct vfio_area){0, region->size};
    }
    return check_backing(client, index, region, *fd, error);
}

int vfio_user_get_region(struct vfio_device *device, uint32_t index, struct vfio_region *region, struct error *error)
{
    struct vfio_user *client = vfio_user_of(device);
    struct region_reply reply = {.size = 0};
    struct vfio_region_info request = {.argsz = REGION_INFO_MAX, .index = index};
    int fd = -1;
    struct vfio_user_call call = {
        .command = VFIO_USER_DEVICE_GET_REGION_INFO,
        .request = {{&request, sizeof(request)}},
        .request_count = 1,
        .reply = {{reply.bytes, sizeof(reply.bytes)}},
        .reply_minimum = sizeof(request),
        .reply_fds = &fd,
        .reply_fds_max = 1,
    };
    struct vfio_user_region_cache *cache;

    *region = (struct vfio_region){.mmap_fd = -1};
    if (index >= VFIO_REGIONS_MAX)
        return error_set(error, EINVAL, "%s: region %u", device->name, index);
    if (vfio_user_roundtrip(client, &call, error, "DEVICE_GET_REGION_INFO of region %u", index) < 0)
        return -1;
    reply.size = call.reply_size;
    if (parse_region(client, index, &reply, &fd, region, error) < 0) {
        io_close(&fd);
        return -1;
    }
    cache = &client->regions[index];
    cache->known = true;
    cache->size = region->size;
    /* An earlier descriptor may be in use. */
    if (cache->mmap_fd >= 0)
        io_close(&fd);
    else
        cache->mmap_fd = fd;
    region->mmap_fd = region->area_count ? cache->mmap_fd : -1;
    return 0;
}

struct io_fds_reply {
    struct vfio_user_region_io_fds head;
    struct vfio_user_io_fd entries[VFIO_DOORBELLS_MAX];
};

static int check_io_fds(struct vfio_user *client, uint32_t index, const struct io_fds_reply *reply, size_t size,
                        struct error *error)
{
    uint32_t count = reply->head.count;

    if (reply->head.index != index)
        return vfio_user_violation(client, error, "GET_REGION_IO_FDS of region %u: the reply is about %u", index,
                                   reply->head.index);
    if (count > VFIO_DOORBELLS_MAX)
        return error_set(error, E2BIG, "%s: region %u has %u doorbells, and at most %d can be used",
                         client->device.name, index, count, VFIO_DOORBELLS_MAX);
    if (size != sizeof(reply->head) + count * sizeof(reply->entries[0]) || reply->head.argsz != size)
        return vfio_user_violation(client, error, "GET_REGION_IO_FDS of region %u: %u entries, argsz %u, %zu bytes",
                                   index, count, reply->head.argsz, size);
    return 0;
}

/* Fills in the doorbell. Returns 1, 0 where it is none that we can use, or -1. */
static int parse_io_fd(struct vfio_user *client, uint32_t index, const struct vfio_user_io_fd *entry, const int *fds,
                       size_t fd_count, struct vfio_doorbell *doorbell, struct error *error)
{
    uint64_t region_size = client->regions[index].size;
    bool size_allowed =
        entry->size == 0 || entry->size == 1 || entry->size == 2 || entry->size == 4 || entry->size == 8;

    if (entry->type != VFIO_USER_IO_FD_TYPE_IOEVENTFD || (entry->flags & ~KVM_IOEVENTFD_FLAG_DATAMATCH))
        return 0;
    if (!size_allowed || entry->offset >= region_size || entry->size > region_size - entry->offset)
        return vfio_user_violation(client, error, "region %u: a doorbell of %llu bytes at 0x%llx, of 0x%llx", index,
                                   (unsigned long long)entry->size, (unsigned long long)entry->offset,
                                   (unsigned long long)region_size);
    if (entry->fd_index >= fd_count)
        return vfio_user_violation(client, error, "region %u: doorbell descriptor %u of %zu", index, entry->fd_index,
                                   fd_count);
    *doorbell = (struct vfio_doorbell){
        .region = index,
        .offset = entry->offset,
        .size = (uint32_t)entry->size,
        .match = entry->flags & KVM_IOEVENTFD_FLAG_DATAMATCH,
        .datamatch = entry->datamatch,
        .fd = fds[entry->fd_index],
    };
    return 1;
}

/* Asks once; the cache then has the doorbells and owns the descriptors. */
static int fetch_doorbells(struct vfio_user *client, uint32_t index, struct vfio_user_region_cache *cache,
                           struct io_fds_reply *reply, struct error *error)
{
    struct vfio_user_region_io_fds request = {.argsz = sizeof(*reply), .index = index};
    struct vfio_user_call call = {
        .command = VFIO_USER_DEVICE_GET_REGION_IO_FDS,
        .request = {{&request, sizeof(request)}},
        .request_count = 1,
        .reply = {{reply, sizeof(*reply)}},
        .reply_minimum = sizeof(request),
        .reply_fds = cache->doorbell_fds,
        .reply_fds_max = IO_FDS_MAX,
    };

    if (vfio_user_roundtrip(client, &call, error, "DEVICE_GET_REGION_IO_FDS of region %u", index) < 0)
        return call.answer ? 0 : -1; /* a server without doorbells refuses */
    cache->doorbell_fd_count = (unsigned int)call.reply_fd_count;
    if (check_io_fds(client, index, reply, call.reply_size, error) < 0)
        return -1;
    cache->doorbells = calloc(reply->head.count + 1, sizeof(*cache->doorbells));
    if (!cache->doorbells)
        return error_set(error, ENOMEM, "%s: doorbells", client->device.name);
    for (uint32_t i = 0; i < reply->head.count; i++) {
        int status = parse_io_fd(client, index, &reply->entries[i], cache->doorbell_fds, call.reply_fd_count,
                                 &cache->doorbells[cache->doorbell_count], error);

        if (status < 0)
            return -1;
        cache->doorbell_count += (unsigned int)status;
    }
    return 0;
}

static void drop_doorbells(struct vfio_user_region_cache *cache)
{
    while (cache->doorbell_fd_count)
        io_close(&cache->doorbell_fds[--cache->doorbell_fd_count]);
    free(cache->doorbells);
    cache->doorbells = NULL;
    cache->doorbell_count = 0;
}

int vfio_user_get_doorbells(struct vfio_device *device, uint32_t region, struct vfio_doorbell *doorbells,
                            size_t maximum, struct error *error)
{
    struct vfio_user *client = vfio_user_of(device);
    struct vfio_user_region_cache *cache;
    struct io_fds_reply reply;
    struct vfio_region info;

    if (region >= VFIO_REGIONS_MAX)
        return error_set(error, EINVAL, "%s: region %u", device->name, region);
    cache = &client->regions[region];
    if (!cache->known && vfio_user_get_region(device, region, &info, error) < 0)
        return -1;
    if (!cache->doorbells_known && fetch_doorbells(client, region, cache, &reply, error) < 0) {
        drop_doorbells(cache);
        return -1;
    }
    cache->doorbells_known = true;
    if (cache->doorbell_count > maximum)
        return error_set(error, E2BIG, "%s: region %u has %u doorbells, more than %zu", device->name, region,
                         cache->doorbell_count, maximum);
    if (cache->doorbell_count)
        memcpy(doorbells, cache->doorbells, cache->doorbell_count * sizeof(*doorbells));
    return (int)cache->doorbell_count;
}
