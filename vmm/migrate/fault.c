/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/migrate/fault.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct fault_description faults[] = {
    {"page-not-sent", "", "one page of RAM that holds data is left out of the stream", "ram/page-differs", false},
    {"register-changed", "", "one bit of a vector register of vCPU 0 is changed on its way", "proof/digest-after",
     false},
    {"interrupt-dropped", "17, 18", "the interrupts of one vector are lost after the switch", "guest/interrupt-lost",
     false},
    {"tsc-ahead", "", "the source says that its guest's TSC is far ahead of the destination's", "clock/tsc-behind",
     false},
    {"log-ignored", "43", "the VMM ignores the device's dirty log (with --mode pre-copy)", "ram/page-differs", false},
    {"completion-repeated", "", "the device posts one completion twice", "guest/completion-sequence", true},
    {"device-byte-changed", "", "one byte of the device's internal memory changes as its state is loaded", "guest/data",
     true},
    {0},
};

const struct fault_description *fault_list(void)
{
    return faults;
}

static const struct fault_description *find(const char *name, size_t length)
{
    for (const struct fault_description *fault = faults; fault->name; fault++)
        if (strlen(fault->name) == length && !strncmp(fault->name, name, length))
            return fault;
    return NULL;
}

int fault_parse(const char *text, struct fault_plan *plan, struct error *error)
{
    size_t length = strcspn(text, ",");
    const struct fault_description *fault = find(text, length);

    if (!fault)
        return error_set(error, 0, "there is no fault '%.*s': stopcopy faults lists them", (int)length, text);
    if (fault->device)
        return 1;
    if (text[length])
        return error_set(error, 0, "the fault '%s' has no options", fault->name);
    plan->page_not_sent |= !strcmp(fault->name, "page-not-sent");
    plan->tsc_ahead |= !strcmp(fault->name, "tsc-ahead");
    plan->register_changed |= !strcmp(fault->name, "register-changed");
    plan->interrupt_dropped |= !strcmp(fault->name, "interrupt-dropped");
    plan->log_ignored |= !strcmp(fault->name, "log-ignored");
    return 0;
}

uint64_t fault_page(const struct fault_plan *plan, uint64_t size)
{
    /* Where the guest's image and its buffers are: a page of the progress area at the top would stop the run itself. */
    return (plan->seed * 0x9e3779b97f4a7c15ull) % (size / 8) & ~(uint64_t)4095;
}
