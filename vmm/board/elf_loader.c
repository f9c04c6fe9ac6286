/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/board/elf_loader.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/io.h"

struct elf_image {
    const uint8_t *data;
    size_t size;
    Elf64_Ehdr header;
    unsigned int segments; /* PT_LOAD of more than 0 bytes */
    Elf64_Phdr segment[ELF_SEGMENTS_MAX];
};

static int read_header(struct elf_image *image, struct error *error)
{
    const Elf64_Ehdr *header = &image->header;

    if (image->size < SELFMAG || memcmp(image->data, ELFMAG, SELFMAG) != 0)
        return error_set(error, ENOEXEC, "it is not an ELF image");
    if (image->size < sizeof(*header))
        return error_set(error, ENOEXEC, "it is cut off within its ELF header");
    memcpy(&image->header, image->data, sizeof(*header));
    if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB)
        return error_set(error, ENOEXEC, "it is not a 64-bit little-endian ELF image");
    if (header->e_machine != EM_X86_64)
        return error_set(error, ENOEXEC, "it is for machine %u, not for x86-64 (%d)", header->e_machine, EM_X86_64);
    if (header->e_type != ET_EXEC)
        return error_set(error, ENOEXEC, "it is of ELF type %u, not an executable (%d)", header->e_type, ET_EXEC);
    if (header->e_version != EV_CURRENT || header->e_ident[EI_VERSION] != EV_CURRENT)
        return error_set(error, ENOEXEC, "it is of ELF version %u", header->e_version);
    if (header->e_phentsize != sizeof(Elf64_Phdr))
        return error_set(error, ENOEXEC, "its program headers have %u bytes each, not %zu", header->e_phentsize,
                         sizeof(Elf64_Phdr));
    if (header->e_phnum == 0 || header->e_phnum > ELF_SEGMENTS_MAX)
        return error_set(error, ENOEXEC, "it has %u program headers, not 1 to %d", header->e_phnum, ELF_SEGMENTS_MAX);
    if (header->e_phoff > image->size || header->e_phnum * sizeof(Elf64_Phdr) > image->size - header->e_phoff)
        return error_set(error, ENOEXEC, "it is cut off within its program headers");
    return 0;
}

static bool ranges_overlap(uint64_t start_a, uint64_t size_a, uint64_t start_b, uint64_t size_b)
{
    return start_a < start_b + size_b && start_b < start_a + size_a;
}

static int check_segment(const struct elf_image *image, unsigned int number, const Elf64_Phdr *segment,
                         const struct ram *ram, struct board_ram reserved, struct error *error)
{
    unsigned long long start = segment->p_paddr, size = segment->p_memsz;

    if (segment->p_filesz > segment->p_memsz)
        return error_set(error, ENOEXEC, "segment %u has more bytes in the file than in memory", number);
    if (segment->p_offset > image->size || segment->p_filesz > image->size - segment->p_offset)
        return error_set(error, ENOEXEC, "it is cut off within segment %u", number);
    if (!ram_at(ram, segment->p_paddr, segment->p_memsz))
        return error_set(error, ENOEXEC, "segment %u, 0x%llx bytes at 0x%llx, is not in the guest's memory", number,
                         size, start);
    if (ranges_overlap(segment->p_paddr, segment->p_memsz, reserved.start, reserved.size))
        return error_set(error, ENOEXEC,
                         "segment %u, 0x%llx bytes at 0x%llx, is over the device tree, page tables and progress area "
                         "at 0x%llx",
                         number, size, start, (unsigned long long)reserved.start);
    for (unsigned int i = 0; i < image->segments; i++) {
        if (ranges_overlap(segment->p_paddr, segment->p_memsz, image->segment[i].p_paddr, image->segment[i].p_memsz))
            return error_set(error, ENOEXEC, "segment %u, 0x%llx bytes at 0x%llx, overlaps another", number, size,
                             start);
    }
    return 0;
}

static int read_segments(struct elf_image *image, const struct ram *ram, struct board_ram reserved, struct error *error)
{
    for (unsigned int i = 0; i < image->header.e_phnum; i++) {
        Elf64_Phdr segment;

        memcpy(&segment, image->data + image->header.e_phoff + i * sizeof(segment), sizeof(segment));
        if (segment.p_type != PT_LOAD || segment.p_memsz == 0)
            continue;
        if (check_segment(image, i, &segment, ram, reserved, error))
            return -1;
        image->segment[image->segments++] = segment;
    }
    if (image->segments == 0)
        return error_set(error, ENOEXEC, "it has nothing to load");
    return 0;
}

/* The vCPU enters with memory mapped to itself, so the entry point is a physical address. */
static int check_entry(const struct elf_image *image, struct error *error)
{
    uint64_t entry = image->header.e_entry;

    for (unsigned int i = 0; i < image->segments; i++) {
        const Elf64_Phdr *segment = &image->segment[i];

        if (segment->p_flags & PF_X && entry >= segment->p_paddr && entry - segment->p_paddr < segment->p_memsz)
            return 0;
    }
    return error_set(error, ENOEXEC, "its entry point 0x%llx is in no executable segment", (unsigned long long)entry);
}

int elf_load(const void *data, size_t size, const struct ram *ram, struct board_ram reserved, uint64_t *entry,
             struct error *error)
{
    struct elf_image image = {.data = data, .size = size};

    if (read_header(&image, error) || read_segments(&image, ram, reserved, error) || check_entry(&image, error))
        return -1;
    for (unsigned int i = 0; i < image.segments; i++) {
        const Elf64_Phdr *segment = &image.segment[i];
        uint8_t *host = ram_at(ram, segment->p_paddr, segment->p_memsz);

        memcpy(host, image.data + segment->p_offset, segment->p_filesz);
        memset(host + segment->p_filesz, 0, segment->p_memsz - segment->p_filesz);
    }
    *entry = image.header.e_entry;
    return 0;
}

static void *read_file(const char *path, size_t *size, struct error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    void *data = NULL;

    if (fd == -1) {
        error_set(error, errno, "opening it");
        return NULL;
    }
    if (fstat(fd, &status)) {
        error_set(error, errno, "reading its size");
        goto out;
    }
    if (!S_ISREG(status.st_mode) || status.st_size < 0 || status.st_size > (off_t)ELF_IMAGE_SIZE_MAX) {
        error_set(error, EINVAL, "it is not a file of up to %u MiB", ELF_IMAGE_SIZE_MAX >> 20);
        goto out;
    }
    *size = (size_t)status.st_size;
    data = malloc(*size + 1);
    if (!data) {
        error_set(error, ENOMEM, "reading it");
        goto out;
    }
    for (size_t at = 0; at < *size;) {
        ssize_t count = pread(fd, (uint8_t *)data + at, *size - at, (off_t)at);

        if (count <= 0) {
            error_set(error, count ? errno : EIO, "reading it at offset %zu", at);
            free(data);
            data = NULL;
            goto out;
        }
        at += (size_t)count;
    }
out:
    io_close(&fd);
    return data;
}

int elf_load_file(const char *path, const struct ram *ram, struct board_ram reserved, uint64_t *entry,
                  struct error *error)
{
    size_t size = 0;
    void *data = read_file(path, &size, error);
    int status;

    if (!data)
        return error_prefix(error, "guest image %s", path);
    status = elf_load(data, size, ram, reserved, entry, error);
    free(data);
    return status ? error_prefix(error, "guest image %s", path) : 0;
}
