/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the guest and the VMM agree on: entry, device tree, test-control port, progress area.
 *
 * Entry. The ELF entry point is entered by every vCPU that runs it in long mode at CPL 0 with interrupts off, paging on,
 * all of the first 4 GiB mapped to itself, and the physical address of the device tree in RDI. Only vCPU 0 is entered;
 * the guest starts the others by INIT and SIPI. Other VMMs use the PVH note: 32-bit entry, RBX pointing to
 * hvm_start_info; there the parameters come from the command line (see below) and PCI is found by ports CF8 and CFC.
 *
 * Device tree (#address-cells 2, #size-cells 2 at the root):
 *   /compatible "stopcopy,board"
 *   /chosen        stopcopy,seed <u64>; stopcopy,ops <u64> (0: until asked to finish); stopcopy,progress <addr64 size64>
 *   /memory@0      reg: one pair (addr64 size64) for each range of RAM
 *   /cpus          cpu@N with reg <apic id>; in /cpus: stopcopy,tsc-hz <u64>; stopcopy,apic-timer-hz <u64>;
 *                  stopcopy,features: string list of what may be used at CPL 3 and CPUID cannot tell ("avx2", "kvmclock")
 *   /pcie@ADDR     compatible "pci-host-ecam-generic"; reg: ECAM; ranges: I/O, 32-bit and 64-bit windows; bus-range <0 0>
 *   /serial@3f8    compatible "ns16550a"; reg in I/O space: stopcopy,port <u32>
 *   /test-control@600  compatible "stopcopy,test-control"; stopcopy,port <u32>
 *   /workloads     a node for each workload asked for: dma {depth <u32>, p2p <u32> not 0 for peer-to-peer operations},
 *                  uart {}, edu {}, tally {}, memory {size <u64> of all vCPUs together, rate <u64> bytes a second of all
 *                  together, 0 for no limit}, cpu {}, clock {}
 * BARs have addresses when the guest starts; decoding and bus mastering are off. Where a function has INTA# the register
 * Interrupt Line has the pin of the IOAPIC (at 0xfec00000) that it goes to, a level, active high.
 *
 * Command line, where there is no tree, of words: seed=N ops=N workloads=dma,uart,edu,tally,memory,cpu,clock depth=N
 * memory=SIZE rate=N vcpus=N avx2 kvmclock p2p; numbers in C's forms. Without a VMM that answers at the test-control port the console has it all.
 *
 * Console. Lines of text on the 16550. The last line is "stopcopy-guest: done" or "stopcopy-guest: failed: RULE: TEXT".
 */
#ifndef STOPCOPY_GUEST_ABI_H
#define STOPCOPY_GUEST_ABI_H

#include <stdint.h>

#define GUEST_SERIAL_PORT 0x3f8
#define GUEST_TEST_PORT 0x600

/* The test-control port: 32-bit accesses. */
#define GUEST_TEST_COMMAND 0 /* write: enum guest_test_command */
#define GUEST_TEST_REQUEST 4 /* read: GUEST_REQUEST_*; all ones where nobody answers */
#define GUEST_REQUEST_FINISH (1u << 0)

enum guest_test_command {
    GUEST_TEST_READY = 1,  /* workloads begin */
    GUEST_TEST_DONE = 2,   /* all workloads checked and published */
    GUEST_TEST_FAILED = 3, /* see failure in the progress area */
};

/*
 * The progress area: RAM that the guest writes and the VMM reads at any time, without an exit. To the VMM it is hostile
 * input. A record that is published as a pair is written to the slot that `generation` does not name, and then
 * generation is advanced, so that slot[generation & 1] is whole whenever it is read.
 */
#define PROGRESS_MAGIC 0x53534552474f5250ull
#define PROGRESS_VERSION 2u
#define PROGRESS_SIZE 0x10000u
#define PROGRESS_CHAINS_MAX 256u
#define PROGRESS_VCPUS_MAX 64u
#define PROGRESS_GAPS 32u
#define PROGRESS_GAP_MIN_US 200u /* shorter gaps are not entered */

enum progress_state {
    PROGRESS_BOOTING = 0,
    PROGRESS_RUNNING = 1,
    PROGRESS_DONE = 2,
    PROGRESS_FAILED = 3,
};

/* What the guest found to be wrong. rule is one of the names that docs/ lists under guest/, e.g. "guest/data". */
struct progress_failure {
    char rule[32];
    char text[160];
    uint64_t expected;
    uint64_t seen;
};

struct progress_chain_value {
    uint64_t operations; /* done and checked */
    uint64_t digest;
};

struct progress_chain {
    uint32_t workload;  /* enum workload_id */
    uint16_t device;    /* the PCI slot number of the device, 0 where the workload has none */
    uint16_t index;     /* queue, port or vCPU */
    uint32_t parameter; /* memory: pages of this chain; cpu: 1 with AVX2; dma: depth */
    uint32_t generation;
    struct progress_chain_value slot[2];
    uint64_t submitted;  /* of a device: operations handed to it; else as operations */
    uint64_t interrupts; /* of a device: interrupts taken; clock: timer interrupts taken */
    uint64_t repeats;    /* edu: pairs that were cut and done again; else 0 */
    uint64_t repeated;   /* edu: the number of the operation that was repeated last, written before repeats is */
};

struct progress_gap {
    uint64_t start; /* TSC of the last sample before, and of the first after */
    uint64_t end;
};

/* One for each vCPU. Samples are taken between any two steps of any workload. */
struct progress_clock {
    uint64_t last_tsc;      /* the last sample */
    uint64_t last_kvmclock; /* nanoseconds, 0 without kvmclock */
    uint64_t ticks;         /* timer interrupts */
    struct progress_gap longest;
    uint64_t gap_count;                      /* gaps ever entered below: those of PROGRESS_GAP_MIN_US and more */
    struct progress_gap gaps[PROGRESS_GAPS]; /* entry n at n % PROGRESS_GAPS */
};

struct progress_area {
    uint64_t magic;
    uint32_t version;
    uint32_t state; /* enum progress_state */
    uint32_t vcpus;
    uint32_t chains;
    uint64_t tsc_hz;
    struct progress_failure failure;
    struct progress_chain chain[PROGRESS_CHAINS_MAX];
    struct progress_clock clock[PROGRESS_VCPUS_MAX];
};

_Static_assert(sizeof(struct progress_area) <= PROGRESS_SIZE, "the progress area fits its room");

#endif
