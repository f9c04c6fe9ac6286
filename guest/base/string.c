/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The part of the C library that the compiler and libfdt.a call. */
#include "guest/base/text.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void __stack_chk_fail(void);

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    void *at = to;

    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(size) : : "memory");
    return to;
}

void *memmove(void *to, const void *from, size_t size)
{
    unsigned char *destination = to;
    const unsigned char *source = from;

    if (destination <= source || destination >= source + size)
        return memcpy(to, from, size);
    while (size-- > 0) {
        destination[size] = source[size];
        __asm__ volatile("" : : : "memory");
    }
    return to;
}

void *memset(void *to, int value, size_t size)
{
    void *at = to;

    __asm__ volatile("rep stosb" : "+D"(at), "+c"(size) : "a"(value) : "memory");
    return to;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const unsigned char *left = a, *right = b;

    for (size_t i = 0; i < size; i++) {
        if (left[i] != right[i])
            return left[i] - right[i];
    }
    return 0;
}

void *memchr(const void *data, int value, size_t size)
{
    const unsigned char *byte = data;

    for (size_t i = 0; i < size; i++) {
        if (byte[i] == (unsigned char)value)
            return (void *)(uintptr_t)&byte[i];
    }
    return NULL;
}

size_t strnlen(const char *text, size_t size)
{
    size_t length = 0;

    while (length < size && text[length])
        length++;
    return length;
}

size_t strlen(const char *text)
{
    return strnlen(text, SIZE_MAX);
}

char *strchr(const char *text, int character)
{
    return memchr(text, character, strlen(text) + 1);
}

char *strrchr(const char *text, int character)
{
    for (size_t i = strlen(text) + 1; i-- > 0;) {
        if (text[i] == (char)character)
            return (char *)(uintptr_t)&text[i];
    }
    return NULL;
}

/* libfdt reads the "@N" of a path's alias with it: base 0, 10 or 16, no sign. */
unsigned long strtoul(const char *restrict text, char **restrict end, int base)
{
    uint64_t value = 0;
    size_t length = number_parse(text, &value, base);

    if (end)
        *end = (char *)(uintptr_t)(text + length);
    return value;
}

_Noreturn void __stack_chk_fail(void)
{
    __builtin_trap(); /* #UD that is not the gate's: guest/exception */
}
