/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The vfio-user backend: connecting, roundtrips, and the end of a connection. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "vmm/vfio/vfio_user_client.h"

#define RULE "vfio-user/protocol"

void vfio_user_break(struct vfio_user *client, const struct error *cause)
{
    uint64_t one = 1;

    pthread_mutex_lock(&client->broken_lock);
    if (!atomic_load(&client->is_broken)) {
        client->broken = *cause;
        atomic_store(&client->is_broken, true);
    }
    pthread_mutex_unlock(&client->broken_lock);
    /* Whoever waits on the sockets sees their end. The descriptors stay open until close. */
    shutdown(client->main.socket, SHUT_RDWR);
    if (client->twin.socket >= 0)
        shutdown(client->twin.socket, SHUT_RDWR);
    if (write(client->gone_fd, &one, sizeof(one)) < 0)
        return; /* the counter is full: it is readable */
}

/* The first cause, with what could not be done because of it. */
static int fail_broken(struct vfio_user *client, struct error *error, const char *what)
{
    struct error cause;

    pthread_mutex_lock(&client->broken_lock);
    cause = client->broken;
    pthread_mutex_unlock(&client->broken_lock);
    error_set(error, 0, "%s: %s: the connection is of no more use since %s", client->device.name, what, cause.text);
    if (error) {
        error->number = cause.number;
        memcpy(error->rule, cause.rule, sizeof(error->rule));
    }
    return -1;
}

int vfio_user_violation(struct vfio_user *client, struct error *error, const char *format, ...)
{
    char text[ERROR_TEXT_MAX / 2];
    struct error cause = ERROR_INIT;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    error_rule(&cause, RULE, EPROTO, "%s: %s", client->device.name, text);
    vfio_user_break(client, &cause);
    if (error)
        *error = cause;
    return -1;
}

static int fail_roundtrip(struct vfio_user *client, const struct error *cause, uint64_t timeout_ns, struct error *error,
                          const char *what)
{
    struct error full = *cause;

    /* Broken by the other thread meanwhile: what we saw of it is the shutdown. */
    if (atomic_load(&client->is_broken))
        return fail_broken(client, error, what);
    if (cause->number == ETIMEDOUT) {
        error_rule(&full, "device/no-answer", 0, "%s: %s: no answer within %" PRIu64 " ms", client->device.name, what,
                   timeout_ns / 1000000u);
        full.number = ETIMEDOUT;
    } else {
        error_prefix(&full, "%s: %s", client->device.name, what);
    }
    vfio_user_break(client, &full);
    if (error)
        *error = full;
    return -1;
}

int vfio_user_roundtrip(struct vfio_user *client, struct vfio_user_call *call, struct error *error,
                        const char *what_format, ...)
{
    char what[128];
    struct error cause = ERROR_INIT;
    uint64_t timeout_ns = atomic_load(&client->timeout_ns);
    uint64_t commands;
    va_list arguments;
    int status = -1;

    call->answer = 0;
    atomic_fetch_add(&client->waiting, 1);
    pthread_mutex_lock(&client->lock);
    atomic_fetch_sub(&client->waiting, 1);
    if (!atomic_load(&client->is_broken)) {
        commands = client->main.commands;
        status = channel_call(&client->main, client->next_id++, call, deadline_in_ns(timeout_ns), &cause);
        if (client->main.commands != commands)
            atomic_store(&client->serve_main, true);
        if (status == 0 && call->answer == 0) {
            pthread_mutex_unlock(&client->lock);
            return 0;
        }
    }
    va_start(arguments, what_format);
    vsnprintf(what, sizeof(what), what_format, arguments);
    va_end(arguments);
    if (status < 0)
        fail_roundtrip(client, &cause, timeout_ns, error, what);
    else
        error_set(error, call->answer, "%s: %s: the server refused", client->device.name, what);
    pthread_mutex_unlock(&client->lock);
    return -1;
}

static void close_device(struct vfio_device *device)
{
    struct vfio_user *client = vfio_user_of(device);

    vfio_user_background_stop(client);
    for (size_t i = 0; i < VFIO_REGIONS_MAX; i++) {
        struct vfio_user_region_cache *region = &client->regions[i];

        io_close(&region->mmap_fd);
        while (region->doorbell_fd_count)
            io_close(&region->doorbell_fds[--region->doorbell_fd_count]);
        free(region->doorbells);
    }
    channel_close(&client->main);
    channel_close(&client->twin);
    vfio_user_dma_free(&client->dma);
    io_close(&client->wake_fd);
    io_close(&client->gone_fd);
    pthread_mutex_destroy(&client->lock);
    pthread_mutex_destroy(&client->broken_lock);
    free(client);
}

static void set_timeout(struct vfio_device *device, uint64_t ns)
{
    atomic_store(&vfio_user_of(device)->timeout_ns, ns);
}

static int gone_fd(struct vfio_device *device)
{
    return vfio_user_of(device)->gone_fd;
}

