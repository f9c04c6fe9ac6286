/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of vmm/kvm/ share: the VM's and the vCPUs' structures, and what each architecture provides. */
#ifndef STOPCOPY_VM_PRIVATE_H
#define STOPCOPY_VM_PRIVATE_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "vmm/kvm/vm.h"

#define VM_SLOTS_MAX 1024
#define VM_IOAPIC_PINS 24
/* MSIs have the GSIs above the pins of the IOAPIC, which the split irqchip reserves too. */
#define VM_MSI_GSI_FIRST VM_IOAPIC_PINS
/* KVM_MAX_IRQ_ROUTES; a pin below 16 has two routes, to the PIC and to the IOAPIC. */
#define VM_ROUTES_MAX 4096
#define VM_PIN_ROUTES_MAX (VM_IOAPIC_PINS + 16)

struct vm_slot {
    uint64_t gpa;
    uint64_t size; /* 0: free */
    void *host;
    uint32_t flags;   /* KVM_MEM_* */
    bool log_untaken; /* the dirty log was started, and not taken since */
};

struct vm_route {
    uint64_t address;
    uint32_t data;
};

/* See level.c. */
struct vm_line_holder {
    int eventfd; /* -1: the pin is not in use */
    int resample;
};

enum vcpu_phase {
    VCPU_PARKED,
    VCPU_RUNNING,
    VCPU_WARMING, /* see warm.c; it parks by itself */
    VCPU_FAILED,  /* parked for good */
};

struct vcpu {
    struct vm *vm;
    unsigned int index;
    int fd;
    struct kvm_run *run;
    pthread_t thread;
    bool thread_started;
    timer_t throttle_timer; /* the thread's own: kicks it out of the guest when its share of time is over */
    bool has_throttle_timer;
    enum vcpu_phase phase;       /* under vm->lock */
    _Atomic uint64_t entered_ns; /* when it went to enter the guest after vm_resume, 0: it has not yet */
    struct vcpu_arch *arch;
};

struct vm {
    int kvm_fd;
    int fd;
    struct vm_config config;
    size_t run_size;

    /* vm->run is what was asked for, the vCPUs' phases are what is; changed is signalled when one of them changes. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool run;
    bool stop;
    unsigned int throttle; /* percent */
    unsigned int vcpu_count;
    struct vcpu vcpu[VM_VCPUS_MAX];

    pthread_mutex_t slots_lock;
    struct vm_slot slot[VM_SLOTS_MAX];
    bool log_prepared;      /* how to clear dirty logs was settled */
    bool log_cleared_apart; /* KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 is on: by KVM_CLEAR_DIRTY_LOG */

    pthread_mutex_t routes_lock;
    unsigned int route_count;
    unsigned int route_limit;
    struct vm_route *route;
    struct kvm_irq_routing *routing; /* room for the table that goes to KVM */

    int vfio_fd; /* KVM_DEV_TYPE_VFIO, -1 where there is no such device */

    struct vm_line_holder holder[VM_IOAPIC_PINS];

    struct vm_arch *arch;
};

/* vm.c */
/* KVM_CHECK_EXTENSION on the VM: 0 where it is absent. */
int vm_extension(struct vm *vm, unsigned long capability);
/* Is [gpa, gpa + size) inside of one memory slot? */
bool vm_memory_contains(struct vm *vm, uint64_t gpa, uint64_t size);

/* memory.c */
/* KVM_SET_USER_MEMORY_REGION, with slots_lock held. */
int vm_set_region(struct vm *vm, int slot, uint32_t flags, uint64_t gpa, uint64_t size, void *host);

/* vcpu.c */
/* Makes the vCPU's thread, parked. */
int vcpu_start(struct vcpu *vcpu, struct error *error);
/* Ends all threads. Waits for the bus accesses that they are in. */
void vcpu_stop_all(struct vm *vm);
/* Wakes the vCPUs' threads in that phase, and waits until all are parked. */
int vcpu_run_phase(struct vm *vm, enum vcpu_phase phase, struct deadline deadline, struct error *error);
/* 0 where no vCPU is in KVM_RUN, else an error that names one. */
int vm_check_paused(struct vm *vm, struct error *error);

/* warm.c */
/* From the vCPU's thread. */
void vcpu_warm(struct vcpu *vcpu);

/* What an architecture provides. */
/* A page of code, and where it is to be for a vCPU that was just made to find it: it ends with an access to a port. */
void arch_warm_code(uint8_t *page, uint64_t *gpa);
/* Before a vCPU that waits for others to start it can enter, and all as it was before. */
int arch_warm_begin(struct vcpu *vcpu, struct error *error);
int arch_warm_end(struct vcpu *vcpu, struct error *error);
/* Reads what the vCPUs are like, for vm_vcpu_put_state. */
int arch_expect_state(struct vm *vm, struct error *error);
/* With vm->lock held: before the vCPU is kicked out of the guest, when it has parked, and before it runs again. */
void arch_vcpu_before_pause(struct vcpu *vcpu);
void arch_vcpu_parked(struct vcpu *vcpu);
void arch_vcpu_resumed(struct vcpu *vcpu);
/* Before the first vCPU, and after each vCPU was made. */
int arch_vm_init(struct vm *vm, struct error *error);
void arch_vm_free(struct vm *vm);
int arch_vcpu_init(struct vcpu *vcpu, struct error *error);
void arch_vcpu_free(struct vcpu *vcpu);
/* From the vCPU's thread, before it enters the guest. */
int arch_vcpu_before_run(struct vcpu *vcpu, struct error *error);
/* An exit that only this architecture has. 1: handled, 0: unknown, -1: the vCPU failed. */
int arch_vcpu_exit(struct vcpu *vcpu, struct error *error);
/* Where the vCPU stands, for an error: "RIP 0x..., ..." */
void arch_vcpu_describe(struct vcpu *vcpu, char *text, size_t size);
/* Is the pin's line up, or an interrupt of it delivered and not yet EOIed? Full irqchip. */
int arch_pin_asserted(struct vm *vm, unsigned int pin, bool *asserted, struct error *error);
/* The routes of the interrupt controllers' pins, as KVM makes them at first. Returns how many. */
unsigned int arch_pin_routes(struct vm *vm, struct kvm_irq_routing_entry *entries);

#endif
