/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/vfio/kernel_host.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int real_open(const struct kernel_host *host, const char *path, int flags)
{
    (void)host;
    return open(path, flags | O_CLOEXEC);
}

static int real_ioctl(const struct kernel_host *host, int fd, unsigned long request, void *argument)
{
    (void)host;
    return ioctl(fd, request, argument);
}

static ssize_t real_read(const struct kernel_host *host, int fd, void *data, size_t size)
{
    (void)host;
    return read(fd, data, size);
}

const struct kernel_host kernel_host_real = {.root = "", .open = real_open, .ioctl = real_ioctl, .read = real_read};

static bool in_root(const struct kernel_host *host, const char *path, char full[PATH_MAX])
{
    return snprintf(full, PATH_MAX, "%s%s", host->root, path) < PATH_MAX;
}

bool kernel_host_read(const struct kernel_host *host, const char *path, char *text, size_t size)
{
    char full[PATH_MAX];
    FILE *file = in_root(host, path, full) ? fopen(full, "re") : NULL;
    bool read = file && fgets(text, (int)size, file);

    if (!read)
        text[0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    if (file)
        fclose(file);
    return read;
}

bool kernel_host_link(const struct kernel_host *host, const char *path, char *name, size_t size)
{
    char full[PATH_MAX], target[PATH_MAX];
    ssize_t length = in_root(host, path, full) ? readlink(full, target, sizeof(target) - 1) : -1;
    const char *last;

    name[0] = '\0';
    if (length <= 0)
        return false;
    target[length] = '\0';
    last = strrchr(target, '/');
    last = last ? last + 1 : target;
    if (strlen(last) >= size)
        return false;
    strcpy(name, last);
    return true;
}

bool kernel_host_exists(const struct kernel_host *host, const char *path)
{
    char full[PATH_MAX];

    return in_root(host, path, full) && access(full, F_OK) == 0;
}

bool kernel_host_entry(const struct kernel_host *host, const char *folder, const char *prefix, char *name, size_t size)
{
    char full[PATH_MAX];
    struct dirent **entries = NULL;
    int count = in_root(host, folder, full) ? scandir(full, &entries, NULL, alphasort) : -1;

    name[0] = '\0';
    for (int i = 0; i < count; i++) {
        const char *entry = entries[i]->d_name;

        if (!name[0] && entry[0] != '.' && !strncmp(entry, prefix, strlen(prefix)) && strlen(entry) < size)
            strcpy(name, entry);
        free(entries[i]);
    }
    free(entries);
    return name[0];
}
