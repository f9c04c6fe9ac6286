/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/board/test_control.h"

#include <errno.h>
#include <string.h>

#include "vmm/board/record.h"

#define TEST_CONTROL_STATE_VERSION 1

static void bus_read_control(void *context, uint64_t offset, void *data, size_t size)
{
    struct test_control *control = context;
    uint32_t request = atomic_load(&control->request);

    if (offset == GUEST_TEST_REQUEST && size == sizeof(request))
        memcpy(data, &request, sizeof(request));
}

static void bus_write_control(void *context, uint64_t offset, const void *data, size_t size)
{
    struct test_control *control = context;
    uint32_t command;

    if (offset != GUEST_TEST_COMMAND || size != sizeof(command))
        return;
    memcpy(&command, data, sizeof(command));
    if (command >= GUEST_TEST_READY && command <= GUEST_TEST_FAILED)
        control->command(control->context, (enum guest_test_command)command);
}

const struct bus_ops test_control_bus_ops = {.read = bus_read_control, .write = bus_write_control};

void test_control_get_state(struct test_control *control, struct buffer *state)
{
    size_t record = record_begin(state, RECORD_TEST_CONTROL, TEST_CONTROL_STATE_VERSION);

    buffer_put_u32(state, atomic_load(&control->request));
    record_end(state, record);
}

int test_control_put_state(struct test_control *control, struct cursor *state, struct error *error)
{
    struct cursor body;
    uint32_t request;

    if (record_take(state, RECORD_TEST_CONTROL, TEST_CONTROL_STATE_VERSION, &body, error))
        return -1;
    request = cursor_get_u32(&body);
    if (!cursor_at_end(&body))
        return error_set(error, EINVAL, "the test port's state has the wrong size");
    if (request & ~GUEST_REQUEST_FINISH)
        return error_set(error, EINVAL, "the test port's state has unknown requests: 0x%x", request);
    atomic_store(&control->request, request);
    return 0;
}
