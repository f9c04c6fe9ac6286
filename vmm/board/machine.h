/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine: the board that the guest sees, built from one description. The description is made from the command
 * line's wishes and the devices (board_describe), is a device tree for the guest and for the destination
 * (board_to_tree, board_from_tree), and has no host name, path or address of a host device in it.
 */
#ifndef STOPCOPY_MACHINE_H
#define STOPCOPY_MACHINE_H

#include "lib/buffer.h"
#include "lib/error.h"
#include "vmm/kvm/vm.h"
#include "vmm/proof/proof.h"
#include "vmm/vfio/vfio_device.h"

/* Slots 1 to 31 of bus 0; slot 0 is the host bridge. */
#define BOARD_DEVICES_MAX 31
#define BOARD_BARS 6
#define BOARD_RAM_RANGES_MAX 2
#define BOARD_LOW_RAM_MAX (3ull << 30)
#define BOARD_HIGH_RAM_START (4ull << 30)
#define BOARD_ECAM_START (3ull << 30)
#define BOARD_ECAM_SIZE (1ull << 20)
#define BOARD_WINDOW32_START 0xc1000000ull
#define BOARD_WINDOW32_END 0xfec00000ull
#define BOARD_IO_WINDOW_START 0x1000u
#define BOARD_IO_WINDOW_END 0xf000u
/* Pins of the IOAPIC for INTx: each function that has it gets one of its own, which Interrupt Line tells the guest. */
#define BOARD_INTX_PIN_FIRST 16u
#define BOARD_INTX_PINS 8u
/* The end of low RAM that the guest's /memory leaves out: progress area, first page tables, device tree. */
#define BOARD_RESERVED_SIZE (1ull << 20)
#define BOARD_TREE_SIZE_MAX 0x40000u

/* Operations of the dma workload that aim at another device. */
enum board_p2p {
    BOARD_P2P_OFF = 0,
    BOARD_P2P_ON = 1,       /* in wishes: where it is possible; in a board: it is */
    BOARD_P2P_REQUIRED = 2, /* the user asked for it: no operation of this kind is no proof */
};

/* What the command line asks for. */
struct board_wishes {
    uint64_t memory_size; /* RAM, a multiple of 4 KiB, at least BOARD_MEMORY_MIN */
    unsigned int vcpus;
    uint64_t seed;
    uint64_t ops;              /* of the leading workload's chains, 0: until asked to finish */
    bool wanted[WORKLOAD_END]; /* workloads, by enum workload_id */
    uint32_t dma_depth;
    enum board_p2p dma_p2p;
    bool peers; /* the devices reach each other's BARs by DMA */
    uint64_t workload_memory_size;
    uint64_t workload_memory_rate;
};
#define BOARD_MEMORY_MIN (16ull << 20)

struct board_ram {
    uint64_t start;
    uint64_t size;
};

struct board_bar {
    uint64_t address; /* as the board assigned it at first */
    uint64_t size;    /* 0: none; the upper half of a 64-bit BAR has none */
    bool io, wide, prefetchable;
};

/* The MSI-X capability (PCI Local Bus 3.0, 6.8.2). */
struct board_msix {
    uint8_t capability; /* its offset in configuration space */
    uint8_t table_bar, pba_bar;
    uint32_t table_offset, pba_offset;
};

/* The MSI capability of a function without MSI-X, as far as the guest sees it: one message, no masking (PCI Local Bus
 * 3.0, 6.8.1). */
struct board_msi {
    uint8_t capability; /* its offset in configuration space, 0: none */
    bool wide;          /* a 64-bit address */
};

/* The PCI Express capability, as far as the guest sees it: a root complex integrated endpoint without FLR. */
struct board_express {
    uint8_t capability; /* its offset in configuration space, 0: none */
    uint8_t version;
    uint32_t device_capabilities;
};

/* A PCI function: bus 0, function 0. */
struct board_device {
    uint16_t slot; /* 1 and up, in the order of the devices */
    uint16_t vendor, device, subsystem_vendor, subsystem;
    uint32_t class_revision;
    struct board_bar bar[BOARD_BARS];
    uint16_t msix_vectors; /* 0: no MSI-X */
    struct board_msix msix;
    struct board_msi msi;
    uint8_t intx_pin; /* of the IOAPIC, of a function with neither MSI-X nor MSI; 0: it has no interrupt */
    struct board_express express;
};

struct board {
    unsigned int vcpus;
    enum vm_irqchip irqchip; /* full where a function has INTx alone, or the user wants it */
    unsigned int ram_ranges;
    struct board_ram ram[BOARD_RAM_RANGES_MAX];
    struct board_ram window64;
    uint64_t progress; /* guest physical address of the progress area */
    int kvm_fd;        /* of this host, as in struct vm_config; no part of the description */
    struct vm_features features;
    struct board_wishes wishes;
    size_t device_count;
    struct board_device device[BOARD_DEVICES_MAX];
};

struct machine;

enum machine_event_kind {
    MACHINE_READY,
    MACHINE_DONE,
    MACHINE_FAILED,       /* the guest says so: see the progress area */
    MACHINE_VCPU_FAILED,  /* a vCPU stopped: text */
    MACHINE_DEVICE_GONE,  /* a device's server went away: device, text */
    MACHINE_DEVICE_ASKED, /* the host wants a device back, for its driver is to be unbound: device, text */
    MACHINE_DEVICE_AER,   /* a device reported an error that is not recovered from: device, text */
    MACHINE_DEVICE_ERROR, /* a region access failed: device, text */
    MACHINE_PEER_MISSING, /* a device does not reach another's BAR by DMA, which is no failure: device, text */
};

