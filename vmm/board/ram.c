/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/board/ram.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/io.h"

#define RAM_SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

static int new_memfd(unsigned int index, uint64_t size, struct error *error)
{
    char name[32];
    int fd;

    snprintf(name, sizeof(name), "stopcopy-ram%u", index);
    fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd == -1)
        return error_set(error, errno, "making a memfd for RAM");
    if (ftruncate(fd, (off_t)size) || fcntl(fd, F_ADD_SEALS, RAM_SEALS)) {
        error_set(error, errno, "giving RAM its size of %llu bytes", (unsigned long long)size);
        close(fd);
        return -1;
    }
    return fd;
}

/* Memory that another process could cut off under us would kill this one with SIGBUS. */
static int check_memfd(int fd, uint64_t size, struct error *error)
{
    struct stat status;
    int seals = fcntl(fd, F_GET_SEALS);

    if (seals == -1)
        return error_set(error, errno, "the shared RAM is not a memfd");
    if (!(seals & F_SEAL_SHRINK))
        return error_set(error, EINVAL, "the shared RAM is not sealed against shrinking");
    if (fstat(fd, &status))
        return error_set(error, errno, "the shared RAM's size");
    if (status.st_size < 0 || (uint64_t)status.st_size != size)
        return error_set(error, EINVAL, "the shared RAM has %lld bytes, the board says %llu", (long long)status.st_size,
                         (unsigned long long)size);
    return 0;
}

static int map_range(struct ram_range *range, struct error *error)
{
    void *host = mmap(NULL, range->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, range->fd, 0);

    if (host == MAP_FAILED)
        return error_set(error, errno, "mapping %llu bytes of RAM", (unsigned long long)range->size);
    range->host = host;
    return 0;
}

int ram_init(struct ram *ram, const struct board *board, const int *fds, struct error *error)
{
    memset(ram, 0, sizeof(*ram));
    ram->count = board->ram_ranges;
    for (unsigned int i = 0; i < ram->count; i++) {
        ram->range[i] = (struct ram_range){
            .start = board->ram[i].start,
            .size = board->ram[i].size,
            .fd = fds ? fds[i] : -1,
        };
    }
    for (unsigned int i = 0; i < ram->count; i++) {
        struct ram_range *range = &ram->range[i];

        if (fds) {
            if (check_memfd(range->fd, range->size, error))
                goto fail;
        } else {
            range->fd = new_memfd(i, range->size, error);
            if (range->fd == -1)
                goto fail;
        }
        if (map_range(range, error))
            goto fail;
    }
    return 0;
fail:
    ram_destroy(ram);
    return -1;
}

void ram_destroy(struct ram *ram)
{
    for (unsigned int i = 0; i < ram->count; i++) {
        if (ram->range[i].host)
            munmap(ram->range[i].host, ram->range[i].size);
        io_close(&ram->range[i].fd);
    }
    ram->count = 0;
}

void *ram_at(const struct ram *ram, uint64_t address, uint64_t size)
{
    for (unsigned int i = 0; i < ram->count; i++) {
        const struct ram_range *range = &ram->range[i];

        if (address >= range->start && size <= range->size && address - range->start <= range->size - size)
            return (uint8_t *)range->host + (address - range->start);
    }
    return NULL;
}
