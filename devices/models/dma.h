/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reference DMA device, as include/stopcopy/dma_device.h describes it to its driver. Private to
 * devices/models/dma*; others use dma_model alone.
 *
 *   dma.c             creation, regions, registers, reset
 *   dma_queue.c       descriptors in, completions out, in time
 *   dma_operation.c   what each opcode does
 *   dma_interrupt.c   vectors, their sequence numbers, MSI-X, MSI and INTx
 *   dma_memory.c      internal memory with the record of the pages that were written
 *   dma_window.c      BAR2's memory
 *   dma_dirtier.c     the internal activity of --dirty-rate
 *   dma_migration.c   arcs
 *   dma_save.c        the state as a stream
 *   dma_load.c        and back
 */
#ifndef STOPCOPY_DEVICES_MODELS_DMA_H
#define STOPCOPY_DEVICES_MODELS_DMA_H

#include "devices/model.h"
#include "devices/models/dma_memory.h"
#include "devices/pci/config.h"
#include "devices/stream.h"
#include "stopcopy/dma_device.h"

#define DMA_MSIX_ENTRY_SIZE 16u
#define DMA_MSI_COUNT_MAX 32u
#define DMA_MEMORY_SIZE_MAX (16ull << 30)
#define DMA_WINDOW_SIZE_MAX (64ull << 20)
/* The least size of the scratch memory, which is otherwise as large as the internal memory. */
#define DMA_SCRATCH_SIZE_MIN (16ull << 20)
/* The longest latency, and so the longest that an operation in a stream may have left. */
#define DMA_LATENCY_MAX_NS (600ull * 1000000000ull)

struct dma_operation {
    struct dma_descriptor descriptor;
    uint64_t due_ns; /* while DMA runs: when, of clock_now_ns(); while it is held: how long it still takes */
};

struct dma_queue {
    uint64_t ring;
    uint64_t completions;
    uint64_t shared;
    uint32_t entries;
    uint32_t vector;
    uint32_t enabled;
    uint32_t error;     /* enum dma_queue_error */
    uint64_t tail;      /* as last read */
    uint64_t completed; /* completions ever written; the head is completed + in_flight */
    uint32_t in_flight;
    uint32_t first; /* in operation[] */
    struct dma_operation operation[DMA_QUEUE_IN_FLIGHT_MAX];
};

struct dma_vector {
    uint64_t sequence;       /* interrupts ever raised */
    uint32_t pending_queues; /* bit q: completions of queue q were written since */
    bool outstanding;        /* raised and not acknowledged */
    bool undelivered;        /* raised, and nobody could be signalled yet: what the PBA shows */
};

/* All that registers and queues hold: what a reset clears and a stream carries, besides memory and configuration. */
struct dma_state {
    uint32_t scratch;
    uint32_t acknowledge_errors;
    struct dma_queue queue[DMA_QUEUES_MAX];
    struct dma_vector vector[DMA_VECTORS_MAX];
    uint8_t msix_table[DMA_VECTORS_MAX * DMA_MSIX_ENTRY_SIZE];
    uint64_t dirtier_position; /* bytes that the dirtier ever wrote */
};

/* The sections of the stream; docs/device.md has their payloads. */
enum dma_section {
    DMA_SECTION_IDENTITY = 1, /* first, once */
    DMA_SECTION_MEMORY = 2,   /* any number, before the following */
    DMA_SECTION_CLEAR = 3,    /* among those: memory and scratch memory are zero again */
    DMA_SECTION_REGISTERS = 4,
    DMA_SECTION_QUEUE = 5, /* one for each queue */
    DMA_SECTION_VECTORS = 6,
    DMA_SECTION_CONFIG = 7,
};

enum dma_area {
    DMA_AREA_MEMORY = 0,
    DMA_AREA_SCRATCH = 1,
    DMA_AREA_WINDOW = 2,
};

#define DMA_STREAM_MODEL 1u /* in the identity: this model */
#define DMA_VECTOR_FLAG_OUTSTANDING 1u
#define DMA_VECTOR_FLAG_UNDELIVERED 2u

enum dma_save_phase {
    DMA_SAVE_MEMORY,
    DMA_SAVE_WINDOW,
    DMA_SAVE_STATE,
    DMA_SAVE_END,
};

struct dma_save {
    bool active;
    struct stream_writer writer;
    enum dma_save_phase phase;
    uint64_t window_position;
    bool cleared;         /* the memory was cleared since it was last sent */
    bool reinit;          /* and the user was not told so yet */
    bool pending_initial; /* what waits in the writer counts as initial bytes */
};

struct dma_load {
    bool active;
    struct stream_reader reader;
    struct dma_state *state; /* what came so far */
    uint8_t *config;
    uint32_t sections; /* bit t: section type t came */
    uint32_t queues;   /* bit q: queue q came */
};

