/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The devices of one VMM process, opened as the command line names them. */
#ifndef STOPCOPY_DEVICE_LIST_H
#define STOPCOPY_DEVICE_LIST_H

#include "vmm/cmd/device_spec.h"
#include "vmm/cmd/options.h"
#include "vmm/report/event_log.h"

struct device_list {
    size_t count;
    struct vfio_device *device[BOARD_DEVICES_MAX];
    struct opened_device opened[BOARD_DEVICES_MAX];
};

/*
 * Opens all devices of the options, in order. other_side: of DEVICE,to=OTHER take OTHER. faults: give the faults of --fault
 * that are a device's to the test devices. On failure nothing stays open.
 */
int device_list_open(struct device_list *list, const struct options *options, bool other_side, bool source_faults,
                     bool destination_faults, struct error *error);
/* Refuses a device of the kernel's that would be at both ends of a migration on this host at once, and with --same-device one
 * that is to be another at the destination. */
int device_list_check_ends(const struct options *options, struct error *error);
/* A server that did not end well is a note. */
void device_list_close(struct device_list *list, struct event_log *log);

#endif
