/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CRC-32C (Castagnoli) as in iSCSI (RFC 3720, appendix B.4): initial and final inversion. */
#ifndef GUEST_WORKLOADS_CRC32C_H
#define GUEST_WORKLOADS_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(const uint64_t *words, size_t count);

#endif