static const struct vfio_device_ops vfio_user_ops = {
    .name = "vfio-user",
    .close = close_device,
    .get_info = vfio_user_get_info,
    .get_region = vfio_user_get_region,
    .get_irq = vfio_user_get_irq,
    .get_doorbells = vfio_user_get_doorbells,
    .region_read = vfio_user_region_read,
    .region_write = vfio_user_region_write,
    .set_irqs = vfio_user_set_irqs,
    .dma_map = vfio_user_dma_map,
    .dma_map_peer = vfio_user_dma_map_peer,
    .dma_unmap = vfio_user_dma_unmap,
    .take_own_dirty = vfio_user_take_own_dirty,
    .reset = vfio_user_reset,
    .feature = vfio_user_feature,
    .take_session = vfio_user_take_session,
    .session_read = vfio_user_session_read,
    .session_write = vfio_user_session_write,
    .session_precopy_info = vfio_user_session_precopy_info,
    .session_close = vfio_user_session_close,
    .set_timeout = set_timeout,
    .gone_fd = gone_fd,
};

const struct vfio_user_agreement *vfio_user_get_agreement(const struct vfio_device *device)
{
    return device->ops == &vfio_user_ops ? &((const struct vfio_user *)device)->agreement : NULL;
}

static struct vfio_user *new_client(const char *name, bool dma_by_message, uint64_t timeout_ns, struct error *error)
{
    struct vfio_user *client = calloc(1, sizeof(*client));

    if (!client) {
        error_set(error, ENOMEM, "%s", name);
        return NULL;
    }
    if (vfio_user_dma_init(&client->dma, CLIENT_MAX_DATA_XFER_SIZE, error) < 0) {
        free(client);
        return NULL;
    }
    client->device.ops = &vfio_user_ops;
    snprintf(client->device.name, sizeof(client->device.name), "%s", name);
    client->agreement.twin_socket = -1;
    client->dma_by_message = dma_by_message;
    atomic_store(&client->timeout_ns, timeout_ns);
    atomic_store(&client->serve_main, dma_by_message);
    channel_init(&client->main, -1);
    channel_init(&client->twin, -1);
    for (size_t i = 0; i < VFIO_REGIONS_MAX; i++)
        client->regions[i].mmap_fd = -1;
    pthread_mutex_init(&client->lock, NULL);
    pthread_mutex_init(&client->broken_lock, NULL);
    client->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    client->gone_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (client->wake_fd < 0 || client->gone_fd < 0) {
        error_set(error, errno, "%s: eventfd", name);
        close_device(&client->device);
        return NULL;
    }
    return client;
}

/* The channel that the server's commands come on. */
static void serve_commands(struct vfio_user *client, struct vfio_user_channel *channel)
{
    channel->serve = vfio_user_dma_serve;
    channel->serve_context = &client->dma;
    channel->command_size_max = sizeof(struct vfio_user_dma_access) + CLIENT_MAX_DATA_XFER_SIZE;
}

struct vfio_device *vfio_user_adopt(int socket, const char *name, bool dma_by_message, uint64_t timeout_ns,
                                    struct error *error)
{
    struct vfio_user *client = new_client(name, dma_by_message, timeout_ns, error);

    if (!client) {
        close(socket);
        return NULL;
    }
    client->main.socket = socket;
    if (vfio_user_negotiate(client, error) < 0)
        goto fail;
    if (client->agreement.twin_socket >= 0) {
        client->twin.socket = client->agreement.twin_socket;
        serve_commands(client, &client->twin);
    } else {
        serve_commands(client, &client->main);
    }
    if (vfio_user_background_start(client, error) < 0)
        goto fail;
    return &client->device;
fail:
    close_device(&client->device);
    return NULL;
}

static int connect_to(const char *path, const char *name, uint64_t timeout_ns, struct error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    /* Zero would be without bound. */
    uint64_t timeout_us = timeout_ns / 1000u + 1;
    struct timeval timeout = {.tv_sec = (time_t)(timeout_us / 1000000u),
                              .tv_usec = (suseconds_t)(timeout_us % 1000000u)};
    int status;
    int fd;

    if (strlen(path) >= sizeof(address.sun_path))
        return error_set(error, ENAMETOOLONG, "%s: a socket's path has at most %zu characters", name,
                         sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_set(error, errno, "%s: socket", name);
    /* A connect waits where the server's backlog is full: SO_SNDTIMEO bounds it. */
    status = setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    while (status == 0 && (status = connect(fd, (struct sockaddr *)&address, sizeof(address))) < 0 && errno == EINTR)
        status = 0;
    if (status < 0) {
        int number = errno == EAGAIN ? ETIMEDOUT : errno;

        close(fd);
        error_set(error, number, "%s: connect", name);
        return -1;
    }
    return fd;
}

struct vfio_device *vfio_user_open(const char *path, bool dma_by_message, uint64_t timeout_ns, struct error *error)
{
    char name[sizeof(((struct vfio_device *)NULL)->name)];
    int fd;

    snprintf(name, sizeof(name), "vfio-user:%s", path);
    fd = connect_to(path, name, timeout_ns, error);
    if (fd < 0)
        return NULL;
    return vfio_user_adopt(fd, name, dma_by_message, timeout_ns, error);
}
