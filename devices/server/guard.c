/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/server/guard.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>

/* The one thing that is not in a context: a signal handler is given none. */
static __thread sigjmp_buf *volatile guarded;

static void on_sigbus(int number)
{
    if (guarded)
        siglongjmp(*guarded, 1);
    signal(number, SIG_DFL);
    raise(number);
}

void guard_install(void)
{
    /* Left by a jump, so the signal must not stay blocked. */
    struct sigaction action = {.sa_handler = on_sigbus, .sa_flags = SA_NODEFER};

    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}

static void copy(void *to, const void *from, size_t size)
{
    if (size == 8 && ((uintptr_t)to | (uintptr_t)from) % 8 == 0)
        __atomic_store_n((uint64_t *)to, __atomic_load_n((const uint64_t *)from, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
    else
        memcpy(to, from, size);
}

int guard_copy(void *to, const void *from, size_t size)
{
    sigjmp_buf back;

    if (sigsetjmp(back, 0)) {
        guarded = NULL;
        return EFAULT;
    }
    guarded = &back;
    copy(to, from, size);
    guarded = NULL;
    return 0;
}
