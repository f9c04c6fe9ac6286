/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the guest's image is. */
#ifndef STOPCOPY_IMAGE_H
#define STOPCOPY_IMAGE_H

#include "lib/error.h"

#define IMAGE_PATH_MAX 4096

/*
 * The path of the guest's image: as given, else $STOPCOPY_GUEST, else that of the build tree or of the installed tree that
 * this program runs from, else the one that was installed.
 */
int image_find(const char *given, char path[static IMAGE_PATH_MAX], struct error *error);

#endif
