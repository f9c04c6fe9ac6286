/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The uart workload (stopcopy/workload.h): transfers on the ports of each dual 16550 card, in turn. */
#ifndef GUEST_WORKLOADS_UART_H
#define GUEST_WORKLOADS_UART_H

#include <stdbool.h>

struct guest;
struct vcpu;
struct uart_card;

/* Finds the cards, and gives them to the vCPUs in turn; on vCPU 0, at boot. */
void uart_open(struct guest *guest);
/* Ends the transfer whose interrupt has come, and begins the next. Returns whether there was something to do. */
bool uart_step(struct vcpu *vcpu, struct uart_card *card);
bool uart_is_drained(const struct uart_card *card);
void uart_print_spurious(struct guest *guest);
/* The next card of the same vCPU. */
struct uart_card *uart_next(const struct uart_card *card);

#endif
