/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stopcopy faults */
#include <stdio.h>

#include "vmm/cmd/cmd.h"
#include "vmm/migrate/fault.h"

int cmd_faults(int argc, char **argv)
{
    if (argc > 1) {
        fprintf(stderr, "stopcopy %s takes no arguments\n", argv[0]);
        return STATUS_USAGE;
    }
    for (const struct fault_description *fault = fault_list(); fault->name; fault++)
        printf("%-20s %-7s %s\n%-28s must be found as %s\n", fault->name, fault->device ? "device" : "VMM", fault->text,
               "", fault->finding);
    return STATUS_INTACT;
}
