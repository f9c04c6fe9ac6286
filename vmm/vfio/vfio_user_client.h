/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The vfio-user backend's own structure, and what its files share. Nothing outside of it includes this but its tests.
 */
#ifndef STOPCOPY_VFIO_USER_CLIENT_H
#define STOPCOPY_VFIO_USER_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/vfio/vfio_device.h"
#include "vmm/vfio/vfio_user.h"
#include "vmm/vfio/vfio_user_channel.h"
#include "vmm/vfio/vfio_user_dma.h"

/* What we offer in VERSION. */
#define CLIENT_MAX_MSG_FDS IO_FDS_MAX
#define CLIENT_MAX_DATA_XFER_SIZE (4u << 20)

enum session_kind {
    SESSION_NONE,
    SESSION_SAVING,
    SESSION_RESUMING,
};

/* The data transfer session, which vfio-user does not name: it follows from the states that were set and read. */
struct vfio_user_sessions {
    bool state_known;
    uint32_t state;
    enum session_kind live;
    uint64_t generation; /* of the live one; an older session has ended */
    bool pending;        /* opened and not taken yet */
};

struct vfio_user_session {
    struct vfio_data_session session;
    enum session_kind kind;
    uint64_t generation;
    bool stray; /* see vfio_user_stray_session */
};

/* What the server gave descriptors for; they are kept until the device is closed. */
struct vfio_user_region_cache {
    bool known;
    uint64_t size;
    int mmap_fd;
    bool doorbells_known;
    unsigned int doorbell_count;
    struct vfio_doorbell *doorbells;
    int doorbell_fds[IO_FDS_MAX];
    unsigned int doorbell_fd_count;
};

struct vfio_user {
    struct vfio_device device;
    struct vfio_user_agreement agreement;
    _Atomic uint64_t timeout_ns;
    bool dma_by_message;

    /* One roundtrip, or one command served, at a time on the main socket. */
    pthread_mutex_t lock;
    atomic_uint waiting; /* threads that want the lock for a roundtrip */
    struct vfio_user_channel main;
    uint16_t next_id;

    struct vfio_user_channel twin; /* the background thread's alone */
    struct vfio_user_dma dma;
    struct vfio_user_region_cache regions[VFIO_REGIONS_MAX];
    struct vfio_user_sessions sessions;

    /* The background thread (vfio_user_background.c). */
    pthread_t background;
    bool background_runs;
    int wake_fd; /* eventfd: look again at what to poll, and at stop */
    int gone_fd; /* eventfd: readable once the connection is of no more use */
    atomic_bool stop;
    atomic_bool serve_main; /* commands may come on the main socket while nobody is in a roundtrip */

    /* The first cause that made the connection unusable. */
    pthread_mutex_t broken_lock;
    atomic_bool is_broken;
    struct error broken;
};

static inline struct vfio_user *vfio_user_of(struct vfio_device *device)
{
    return (struct vfio_user *)device;
}

/*
 * One command and its reply. what says what is done, for errors: "REGION_READ of region 7". Returns 0; or -1 with an
 * error that names the device and what: with the errno of an error reply (then call->answer is not 0), or of what made
 * the connection unusable, now or earlier.
 */
int vfio_user_roundtrip(struct vfio_user *client, struct vfio_user_call *call, struct error *error,
                        const char *what_format, ...) __attribute__((format(printf, 4, 5)));

/* The server broke the protocol in a reply's content: makes the connection unusable. Returns -1. */
int vfio_user_violation(struct vfio_user *client, struct error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Makes the connection unusable because of cause, where it is not yet, and wakes who waits on it. */
void vfio_user_break(struct vfio_user *client, const struct error *cause);

/* VERSION, the first command. */
int vfio_user_negotiate(struct vfio_user *client, struct error *error);
/* Parses the JSON of VERSION's reply (NULL: there was none). fds are those that came with it. */
int vfio_user_parse_capabilities(const char *json, size_t size, const int *fds, size_t fd_count,
                                 struct vfio_user_agreement *agreement, struct error *error);

int vfio_user_background_start(struct vfio_user *client, struct error *error);
void vfio_user_background_stop(struct vfio_user *client);
/* The thread looks again at serve_main. */
void vfio_user_background_wake(struct vfio_user *client);

/* The operations. */
int vfio_user_get_info(struct vfio_device *device, struct vfio_device_info_summary *info, struct error *error);
int vfio_user_get_region(struct vfio_device *device, uint32_t index, struct vfio_region *region, struct error *error);
int vfio_user_get_irq(struct vfio_device *device, uint32_t index, struct vfio_irq *irq, struct error *error);
int vfio_user_get_doorbells(struct vfio_device *device, uint32_t region, struct vfio_doorbell *doorbells,
                            size_t maximum, struct error *error);
int vfio_user_region_read(struct vfio_device *device, uint32_t region, uint64_t offset, void *data, size_t count,
                          struct error *error);
int vfio_user_region_write(struct vfio_device *device, uint32_t region, uint64_t offset, const void *data, size_t count,
                           struct error *error);
int vfio_user_set_irqs(struct vfio_device *device, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
                       const void *data, size_t data_size, struct error *error);
int vfio_user_dma_map(struct vfio_device *device, uint64_t iova, uint64_t size, void *host, int fd, uint64_t offset,
                      bool writable, struct error *error);
int vfio_user_dma_map_peer(struct vfio_device *device, uint64_t iova, uint64_t size, void *host, int fd,
                           uint64_t offset, bool writable, struct error *error);
int vfio_user_dma_unmap(struct vfio_device *device, uint64_t iova, uint64_t size, struct error *error);
int vfio_user_take_own_dirty(struct vfio_device *device, uint64_t iova, uint64_t size, uint64_t page_size,
                             uint64_t *bitmap, struct error *error);
int vfio_user_reset(struct vfio_device *device, struct error *error);
int vfio_user_feature(struct vfio_device *device, uint32_t flags, void *data, size_t size, struct error *error);
struct vfio_data_session *vfio_user_take_session(struct vfio_device *device);
enum vfio_data_result vfio_user_session_read(struct vfio_data_session *session, void *data, size_t size, size_t *count,
                                             struct error *error);
ssize_t vfio_user_session_write(struct vfio_data_session *session, const void *data, size_t size, struct error *error);
int vfio_user_session_precopy_info(struct vfio_data_session *session, struct vfio_precopy_info *info,
                                   struct error *error);
void vfio_user_session_close(struct vfio_data_session *session);

#endif
