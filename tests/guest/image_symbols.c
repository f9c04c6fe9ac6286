/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <elf.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/guest/image_symbols.h"

/* The image is the build's own: no check of what it says. */
static uint64_t find(const char *file, const char *name)
{
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)file;
    const Elf64_Shdr *section = (const Elf64_Shdr *)(file + header->e_shoff);

    for (unsigned int i = 0; i < header->e_shnum; i++) {
        const Elf64_Sym *symbol = (const Elf64_Sym *)(file + section[i].sh_offset);
        const char *names = file + section[section[i].sh_link].sh_offset;

        for (size_t j = 0; section[i].sh_type == SHT_SYMTAB && j < section[i].sh_size / sizeof(*symbol); j++) {
            if (strcmp(names + symbol[j].st_name, name) == 0)
                return symbol[j].st_value;
        }
    }
    return 0;
}

uint64_t image_symbol(const char *path, const char *name)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    uint64_t value;
    char *file;

    if (fd < 0)
        return 0;
    if (fstat(fd, &status) < 0) {
        close(fd);
        return 0;
    }
    file = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (file == MAP_FAILED)
        return 0;
    value = find(file, name);
    munmap(file, (size_t)status.st_size);
    return value;
}
