/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One client and its device, from connect to disconnect: the vfio-user server side. Specification: QEMU,
 * docs/interop/vfio-user.rst. Private to devices/server/; others use server.h.
 *
 *   connection.c     the event loop, the device's host
 *   transport.c      messages on a socket
 *   dispatch.c       from a command to its handler, and the reply
 *   negotiate.c      VERSION
 *   dma_commands.c   DMA_MAP, DMA_UNMAP
 *   dma_access.c     the device's DMA: into mapped memory, or by DMA_READ and DMA_WRITE
 *   commands.c       information, regions, interrupts, reset
 *   feature.c        DEVICE_FEATURE
 *   migration.c      the migration state and its data
 *
 * Handlers return 0 or the errno that the client is answered.
 */
#ifndef STOPCOPY_DEVICES_SERVER_CONNECTION_H
#define STOPCOPY_DEVICES_SERVER_CONNECTION_H

#include "devices/model.h"
#include "devices/server/dirty_log.h"
#include "devices/server/dma_table.h"
#include "devices/server/irqs.h"
#include "devices/server/transport.h"
#include "lib/buffer.h"

#define DOORBELLS_MAX 64u
/* Commands that may pile up while we wait for the client's answer to a command of ours. */
#define DEFERRED_MAX 1024u
#define DEFERRED_BYTES_MAX (16u << 20)
#define REQUEST_TIMEOUT_MS 5000u

struct connection {
    struct device_host host; /* first */
    struct device *device;
    int socket; /* the caller's */
    int twin;   /* for our commands, -1: they go over socket */
    int epoll;
    int timer;
    uint64_t timer_at_ns;
    bool gone; /* the connection is of no more use; error says why, with number 0 for a clean end */
    bool stop; /* we were told to end */
    struct error error;

    struct receiver receiver;
    struct receiver twin_receiver;
    struct message *deferred; /* commands that came while we waited, in order */
    struct message **deferred_end;
    size_t deferred_count;
    size_t deferred_bytes;
    uint16_t next_id; /* of our commands */

    bool negotiated;
    bool extended;     /* the capability "stopcopy" */
    bool peers_marked; /* and in it "peer_mappings": the client says which mappings are another device's */
    bool write_multiple;
    uint32_t client_fds_max;
    uint32_t client_data_max;

    struct dma_table dma;
    struct dirty_log log;
    struct irqs irqs;

    struct device_doorbell doorbell[DOORBELLS_MAX];
    int doorbell_fd[DOORBELLS_MAX];
    size_t doorbell_count;
    bool doorbells_shared; /* the client takes too few descriptors: the first one stands for all */

    unsigned int migration_state;
    bool precopy_version2;
};

struct reply {
    struct buffer payload;
    int fds[DOORBELLS_MAX]; /* theirs who made the reply, except where close_fds */
    size_t fd_count;
    bool close_fds;
};

/*
 * Serves the client at socket until it leaves, misbehaves (-1 with error), or stop_fd becomes readable. The device is
 * the caller's; its host is the connection from now on.
 */
int connection_serve(int socket, int stop_fd, struct device *device, struct connection *connection,
                     struct error *error);
/* What a device needs for a host before it has a client. */
void connection_init(struct connection *connection);

/* The connection is of no more use. Returns -1. */
int connection_fail(struct connection *connection, int number, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* dispatch.c: answers a message, and frees it. */
void dispatch(struct connection *connection, struct message *message);

/* negotiate.c */
int handle_version(struct connection *connection, struct message *message, struct reply *reply);

/* dma_commands.c */
int handle_dma_map(struct connection *connection, struct message *message, struct reply *reply);
int handle_dma_unmap(struct connection *connection, struct message *message, struct reply *reply);

/* dma_access.c: struct device_host_ops' dma_read, dma_write and dma_reaches_peer. */
int connection_dma_read(struct device_host *host, enum device_dma_purpose purpose, uint64_t iova, void *data,
                        size_t size);
int connection_dma_write(struct device_host *host, enum device_dma_purpose purpose, uint64_t iova, const void *data,
                         size_t size);
bool connection_dma_reaches_peer(struct device_host *host, uint64_t iova, uint64_t size);

/* commands.c */
int handle_get_info(struct connection *connection, struct message *message, struct reply *reply);
int handle_get_region_info(struct connection *connection, struct message *message, struct reply *reply);
int handle_get_region_io_fds(struct connection *connection, struct message *message, struct reply *reply);
int handle_get_irq_info(struct connection *connection, struct message *message, struct reply *reply);
int handle_set_irqs(struct connection *connection, struct message *message, struct reply *reply);
int handle_region_read(struct connection *connection, struct message *message, struct reply *reply);
int handle_region_write(struct connection *connection, struct message *message, struct reply *reply);
int handle_region_write_multi(struct connection *connection, struct message *message, struct reply *reply);
int handle_reset(struct connection *connection, struct message *message, struct reply *reply);

/* feature.c */
int handle_feature(struct connection *connection, struct message *message, struct reply *reply);

/* migration.c */
/* The device's VFIO_MIGRATION_*, without what was not agreed on with this client. */
uint64_t migration_flags(struct connection *connection);
/* VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, SET. */
int migration_set_state(struct connection *connection, unsigned int state);
int handle_migration_read(struct connection *connection, struct message *message, struct reply *reply);
int handle_migration_write(struct connection *connection, struct message *message, struct reply *reply);
int handle_precopy_info(struct connection *connection, struct message *message, struct reply *reply);

/* Adds a descriptor to what the loop waits for. Returns 0 or an errno. */
int connection_watch(struct connection *connection, int fd, uint64_t what);
void connection_unwatch(struct connection *connection, int fd);
#define WATCH_SOCKET 0u
#define WATCH_TWIN 1u
#define WATCH_TIMER 2u
#define WATCH_STOP 3u
#define WATCH_MASK 4u
#define WATCH_UNMASK 5u
#define WATCH_DOORBELL 16u /* + number */

#endif
