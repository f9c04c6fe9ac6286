/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What golden_make.c put into the files of tests/golden/ and golden_test.c expects there: the options of the devices and
 * the contents. None of it may change: the files are never made anew.
 */
#ifndef STOPCOPY_TESTS_GOLDEN_H
#define STOPCOPY_TESTS_GOLDEN_H

#include <stddef.h>
#include <stdint.h>

#include "client.h"
#include "stopcopy/tally_device.h"

#define GOLDEN_DMA "--memory", "64K", "--window", "0"
#define GOLDEN_DMA_WINDOW "--memory", "64K", "--window", "8K"
#define GOLDEN_DMA_PRE_COPY GOLDEN_DMA, "--features", "stop-copy+p2p+pre-copy"
#define GOLDEN_UART "--model", "uart"
#define GOLDEN_TALLY "--model", "tally"

#define GOLDEN_SCRATCH 0x600dc0deu
/* The ring of every queue, and the operations that were completed by each at the save where nothing else is said. */
#define GOLDEN_ENTRIES 8u
#define GOLDEN_COMPLETED 3u

/* Of golden "dma-contents" and "dma-pre-copy": what was stored, not at a page's start. */
#define GOLDEN_STORE_AT 0x6a00u
#define GOLDEN_STORE_SIZE 0x400u
#define GOLDEN_WINDOW_AT 0x1040u
#define GOLDEN_WINDOW_VALUE 0x5eed5eedu

#define GOLDEN_UART_BYTES 5u
#define GOLDEN_UART_DIVISOR 0x0c
#define GOLDEN_UART_SCRATCH 0xa5

#define TALLY_REG_TABLE 0x20u /* behind the registers: the MSI-X table of one entry */
#define GOLDEN_TALLY_SUM 12u
#define GOLDEN_TALLY_THRESHOLD 10u
#define GOLDEN_TALLY_ADDRESS 0xfee01000u
#define GOLDEN_TALLY_DATA 0x41u

static inline uint8_t golden_byte(size_t at)
{
    return (uint8_t)(at * 31 + at / 256 + 7);
}

#endif
