/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vfio-user server in a thread, which does what a script says: reads whole messages and answers them as it likes. It
 * fails the test where the client does not send what the script waits for.
 */
#ifndef STOPCOPY_TESTS_FAKE_SERVER_H
#define STOPCOPY_TESTS_FAKE_SERVER_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "stopcopy/vfio_user.h"
#include "vmm/vfio/vfio_device.h"

#define FAKE_TIMEOUT_NS 5000000000u
/* For what the server lets pass by. */
#define FAKE_SHORT_TIMEOUT_NS 50000000u

struct fake_server;
typedef void (*fake_script)(struct fake_server *server);

struct fake_message {
    struct vfio_user_header header;
    uint8_t *payload;
    size_t size;
    int fds[32];
    size_t fd_count;
};

struct fake_server {
    int socket;
    int twin; /* our end, -1 */
    fake_script script;
    void *argument;
    pthread_t thread;
    struct fake_message message; /* the last one received */
};

/* Starts the script and connects a client to it. The script begins before VERSION. NULL where the client refused. */
struct vfio_device *fake_open(struct fake_server *server, fake_script script, void *argument, uint64_t timeout_ns,
                              struct error *error);
/* As fake_open, and the test fails where the client refuses. */
struct vfio_device *fake_open_good(struct fake_server *server, fake_script script, void *argument, uint64_t timeout_ns);
/* Closes the device, where there is one, and waits for the script's end. */
void fake_close(struct fake_server *server, struct vfio_device *device);

/* For scripts. */

/* Receives a message of this command into server->message. */
void fake_expect(struct fake_server *server, uint16_t command);
/* As fake_expect, and false at the end of the connection. */
int fake_receive(struct fake_server *server);
/* Answers the last message. */
void fake_reply(struct fake_server *server, const void *payload, size_t size);
void fake_reply_fds(struct fake_server *server, const void *payload, size_t size, const int *fds, size_t fd_count);
void fake_reply_error(struct fake_server *server, uint32_t number);
/* Sends a header of one's own making and the payload. size: of the header field, where not 0. */
void fake_send(struct fake_server *server, const struct vfio_user_header *header, const void *payload, size_t size,
               const int *fds, size_t fd_count);
void fake_send_raw(struct fake_server *server, const void *data, size_t size);
/* Answers VERSION with this JSON (NULL: without any). */
void fake_version(struct fake_server *server, const char *json);
/* Reads until the client closes. */
void fake_drain(struct fake_server *server);
/* Executes a DMA command on socket and returns the errno of its reply; data goes out or comes in. */
uint32_t fake_dma(struct fake_server *server, int socket, uint16_t command, uint64_t address, void *data,
                  uint64_t count);
void fake_dma_send(int socket, uint16_t command, uint64_t address, const void *data, uint64_t count);

#endif
