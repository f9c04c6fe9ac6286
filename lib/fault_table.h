/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The faults that can be put in on purpose, and the known bugs that they stand for: the one table that `stopcopy faults`,
 * `stopcopy-device --list-faults`, docs/faults.md and the tests are made from.
 */
#ifndef STOPCOPY_FAULT_TABLE_H
#define STOPCOPY_FAULT_TABLE_H

#include <stdbool.h>
#include <stddef.h>

/* Where a fault is put in, and in stopcopy migrate at which end. */
enum fault_place {
    FAULT_VMM,         /* a filter on the VMM's own steps */
    FAULT_SOURCE,      /* stopcopy-device, the source's */
    FAULT_DESTINATION, /* stopcopy-device, the destination's */
    FAULT_BOTH,        /* stopcopy-device, either end's */
};

struct fault_row {
    const char *name;
    enum fault_place place;
    const char *bugs;    /* the numbers of the known bugs that it stands for, "8, 10"; "" for none */
    const char *options; /* "at=N,one-in=N", "" for none */
    const char *text;    /* what it does */
    const char *command; /* what finds it: the words after "stopcopy", without --fault and its name */
    const char *finding; /* the rule that must come out */
    const char *also;    /* rules that may come out as well, as consequences */
    int status;          /* the exit status that goes with it */
};

/* All that there are, ended by one without a name. */
const struct fault_row *fault_table(void);
/* By the name that text begins with, up to a comma. NULL where there is none. */
const struct fault_row *fault_table_find(const char *text);
static inline bool fault_row_is_of_device(const struct fault_row *row)
{
    return row->place != FAULT_VMM;
}

/* A class of bug that people met in drivers, devices' servers and VMMs. */
struct known_bug {
    unsigned int number;
    const char *who; /* "D" the device or its driver, "V" the VMM, "P" the protocol's endpoint */
    const char *text;
    const char *why_no_fault; /* "" where a fault stands for it */
};

/* In order, ended by one without a number. */
const struct known_bug *fault_known_bugs(void);
/* Does the row name the bug with this number? */
bool fault_row_has_bug(const struct fault_row *row, unsigned int number);

#endif
