/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gate from CPL 3 to CPL 0: the one `ud2` of gate.S. `syscall` and `int n` are no gates on every host.
 */
#ifndef GUEST_KERNEL_GATE_H
#define GUEST_KERNEL_GATE_H

#include <stdint.h>

enum gate {
    /* Stops this vCPU for good, with interrupts off. */
    GATE_HALT = 0,
    /* argument 0: this vCPU's struct vcpu; 1: its 256 counters of interrupts. */
    GATE_SET_VCPU,
    /* argument 0: physical address, and its own virtual one; 1: size; 2: enum gate_map. Whole 2 MiB pages. vCPU 0
     * alone, before the others run. Returns 0, or 1 where there is no page table left or the address cannot be mapped.
     */
    GATE_MAP,
    /* INIT and SIPI to another vCPU. argument 0: struct gate_vcpu. One at a time. */
    GATE_START_VCPU,
    /* A timer interrupt at GATE_TIMER_VECTOR each argument 0 cycles of the local APIC's bus clock; 0 stops it. */
    GATE_START_TIMER,
    /* Cycles left in the local APIC timer's count. */
    GATE_READ_TIMER,
    /* argument 0: physical address of struct pvclock_vcpu_time_info of this vCPU. */
    GATE_START_KVMCLOCK,
    /* Lets CPL 3 at ports: argument 0 the first, 1 how many. Returns 0, or 1 where there are no such ports. */
    GATE_ALLOW_PORTS,
    /* Sends a pin of the IOAPIC, a level, to GATE_PIN_VECTOR of the vCPU with this APIC id: argument 0: pin, 1: id.
     * Returns 0, or 1 where the pin is not one of GATE_PIN_FIRST and up. */
    GATE_ROUTE_PIN,
    /* argument 0: pin; 1: whether it is masked. An interrupt of the pin masks it. */
    GATE_MASK_PIN,
};

enum gate_map {
    GATE_MAP_RAM,
    GATE_MAP_DEVICE, /* not cached */
};

#define GATE_PIN_FIRST 16
#define GATE_PINS 8
#define GATE_PIN_VECTOR(pin) (0x28 + ((pin)-GATE_PIN_FIRST))
#define GATE_TIMER_VECTOR 0x20
#define GATE_DEVICE_VECTOR_FIRST 0x30
#define GATE_DEVICE_VECTOR_LAST 0xef

struct gate_vcpu {
    uint32_t index;
    uint32_t apic_id;
    uint64_t rip; /* where it enters CPL 3, with `argument` as the function's first argument */
    uint64_t rsp;
    uint64_t argument;
    uint64_t *interrupts;
};

/* Through the gate: see enum gate for the meaning of the arguments and of what is returned. */
uint64_t gate_call(enum gate gate, uint64_t argument0, uint64_t argument1, uint64_t argument2);

/* An exception that nobody expects: the kernel fills this in and enters exception_entry() at CPL 3. */
struct exception_record {
    uint64_t vector;
    uint64_t error_code;
    uint64_t rip;
    uint64_t cr2;
    uint64_t cpl;
};

/* At CPL 3; vcpu is what GATE_SET_VCPU or GATE_START_VCPU gave, NULL before. */
_Noreturn void exception_entry(void *vcpu, const struct exception_record *record);

/* At CPL 3: the start of everything else. One of the two is 0. */
_Noreturn void user_boot(uint64_t tree, uint64_t start_info);

#endif
