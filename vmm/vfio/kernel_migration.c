/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VFIO_DEVICE_FEATURE, and the data transfer session, which is the data_fd that a change of state gives (linux/vfio.h,
 * VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/io.h"
#include "vmm/vfio/kernel_device.h"

#define PAYLOAD_MAX 64u

struct kernel_session {
    struct vfio_data_session session;
    int fd;
};

/* What may wait for firmware; the rest is bookkeeping of the kernel's, or has pointers into our memory. */
static bool may_wait(uint32_t flags)
{
    uint32_t feature = flags & VFIO_DEVICE_FEATURE_MASK;

    return !(flags & VFIO_DEVICE_FEATURE_PROBE) && flags & VFIO_DEVICE_FEATURE_SET &&
           feature == VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE;
}

/* A session that nobody took ends with the next one. The descriptor must not block: a driver may take its time. */
static void keep_session(struct kernel_device *device, int fd)
{
    int flags = fcntl(fd, F_GETFL);

    io_close(&device->session_fd);
    device->session_fd = fd;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (flags >= 0)
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

static void take_data_fd(struct kernel_device *device, uint32_t flags, struct vfio_device_feature_mig_state *state)
{
    if (flags & VFIO_DEVICE_FEATURE_SET && state->data_fd >= 0)
        keep_session(device, state->data_fd);
    state->data_fd = -1;
}

int kernel_feature(struct vfio_device *device, uint32_t flags, void *data, size_t size, struct error *error)
{
    struct kernel_device *kernel = kernel_of(device);
    bool probe = flags & VFIO_DEVICE_FEATURE_PROBE;
    struct {
        struct vfio_device_feature head;
        uint8_t payload[PAYLOAD_MAX];
    } feature = {.head = {.argsz = (uint32_t)(sizeof(feature.head) + (probe ? 0 : size)), .flags = flags}};
    char what[96];
    int result;

    if (size > PAYLOAD_MAX)
        return error_set(error, E2BIG, "%s: a feature of %zu bytes", device->name, size);
    if (size && !probe)
        memcpy(feature.payload, data, size);
    vfio_feature_say(flags, data, size, what, sizeof(what));
    if (kernel_check_stuck(kernel, error))
        return -1;
    if (may_wait(flags))
        result = kernel_call(kernel, VFIO_DEVICE_FEATURE, &feature, sizeof(feature), what, error);
    else
        result = kernel->host->ioctl(kernel->host, kernel->fd, VFIO_DEVICE_FEATURE, &feature);
    if (result < 0)
        return errno == ETIMEDOUT && atomic_load(&kernel->stuck)
                   ? -1
                   : error_set(error, errno, "%s: %s", device->name, what);
    if (size && !probe)
        memcpy(data, feature.payload, size);
    if (!probe && (flags & VFIO_DEVICE_FEATURE_MASK) == VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE &&
        size >= sizeof(struct vfio_device_feature_mig_state))
        take_data_fd(kernel, flags, data);
    return 0;
}

struct vfio_data_session *kernel_take_session(struct vfio_device *device)
{
    struct kernel_device *kernel = kernel_of(device);
    struct kernel_session *session = kernel->session_fd >= 0 ? malloc(sizeof(*session)) : NULL;

    if (!session)
        return NULL;
    session->session.device = device;
    session->fd = kernel->session_fd;
    kernel->session_fd = -1;
    return &session->session;
}

/* A driver without a poll operation is always ready. Returns 0, or -1 at the deadline. */
static int await(const struct kernel_session *session, short events, struct deadline deadline, struct error *error)
{
    struct pollfd poll_fd = {.fd = session->fd, .events = events};
    int count;

    do
        count = poll(&poll_fd, 1, deadline_poll_ms(deadline));
    while (count < 0 && errno == EINTR);
    if (count < 0)
        return error_set(error, errno, "%s: waiting for the device's data", session->session.device->name);
    if (count == 0)
        return error_set(error, ETIMEDOUT, "%s: the device's data", session->session.device->name);
    return 0;
}

/* A ready descriptor that has nothing, again and again, is not asked without a pause. */
static void pause_shortly(void)
{
    struct timespec pause = {.tv_nsec = 100000};

    nanosleep(&pause, NULL);
}

static struct deadline session_deadline(const struct kernel_session *session)
{
    return deadline_in_ns(atomic_load(&kernel_of(session->session.device)->timeout_ns));
}

enum vfio_data_result kernel_session_read(struct vfio_data_session *session, void *data, size_t size, size_t *count,
                                          struct error *error)
{
    struct kernel_session *own = (struct kernel_session *)session;
    const struct kernel_host *host = kernel_of(session->device)->host;
    struct deadline deadline = session_deadline(own);

    *count = 0;
    for (;;) {
        ssize_t got;

        if (await(own, POLLIN, deadline, error))
            return VFIO_DATA_ERROR;
        got = host->read(host, own->fd, data, size);
        if (got > 0) {
            *count = (size_t)got;
            return VFIO_DATA_DATA;
        }
        if (got == 0)
            return VFIO_DATA_END;
        if (errno == ENOMSG)
            return VFIO_DATA_AGAIN;
        if ((errno != EAGAIN && errno != EINTR) || deadline_expired(deadline)) {
            error_set(error, errno == EAGAIN ? ETIMEDOUT : errno, "%s: reading the device's data",
                      session->device->name);
            return VFIO_DATA_ERROR;
        }
        pause_shortly();
    }
}

ssize_t kernel_session_write(struct vfio_data_session *session, const void *data, size_t size, struct error *error)
{
    struct kernel_session *own = (struct kernel_session *)session;
    struct deadline deadline = session_deadline(own);

    for (;;) {
        ssize_t put;

        if (await(own, POLLOUT, deadline, error))
            return -1;
        put = write(own->fd, data, size);
        if (put > 0 || !size)
            return put;
        if (put == 0)
            return error_set(error, EIO, "%s: the device takes no byte of its data", session->device->name);
        if ((errno != EAGAIN && errno != EINTR) || deadline_expired(deadline))
            return error_set(error, errno == EAGAIN ? ETIMEDOUT : errno, "%s: writing the device's data",
                             session->device->name);
        pause_shortly();
    }
}

int kernel_session_precopy_info(struct vfio_data_session *session, struct vfio_precopy_info *info, struct error *error)
{
    struct kernel_session *own = (struct kernel_session *)session;
    const struct kernel_host *host = kernel_of(session->device)->host;

    *info = (struct vfio_precopy_info){.argsz = sizeof(*info)};
    if (host->ioctl(host, own->fd, VFIO_MIG_GET_PRECOPY_INFO, info))
        return error_set(error, errno, "%s: VFIO_MIG_GET_PRECOPY_INFO", session->device->name);
    return 0;
}

int kernel_session_descriptor(const struct vfio_data_session *session)
{
    return ((const struct kernel_session *)session)->fd;
}

void kernel_session_close(struct vfio_data_session *session)
{
    struct kernel_session *own = (struct kernel_session *)session;

    io_close(&own->fd);
    free(own);
}
