/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A reference device between two faces: the server calls down by struct device_ops, the device calls up by struct
 * device_host_ops. A fault is a layer in between, which has both faces and passes on what it does not change, so that
 * models and server stay honest.
 *
 *      server (its host: DMA, interrupts, timer)
 *        |  device_*()            ^  host_*()
 *      layers, any number
 *        v                        |
 *      model
 *
 * One thread, one device. Functions that can fail return 0 or an errno.
 */
#ifndef STOPCOPY_DEVICES_MODEL_H
#define STOPCOPY_DEVICES_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buffer.h"
#include "lib/error.h"
#include "stopcopy/vfio_compat.h"

struct device;
struct device_host;

/* What a transfer is for, so that a layer can tell without knowing the guest's memory. */
enum device_dma_purpose {
    DEVICE_DMA_DESCRIPTOR, /* descriptors and what the driver writes beside them */
    DEVICE_DMA_DATA,
    DEVICE_DMA_COMPLETION,
    DEVICE_DMA_NOTICE, /* counters of the shared record */
};

struct device_host_ops {
    /* All of size bytes at iova, or an errno: EFAULT where it is not mapped for this, EIO where the client is gone.
     * Eight aligned bytes are moved at once, and after (write) or before (read) all other bytes that are moved. */
    int (*dma_read)(struct device_host *host, enum device_dma_purpose purpose, uint64_t iova, void *data, size_t size);
    int (*dma_write)(struct device_host *host, enum device_dma_purpose purpose, uint64_t iova, const void *data,
                     size_t size);
    /* Is any of it another device's, or may it be, so that in the P2P states it must not be reached? size at least 1. */
    bool (*dma_reaches_peer)(struct device_host *host, uint64_t iova, uint64_t size);
    /* How many interrupts of a VFIO_PCI_*_IRQ_INDEX have a trigger: the highest one that has, plus 1. */
    unsigned int (*irq_count)(struct device_host *host, unsigned int index);
    /* Raises a message interrupt. False where it has no trigger, or is masked: irqs_changed says when to try again. */
    bool (*irq_raise)(struct device_host *host, unsigned int index, unsigned int vector);
    /* Sets INTx' level. */
    void (*irq_level)(struct device_host *host, bool asserted);
    /* Has the device's timer called at at_ns of clock_now_ns(), once, in place of what was set; 0: never. */
    void (*set_timer)(struct device_host *host, uint64_t at_ns);
    /* The device was reset from within (FLR): its migration state is RUNNING again. */
    void (*was_reset)(struct device_host *host);
    /* For the layers: the migration state is another one, and nobody asked for it. */
    void (*state_changed)(struct device_host *host, unsigned int state);
};

struct device_host {
    const struct device_host_ops *ops;
    struct device *owner; /* the layer whose upper face this is not; NULL for the server's */
};

struct device_region {
    uint64_t size;  /* 0: there is none */
    uint32_t flags; /* VFIO_REGION_INFO_FLAG_READ, _WRITE, _MMAP */
    int mmap_fd;    /* with _MMAP, all of the region from offset 0; the device's */
};

struct device_irq {
    uint32_t count;
    uint32_t flags; /* VFIO_IRQ_INFO_* */
};

struct device_doorbell {
    uint32_t region;
    uint64_t offset;
    uint32_t size;
};

enum device_data {
    DEVICE_DATA,       /* as many bytes as were asked for */
    DEVICE_DATA_END,   /* *count bytes, perhaps none, and then the end of the stream */
    DEVICE_DATA_AGAIN, /* *count bytes, perhaps none, and then nothing for now: PRE_COPY only */
    DEVICE_DATA_FAILED,
};

/* A command of the client, for the layers that falsify what the server itself answers. */
struct device_command {
    uint16_t number;                               /* VFIO_USER_* */
    uint8_t *payload;                              /* of the request; may be changed */
    size_t size;                                   /* of the payload, at least what the command needs */
    struct buffer *reply;                          /* what it is answered */
    unsigned int *state;                           /* the migration state */
    bool unanswered;                               /* set: the client gets no reply */
    int (*answer)(struct device_command *command); /* the server's own handling: 0 or the errno it answers */
};

/* An operation that is NULL is the next layer's. A model has all of them but command, which is the server's. */
struct device_ops {
    void (*destroy)(struct device *device);
    /* As after power-on, configuration space included; RUNNING. */
    void (*reset)(struct device *device);

    void (*get_region)(struct device *device, unsigned int index, struct device_region *region);
    void (*get_irq)(struct device *device, unsigned int index, struct device_irq *irq);
    /* The range was checked against get_region. EINVAL for a width or alignment that the device does not take. */
    int (*region_read)(struct device *device, unsigned int index, uint64_t offset, void *data, size_t count);
    int (*region_write)(struct device *device, unsigned int index, uint64_t offset, const void *data, size_t count);
    /* Places of a region whose writes may come as an event, by number. Returns how many, at most maximum. */
    size_t (*get_doorbells)(struct device *device, struct device_doorbell *doorbells, size_t maximum);
    void (*doorbell)(struct device *device, size_t number);
    void (*timer)(struct device *device);
    /* A trigger was set or a mask was taken away. */
    void (*irqs_changed)(struct device *device);

