/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The test-control port (guest_abi.h): the guest says READY, DONE or FAILED and reads what is asked of it. */
#ifndef STOPCOPY_TEST_CONTROL_H
#define STOPCOPY_TEST_CONTROL_H

#include <stdatomic.h>

#include "lib/buffer.h"
#include "lib/error.h"
#include "stopcopy/guest_abi.h"
#include "vmm/board/bus.h"

#define TEST_CONTROL_PORTS 8

struct test_control {
    _Atomic uint32_t request; /* GUEST_REQUEST_* */
    /* The guest wrote a known command. Called from vCPU threads. */
    void (*command)(void *context, enum guest_test_command command);
    void *context;
};

extern const struct bus_ops test_control_bus_ops;

void test_control_get_state(struct test_control *control, struct buffer *state);
int test_control_put_state(struct test_control *control, struct cursor *state, struct error *error);

#endif
