/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A build without libseccomp. */
#include <errno.h>

#include "lib/sandbox.h"

bool sandbox_possible(const char **why)
{
    *why = "this program was built without libseccomp (configure --with-seccomp)";
    return false;
}

int sandbox_enter(unsigned int parts, const pid_t *processes, size_t count, struct error *error)
{
    (void)parts;
    (void)processes;
    (void)count;
    return error_set(error, EOPNOTSUPP, "the sandbox");
}
