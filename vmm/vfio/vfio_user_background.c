/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The thread that serves the server's commands while nobody is in a roundtrip, and notices its end.
 *
 * Without a twin socket, commands come on the main socket, where the replies come too. To wake at every reply would
 * cost each roundtrip, so the thread polls for input there only where commands must be expected: memory that was given
 * without a descriptor, or a command that came already. Else it looks from time to time.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "vmm/vfio/vfio_user_client.h"

#define LOOK_AGAIN_MS 50

void vfio_user_background_wake(struct vfio_user *client)
{
    uint64_t one = 1;

    if (write(client->wake_fd, &one, sizeof(one)) < 0)
        return; /* the counter is full: it is readable */
}

static void serve(struct vfio_user *client, struct vfio_user_channel *channel, const char *what)
{
    struct error cause = ERROR_INIT;

    if (channel_serve_one(channel, deadline_in_ns(atomic_load(&client->timeout_ns)), &cause) == 0)
        return;
    if (cause.number == ETIMEDOUT) {
        error_set(&cause, 0, "%s: %s: the server's command was begun and not ended in time", client->device.name, what);
        cause.number = ETIMEDOUT;
    } else {
        error_prefix(&cause, "%s: %s", client->device.name, what);
    }
    vfio_user_break(client, &cause);
}

static void serve_main(struct vfio_user *client)
{
    pthread_mutex_lock(&client->lock);
    /*
     * A roundtrip that went on meanwhile has taken what made us come. One that waits serves what comes, too, and goes
     * first, so that a server cannot keep it out by commands without end.
     */
    while (!atomic_load(&client->is_broken) && !atomic_load(&client->stop) && !atomic_load(&client->waiting) &&
           channel_readable(&client->main)) {
        serve(client, &client->main, "a command on the main socket");
        atomic_store(&client->serve_main, true);
    }
    pthread_mutex_unlock(&client->lock);
}

static void note_gone(struct vfio_user *client)
{
    uint64_t one = 1;

    if (write(client->gone_fd, &one, sizeof(one)) < 0)
        return; /* the counter is full: it is readable */
}

static bool is_gone(short revents)
{
    return revents & (POLLHUP | POLLRDHUP | POLLERR | POLLNVAL);
}

static void drain(int fd)
{
    uint64_t count;

    while (read(fd, &count, sizeof(count)) == sizeof(count))
        ;
}

static void *background(void *argument)
{
    struct vfio_user *client = argument;
    bool twin = client->twin.socket >= 0;
    struct pollfd fds[3] = {
        {.fd = client->wake_fd, .events = POLLIN},
        {.fd = client->main.socket, .events = POLLRDHUP},
        {.fd = client->twin.socket, .events = POLLIN | POLLRDHUP}, /* -1 is passed over */
    };

    while (!atomic_load(&client->stop)) {
        bool poll_main = !twin && atomic_load(&client->serve_main);
        int timeout = twin || poll_main || fds[1].fd < 0 ? -1 : LOOK_AGAIN_MS;
        int count;

        fds[1].events = poll_main ? POLLIN | POLLRDHUP : POLLRDHUP;
        count = poll(fds, 3, timeout);
        if (count < 0)
            continue;
        if (fds[0].revents)
            drain(client->wake_fd);
        if (is_gone(fds[1].revents)) {
            note_gone(client);
            fds[1].fd = -1;
        } else if (fds[1].revents || (count == 0 && !twin)) {
            serve_main(client);
        }
        /* Input first: what came before a hangup of the twin is served. */
        if (fds[2].fd >= 0 && fds[2].revents & POLLIN && !atomic_load(&client->is_broken))
            serve(client, &client->twin, "a command on the twin socket");
        else if (fds[2].fd >= 0 && is_gone(fds[2].revents))
            fds[2].fd = -1;
        if (atomic_load(&client->is_broken))
            fds[2].fd = -1;
    }
    return NULL;
}

int vfio_user_background_start(struct vfio_user *client, struct error *error)
{
    sigset_t all;
    sigset_t before;
    int number;

    /* Signals are for the program's own threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    number = pthread_create(&client->background, NULL, background, client);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (number)
        return error_set(error, number, "%s: a thread for the server's commands", client->device.name);
    client->background_runs = true;
    return 0;
}

void vfio_user_background_stop(struct vfio_user *client)
{
    struct error cause = ERROR_INIT;

    if (!client->background_runs)
        return;
    atomic_store(&client->stop, true);
    error_set(&cause, 0, "%s: it was closed", client->device.name);
    vfio_user_break(client, &cause);
    vfio_user_background_wake(client);
    pthread_join(client->background, NULL);
    client->background_runs = false;
}
