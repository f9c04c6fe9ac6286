/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A call into a driver that may wait for firmware: it runs in a thread of its own, so that one that does not return is
 * told of by the thread that asked, with the place where the kernel stands.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vmm/vfio/kernel_device.h"

/* Both threads hold it; the last frees it. */
struct call {
    const struct kernel_host *host;
    int fd;
    unsigned long request;
    void *argument; /* a copy, right behind this structure; NULL: none */
    pthread_mutex_t lock;
    pthread_cond_t ended;
    unsigned int holders;
    pid_t thread;
    bool done;
    int result;
    int number; /* errno */
};

static struct call *call_new(const struct kernel_device *device, unsigned long request, const void *argument,
                             size_t size)
{
    struct call *call = calloc(1, sizeof(*call) + size);
    pthread_condattr_t attributes;

    if (!call)
        return NULL;
    call->host = device->host;
    call->fd = device->fd;
    call->request = request;
    call->holders = 1;
    if (argument)
        call->argument = memcpy(call + 1, argument, size);
    pthread_mutex_init(&call->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&call->ended, &attributes);
    pthread_condattr_destroy(&attributes);
    return call;
}

/* The lock is held, and is not afterwards. */
static void call_release(struct call *call)
{
    bool last = --call->holders == 0;

    pthread_mutex_unlock(&call->lock);
    if (!last)
        return;
    pthread_cond_destroy(&call->ended);
    pthread_mutex_destroy(&call->lock);
    free(call);
}

static void *call_run(void *context)
{
    struct call *call = context;
    int result, number;

    pthread_mutex_lock(&call->lock);
    call->thread = gettid();
    pthread_mutex_unlock(&call->lock);
    result = call->host->ioctl(call->host, call->fd, call->request, call->argument);
    number = errno;
    pthread_mutex_lock(&call->lock);
    call->result = result;
    call->number = number;
    call->done = true;
    pthread_cond_signal(&call->ended);
    call_release(call);
    return NULL;
}

/* Where the kernel stands in that thread: its stack's first lines, or the one function that is readable without root. */
static void say_where(pid_t thread, char *text, size_t size)
{
    char path[64];
    size_t used = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/self/task/%d/stack", (int)thread);
    file = fopen(path, "re");
    used = file ? fread(text, 1, size - 1, file) : 0;
    if (file)
        fclose(file);
    if (!used) {
        snprintf(path, sizeof(path), "/proc/self/task/%d/wchan", (int)thread);
        file = fopen(path, "re");
        used = file ? fread(text, 1, size - 1, file) : 0;
        if (file)
            fclose(file);
    }
    text[used] = '\0';
    for (char *end = text; (end = strchr(end, '\n')) != NULL;)
        *end = ' ';
}

static int give_up(struct kernel_device *device, pid_t thread, const char *what, struct error *error)
{
    char where[256];

    atomic_store(&device->stuck, true);
    say_where(thread, where, sizeof(where));
    error_rule(error, "device/call-hangs", 0,
               "%s: %s did not return in %llu ms; the kernel stands at: %s. The thread is left behind, and with it the "
               "device, which stays in use until the kernel returns",
               device->device.name, what, (unsigned long long)atomic_load(&device->timeout_ns) / 1000000,
               where[0] ? where : "(not readable: run as root)");
    if (error)
        error->number = ETIMEDOUT;
    errno = ETIMEDOUT;
    return -1;
}

static struct timespec absolute(uint64_t ns)
{
    uint64_t at = clock_now_ns();

    at = ns > INT64_MAX - at ? INT64_MAX : at + ns;
    return (struct timespec){.tv_sec = (time_t)(at / 1000000000u), .tv_nsec = (long)(at % 1000000000u)};
}

int kernel_check_stuck(struct kernel_device *device, struct error *error)
{
    if (!atomic_load(&device->stuck))
        return 0;
    errno = ETIMEDOUT;
    return error_set(error, ETIMEDOUT, "%s: an earlier call has not returned from the kernel", device->device.name);
}

int kernel_call(struct kernel_device *device, unsigned long request, void *argument, size_t size, const char *what,
                struct error *error)
{
    struct timespec deadline = absolute(atomic_load(&device->timeout_ns));
    struct call *call;
    pthread_t thread;
    pid_t stuck;
    int result, number, status = 0;

    if (kernel_check_stuck(device, error))
        return -1;
    call = call_new(device, request, argument, argument ? size : 0);
    if (!call) {
        errno = ENOMEM;
        return -1;
    }
    call->holders = 2;
    number = pthread_create(&thread, NULL, call_run, call);
    pthread_mutex_lock(&call->lock);
    if (number) {
        call->holders = 1;
        call_release(call);
        errno = number;
        return -1;
    }
    pthread_detach(thread);
    while (!call->done && status != ETIMEDOUT)
        status = pthread_cond_timedwait(&call->ended, &call->lock, &deadline);
    if (!call->done) {
        stuck = call->thread;
        call_release(call);
        return give_up(device, stuck, what, error);
    }
    result = call->result;
    number = call->number;
    if (argument)
        memcpy(argument, call->argument, size);
    call_release(call);
    errno = number;
    return result;
}
