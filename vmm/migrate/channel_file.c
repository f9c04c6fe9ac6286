/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/migrate/channel_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/io.h"

static int open_folder(struct channel_file *file, const char *path, struct error *error)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    char folder[CHANNEL_PATH_MAX] = ".";

    if (strlen(path) >= sizeof(folder) || !*name)
        return error_set(error, EINVAL, "saving to '%s'", path);
    if (slash)
        snprintf(folder, sizeof(folder), "%.*s", slash == path ? 1 : (int)(slash - path), path);
    snprintf(file->name, sizeof(file->name), "%s", name);
    file->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file->folder < 0)
        return error_set(error, errno, "saving to %s: the folder %s", path, folder);
    return 0;
}

static int create_named(struct channel_file *file)
{
    uint64_t number;

    if (getrandom(&number, sizeof(number), 0) != sizeof(number))
        return -1;
    snprintf(file->temporary, sizeof(file->temporary), ".stopcopy-%016" PRIx64, number);
    file->fd = openat(file->folder, file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return file->fd < 0 ? -1 : 0;
}

int channel_file_create(struct channel_file *file, const char *path, struct error *error)
{
    struct stat status;

    *file = (struct channel_file){.fd = -1, .folder = -1};
    if (open_folder(file, path, error) < 0)
        return -1;
    /* Said before the guest is stopped; whoever is quicker after that is found at the end. */
    if (fstatat(file->folder, file->name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
        error_set(error, EEXIST, "saving to %s", path);
        goto fail;
    }
    file->fd = openat(file->folder, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
    if (file->fd >= 0)
        return 0;
    if ((errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT) && create_named(file) == 0)
        return 0;
    error_set(error, errno, "saving to %s", path);
    file->temporary[0] = '\0';
fail:
    channel_file_close(file);
    return -1;
}

int channel_file_create_unnamed(struct channel_file *file, const char *folder, struct error *error)
{
    *file = (struct channel_file){.fd = -1, .folder = -1};
    file->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file->folder >= 0)
        file->fd = openat(file->folder, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (file->fd >= 0)
        return 0;
    error_set(error, errno, "a temporary file in %s (TMPDIR names another folder)", folder);
    channel_file_close(file);
    return -1;
}

/* Gives the file its name, where nothing else has it. */
static int place(struct channel_file *file)
{
    char self[64];

    if (file->temporary[0])
        return renameat2(file->folder, file->temporary, file->folder, file->name, RENAME_NOREPLACE);
    snprintf(self, sizeof(self), "/proc/self/fd/%d", file->fd);
    return linkat(AT_FDCWD, self, file->folder, file->name, AT_SYMLINK_FOLLOW);
}

int channel_file_keep(struct channel_file *file, bool *kept, struct error *error)
{
    *kept = false;
    if (!file->name[0])
        return 0;
    if (fsync(file->fd) < 0)
        return error_set(error, errno, "writing %s to the disk", file->name);
    if (place(file) < 0)
        return error_set(error, errno, "giving the saved guest the name %s", file->name);
    file->temporary[0] = '\0';
    *kept = true;
    if (fsync(file->folder) == 0)
        return 0;
    error_set(error, errno, "writing the folder of %s to the disk", file->name);
    *kept = unlinkat(file->folder, file->name, 0) < 0;
    return -1;
}

void channel_file_close(struct channel_file *file)
{
    if (file->temporary[0])
        unlinkat(file->folder, file->temporary, 0);
    file->temporary[0] = '\0';
    io_close(&file->fd);
    io_close(&file->folder);
}

int channel_file_open(const char *path, struct error *error)
{
    struct stat status;
    /* O_NONBLOCK: opening a FIFO would wait for a writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return error_set(error, errno, "opening the saved guest %s", path);
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        return fd;
    close(fd);
    return error_set(error, EINVAL, "the saved guest %s is not a regular file", path);
}
