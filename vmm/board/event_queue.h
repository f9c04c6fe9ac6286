/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine's events, in order. An event that already waits (the same kind, of the same device or vCPU) is not queued
 * twice, which bounds the queue: a guest that repeats itself cannot fill it. Thread safe.
 */
#ifndef STOPCOPY_EVENT_QUEUE_H
#define STOPCOPY_EVENT_QUEUE_H

#include <pthread.h>

#include "vmm/board/machine.h"

/* READY, DONE, FAILED; each vCPU; three of each device. */
#define EVENT_QUEUE_MAX (3 + VM_VCPUS_MAX + 3 * BOARD_DEVICES_MAX)

struct event_queue {
    pthread_mutex_t lock;
    int eventfd; /* readable while events wait */
    unsigned int first, count;
    struct machine_event event[EVENT_QUEUE_MAX];
};

int event_queue_init(struct event_queue *queue, struct error *error);
void event_queue_destroy(struct event_queue *queue);
/* number: the device, or the vCPU of MACHINE_VCPU_FAILED; text may be NULL. */
void event_queue_push(struct event_queue *queue, enum machine_event_kind kind, unsigned int number, const char *text);
bool event_queue_pop(struct event_queue *queue, struct machine_event *event);

#endif
