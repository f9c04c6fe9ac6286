/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A machine of 4 MiB with one of the guests of guest_code.s, and a bus that notes every access. */
#ifndef STOPCOPY_KVM_FIXTURE_H
#define STOPCOPY_KVM_FIXTURE_H

#include <pthread.h>

#include "vmm/kvm/vm.h"

#define RAM_SIZE (4u << 20)
#define CODE_ADDRESS 0x100000u
#define SHARED_ADDRESS 0x200000u
#define AP_CODE_ADDRESS 0x8000u
#define AP_STARTED_ADDRESS 0x7000u
#define AP_COUNTS_ADDRESS 0x7010u
#define MMIO_ADDRESS 0xd0000000u
#define PORT_DONE 0x10
#define PORT_DATA 0x20
#define APIC_MSI_ADDRESS 0xfee00000u
#define ACCESSES_MAX 64
#define PATIENCE_MS 10000

/* What guest and test share: SH_* in guest_code.s. */
struct shared {
    uint64_t count;
    uint64_t stop;
    uint64_t avx;
    uint64_t ticks;
    uint64_t fault;
    uint64_t reserved[3];
    uint64_t values[120];
    uint64_t vectors[64];
    int64_t x87;
    uint64_t reserved2[63];
    uint8_t kvmclock[32];
};
_Static_assert(offsetof(struct shared, values) == 0x40 && offsetof(struct shared, vectors) == 0x400 &&
                   offsetof(struct shared, x87) == 0x600 && offsetof(struct shared, kvmclock) == 0x800,
               "struct shared is as guest_code.s has it");

struct access {
    char kind[3]; /* "pr", "pw", "mr", "mw": port or MMIO, read or write */
    uint64_t address;
    size_t size;
    uint64_t value; /* written */
};

struct machine {
    struct vm *vm;
    uint8_t *ram;
    volatile struct shared *shared;
    struct vm_features features;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
    const char *hold; /* the kind of access that waits: "pw" or "mr" */
    bool held;        /* one does */
    unsigned int failures;
    struct error failure;
    size_t access_count;
    struct access access[ACCESSES_MAX];
    uint32_t last_count; /* of guest_count: what it wrote, and how many reads followed */
    uint32_t read_count;
    bool lost_count;
};

extern const uint8_t guest_code[], guest_accesses[], guest_string_io[], guest_count[], guest_compute[],
    guest_periodic[], guest_deadline[], guest_wait_msi[], guest_msi_loop[], guest_processors[], guest_halt[],
    guest_fault[], guest_pit[], guest_doorbell[], guest_clock[];

/* Skips the test, or fails it where STOPCOPY_REQUIRE_KVM=1, on a host without KVM. */
void need_kvm(void);

/* A machine whose vCPU 0 will enter at guest; NULL for a destination. */
void machine_start(struct machine *machine, unsigned int vcpus, enum vm_irqchip irqchip, const uint8_t *guest);
void machine_end(struct machine *machine);

void machine_run(struct machine *machine);
void machine_stop(struct machine *machine);
/* Waits for a write to PORT_DONE. */
void machine_wait_done(struct machine *machine);
/* Makes accesses of a kind wait, "pw" or "mr", and returns when one does; lets them go on. */
void machine_hold(struct machine *machine, const char *kind);
void machine_release(struct machine *machine);
/* Pauses so that the vCPU has certainly been in such an access. */
void machine_stop_in_access(struct machine *machine, const char *kind);
void machine_wait_failure(struct machine *machine);
/* Waits until *counter, which the guest counts, is at least value. */
void wait_counter(struct machine *machine, volatile uint64_t *counter, uint64_t value);
void wait_counter32(struct machine *machine, volatile uint32_t *counter, uint32_t value);

struct record {
    struct buffer vm;
    struct buffer vcpu[VM_VCPUS_MAX];
};

/* All state of a paused machine, and all of it put. */
void machine_save(struct machine *machine, unsigned int vcpus, struct record *record);
void machine_load(struct machine *machine, unsigned int vcpus, const struct record *record);
void record_free(struct record *record);

/* Pauses from, ends it, and makes to, which goes on where it was when it is run. Returns for how long at least neither
 * ran, in nanoseconds. */
uint64_t machine_move(struct machine *from, struct machine *to, unsigned int vcpus, enum vm_irqchip irqchip);
/* The same, and runs it. */
void machine_migrate(struct machine *from, struct machine *to, unsigned int vcpus, enum vm_irqchip irqchip);

#endif