struct machine_event {
    enum machine_event_kind kind;
    unsigned int device;
    char text[ERROR_TEXT_MAX];
};

/* Devices stay the caller's, and must outlive the machine. Their order is that of the command line. */
int board_describe(const struct board_wishes *wishes, struct vfio_device *const *devices, size_t count,
                   struct board *board, struct error *error);
int board_to_tree(const struct board *board, struct buffer *tree, struct error *error);
/* A tree from outside: everything in it is checked. */
int board_from_tree(const void *tree, size_t size, struct board *board, struct error *error);
/* Do these devices fit the description, in order? The error names the property that differs. */
int board_match(const struct board *board, struct vfio_device *const *devices, size_t count, struct error *error);
/* What the guest sees of two devices and differs, a property at a time: board_match refuses the first. */
typedef void (*board_difference)(void *context, const char *property, uint64_t wanted, uint64_t found);
void board_compare(const struct board_device *wanted, const struct board_device *found, board_difference differs,
                   void *context);
/* The plan of the proof. queues, memory_size and window_size of the reference devices are read from their registers. */
int board_plan(const struct board *board, struct vfio_device *const *devices, struct proof_plan *plan,
               struct error *error);

/*
 * Builds the VM of the board: RAM as memfds, memory slots, devices' mappable BARs, DMA mappings of all RAM for every
 * device, MSI-X and doorbells ready to be bound, which whoever boots or resumes it does (machine_bind_interrupts).
 * ram_fds: for shared RAM, the memfds to use, one for each range, taken over even on failure; they must be sealed
 * against shrinking (F_SEAL_SHRINK) and have the range's size. NULL for new ones.
 */
struct machine *machine_new(const struct board *board, struct vfio_device *const *devices, const int *ram_fds,
                            struct error *error);
void machine_free(struct machine *machine);

/* Loads the guest's ELF image, the device tree and the first page tables into RAM and sets vCPU 0's entry: for a
 * machine that boots, not for a destination. */
int machine_load(struct machine *machine, const char *image_path, struct error *error);

struct vm *machine_vm(struct machine *machine);
const struct board *machine_board(struct machine *machine);
/* Host address of [gpa, gpa + size) in RAM, NULL where it is not wholly inside of one range. */
void *machine_ram(struct machine *machine, uint64_t gpa, uint64_t size);
int machine_ram_fd(struct machine *machine, unsigned int range);
/* The guest's progress, at any time. */
int machine_progress(struct machine *machine, struct proof_snapshot *snapshot, struct error *error);
/* Ask the guest to finish (guest_abi.h, GUEST_REQUEST_FINISH). Part of the machine's state. */
void machine_request_finish(struct machine *machine);

/* Waits for the next event. Returns 1 with it, 0 at the deadline. Events come in order and none is lost. */
int machine_wait(struct machine *machine, struct deadline deadline, struct machine_event *event);
/* A descriptor that polls readable while events wait. */
int machine_event_fd(struct machine *machine);

/* The console's output so far (bounded: the last 64 KiB), NUL-terminated; a copy, to be freed. */
char *machine_console(struct machine *machine);

int machine_pause(struct machine *machine, struct deadline deadline, struct error *error);
/* The vCPUs run; nothing else happens. */
int machine_resume(struct machine *machine, struct error *error);

/*
 * Interrupts and doorbells of all devices, bound to KVM (irqfds, ioeventfds) or taken away from it. Unbinding flushes
 * interrupts on their way into the interrupt controller, or into the board's own record where they are masked.
 * A machine that boots binds before the first machine_resume; a destination after COMMIT.
 */
int machine_bind_interrupts(struct machine *machine, struct error *error);
int machine_unbind_interrupts(struct machine *machine, struct error *error);
/* The first vector (0 for INTx) by which a device has signalled since interrupts were unbound, -1 where none was. */
int machine_interrupt_signalled(struct machine *machine, unsigned int device);
/* Where the interrupts of every device stand, a line of text each: for a paused machine whose guest misses one. */
void machine_describe_interrupts(struct machine *machine, void (*tell)(void *context, const char *text), void *context);
/* A fault put in on purpose: the first interrupt of any vector after the next binding is lost. Whoever waits for the
 * machine's events carries it out. */
void machine_drop_interrupt(struct machine *machine);
/* The same: from the next binding on no EOI of INTx reaches a device. */
void machine_lose_resample(struct machine *machine);
/* The same: the devices' states have an MSI-X capability that is off, whatever the table says. */
void machine_forget_msix(struct machine *machine);

/*
 * The state of the board outside of KVM: serial port, test port, and of each device what the VMM keeps for it:
 * configuration space as the guest sees it, BAR addresses, MSI-X table and PBA. Putting it programs the device: its
 * configuration space and one SET_IRQS for all vectors. The order is DESIGN's: in STOP, after RESUMING.
 */
int machine_get_board_state(struct machine *machine, struct buffer *state, struct error *error);
int machine_put_board_state(struct machine *machine, const void *state, size_t size, struct error *error);
int machine_get_device_state(struct machine *machine, unsigned int device, struct buffer *state, struct error *error);
int machine_put_device_state(struct machine *machine, unsigned int device, const void *state, size_t size,
                             struct error *error);

#endif
