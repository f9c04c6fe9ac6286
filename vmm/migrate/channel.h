/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a stream goes to or comes from: unix:PATH, tcp:HOST:PORT, fd:N, file:PATH (channel_file.h). */
#ifndef STOPCOPY_CHANNEL_H
#define STOPCOPY_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/deadline.h"
#include "lib/error.h"
#include "vmm/migrate/channel_file.h"

enum channel_kind {
    CHANNEL_UNIX,
    CHANNEL_TCP,
    CHANNEL_FD,
    CHANNEL_FILE, /* one way: neither connected nor listened on */
};

struct channel_address {
    enum channel_kind kind;
    char text[256]; /* as given */
    char path[CHANNEL_PATH_MAX];
    char host[128];
    char port[16];
    int fd;
    bool exposed; /* TCP may go beyond this host: TLS protects the stream, or the user wants it without */
};

int channel_parse(const char *text, struct channel_address *address, struct error *error);

/*
 * Both ends: TCP to or from another address than the loopback's is refused, before anything is sent or listened for, unless
 * the address is exposed.
 */

/* The sending end: connects, trying again while nobody listens yet, until the deadline. Returns the socket; fd:N is itself
 * taken over, and closed on exec from then on, so that its end is seen when it is closed. */
int channel_connect(const struct channel_address *address, struct deadline deadline, struct error *error);

/* The receiving end: a listening socket (fd:N itself, taken over). A socket file is made with mode 0600; one that is
 * there already is replaced only where nobody listens on it. */
int channel_listen(const struct channel_address *address, struct error *error);
/* Waits for the one connection. The listening socket and its file are gone afterwards, whatever came of it. */
int channel_accept(const struct channel_address *address, int listener, struct deadline deadline, struct error *error);

/* Sets the buffers that a stream wants. What cannot be set is left. */
void channel_tune(int socket);

#endif
