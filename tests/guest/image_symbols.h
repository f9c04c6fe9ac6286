/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses in the guest's image, by its symbol table. */
#ifndef TESTS_GUEST_IMAGE_SYMBOLS_H
#define TESTS_GUEST_IMAGE_SYMBOLS_H

#include <stdint.h>

/* Address of a symbol of the ELF file at path; 0 where it has none of this name. */
uint64_t image_symbol(const char *path, const char *name);

#endif
