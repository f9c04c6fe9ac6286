/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A plain vfio-user client and a driver of the dma device, for tests: it starts stopcopy-device as a process and talks
 * to it over a socket. It shares no code with vmm/ or devices/, so that an error of theirs shows here. A call that
 * cannot work fails the test at once; calls that may be refused return the errno that came.
 */
#ifndef STOPCOPY_TESTS_DEVICE_CLIENT_H
#define STOPCOPY_TESTS_DEVICE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "stopcopy/dma_device.h"
#include "stopcopy/vfio_compat.h"
#include "stopcopy/vfio_user.h"

#define CLIENT_MEMORY_SIZE (4u << 20)
#define CLIENT_MEMORY_IOVA 0x100000ull
#define CLIENT_TIMEOUT_MS 20000
#define CLIENT_FDS 16

struct client {
    pid_t process; /* 0: none of ours */
    int socket;
    int twin; /* -1: none */
    uint16_t next_id;
    int memory_fd;
    uint8_t *memory;     /* mapped at CLIENT_MEMORY_IOVA by client_map */
    unsigned int served; /* DMA_READ and DMA_WRITE commands that were answered */
    int refuse_dma;      /* answer them with this errno */
};

struct client_reply {
    uint8_t *data;
    size_t size;
    int fds[CLIENT_FDS];
    size_t fd_count;
};

/* Starts the program with --fd and these further arguments (up to NULL). */
void client_start(struct client *client, const char *const *arguments);
/* Takes a connected socket. */
void client_adopt(struct client *client, int socket);
/* Closes the connection, waits for the process, and checks that it ended well. */
void client_stop(struct client *client);
/* The same without caring how it ended. */
void client_abandon(struct client *client);

/* Sends bytes as they are. */
void client_send_raw(struct client *client, const void *data, size_t size);
/* Waits for the server to close the connection. */
void client_expect_closed(struct client *client);
void client_send(struct client *client, uint16_t command, uint32_t flags, const void *payload, size_t size,
                 const int *fds, size_t fd_count);
/* Waits for the reply to the last command sent, and answers the server's DMA commands meanwhile. */
int client_wait_reply(struct client *client, struct client_reply *reply);
/* Both. reply may be NULL. Returns the errno of an error reply, 0 else. */
int client_call(struct client *client, uint16_t command, const void *payload, size_t size, const int *fds,
                size_t fd_count, struct client_reply *reply);
void client_reply_free(struct client_reply *reply);
/* Answers the server's DMA commands for as long as there are some within timeout_ms. */
void client_serve_dma(struct client *client, int timeout_ms);

/* VERSION with all that goes beyond the specification, without it, or with the JSON given. */
void client_negotiate(struct client *client);
void client_negotiate_plain(struct client *client);
int client_negotiate_json(struct client *client, const char *json, struct client_reply *reply);

int client_dma_map(struct client *client, uint64_t iova, uint64_t size, uint32_t flags, int fd, uint64_t offset);
int client_dma_unmap(struct client *client, uint64_t iova, uint64_t size, uint32_t flags);
/* Makes the client's memory, and maps it: with its descriptor, or to be reached by messages. */
void client_map(struct client *client, bool by_message);

int client_region_read(struct client *client, uint32_t region, uint64_t offset, void *data, uint32_t count);
int client_region_write(struct client *client, uint32_t region, uint64_t offset, const void *data, uint32_t count);
uint32_t client_read32(struct client *client, uint32_t region, uint64_t offset);
void client_write32(struct client *client, uint32_t region, uint64_t offset, uint32_t value);
void client_bus_master(struct client *client, bool on);

/* SET_IRQS. data may be NULL. */
int client_set_irqs(struct client *client, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
                    const void *data, size_t size, const int *fds, size_t fd_count);
/* An eventfd as the trigger of one vector. */
int client_trigger(struct client *client, uint32_t index, uint32_t vector);
/* How often an eventfd was signalled: waits up to timeout_ms for the first. */
uint64_t client_event_count(int fd, int timeout_ms);

/* DEVICE_FEATURE: flags with the feature, and data in and out behind the header. */
int client_feature(struct client *client, uint32_t flags, void *data, size_t in_size, size_t out_size);
int client_set_state(struct client *client, unsigned int state);
unsigned int client_get_state(struct client *client);
uint64_t client_migration_flags(struct client *client);
int client_reset(struct client *client);

/* MIG_DATA_READ of up to size. */
int client_data_read(struct client *client, void *data, uint32_t size, size_t *count);
int client_data_write(struct client *client, const void *data, uint32_t size);
int client_precopy_info(struct client *client, struct vfio_precopy_info *info);

struct client_state {
    uint8_t *data;
    size_t size;
};
/* Reads to the end, by pieces of piece. */
struct client_state client_save(struct client *client, uint32_t piece);
/* RESUMING, the state by pieces, STOP. Returns the first errno. */
int client_load(struct client *client, const struct client_state *state, uint32_t piece);

/*
 * The driver of one queue, whose rings and buffers lie in the client's memory, from offset base on. Slot i of a ring
 * has its own 8 KiB of buffer: 4 KiB source, 4 KiB destination.
 */
struct client_queue {
    struct client *client;
    unsigned int number;
    uint32_t entries;
    uint32_t vector;
    uint64_t base;
    uint64_t submitted;
    uint64_t checked;
};

void client_queue_start(struct client_queue *queue, struct client *client, unsigned int number, uint32_t entries,
                        uint32_t vector);
struct dma_queue_shared *client_queue_shared(const struct client_queue *queue);
uint8_t *client_source(const struct client_queue *queue, uint64_t operation);
uint8_t *client_destination(const struct client_queue *queue, uint64_t operation);
uint64_t client_source_iova(const struct client_queue *queue, uint64_t operation);
uint64_t client_destination_iova(const struct client_queue *queue, uint64_t operation);
/* Writes the descriptor and the tail; sequence and addresses of the slot are filled in where 0. Rings no doorbell. */
void client_submit(struct client_queue *queue, struct dma_descriptor descriptor);
void client_ring(struct client_queue *queue);
/* Waits for the next completion, in order, and checks its sequence number. */
struct dma_completion client_complete(struct client_queue *queue);
/* Submits, rings and waits. */
struct dma_completion client_run(struct client_queue *queue, struct dma_descriptor descriptor);

#endif
