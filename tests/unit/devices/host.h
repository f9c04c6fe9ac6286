/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A host for a device under test: 1 MiB of memory at IOVA 0, interrupts that are counted, and no time of its own. */
#ifndef STOPCOPY_TESTS_DEVICES_HOST_H
#define STOPCOPY_TESTS_DEVICES_HOST_H

#include "devices/model.h"

#define TEST_HOST_MEMORY (1u << 20)

struct test_host {
    struct device_host host; /* first */
    uint8_t memory[TEST_HOST_MEMORY];
    unsigned int raised;
    unsigned int resets;
    uint64_t timer_at_ns;
    uint64_t peer_start; /* of the memory, this part is another device's */
    uint64_t peer_size;
};

void test_host_init(struct test_host *host);
struct device *test_device_new(struct test_host *host, const struct device_options *options);
/* A small one: one queue, one vector, 8 KiB of memory, a window of 4 KiB, no latency. */
struct device_options test_device_options(void);

/* Reads the session's stream to its end: the caller frees. */
uint8_t *test_device_read_all(struct device *device, size_t *size);

#endif
