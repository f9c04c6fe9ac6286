/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host whose VFIO is used: its files and its system calls. Tests have one of their own. */
#ifndef STOPCOPY_VFIO_KERNEL_HOST_H
#define STOPCOPY_VFIO_KERNEL_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define KERNEL_PATH_MAX 512

struct kernel_host {
    const char *root; /* put before every path: "" */
    void *context;
    /* As the system calls: -1 with errno. */
    int (*open)(const struct kernel_host *host, const char *path, int flags);
    int (*ioctl)(const struct kernel_host *host, int fd, unsigned long request, void *argument);
    ssize_t (*read)(const struct kernel_host *host, int fd, void *data, size_t size);
};

/* This one. */
extern const struct kernel_host kernel_host_real;

/* The first line of a small file, without its end. Returns false, and an empty text, where it cannot be read. */
bool kernel_host_read(const struct kernel_host *host, const char *path, char *text, size_t size);
/* The last part of what a symbolic link points to. Returns false, and an empty text, where there is none. */
bool kernel_host_link(const struct kernel_host *host, const char *path, char *name, size_t size);
bool kernel_host_exists(const struct kernel_host *host, const char *path);
/* The first entry of a folder (by name) that begins with prefix. Returns false where there is none. */
bool kernel_host_entry(const struct kernel_host *host, const char *folder, const char *prefix, char *name, size_t size);

#endif
