/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loads an ELF64 image for x86-64 into RAM (System V ABI, "Object Files"). The image is not trusted. */
#ifndef STOPCOPY_ELF_LOADER_H
#define STOPCOPY_ELF_LOADER_H

#include "vmm/board/ram.h"

#define ELF_IMAGE_SIZE_MAX (64u << 20)
#define ELF_SEGMENTS_MAX 64

/*
 * Puts every PT_LOAD segment at its physical address, the rest of its memory size zeroed. They must be in RAM, not in
 * [reserved.start, +size), and not overlap. *entry is the entry point's physical address, in an executable segment.
 */
int elf_load(const void *image, size_t size, const struct ram *ram, struct board_ram reserved, uint64_t *entry,
             struct error *error);

/* The same from a file. */
int elf_load_file(const char *path, const struct ram *ram, struct board_ram reserved, uint64_t *entry,
                  struct error *error);

#endif
