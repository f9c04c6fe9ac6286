/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cmd/command_error.h"

#include <stdio.h>

#include "vmm/cmd/cmd.h"

int command_error(const char *command, const struct error *error)
{
    if (!error->rule[0]) {
        fprintf(stderr, "stopcopy %s: %s\n", command, error->text);
        return STATUS_USAGE;
    }
    fprintf(stderr, "stopcopy %s: %s [%s]\n", command, error->text, error->rule);
    return STATUS_BROKEN;
}
