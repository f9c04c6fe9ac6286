/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A device of the kernel's VFIO from its opening to its end, and what is the same by both ways in. */
#include "vmm/vfio/kernel_device.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/io.h"

int kernel_open_node(const struct kernel_host *host, const char *path, const char *module, struct error *error)
{
    char full[PATH_MAX];
    int fd;

    snprintf(full, sizeof(full), "%s%s", host->root, path);
    fd = host->open(host, full, O_RDWR);
    if (fd >= 0)
        return fd;
    switch (errno) {
    case EACCES:
    case EPERM:
        return error_set(error, errno, "%s: run as root, or allow it by: chown $USER %s", path, path);
    case EBUSY:
        return error_set(error, EBUSY, "%s: another process has it: fuser %s says which", path, path);
    case ENOENT:
    case ENODEV:
        return error_set(error, errno, "%s: load the kernel's module: modprobe %s", path, module);
    default:
        return error_set(error, errno, "%s", path);
    }
}

static int region_io(struct vfio_device *device, uint32_t index, uint64_t offset, void *data, size_t count, bool write,
                     struct error *error)
{
    struct kernel_device *kernel = kernel_of(device);
    const struct kernel_region *region = &kernel->region[index < VFIO_REGIONS_MAX ? index : 0];
    size_t done = 0;

    if (index >= VFIO_REGIONS_MAX || index >= kernel->info.regions || count > region->info.size ||
        offset > region->info.size - count)
        return error_set(error, EINVAL, "%s: %zu bytes at 0x%llx of region %u are outside of it", device->name, count,
                         (unsigned long long)offset, index);
    vfio_device_count_access(device, index);
    while (done < count) {
        off_t at = (off_t)(region->offset + offset + done);
        ssize_t moved = write ? pwrite(kernel->fd, (const char *)data + done, count - done, at)
                              : pread(kernel->fd, (char *)data + done, count - done, at);

        if (moved < 0 && errno == EINTR)
            continue;
        if (moved <= 0)
            return error_set(error, moved ? errno : EIO, "%s: %s %zu bytes at 0x%llx of region %u", device->name,
                             write ? "writing" : "reading", count, (unsigned long long)offset, index);
        done += (size_t)moved;
    }
    return 0;
}

static int region_read(struct vfio_device *device, uint32_t region, uint64_t offset, void *data, size_t count,
                       struct error *error)
{
    return region_io(device, region, offset, data, count, false, error);
}

static int region_write(struct vfio_device *device, uint32_t region, uint64_t offset, const void *data, size_t count,
                        struct error *error)
{
    return region_io(device, region, offset, (void *)data, count, true, error);
}

/* The kernel has doorbells of another kind: those that its owner asks for (VFIO_DEVICE_IOEVENTFD). */
static int get_doorbells(struct vfio_device *device, uint32_t region, struct vfio_doorbell *doorbells, size_t maximum,
                         struct error *error)
{
    (void)device, (void)region, (void)doorbells, (void)maximum, (void)error;
    return 0;
}

static int dma_map(struct vfio_device *device, uint64_t iova, uint64_t size, void *host, int fd, uint64_t offset,
                   bool writable, struct error *error)
{
    (void)fd, (void)offset;
    if (kernel_space_map(kernel_of(device)->space, iova, size, host, writable, error))
        return error_prefix(error, "%s", device->name);
    return 0;
}

static int dma_unmap(struct vfio_device *device, uint64_t iova, uint64_t size, struct error *error)
{
    if (kernel_space_unmap(kernel_of(device)->space, iova, size, error))
        return error_prefix(error, "%s", device->name);
    return 0;
}

static int iommu_log(struct vfio_device *device, bool on, struct error *error)
{
    if (kernel_space_log(kernel_of(device)->space, on, error))
        return error_prefix(error, "%s", device->name);
    return 0;
}

static int iommu_log_report(struct vfio_device *device, uint64_t iova, uint64_t size, uint64_t page_size,
                            uint64_t *bitmap, struct error *error)
{
    if (kernel_space_report(kernel_of(device)->space, iova, size, page_size, bitmap, error))
        return error_prefix(error, "%s", device->name);
    return 0;
}

