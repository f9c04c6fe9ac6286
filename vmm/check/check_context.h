/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a rule of `stopcopy check` works with: the device, and steps that many rules take. */
#ifndef STOPCOPY_CHECK_CONTEXT_H
#define STOPCOPY_CHECK_CONTEXT_H

#include <sys/types.h>

#include "lib/buffer.h"
#include "lib/deadline.h"
#include "vmm/check/rule.h"
#include "vmm/vfio/vfio_device.h"

struct check_traffic; /* traffic.h */

/* An image larger than this is not held in memory: what needs one is then not tried. */
#define CHECK_IMAGE_MAX ((size_t)256 << 20)

/* How the device is opened, and what else the command line names. The context's caller has it. */
struct check_opener {
    void *opaque;
    /* Opens the device; NULL with error. At most one is open at a time. */
    struct vfio_device *(*open)(void *opaque, struct error *error);
    void (*close)(void *opaque, struct vfio_device *device);
    /* The process that serves it and that was started by us, 0 where there is none. */
    pid_t (*server)(void *opaque);
    /* The stream of a device of another kind; -1 where there is none. May be NULL. */
    int (*foreign_image)(void *opaque, struct buffer *image, struct error *error);
};

struct check_context {
    const struct check_opener *opener;
    struct vfio_device *device;
    struct vfio_data_session *session; /* that the last change of state gave; the context closes it */

    uint64_t flags; /* VFIO_MIGRATION_*, 0: no migration */
    bool dma_logging;
    bool can_reset;    /* VFIO_DEVICE_FLAGS_RESET, or VFIO_DEVICE_RESET was tried and worked */
    bool reset_unsaid; /* the latter alone */
    bool tells_peers;  /* a mapping can be told to be of another device's BAR: dma_map_peer */
    uint32_t declares; /* CHECK_DECLARES_* */

    uint64_t seed;
    uint64_t random;          /* check_random's state: begins anew, from the seed and the rule's name, for each rule */
    uint64_t steps;           /* a check_piece counts its calls here */
    struct deadline deadline; /* of all of the check; a rule that has more to try stops at rule_deadline */
    struct deadline rule_deadline;
    uint64_t stop_hold_ns;    /* how long a stopped device is watched */
    enum check_hazard hazard; /* the most that is allowed */

    struct check_traffic *traffic; /* NULL: no driver knows this device */
    const char *no_traffic;        /* why not */

    struct buffer image;           /* a good stream of this device, saved before the rules ran; empty: there is none */
    char no_image[CHECK_TEXT_MAX]; /* why not */

    char unusable[CHECK_TEXT_MAX]; /* why no further rule can be tried, "" where they can */
    unsigned int lost_count;       /* how often its server went away in the middle of a rule */
    char lost[CHECK_TEXT_MAX];     /* the first time */
};

/* Is a server behind it, in a process of its own that can go away, and not the kernel? */
bool check_is_served(const struct check_context *context);

/* The answer to one SET of the state. */
struct check_answer {
    int number;                /* errno, 0 where it succeeded */
    unsigned int state;        /* read back afterwards */
    bool session;              /* a data transfer session came with it (context->session) */
    char text[CHECK_TEXT_MAX]; /* of the error */
};

/* Uniform from 0 to below limit (0: 0). */
uint64_t check_random(struct check_context *context, uint64_t limit);
/* Is the rule's time up? A rule with many cases asks between two of them, and says how many it tried (check_tried). */
bool check_time_up(const struct check_context *context);

/*
 * One SET, whatever comes of it, the state read back, and the session taken where there is one (the one before is closed
 * only then: within the saving group it goes on). Returns 0 with the answer; -1 where the device cannot be asked at all.
 */
int check_set(struct check_context *context, unsigned int state, struct check_answer *answer, struct error *error);
/* check_set that has to succeed and to reach the state: -1 where it does not. */
int check_go(struct check_context *context, unsigned int state, struct error *error);
/* To a state from wherever the device is, by a reset where no transition leads there. -1 where it does not get there. */
int check_place(struct check_context *context, unsigned int state, struct error *error);
int check_state(struct check_context *context, unsigned int *state, struct error *error);
int check_reset(struct check_context *context, struct error *error);
void check_close_session(struct check_context *context);

/* Takes a session into RUNNING again, by transitions, a reset, or opening it anew. -1: it is no longer usable. */
int check_settle(struct check_context *context, struct error *error);
/* Closes the device and opens it again: a new process's view of it. */
int check_reopen(struct check_context *context, struct error *error);

/* How much is read or written at once; called before each piece. NULL: a megabyte. */
typedef size_t (*check_piece)(struct check_context *context);

/*
 * Reads the session of the state STOP_COPY, which the device is in, to its end and adds it to image. E2BIG past
 * CHECK_IMAGE_MAX.
 */
int check_read_image(struct check_context *context, check_piece piece, struct buffer *image, struct error *error);
/* From RUNNING or STOP: STOP_COPY, the stream, and STOP again. */
int check_save(struct check_context *context, check_piece piece, struct buffer *image, struct error *error);

enum check_load_step {
    CHECK_LOAD_ACCEPTED,
    CHECK_LOAD_REFUSED_WRITE,
    CHECK_LOAD_REFUSED_STOP, /* by RESUMING to STOP */
};

struct check_load {
    enum check_load_step step;
    int number;         /* errno of the refusal */
    size_t written;     /* bytes that were taken */
    unsigned int state; /* read back afterwards */
};

/*
 * Gives the device an image, good or bad: RESUMING (from RUNNING or STOP), every byte, RESUMING to STOP. Where a write is
 * refused nothing more is asked: the device is left in RESUMING, or where it went. Returns 0 with what came of it; -1
 * where RESUMING is not reached or the device cannot be asked.
 */
int check_load_image(struct check_context *context, const void *data, size_t size, check_piece piece,
                     struct check_load *load, struct error *error);
/*
 * After a bad image: is the device usable still? Ends the transfer (by a reset, where it was refused) and loads the good
 * image (context->image); the device is then in STOP. -1 with what did not work,
 * and the rule reset/running where that was the reset.
 */
int check_prove_load(struct check_context *context, struct error *error);

/* Descriptors that a process has open; -1 where that cannot be seen. */
int check_descriptors(pid_t pid);

#endif
