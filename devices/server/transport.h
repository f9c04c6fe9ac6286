/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vfio-user messages on a socket: header, payload, descriptors. What a message means is for others. */
#ifndef STOPCOPY_DEVICES_SERVER_TRANSPORT_H
#define STOPCOPY_DEVICES_SERVER_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lib/deadline.h"
#include "lib/error.h"
#include "stopcopy/vfio_user.h"

#define TRANSPORT_FDS_MAX 16u        /* descriptors that we take with one message */
#define TRANSPORT_DATA_MAX 0x100000u /* bytes of data that we take or give in one message */
#define TRANSPORT_PAYLOAD_MAX (TRANSPORT_DATA_MAX + 4096u)
#define TRANSPORT_STALL_MS 10000u /* the longest that the rest of a message may take to come, or to be sent */

struct message {
    struct message *next; /* for whoever keeps it */
    struct vfio_user_header header;
    uint8_t *payload;
    size_t size; /* of the payload */
    int fds[TRANSPORT_FDS_MAX];
    size_t fd_count;
};

void message_free(struct message *message);
/* Takes descriptor i over: the caller closes it. */
int message_take_fd(struct message *message, size_t i);

/* A message that is coming in, and has perhaps not all come. */
struct receiver {
    struct message *message;
    size_t have; /* bytes of header and payload */
    struct deadline stalled;
};

void receiver_free(struct receiver *receiver);
/*
 * Reads what there is without waiting. Returns 1 with a whole message, which is the caller's; 0 where more must come
 * first; -1 where the connection is of no more use: ended, or a header that cannot be. number is 0 in *error for a
 * clean end.
 */
int receiver_poll(struct receiver *receiver, int socket, struct message **message, struct error *error);
/* Is a message half there? Then receiver->stalled is when to give up on it. */
bool receiver_in_message(const struct receiver *receiver);

/* Sends a header and a payload of the vector with descriptors; header->size is filled in. number is 0 in *error where the
 * client has left. */
int transport_send(int socket, struct vfio_user_header *header, const struct iovec *payload, size_t payload_count,
                   const int *fds, size_t fd_count, struct error *error);

#endif
