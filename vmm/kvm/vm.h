/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The virtual machine by the KVM API: memory slots, vCPUs that run in threads of their own and can be paused, the
 * interrupt controller, and the state of all of it: get, put, serialise (Documentation/virt/kvm/api.rst).
 */
#ifndef STOPCOPY_VM_H
#define STOPCOPY_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buffer.h"
#include "lib/deadline.h"
#include "lib/error.h"

struct vm;

#define VM_VCPUS_MAX 64

/* What the vCPUs' exits reach. Called from vCPU threads, several at once. A read that nobody answers gives all ones. */
struct vm_bus_ops {
    void (*mmio_read)(void *context, uint64_t address, void *data, size_t size);
    void (*mmio_write)(void *context, uint64_t address, const void *data, size_t size);
    void (*port_read)(void *context, uint16_t port, void *data, size_t size);
    void (*port_write)(void *context, uint16_t port, const void *data, size_t size);
    /* A vCPU stopped for good: KVM_RUN failed, a triple fault, an internal error. Called once, from its thread. */
    void (*vcpu_failed)(void *context, unsigned int vcpu, const struct error *error);
};

enum vm_irqchip {
    VM_IRQCHIP_SPLIT, /* local APICs in the kernel, nothing else: MSI and MSI-X only */
    VM_IRQCHIP_FULL,  /* with IOAPIC, PIC and PIT */
};

struct vm_config {
    unsigned int vcpus;
    enum vm_irqchip irqchip;
    struct vm_bus_ops bus;
    void *bus_context;
    int kvm_fd; /* /dev/kvm where it is open already: stays the caller's. 0: it is opened */
};

/* What the guest may use, found out by trying: for the board's description. */
struct vm_features {
    bool avx2;     /* XCR0 has SSE and AVX set and the processor has AVX2 */
    bool kvmclock; /* KVM_FEATURE_CLOCKSOURCE2 works */
    uint64_t tsc_hz;
    uint64_t apic_timer_hz;
    unsigned int physical_address_bits;
};

/* /dev/kvm; errors as for vm_new. Returns the descriptor. */
int vm_open_kvm(struct error *error);

/* Opens /dev/kvm and makes a VM with its vCPUs, not yet running. errno ENOENT, EACCES, ... where this host cannot: the
 * caller answers with status 77. */
struct vm *vm_new(const struct vm_config *config, struct error *error);
/* Stops the vCPUs, waiting for the bus accesses that they are in, which must be bounded. */
void vm_free(struct vm *vm);
void vm_get_features(struct vm *vm, struct vm_features *features);

/* A memory slot of size bytes at guest physical gpa, backed by host memory that stays the caller's. Returns the slot's
 * number, -1. */
int vm_map_memory(struct vm *vm, uint64_t gpa, uint64_t size, void *host, bool readonly, struct error *error);
int vm_unmap_memory(struct vm *vm, int slot, struct error *error);

/*
 * The dirty log of the memory slot that begins at gpa (KVM_GET_DIRTY_LOG): the pages of 4 KiB that vCPUs, or KVM itself,
 * wrote since they were taken last; writes by this process or by devices are not in it. It may be started, taken and
 * stopped while vCPUs run. Taking sets a page's bit in bitmap (of as many 64-bit words as the pages need) where it was
 * written, and clears it in the log, so that a page that is read after it was taken is either read as it stays or is in
 * the log again. The first taking after the start gives every page.
 */
int vm_dirty_log_start(struct vm *vm, uint64_t gpa, struct error *error);
int vm_dirty_log_take(struct vm *vm, uint64_t gpa, uint64_t *bitmap, struct error *error);
int vm_dirty_log_stop(struct vm *vm, uint64_t gpa, struct error *error);

/* Sets vCPU 0 to enter at entry in 64-bit mode with RDI as given and the page tables at cr3 (guest_abi.h, "Entry"); the
 * others wait for INIT and SIPI. */
int vm_set_entry(struct vm *vm, uint64_t entry, uint64_t rdi, uint64_t cr3, struct error *error);

/*
 * The vCPU threads run. Pausing returns when every vCPU has left KVM_RUN with the exit that it was in completed. A
 * pause that fails at its deadline is still asked for: the vCPU named parks when it can, so pause again, or resume to
 * take it back. Neither may be called from a bus op. Resuming fails with EIO once a vCPU has failed.
 */
int vm_resume(struct vm *vm, struct error *error);
/* When the last of the vCPUs that were resumed went to enter the guest (clock_now_ns). Waits for it until the deadline, and is
 * 0 then. */
uint64_t vm_entered_ns(struct vm *vm, struct deadline deadline);
/*
 * From now on every vCPU that runs stands still for this share of the time, 0 to VM_THROTTLE_MAX percent: for a guest that writes
 * to its memory faster than that can be sent. Pausing does not wait for it.
 */
