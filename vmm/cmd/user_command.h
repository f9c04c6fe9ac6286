/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A command of the user's: sh -c, in a process group of its own, with nothing on its standard input and its output on our
 * standard error. It does not end with us, so that it can end us.
 */
#ifndef STOPCOPY_CMD_USER_COMMAND_H
#define STOPCOPY_CMD_USER_COMMAND_H

#include <sys/types.h>

#include "lib/deadline.h"
#include "lib/error.h"

#define USER_COMMAND_VARIABLES 12

/* "NAME=VALUE" each, which come on top of our own environment. */
struct user_environment {
    char *variable[USER_COMMAND_VARIABLES];
    unsigned int count;
};

void user_environment_add(struct user_environment *environment, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void user_environment_free(struct user_environment *environment);

/* Starts it. Returns its process, or -1. */
pid_t user_command_start(const char *command, const struct user_environment *environment, struct error *error);

/*
 * Waits for its end until the deadline, then kills its process group. meanwhile is called about once a second (NULL:
 * nothing). -1 where it was killed, or did not end with status 0.
 */
int user_command_wait(pid_t command, struct deadline deadline, void (*meanwhile)(void *context), void *context,
                      struct error *error);

#endif
