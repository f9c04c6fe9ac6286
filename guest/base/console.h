/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The console: lines of text on a 16550 (PC16550D data sheet), or nowhere where there is none. */
#ifndef GUEST_BASE_CONSOLE_H
#define GUEST_BASE_CONSOLE_H

#include <stdint.h>

#define CONSOLE_LINE_MAX 256

struct console {
    uint16_t port; /* 0: none */
};

void console_open(struct console *console, uint16_t port);
/* Writes a line, cut at CONSOLE_LINE_MAX. Each character may cost an exit: keep lines few before the workloads begin.
 */
void console_print(struct console *console, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
