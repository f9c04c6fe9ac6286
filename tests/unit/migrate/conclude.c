/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The exit status of a run, out of what its processes made of it and what the report says. */
#include <criterion/criterion.h>

#include "vmm/cmd/conclude.h"

static enum status concluded(enum status status, const char *finding)
{
    struct options options = {.report_count = 0};
    struct snapshot_store store = {.fd = -1};
    struct event_log *log = event_log_new("source", -1);
    struct error error = ERROR_INIT;
    enum status result;

    cr_assert(log && snapshot_store_open(&store, &error) == 0);
    event_expect(log, &(struct event_expectation){.migrations = 1});
    event_outcome(log, "source", (int)status, "the destination refused");
    if (finding)
        event_finding(log, finding, "a digest is wrong");
    result = conclude(&options, log, &store, &(struct report_writer){.socket = -1}, status);
    snapshot_store_close(&store);
    event_log_free(log);
    return result;
}

Test(conclude, calls_a_guest_that_stayed_intact_only_without_a_finding_against_it)
{
    cr_expect(concluded(STATUS_ON_SOURCE, NULL) == STATUS_ON_SOURCE);
    cr_expect(concluded(STATUS_ON_SOURCE, "device/arc-failed") == STATUS_ON_SOURCE);
    cr_expect(concluded(STATUS_ON_SOURCE, "proof/digest") == STATUS_BROKEN);
    cr_expect(concluded(STATUS_LOSS, "guest/data") == STATUS_BROKEN);
    cr_expect(concluded(STATUS_NO_GUEST, "proof/digest") == STATUS_NO_GUEST);
    cr_expect(concluded(STATUS_UNKNOWN, "proof/digest") == STATUS_UNKNOWN);
}
