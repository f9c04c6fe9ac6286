/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the fuzzers share. Each has one function, as libFuzzer calls it; where it is not built for that (tests/fuzz/local.mk)
 * replay.c calls it with the files of its corpus, in `make check`.
 */
#ifndef STOPCOPY_TESTS_FUZZ_H
#define STOPCOPY_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bytes that are used up from the front; 0 comes after the last. */
struct fuzz_input {
    const uint8_t *data;
    size_t size;
};

/* A number of the next 1 to 8 bytes, little endian. */
uint64_t fuzz_number(struct fuzz_input *input, size_t bytes);
/* The next *size bytes, or as many as there are. */
const uint8_t *fuzz_bytes(struct fuzz_input *input, size_t *size);

/* A connection with room for a few MiB that nobody reads: one end, and *other. */
int fuzz_pair(int *other);
/* A socket from which comes what was written to it, and then its end; other is where answers go, to be closed at last. */
int fuzz_socket(const void *data, size_t size, int *other);

/* For what must never be: the fuzzer takes it for a crash. */
void fuzz_assert(int holds, const char *what);

#endif
