/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cmd/image.h"

#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IMAGE_NAME "stopcopy-guest.elf"

/* PKGDATADIR is of the build. */
static const char installed[] = PKGDATADIR "/" IMAGE_NAME;

/* Relative to the program's folder: in a build tree, and where an installed tree was moved to as a whole. */
static const char *const beside[] = {"guest/" IMAGE_NAME, "../share/" PACKAGE "/" IMAGE_NAME};

static bool find_beside(char path[static IMAGE_PATH_MAX])
{
    char program[IMAGE_PATH_MAX - 64];
    ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
    char *slash;

    if (length < 0)
        return false;
    program[length] = '\0';
    slash = strrchr(program, '/');
    if (!slash)
        return false;
    *slash = '\0';
    for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
        snprintf(path, IMAGE_PATH_MAX, "%s/%s", program, beside[i]);
        if (access(path, R_OK) == 0)
            return true;
    }
    return false;
}

int image_find(const char *given, char path[static IMAGE_PATH_MAX], struct error *error)
{
    if (!given)
        given = getenv("STOPCOPY_GUEST");
    if (!given && find_beside(path))
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