struct dma_device {
    struct device device; /* first */
    uint32_t queues;
    uint32_t vectors;
    uint64_t latency_ns;
    uint64_t migration_flags;
    unsigned int migration_state;
    bool dma_held;   /* the migration state stops DMA and interrupts; bus mastering is looked at besides */
    bool peers_held; /* a P2P state: DMA that would reach another device is held, and all other goes on */

    struct pci_config config;
    struct dma_state *state;
    struct dma_memory memory;
    struct dma_memory scratch; /* never seen by the guest: the dirtier's */
    uint8_t *window;
    uint64_t window_size;
    bool window_trapped;
    int window_fd;

    uint64_t dirty_rate;
    uint64_t dirtier_next_ns; /* 0: not running */
    uint64_t dirtier_left_ns; /* while it is held */

    struct dma_save save;
    struct dma_load load;
    uint8_t *bounce; /* DMA_OPERATION_LENGTH_MAX bytes */
};

static inline struct dma_device *dma_device_of(struct device *device)
{
    return (struct dma_device *)device;
}

/* May the device move data: a state in which DMA runs, and bus mastering on? */
bool dma_may_transfer(const struct dma_device *dma);
/* As after power-on, without configuration space: what DMA_CONTROL_RESET does. */
void dma_reset_registers(struct dma_device *dma);
/* Sets the host's timer to whatever is due next. */
void dma_arm_timer(struct dma_device *dma);

/* dma_queue.c */
bool dma_queue_configuration_valid(const struct dma_device *dma, const struct dma_queue *queue);
uint32_t dma_queue_register_read(const struct dma_device *dma, unsigned int queue, uint32_t offset);
void dma_queue_register_write(struct dma_device *dma, unsigned int queue, uint32_t offset, uint32_t value);
/* Looks at the tail, takes descriptors, completes what is due. */
void dma_queue_work(struct dma_device *dma, unsigned int queue);
void dma_queues_work(struct dma_device *dma);
/* Turns due times into what is left of them, and back. */
void dma_queues_hold(struct dma_device *dma, uint64_t now);
void dma_queues_release(struct dma_device *dma, uint64_t now);
/* Looks at every queue's tail and works: nobody may have listened to its doorbell. */
void dma_queues_resume(struct dma_device *dma);
/* When the next operation is due, UINT64_MAX: none. */
uint64_t dma_queues_next_due(const struct dma_device *dma);

/* dma_operation.c: does it, returns enum dma_status. */
uint32_t dma_operation_run(struct dma_device *dma, const struct dma_descriptor *descriptor, uint64_t *result);
/* Would it read or write another device? */
bool dma_operation_reaches_peer(const struct dma_device *dma, const struct dma_descriptor *descriptor);

/* dma_interrupt.c */
/* Completions of a queue were written. Returns 0, or an errno where the shared record cannot be reached. */
int dma_interrupt_signal(struct dma_device *dma, unsigned int queue);
void dma_interrupt_acknowledge(struct dma_device *dma, unsigned int vector, uint32_t sequence);
/* Tries what could not be delivered, or raised, before. */
void dma_interrupts_retry(struct dma_device *dma);
void dma_interrupts_hold(struct dma_device *dma);
void dma_msix_read(const struct dma_device *dma, uint64_t offset, uint8_t *data, size_t count);
void dma_msix_write(struct dma_device *dma, uint64_t offset, const uint8_t *data, size_t count);

/* dma_dirtier.c */
void dma_dirtier_hold(struct dma_device *dma, uint64_t now);
void dma_dirtier_release(struct dma_device *dma, uint64_t now);
void dma_dirtier_work(struct dma_device *dma, uint64_t now);

/* dma_window.c */
int dma_window_create(struct dma_device *dma, uint64_t size, bool trapped, struct error *error);
void dma_window_destroy(struct dma_device *dma);
/* The window is zero again. */
void dma_window_clear(struct dma_device *dma);
/* The first run of pages of the window, from page on, that are not zero; count 0 where there is none. */
struct dma_memory_run dma_window_find(const struct dma_device *dma, uint64_t page);

/* dma_migration.c */
int dma_arc(struct device *device, unsigned int from, unsigned int to);
void dma_enter_state(struct dma_device *dma, unsigned int state);

/* dma_save.c: struct device_ops' data_read, data_size, precopy_info. */
void dma_save_start(struct dma_device *dma);
void dma_save_stop(struct dma_device *dma);
/* The memory is about to be cleared. */
void dma_save_memory_cleared(struct dma_device *dma);
enum device_data dma_data_read(struct device *device, void *data, size_t size, size_t *count);
uint64_t dma_data_size(struct device *device);
int dma_precopy_info(struct device *device, bool version2, struct vfio_precopy_info *info);

/* dma_load.c */
int dma_load_start(struct dma_device *dma);
/* Takes over what was loaded; EINVAL, and nothing taken over, where it is not whole. */
int dma_load_finish(struct dma_device *dma);
void dma_load_stop(struct dma_device *dma);
int dma_data_write(struct device *device, const void *data, size_t size);

extern const struct device_model dma_model;

#endif
