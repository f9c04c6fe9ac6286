/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The system calls that a process still needs once it is set up, and no others (seccomp filters, by libseccomp): so that
 * whoever takes it over by what it is sent reaches what it has open, and nothing else. docs/security.md says what that is.
 *
 * A call that is not in the table fails with EPERM: the error paths are there, and a process that is killed takes its guest
 * along. What no part of these programs or of libc ever tries, and a takeover's first step is (a new program, another
 * process's memory), ends the process at once.
 */
#ifndef STOPCOPY_SANDBOX_H
#define STOPCOPY_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/error.h"

/* Who is to be held, and what he needs beyond that. */
enum sandbox_part {
    SANDBOX_VMM = 1u << 0,
    SANDBOX_SERVER = 1u << 1,  /* of a device */
    SANDBOX_LISTENS = 1u << 2, /* a server that takes further clients, and removes its socket at the end */
    SANDBOX_SAVES = 1u << 3,   /* a VMM that gives a saved guest its name */
    SANDBOX_READS = 1u << 4,   /* a VMM with the kernel's devices: /proc and /sys say where a driver stands */
};

#define SANDBOX_PROCESSES_MAX 64

/* Is there a sandbox in this build? If not, *why says so. */
bool sandbox_possible(const char **why);

/*
 * Holds all threads of this process to the parts' calls, for good: those that it has, and those to come. processes: its
 * own, which it may end. Errors: the kernel has no seccomp filters, or refuses this one; nothing is held then.
 */
int sandbox_enter(unsigned int parts, const pid_t *processes, size_t count, struct error *error);

#endif
