/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Faults of the VMM, put in on purpose so that the proof can be seen to find them (--fault NAME, docs/faults.md). Off
 * unless asked for. Faults of the devices are stopcopy-device's.
 */
#ifndef STOPCOPY_FAULT_H
#define STOPCOPY_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

struct fault_plan {
    bool page_not_sent;     /* one page of RAM stays behind */
    bool register_changed;  /* a bit of a vector register changes on the way */
    bool tsc_ahead;         /* the source says that its guest's TSC is far ahead */
    bool interrupt_dropped; /* those of one vector are lost after the switch */
    bool log_ignored;       /* what the devices' dirty logs have is not asked for */
    unsigned int leg;       /* of the migration that it is put into */
    uint64_t seed;
};

#define FAULT_TSC_AHEAD (1ull << 52)

struct fault_description {
    const char *name;
    const char *rows; /* of FAULTS.md's table, "" where it has none */
    const char *text;
    const char *finding; /* the rule that must come out */
    bool device;         /* stopcopy-device puts it in */
};

/* All that there are, ended by one without a name. */
const struct fault_description *fault_list(void);
/* NAME[,KEY=VALUE]: adds a fault of the VMM. Returns 1 where the name is one of the device's. */
int fault_parse(const char *text, struct fault_plan *plan, struct error *error);

/* page-not-sent: the offset in RAM of the given size from which on the first page with data stays behind. */
uint64_t fault_page(const struct fault_plan *plan, uint64_t size);

#endif
