/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A step's process: this program with the step's words, in a process group of its own, with nothing on its standard input
 * and its output in files. It does not outlive the one that started it.
 */
#ifndef STOPCOPY_CAMPAIGN_CHILD_H
#define STOPCOPY_CAMPAIGN_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/error.h"

struct child {
    pid_t pid; /* 0: none */
    int fd;    /* readable when it has ended */
};

/* out, err: files that are made anew. */
int child_start(struct child *child, char *const *words, const char *out, const char *err, struct error *error);
/* Takes its end where it has ended: status as of waitpid(2). */
bool child_ended(struct child *child, int *status);
/*
 * Where each process of its group stands, as far as the kernel tells: "PID NAME STATE WCHAN" each, in one line, cut where
 * it is longer.
 */
void child_describe(const struct child *child, char *text, size_t size);
/* Kills its group and waits for its end, for a while. Returns false where it is stuck in the kernel and does not end: it
 * is left behind. */
bool child_kill(struct child *child);

#endif
