/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/board/event_queue.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/io.h"

int event_queue_init(struct event_queue *queue, struct error *error)
{
    memset(queue, 0, sizeof(*queue));
    pthread_mutex_init(&queue->lock, NULL);
    queue->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (queue->eventfd == -1) {
        error_set(error, errno, "making an eventfd for the machine's events");
        pthread_mutex_destroy(&queue->lock);
        return -1;
    }
    return 0;
}

void event_queue_destroy(struct event_queue *queue)
{
    io_close(&queue->eventfd);
    pthread_mutex_destroy(&queue->lock);
}

static struct machine_event *entry(struct event_queue *queue, unsigned int index)
{
    return &queue->event[(queue->first + index) % EVENT_QUEUE_MAX];
}

static bool is_waiting(struct event_queue *queue, enum machine_event_kind kind, unsigned int number)
{
    for (unsigned int i = 0; i < queue->count; i++) {
        if (entry(queue, i)->kind == kind && entry(queue, i)->device == number)
            return true;
    }
    return false;
}

void event_queue_push(struct event_queue *queue, enum machine_event_kind kind, unsigned int number, const char *text)
{
    struct machine_event *event;

    pthread_mutex_lock(&queue->lock);
    if (queue->count < EVENT_QUEUE_MAX && !is_waiting(queue, kind, number)) {
        event = entry(queue, queue->count++);
        event->kind = kind;
        event->device = number;
        snprintf(event->text, sizeof(event->text), "%s", text ? text : "");
        eventfd_write(queue->eventfd, 1);
    }
    pthread_mutex_unlock(&queue->lock);
}

bool event_queue_pop(struct event_queue *queue, struct machine_event *event)
{
    bool found = false;
    eventfd_t value;

    pthread_mutex_lock(&queue->lock);
    if (queue->count) {
        *event = *entry(queue, 0);
        queue->first = (queue->first + 1) % EVENT_QUEUE_MAX;
        queue->count--;
        found = true;
    }
    if (!queue->count)
        eventfd_read(queue->eventfd, &value);
    pthread_mutex_unlock(&queue->lock);
    return found;
}