/* The hardware's own bits, without a driver that collects them afterwards: type1's log has no such thing. */
static bool iommu_log_is_exact(struct vfio_device *device)
{
    return kernel_of(device)->space->hwpt != 0;
}

static void set_timeout(struct vfio_device *device, uint64_t ns)
{
    atomic_store(&kernel_of(device)->timeout_ns, ns);
}

static int gone_fd(struct vfio_device *device)
{
    return kernel_of(device)->gone_fd;
}

static enum vfio_gone gone_reason(struct vfio_device *device)
{
    eventfd_t count;

    return eventfd_read(kernel_of(device)->error_fd, &count) == 0 ? VFIO_GONE_ERROR : VFIO_GONE_REQUEST;
}

static int kvm_fd(struct vfio_device *device)
{
    const struct kernel_device *kernel = kernel_of(device);

    return kernel->space->group_fd >= 0 ? kernel->space->group_fd : kernel->fd;
}

static void explain_no_migration(struct vfio_device *device, char *text, size_t size)
{
    const struct kernel_device *kernel = kernel_of(device);

    kernel_find_no_migration(kernel->host, &kernel->place, kernel->has_v1, text, size);
}

static void close_device(struct vfio_device *device)
{
    struct kernel_device *kernel = kernel_of(device);

    /* The kernel has the device still: closing could wait for ever, and the process is about to end. */
    if (atomic_load(&kernel->stuck))
        return;
    io_close(&kernel->session_fd);
    io_close(&kernel->gone_fd);
    io_close(&kernel->fd);
    io_close(&kernel->request_fd);
    io_close(&kernel->error_fd);
    kernel_space_release(kernel->space);
    free(kernel);
}

#define KERNEL_OPS(way)                                                                                                \
    {                                                                                                                  \
        .name = way, .close = close_device, .get_info = kernel_get_info, .get_region = kernel_get_region,              \
        .get_irq = kernel_get_irq, .get_doorbells = get_doorbells, .region_read = region_read,                         \
        .region_write = region_write, .set_irqs = kernel_set_irqs, .dma_map = dma_map, .dma_unmap = dma_unmap,         \
        .iommu_log = iommu_log, .iommu_log_report = iommu_log_report, .iommu_log_is_exact = iommu_log_is_exact,        \
        .reset = kernel_reset, .feature = kernel_feature, .take_session = kernel_take_session,                         \
        .session_read = kernel_session_read, .session_write = kernel_session_write,                                    \
        .session_precopy_info = kernel_session_precopy_info, .session_close = kernel_session_close,                    \
        .session_descriptor = kernel_session_descriptor, .set_timeout = set_timeout, .gone_fd = gone_fd,               \
        .gone_reason = gone_reason, .kvm_fd = kvm_fd, .explain_no_migration = explain_no_migration,                    \
    }

const struct vfio_device_ops kernel_group_ops = KERNEL_OPS("vfio-group");
const struct vfio_device_ops kernel_cdev_ops = KERNEL_OPS("vfio-cdev");

static const struct kernel_device *kernel_const_of(const struct vfio_device *device)
{
    bool ours = device->ops == &kernel_group_ops || device->ops == &kernel_cdev_ops;

    return ours ? (const struct kernel_device *)device : NULL;
}

const struct kernel_place *kernel_get_place(const struct vfio_device *device)
{
    const struct kernel_device *kernel = kernel_const_of(device);

    return kernel ? &kernel->place : NULL;
}

const struct kernel_host *kernel_get_host(const struct vfio_device *device)
{
    const struct kernel_device *kernel = kernel_const_of(device);

    return kernel ? kernel->host : NULL;
}

