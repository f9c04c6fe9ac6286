/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest as a whole, as CPL 3 sees it: what it was told, what it has, and how it ends. */
#ifndef GUEST_GUEST_H
#define GUEST_GUEST_H

#include "guest/base/console.h"
#include "guest/base/ram.h"
#include "guest/boot/config.h"
#include "guest/pci/pci.h"
#include "guest/workloads/vcpu.h"
#include "stopcopy/guest_abi.h"
#include "stopcopy/workload.h"

struct guest {
    struct config config;
    struct ram ram;
    struct console console;
    struct pci_host pci;
    struct progress_area *progress; /* NULL until there is one */
    struct vcpu *vcpu[PROGRESS_VCPUS_MAX];
    struct device_work *work; /* of all devices, newest first */
    enum workload_id leading;
    uint32_t leading_left;   /* chains of the leading workload that have operations left */
    uint32_t vcpus_finished; /* vCPUs that have checked all they have */
    bool running;            /* the workloads may begin */
    bool finishing;          /* no new operations */
    bool stopped;            /* somebody failed: all halt */
    uint32_t ended;          /* the first to set it tells how it ended */
};

/* Publishes the failure, if it is the first, and stops everything. guest may have no progress area yet. */
_Noreturn void guest_fail(struct guest *guest, const char *rule, uint64_t expected, uint64_t seen, const char *format,
                          ...) __attribute__((format(printf, 5, 6)));
/* All is checked: publishes the result. On vCPU 0. */
_Noreturn void guest_done(struct guest *guest);
/* Stops this vCPU for good. */
_Noreturn void guest_halt(void);

/* Tells the VMM, where one listens. */
void guest_tell(struct guest *guest, enum guest_test_command command);
/* Has the VMM asked for the finish? An exit: not too often. */
bool guest_asked_to_finish(struct guest *guest);

#endif
