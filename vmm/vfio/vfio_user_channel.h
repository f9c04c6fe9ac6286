/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whole vfio-user messages over one socket, in both directions at once: while a message of ours waits for room or for
 * its reply, the server's commands are received, served and answered, so that messages that cross cannot deadlock. One
 * thread at a time may use a channel.
 */
#ifndef STOPCOPY_VFIO_USER_CHANNEL_H
#define STOPCOPY_VFIO_USER_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lib/buffer.h"
#include "lib/deadline.h"
#include "lib/error.h"
#include "lib/io.h"
#include "stopcopy/vfio_user.h"

/* Bytes of answers to the server's commands that may wait to be sent before no more commands are received. */
#define CHANNEL_ANSWERS_MAX (8u << 20)

/* A command of ours and the room for its reply. */
struct vfio_user_call {
    uint16_t command;
    /* The payload, and the descriptors that go with it, which stay the caller's. */
    struct iovec request[3];
    size_t request_count;
    const int *fds;
    size_t fd_count;
    /* Where the reply's payload goes: at least reply_minimum bytes and at most those of both. reply_size is what came.
     */
    struct iovec reply[2];
    size_t reply_minimum;
    size_t reply_size;
    /* Room for up to reply_fds_max descriptors (which are then the caller's), and how many came. */
    int *reply_fds;
    size_t reply_fds_max;
    size_t reply_fd_count;
    /* The errno of an error reply, EIO where it had none that can be an errno; 0 on success. */
    int answer;
};

/* A command of the server's. */
struct vfio_user_command_in {
    struct vfio_user_header header;
    const uint8_t *payload;
    size_t size;
    bool has_fds; /* descriptors came with it: no command of the server's has any */
};

/* Executes a command and adds the whole reply (header, payload), where one is wanted, to answers. */
typedef void (*vfio_user_serve)(void *context, const struct vfio_user_command_in *command, struct buffer *answers);

/* The message that is being received, as far as it has come. */
struct vfio_user_incoming {
    struct vfio_user_header header;
    size_t header_done;
    size_t body_done;
    uint8_t dropped[256]; /* the payload of an error reply, piece by piece */
    int fds[IO_FDS_MAX];
    size_t fd_count;
};

struct vfio_user_channel {
    int socket;
    vfio_user_serve serve; /* NULL: the server may send no commands here */
    void *serve_context;
    size_t command_size_max; /* payload of a command */
    uint64_t commands;       /* served so far */

    struct vfio_user_incoming in;
    uint8_t *command; /* payload of the command that is being received */
    size_t command_room;
    struct buffer answers; /* whole replies, of which answers_sent bytes are sent */
    size_t answers_sent;
};

void channel_init(struct vfio_user_channel *channel, int socket);
/* Frees what the channel holds, and closes its socket. */
void channel_close(struct vfio_user_channel *channel);

/*
 * Sends the command and receives its reply. Returns 0 where a reply came that is whole and of the right form;
 * call->answer then tells whether it is an error reply. -1: the framing is lost or time is up, and the channel is of no
 * more use. ETIMEDOUT: the deadline; ECONNRESET, EPIPE: the server closed; EPROTO: it broke the protocol.
 */
int channel_call(struct vfio_user_channel *channel, uint16_t id, struct vfio_user_call *call, struct deadline deadline,
                 struct error *error);

/* Receives and answers one command, of which something must have come. Errors as for channel_call. */
int channel_serve_one(struct vfio_user_channel *channel, struct deadline deadline, struct error *error);

/* Is there anything to receive? Does not wait. */
bool channel_readable(const struct vfio_user_channel *channel);

#endif