#define VM_THROTTLE_MAX 99u
void vm_throttle(struct vm *vm, unsigned int percent);
int vm_pause(struct vm *vm, struct deadline deadline, struct error *error);

/* MSIs: a route is a GSI with an MSI's address and data; an irqfd raises it from an eventfd. */
int vm_msi_route_add(struct vm *vm, uint64_t address, uint32_t data, struct error *error); /* the GSI, or -1 */
int vm_msi_route_change(struct vm *vm, int gsi, uint64_t address, uint32_t data, struct error *error);
/* Routes changed by the two above count once this has been called: one KVM_SET_GSI_ROUTING. */
int vm_msi_routes_commit(struct vm *vm, struct error *error);
int vm_irqfd_assign(struct vm *vm, int gsi, int eventfd, struct error *error);
/* On return everything that the eventfd was signalled with has reached the interrupt controller. */
int vm_irqfd_deassign(struct vm *vm, int gsi, int eventfd, struct error *error);
/*
 * Interrupts by level, with the full irqchip: the eventfd raises a pin of the IOAPIC, the guest's EOI lowers it and
 * signals resample (KVM_IRQFD_FLAG_RESAMPLE). One eventfd for each pin. A pin that deassigning leaves was asserted where
 * its line was up, or its interrupt was delivered and not yet EOIed; then the line is down. vCPUs are paused for that.
 */
int vm_level_irqfd_assign(struct vm *vm, unsigned int pin, int eventfd, int resample, struct error *error);
int vm_level_irqfd_deassign(struct vm *vm, unsigned int pin, int eventfd, bool *asserted, struct error *error);

/* Tells KVM of a device of the kernel's VFIO that its guest has: the descriptor of its group, or its own
 * (KVM_DEV_TYPE_VFIO), which stays the caller's. A KVM without that needs none of it; one told twice is. */
int vm_add_vfio_file(struct vm *vm, int fd, struct error *error);
int vm_signal_msi(struct vm *vm, uint64_t address, uint32_t data, struct error *error);

/* Writes of size bytes (0: any) to address go to the eventfd and do not exit. */
int vm_ioeventfd(struct vm *vm, bool assign, uint64_t address, uint32_t size, int eventfd, bool match,
                 uint64_t datamatch, struct error *error);

/*
 * State, while paused. A vCPU's is one record, the VM's (clock, irqchip, PIT) another; the format is docs/stream.md's.
 * Put checks everything for form and range before it sets anything; what the host ignored of what it was given (TSC
 * offset, say) is added to ignored, which may be NULL, as text lines. Put the VM's state before the vCPUs': it says how
 * far time went on. Memory slots come before both. MSRs that make KVM write to guest memory (kvmclock's, say) are
 * checked, and set when the vCPU first runs. A TSC that would go back is refused by the rule "clock/tsc-behind".
 */
/*
 * What can be done ahead for the state that is to be put into a VM none of whose vCPUs has run: finds out what they are like,
 * so that what is so already need not be set, and lets each of them enter once, in a page of its own outside of the guest's
 * memory, for the first entry is the slowest. Failing leaves them as they were.
 */
int vm_expect_state(struct vm *vm, struct error *error);
int vm_vcpu_get_state(struct vm *vm, unsigned int vcpu, struct buffer *state, struct error *error);
int vm_vcpu_put_state(struct vm *vm, unsigned int vcpu, const void *state, size_t size, struct buffer *ignored,
                      struct error *error);
int vm_get_state(struct vm *vm, struct buffer *state, struct error *error);
int vm_put_state(struct vm *vm, const void *state, size_t size, struct buffer *ignored, struct error *error);

/* The guest's TSC at this moment (vCPU 0's), and whether this host lets it be moved at all: where it does not, a guest
 * can only come from a host whose TSC is not ahead of this one's. The
 * second only before the vCPUs have run. */
uint64_t vm_guest_tsc(struct vm *vm);
bool vm_honours_tsc_offset(struct vm *vm);

/* A fault put in on purpose (--fault register-changed): flips a bit of xmm3 in the record of vCPU index, as
 * vm_vcpu_get_state made it. */
int vm_vcpu_state_change_register(void *state, size_t size, unsigned int index, struct error *error);

/* In words, for a person who looks for an interrupt: where a pin of the IOAPIC stands (full irqchip), and what a paused
 * vCPU's local APIC has. Return -1 where it cannot be told. */
int vm_describe_pin(struct vm *vm, unsigned int pin, char *text, size_t size);
int vm_describe_vcpu_interrupts(struct vm *vm, unsigned int vcpu, char *text, size_t size);

#endif
