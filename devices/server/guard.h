/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copies to and from memory that somebody else may take away: a client can shrink the file behind a mapping, and an
 * access past its end raises SIGBUS.
 */
#ifndef STOPCOPY_DEVICES_SERVER_GUARD_H
#define STOPCOPY_DEVICES_SERVER_GUARD_H

#include <stddef.h>

/* Installs the handler of SIGBUS for the process. */
void guard_install(void);

/*
 * memcpy; returns 0, or EFAULT where a page was gone, with the copy made in part. Eight bytes that are aligned on both
 * sides are copied at once, with acquire and release order towards the other copies.
 */
int guard_copy(void *to, const void *from, size_t size);

#endif
