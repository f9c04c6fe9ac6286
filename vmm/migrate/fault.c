/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/migrate/fault.h"

#include <string.h>

#include "lib/fault_table.h"

#define BUFFERS_START (2ull << 20)
#define BUFFERS_SIZE (4ull << 20)

static const char *const names[VMM_FAULTS] = {
    [VMM_PAGE_NOT_SENT] = "page-not-sent",
    [VMM_REGISTER_CHANGED] = "register-changed",
    [VMM_TSC_AHEAD] = "tsc-ahead",
    [VMM_INTERRUPT_DROPPED] = "interrupt-dropped",
    [VMM_LOG_IGNORED] = "log-ignored",
    [VMM_LOG_READ_EARLY] = "log-read-early",
    [VMM_LOG_LEFT_ON] = "log-left-on",
    [VMM_WRITE_NOT_CONTINUED] = "write-not-continued",
    [VMM_CHUNKS_SWAPPED] = "chunks-swapped",
    [VMM_SIZE_COUNTED_TWICE] = "size-counted-twice",
    [VMM_DEVICES_BEFORE_VCPUS] = "devices-before-vcpus",
    [VMM_P2P_ORDER] = "p2p-order",
    [VMM_SESSION_FORGOTTEN] = "session-forgotten",
    [VMM_NO_UNWIND] = "no-unwind",
    [VMM_BOTH_RUN] = "both-run",
    [VMM_NEITHER_RUNS] = "neither-runs",
    [VMM_PAUSED_EARLY] = "paused-early",
    [VMM_DESCRIPTOR_LEAKED] = "descriptor-leaked",
    [VMM_BAR_ACCESS] = "bar-access",
    [VMM_MSIX_DISAGREES] = "msix-disagrees",
    [VMM_RESAMPLE_LOST] = "resample-lost",
};

int fault_parse(const char *text, struct fault_plan *plan, struct error *error)
{
    const struct fault_row *row = fault_table_find(text);
    size_t length = strcspn(text, ",");

    if (!row)
        return error_set(error, 0, "there is no fault '%.*s': stopcopy faults lists them", (int)length, text);
    if (fault_row_is_of_device(row))
        return 1;
    if (text[length])
        return error_set(error, 0, "the fault '%s' has no options", row->name);
    for (unsigned int fault = 0; fault < VMM_FAULTS; fault++)
        if (!strcmp(names[fault], row->name))
            plan->on |= UINT64_C(1) << fault;
    return 0;
}

uint64_t fault_page(const struct fault_plan *plan, uint64_t size)
{
    /*
     * Among the guest's buffers, which follow its image: a page of its code, its stacks or, at the top, the progress area would
     * stop the run itself.
     */
    uint64_t offset = plan->seed * 0x9e3779b97f4a7c15ull & ~(uint64_t)4095;

    return size < BUFFERS_START + BUFFERS_SIZE ? 0 : BUFFERS_START + offset % BUFFERS_SIZE;
}
