/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the commands on one device say that something went wrong. */
#ifndef STOPCOPY_CMD_COMMAND_ERROR_H
#define STOPCOPY_CMD_COMMAND_ERROR_H

#include "lib/error.h"

/* Prints "stopcopy COMMAND: TEXT" to standard error, with the rule that was broken where one was. Returns the exit
 * status: STATUS_BROKEN where a rule was broken, else STATUS_USAGE. */
int command_error(const char *command, const struct error *error);

#endif
