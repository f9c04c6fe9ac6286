/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A driver whose allocations fail: Documentation/fault-injection/fault-injection.rst, /proc/<pid>/fail-nth. Of a kernel
 * with fault injection, and a device of that kernel's, alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/check/check_context.h"
#include "vmm/check/groups.h"
#include "vmm/vfio/migration.h"

#define NTH_MAX 200u
#define FAIL_NTH "/proc/thread-self/fail-nth"

struct arc {
    unsigned int from;
    unsigned int to;
};

static int open_fail_nth(struct check_context *context, struct check_result *result)
{
    int fd;

    if (check_is_served(context)) {
        check_not_applicable(result, "its server allocates memory in a process of its own");
        return -1;
    }
    fd = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        check_not_applicable(result, "the kernel has no fault injection (%s: %s)", FAIL_NTH, strerror(errno));
    return fd;
}

static int set_nth(int fd, unsigned int nth, struct error *error)
{
    char text[16];
    int length = snprintf(text, sizeof(text), "%u", nth);

    if (pwrite(fd, text, (size_t)length, 0) != length)
        return error_set(error, errno, FAIL_NTH);
    return 0;
}

/* Was the allocation that was to fail ever reached? */
static bool has_struck(int fd)
{
    char text[16] = "";

    return pread(fd, text, sizeof(text) - 1, 0) > 0 && !strtoul(text, NULL, 10);
}

/* Returns 1 where the nth allocation was reached, 0 where there are fewer, -1. */
static int try_arc(struct check_context *context, int fd, const struct arc *arc, unsigned int nth,
                   struct check_result *result, struct error *error)
{
    struct error refusal = ERROR_INIT, settled = ERROR_INIT;
    unsigned int state;
    bool struck;
    int status;

    if (check_place(context, arc->from, error) < 0 || set_nth(fd, nth, error) < 0)
        return -1;
    status = migration_set_state(context->device, arc->to, &refusal);
    struck = has_struck(fd);
    if (set_nth(fd, 0, error) < 0)
        return -1;
    check_expect(result, "%s to %s with allocation %u failing succeeds, or fails with the state readable",
                 migration_state_name(arc->from), migration_state_name(arc->to), nth);
    if (check_state(context, &state, &settled) < 0)
        check_broken(result, "%s", settled.text);
    else if (status == 0 && state != arc->to)
        check_broken(result, "it succeeds and the state is %s", migration_state_name(state));
    check_expect(result, "after that it can be brought to RUNNING");
    if (result->outcome == CHECK_OK && check_settle(context, &settled) < 0)
        check_broken(result, "%s", settled.text);
    return struck && result->outcome == CHECK_OK;
}

static int run_arcs(struct check_context *context, struct check_result *result, struct error *error)
{
    static const struct arc arcs[] = {
        {VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_STOP},      {VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_RUNNING},
        {VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_STOP_COPY},    {VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_RESUMING},
        {VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_STOP_COPY}, {VFIO_DEVICE_STATE_STOP_COPY, VFIO_DEVICE_STATE_STOP},
        {VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_PRE_COPY},
    };
    size_t count = sizeof(arcs) / sizeof(arcs[0]) - !(context->flags & VFIO_MIGRATION_PRE_COPY);
    int fd = open_fail_nth(context, result), status = 1;
    uint64_t tried = 0;

    for (size_t i = 0; fd >= 0 && i < count && status >= 0 && result->outcome == CHECK_OK; i++)
        for (unsigned int nth = 1; nth <= NTH_MAX && !check_time_up(context); nth++, tried++)
            if ((status = try_arc(context, fd, &arcs[i], nth, result, error)) <= 0)
                break;
    if (fd >= 0) {
        check_note(result, "%llu failing allocations", (unsigned long long)tried);
        close(fd);
    }
    return status < 0 ? -1 : 0;
}

static const struct check_rule rules[] = {
    {
        .name = "nomem/arcs",
        .level = CHECK_MUST,
        .basis =
            "linux/vfio.h, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE: where a SET fails the state is the one before, or "
            "another along the path; any -> ERROR: or ERROR, from which VFIO_DEVICE_RESET returns it to RUNNING",
        .causes = "the error path of a transition frees what it has not allocated, or leaves the state machine between "
                  "two states",
        .hazard = CHECK_HAZARD_RESET,
        .cost = "some hundred transitions",
        .needs = CHECK_NEEDS_MIGRATION | CHECK_NEEDS_RESET,
        .run = run_arcs,
    },
};

const struct check_group check_nomem_group = {rules, sizeof(rules) / sizeof(rules[0])};
