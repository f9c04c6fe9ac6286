/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cmd/progress.h"

#include <stdio.h>

#define MIB (1 << 20)
/* The beginning of the line, and nothing to the right of it (ECMA-48, CR and EL). */
#define FRESH_LINE "\r\033[K"

void progress_show(void *context, const struct precopy_progress *progress)
{
    double seconds = progress->bandwidth > 0 ? (double)progress->left / progress->bandwidth : 0;

    (void)context;
    if (progress->round)
        fprintf(stderr, FRESH_LINE "round %u: %.1f MiB sent, %.2f GB/s, %.1f MiB left, %.0f ms", progress->round,
                (double)progress->sent / MIB, progress->bandwidth / 1e9, (double)progress->left / MIB, seconds * 1e3);
    else
        fputs(FRESH_LINE, stderr);
    fflush(stderr);
}
