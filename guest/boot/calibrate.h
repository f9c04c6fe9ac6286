/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rates of the TSC and of the local APIC's timer, where nobody tells them: measured against the PIT. */
#ifndef GUEST_BOOT_CALIBRATE_H
#define GUEST_BOOT_CALIBRATE_H

#include "guest/boot/config.h"

/* Fills in config's tsc_hz and apic_timer_hz where they are 0; returns -1 with config's error where it cannot. */
int calibrate(struct config *config);

#endif
