/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/base/text.h"
#include <stdbool.h>

struct output {
    char *text;
    size_t size, length;
};

static void put(struct output *output, char character)
{
    if (output->length + 1 < output->size)
        output->text[output->length++] = character;
}

static void put_string(struct output *output, const char *text)
{
    while (*text)
        put(output, *text++);
}

static void put_number(struct output *output, uint64_t value, unsigned int base)
{
    char digits[20];
    size_t count = 0;

    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    while (count > 0)
        put(output, digits[--count]);
}

static void put_signed(struct output *output, int64_t value)
{
    if (value < 0)
        put(output, '-');
    put_number(output, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10);
}

/* One conversion; returns the character after it. */
static const char *convert(struct output *output, const char *format, va_list *arguments)
{
    bool prefix = *format == '#', wide = false;

    if (prefix)
        format++;
    if (*format == 'l' || *format == 'z') {
        wide = true;
        format++;
    }
    switch (*format) {
    case 's':
        put_string(output, va_arg(*arguments, const char *));
        break;
    case 'c':
        put(output, (char)va_arg(*arguments, int));
        break;
    case 'd':
        put_signed(output, wide ? va_arg(*arguments, long) : va_arg(*arguments, int));
        break;
    case 'u':
        put_number(output, wide ? va_arg(*arguments, unsigned long) : va_arg(*arguments, unsigned int), 10);
        break;
    case 'x':
        if (prefix)
            put_string(output, "0x");
        put_number(output, wide ? va_arg(*arguments, unsigned long) : va_arg(*arguments, unsigned int), 16);
        break;
    case '\0':
        return format;
    default:
        put(output, *format);
    }
    return format + 1;
}

size_t text_format_list(char *text, size_t size, const char *format, va_list arguments)
{
    struct output output = {.text = text, .size = size};
    va_list list;

    va_copy(list, arguments);
    while (*format) {
        if (*format == '%')
            format = convert(&output, format + 1, &list);
        else
            put(&output, *format++);
    }
    va_end(list);
    if (size > 0)
        text[output.length] = '\0';
    return output.length;
}

size_t text_format(char *text, size_t size, const char *format, ...)
{
    va_list arguments;
    size_t length;

    va_start(arguments, format);
    length = text_format_list(text, size, format, arguments);
    va_end(arguments);
    return length;
}

static unsigned int digit_value(char character)
{
    if (character >= '0' && character <= '9')
        return (unsigned int)(character - '0');
    if (character >= 'a' && character <= 'f')
        return (unsigned int)(character - 'a') + 10;
    if (character >= 'A' && character <= 'F')
        return (unsigned int)(character - 'A') + 10;
    return 255;
}

size_t number_parse(const char *text, uint64_t *value, int base)
{
    size_t at = 0;
    uint64_t result = 0;

    if ((base == 0 || base == 16) && text[0] == '0' && (text[1] == 'x' || text[1] == 'X') &&
        digit_value(text[2]) < 16) {
        at = 2;
        base = 16;
    } else if (base == 0) {
        base = text[0] == '0' ? 8 : 10;
    }
    while (digit_value(text[at]) < (unsigned int)base) {
        if (__builtin_mul_overflow(result, (uint64_t)base, &result) ||
            __builtin_add_overflow(result, digit_value(text[at]), &result))
            return 0;
        at++;
    }
    if (at > 0)
        *value = result;
    return at;
}