    /* VFIO_MIGRATION_*, 0 for a device without migration. */
    uint64_t (*migration_flags)(struct device *device);
    /* One arc of the table in fsm.h; on failure the device is still in from, with all that it had. */
    int (*arc)(struct device *device, unsigned int from, unsigned int to);
    /* Reads up to size bytes (at least 1) of the session's stream; less only at an end. */
    enum device_data (*data_read)(struct device *device, void *data, size_t size, size_t *count);
    /* Takes all of it, or refuses for good: then every later write and the arc to STOP fail. */
    int (*data_write)(struct device *device, const void *data, size_t size);
    /* VFIO_DEVICE_FEATURE_MIG_DATA_SIZE */
    uint64_t (*data_size)(struct device *device);
    /* VFIO_MIG_GET_PRECOPY_INFO in PRE_COPY and PRE_COPY_P2P. version2: VFIO_PRECOPY_INFO_REINIT may be used. */
    int (*precopy_info)(struct device *device, bool version2, struct vfio_precopy_info *info);

    /* The internal memory, for the layers: where it is and its size; *size 0 where the device has none. */
    uint8_t *(*memory)(struct device *device, uint64_t *size);
    /* For the layers: every command that the server gets, before it acts. Returns 0 or the errno to be answered. */
    int (*command)(struct device *device, struct device_command *command);
};

/* The head of each model's and each layer's own structure. */
struct device {
    const struct device_ops *ops;
    struct device *next;      /* the layer below, NULL for the model */
    struct device_host *host; /* the face above */
};

/* The head of a layer's own structure. */
struct device_layer {
    struct device device;
    struct device_host host;
};

/* Puts a layer, of which both ops are set, on top. From now on the layer is the device; it owns what is below. */
struct device *device_push(struct device *device, struct device_layer *layer);

/* Each calls the operation of the first layer that has it; the layers go on by calling it on device->next. */
void device_destroy(struct device *device);
void device_reset(struct device *device);
void device_get_region(struct device *device, unsigned int index, struct device_region *region);
void device_get_irq(struct device *device, unsigned int index, struct device_irq *irq);
int device_region_read(struct device *device, unsigned int index, uint64_t offset, void *data, size_t count);
int device_region_write(struct device *device, unsigned int index, uint64_t offset, const void *data, size_t count);
size_t device_get_doorbells(struct device *device, struct device_doorbell *doorbells, size_t maximum);
void device_doorbell(struct device *device, size_t number);
void device_timer(struct device *device);
void device_irqs_changed(struct device *device);
uint64_t device_migration_flags(struct device *device);
int device_arc(struct device *device, unsigned int from, unsigned int to);
enum device_data device_data_read(struct device *device, void *data, size_t size, size_t *count);
int device_data_write(struct device *device, const void *data, size_t size);
uint64_t device_data_size(struct device *device);
int device_precopy_info(struct device *device, bool version2, struct vfio_precopy_info *info);
uint8_t *device_memory(struct device *device, uint64_t *size);
/* Of the first layer at or below device that has it, else command->answer. device may be NULL. */
int device_command(struct device *device, struct device_command *command);

/* The same upwards: host is a device's host, the layers go on by calling it on layer->device.host. */
int host_dma_read(struct device_host *host, enum device_dma_purpose purpose, uint64_t iova, void *data, size_t size);
int host_dma_write(struct device_host *host, enum device_dma_purpose purpose, uint64_t iova, const void *data,
                   size_t size);
bool host_dma_reaches_peer(struct device_host *host, uint64_t iova, uint64_t size);
unsigned int host_irq_count(struct device_host *host, unsigned int index);
bool host_irq_raise(struct device_host *host, unsigned int index, unsigned int vector);
void host_irq_level(struct device_host *host, bool asserted);
void host_set_timer(struct device_host *host, uint64_t at_ns);
void host_was_reset(struct device_host *host);
void host_state_changed(struct device_host *host, unsigned int state);

/* What the command line says of a device. */
struct device_options {
    const char *model;
    uint64_t queues;
    uint64_t vectors; /* 0: the model's own: dma has one for each queue, uart none */
    uint64_t memory_size;
    uint64_t window_size;
    bool window_trapped;
    uint64_t latency_ns;
    uint64_t migration_flags;
    uint64_t dirty_rate; /* bytes of the scratch memory a second */
};

struct device_model {
    const char *name;
    const char *description;
    const char *options; /* which of struct device_options it heeds, for --list */
    /* A device that calls up to host, at its power-on state, RUNNING. NULL with error. */
    struct device *(*create)(const struct device_options *options, struct device_host *host, struct error *error);
};

extern const struct device_model *const device_models[]; /* up to NULL */
const struct device_model *device_model_find(const char *name);
void device_options_defaults(struct device_options *options);

#endif
