/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cmd/image.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IMAGE_NAME "stopcopy-guest.elf"

/* PKGDATADIR is of the build. */
static const char installed[] = PKGDATADIR "/" IMAGE_NAME;

static bool in_build_tree(char path[static IMAGE_PATH_MAX])
{
    char program[IMAGE_PATH_MAX - 32];
    ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
    char *slash;

    if (length < 0)
        return false;
    program[length] = '\0';
    slash = strrchr(program, '/');
    if (!slash)
        return false;
    *slash = '\0';
    snprintf(path, IMAGE_PATH_MAX, "%s/guest/" IMAGE_NAME, program);
    return access(path, R_OK) == 0;
}

int image_find(const char *given, char path[static IMAGE_PATH_MAX], struct error *error)
{
    if (!given)
        given = getenv("STOPCOPY_GUEST");
    if (!given && in_build_tree(path))
        return 0;
    if (!given)
        given = installed;
    if (strlen(given) >= IMAGE_PATH_MAX)
        return error_set(error, ENAMETOOLONG, "the guest's image");
    strcpy(path, given);
    if (access(path, R_OK) < 0)
        return error_set(error, errno, "the guest's image %s (--image or STOPCOPY_GUEST name another)", path);
    return 0;
}
