/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Can one device's state go to another? As far as that can be seen without moving it, for probe --compare to print. */
#ifndef STOPCOPY_CMD_PROBE_COMPARE_H
#define STOPCOPY_CMD_PROBE_COMPARE_H

#include "vmm/board/machine.h"
#include "vmm/cmd/device_facts.h"
#include "vmm/vfio/kernel.h"

#define COMPARE_LINES_MAX 40

/* One of the two, as it was while it was open: both need not be so at once, and one device may be both. */
struct compare_end {
    char name[128];
    char backend[16];
    struct device_facts facts;
    bool has_place;
    struct kernel_place place; /* of the kernel's alone */
    bool has_description;
    struct board_device description;
    char no_description[ERROR_TEXT_MAX]; /* why there is none */
    char no_migration[ERROR_TEXT_MAX];   /* what the backend knows of that, "" */
};

struct comparison {
    unsigned int reason_count; /* 0: it can */
    char reason[COMPARE_LINES_MAX][ERROR_TEXT_MAX];
    unsigned int difference_count; /* which stand in nobody's way, and which the user may want to know */
    char difference[COMPARE_LINES_MAX][ERROR_TEXT_MAX];
};

/* Fails only where something that every device has cannot be read. */
int compare_collect(struct vfio_device *device, struct compare_end *end, struct error *error);
void compare_ends(const struct compare_end *from, const struct compare_end *to, struct comparison *comparison);

/* To standard output. -1: no memory. */
void compare_print_text(const struct compare_end *from, const struct compare_end *to,
                        const struct comparison *comparison);
int compare_print_json(const struct compare_end *from, const struct compare_end *to,
                       const struct comparison *comparison);

#endif
