/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest that is saved in a file, file:PATH. The file has its name only once it is whole and on the disk, so that whoever
 * finds it finds all of it: until then it has none at all (O_TMPFILE), or where the file system has no such files, one
 * that cannot be guessed. Nobody but its owner can read it, and another file of that name is never replaced.
 */
#ifndef STOPCOPY_CHANNEL_FILE_H
#define STOPCOPY_CHANNEL_FILE_H

#include <stdbool.h>

#include "lib/error.h"

#define CHANNEL_PATH_MAX 256

struct channel_file {
    int fd;     /* for the sending stream: it takes a copy */
    int folder; /* that the file is to be in */
    char name[CHANNEL_PATH_MAX];
    char temporary[64]; /* its name until it is whole, "" where it has none */
};

/* Errors: EEXIST where there is something by that name already. On failure there is nothing to be closed. */
int channel_file_create(struct channel_file *file, const char *path, struct error *error);
/* One that nobody finds, in a folder: for this process and those that inherit it, to be written and read. */
int channel_file_create_unnamed(struct channel_file *file, const char *folder, struct error *error);
/* To the disk, and into its place; one without a name stays as it is. On failure the place is as it was, but for *kept: the file is there, and may not be on
 * the disk. */
int channel_file_keep(struct channel_file *file, bool *kept, struct error *error);
/* One that was not kept is gone. May be called again. */
void channel_file_close(struct channel_file *file);

/* For reading: a regular file. Returns its descriptor. */
int channel_file_open(const char *path, struct error *error);

#endif
