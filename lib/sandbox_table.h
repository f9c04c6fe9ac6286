/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which system calls each part may make, and why: of sandbox.c alone. */
#ifndef STOPCOPY_SANDBOX_TABLE_H
#define STOPCOPY_SANDBOX_TABLE_H

#include "lib/sandbox.h"

enum sandbox_limit {
    LIMIT_NONE,
    LIMIT_IOCTL,      /* of KVM, VFIO, iommufd, and what asks a terminal */
    LIMIT_SELF,       /* the first argument is this process */
    LIMIT_OWN,        /* the first argument is one of the processes that it has started */
    LIMIT_THREAD,     /* CLONE_THREAD is among the flags */
    LIMIT_NO_CODE,    /* PROT_EXEC is not asked for */
    LIMIT_QUERY,      /* of this process, and nothing is set */
    LIMIT_SOCKETPAIR, /* of UNIX sockets */
    LIMIT_NAME,       /* PR_SET_NAME */
    LIMIT_SEND_TIME,  /* SO_SNDTIMEO */
    LIMIT_READ_ONLY,  /* a file is opened for reading, and none is made */
    LIMIT_NO_PATH,    /* a descriptor's status: AT_EMPTY_PATH */
};

struct sandbox_row {
    int call; /* __NR_...; the last row's is -1 */
    unsigned int parts;
    enum sandbox_limit limit;
    const char *why;
};

extern const struct sandbox_row sandbox_rows[];
/* What ends the process; -1 is the last. */
extern const int sandbox_deadly[];

#endif
