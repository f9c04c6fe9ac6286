/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Faults of the VMM, put in on purpose so that the proof can be seen to find them (--fault NAME, docs/faults.md): filters
 * on the steps of a migration, off unless asked for. Faults of the devices are stopcopy-device's.
 */
#ifndef STOPCOPY_FAULT_H
#define STOPCOPY_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

enum vmm_fault {
    VMM_PAGE_NOT_SENT,        /* one page of RAM stays behind */
    VMM_REGISTER_CHANGED,     /* a bit of a vector register changes on the way */
    VMM_TSC_AHEAD,            /* the source says that its guest's TSC is far ahead */
    VMM_INTERRUPT_DROPPED,    /* those of one vector are lost after the switch */
    VMM_LOG_IGNORED,          /* what the devices' dirty logs have is not asked for */
    VMM_LOG_READ_EARLY,       /* before it was started */
    VMM_LOG_LEFT_ON,          /* after a failure */
    VMM_WRITE_NOT_CONTINUED,  /* a write to the data session that takes a part is taken for the whole */
    VMM_CHUNKS_SWAPPED,       /* two pieces of a device's stream change places */
    VMM_SIZE_COUNTED_TWICE,   /* the data of PRE_COPY in the size of the whole */
    VMM_DEVICES_BEFORE_VCPUS, /* configuration space and MSI-X come before the interrupt controller */
    VMM_P2P_ORDER,            /* a device stops while another one runs */
    VMM_SESSION_FORGOTTEN,    /* PRE_COPY's is not gone on with in STOP_COPY */
    VMM_NO_UNWIND,            /* after a failed arc */
    VMM_BOTH_RUN,             /* the source's guest goes on after COMMIT */
    VMM_NEITHER_RUNS,         /* the destination's does not go on */
    VMM_PAUSED_EARLY,         /* long before anything is done */
    VMM_DESCRIPTOR_LEAKED,
    VMM_BAR_ACCESS,     /* in STOP_COPY */
    VMM_MSIX_DISAGREES, /* the capability and the table, in the state of a device */
    VMM_RESAMPLE_LOST,  /* of INTx, after the switch */
    VMM_FAULTS,
};

struct fault_plan {
    uint64_t on; /* a bit for each enum vmm_fault */
    uint64_t seed;
};

#define FAULT_TSC_AHEAD (1ull << 52)
#define FAULT_PAUSED_EARLY_MS 400

/* NAME[,KEY=VALUE]: adds a fault of the VMM. Returns 1 where the name is one of the device's. */
int fault_parse(const char *text, struct fault_plan *plan, struct error *error);

/* plan may be NULL. */
static inline bool fault_is_on(const struct fault_plan *plan, enum vmm_fault fault)
{
    return plan && plan->on >> fault & 1;
}

/* page-not-sent: the offset in RAM of the given size from which on the first page with data stays behind. */
uint64_t fault_page(const struct fault_plan *plan, uint64_t size);

#endif
