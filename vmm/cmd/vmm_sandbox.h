/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sandbox of a VMM process (lib/sandbox.h): from when its devices are open, before anything of the other end is read. */
#ifndef STOPCOPY_CMD_VMM_SANDBOX_H
#define STOPCOPY_CMD_VMM_SANDBOX_H

#include "vmm/cmd/device_list.h"

/* Why there is none with these options; NULL where there is one. */
const char *vmm_sandbox_off(const struct options *options);

/* Enters it, or notes why not. saves: the guest goes to a file. */
int vmm_sandbox_enter(const struct options *options, const struct device_list *devices, bool saves,
                      struct event_log *log, struct error *error);

#endif