static int choose_way(const struct kernel_device *device, bool *cdev, struct error *error)
{
    const struct kernel_place *place = &device->place;
    const struct kernel_options *options = &device->options;
    bool iommufd = kernel_host_exists(device->host, "/dev/iommu");

    *cdev =
        options->way == KERNEL_WAY_CDEV || place->cdev_asked ||
        (options->way == KERNEL_WAY_AUTO && !place->group_asked && !options->peers_reach && place->cdev[0] && iommufd);
    if (options->way == KERNEL_WAY_GROUP && place->cdev_asked)
        return error_set(error, 0, "a cdev was named and --vfio group asked for: name %s instead", place->name);
    if (*cdev && place->group_asked)
        return error_set(error, 0, "a group was named and --vfio cdev asked for: name %s instead", place->name);
    if (*cdev && !place->cdev[0])
        return error_set(error, 0,
                         "%s has no /dev/vfio/devices/vfioN: this kernel lacks CONFIG_VFIO_DEVICE_CDEV (with "
                         "CONFIG_IOMMUFD); use --vfio group",
                         place->name);
    return 0;
}

/* The address space of a device of the same group that is open by the same way. */
static struct kernel_space *find_shared(const struct vfio_device_ops *ops, int group, struct vfio_device *const *peers,
                                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct kernel_device *peer = kernel_of(peers[i]);

        if (peers[i]->ops == ops && peer->place.group == group) {
            peer->space->users++;
            return peer->space;
        }
    }
    return NULL;
}

int kernel_watch_device(struct kernel_device *device, struct error *error)
{
    const struct {
        uint32_t index;
        int *fd;
    } watched[] = {{VFIO_PCI_ERR_IRQ_INDEX, &device->error_fd}, {VFIO_PCI_REQ_IRQ_INDEX, &device->request_fd}};

    device->gone_fd = epoll_create1(EPOLL_CLOEXEC);
    device->error_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    device->request_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (device->gone_fd < 0 || device->error_fd < 0 || device->request_fd < 0)
        return error_set(error, errno, "making eventfds");
    for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++) {
        struct epoll_event event = {.events = EPOLLIN};
        struct vfio_irq irq = {.count = 0};

        if (epoll_ctl(device->gone_fd, EPOLL_CTL_ADD, *watched[i].fd, &event))
            return error_set(error, errno, "watching eventfds");
        /* Not every device has them, and some only say so. */
        if (kernel_get_irq(&device->device, watched[i].index, &irq, NULL) == 0 && irq.count)
            kernel_set_irqs(&device->device, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, watched[i].index,
                            0, 1, watched[i].fd, sizeof(int32_t), NULL);
    }
    return 0;
}

static int open_by_way(struct kernel_device *device, struct vfio_device *const *peers, size_t peer_count,
                       struct error *error)
{
    struct kernel_space *shared;
    bool cdev;

    if (choose_way(device, &cdev, error))
        return -1;
    device->device.ops = cdev ? &kernel_cdev_ops : &kernel_group_ops;
    shared = find_shared(device->device.ops, device->place.group, peers, peer_count);
    if ((cdev ? kernel_cdev_open : kernel_group_open)(device, shared, error))
        return -1;
    return kernel_read_info(device, error) || kernel_watch_device(device, error) ? -1 : 0;
}

struct vfio_device *kernel_open(const struct kernel_host *host, const char *name, const char *word,
                                const struct kernel_options *options, struct vfio_device *const *peers,
                                size_t peer_count, uint64_t timeout_ns, struct error *error)
{
    struct kernel_device *device = calloc(1, sizeof(*device));

    if (!device) {
        error_set(error, ENOMEM, "%s", name);
        return NULL;
    }
    snprintf(device->device.name, sizeof(device->device.name), "%s", name);
    device->device.ops = &kernel_group_ops;
    device->host = host;
    device->options = *options;
    device->fd = device->session_fd = device->request_fd = device->error_fd = device->gone_fd = -1;
    atomic_store(&device->timeout_ns, timeout_ns);
    if (kernel_find(host, word, &device->place, error) || open_by_way(device, peers, peer_count, error)) {
        error_prefix(error, "%s", name);
        close_device(&device->device);
        return NULL;
    }
    return &device->device;
}
