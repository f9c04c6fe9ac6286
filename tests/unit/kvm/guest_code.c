/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Puts the guests' code into the test program as data. */
__asm__(".include \"tests/unit/kvm/guest_code.s\"");
