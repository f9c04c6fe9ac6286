/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the guest ends. */
#include "guest/guest.h"
#include "guest/base/port.h"
#include "guest/base/processor.h"
#include "guest/base/text.h"
#include "guest/kernel/gate.h"
#include "guest/workloads/device_work.h"

#define REQUEST_NOBODY UINT32_MAX

_Noreturn void guest_halt(void)
{
    for (;;)
        gate_call(GATE_HALT, 0, 0, 0);
}

void guest_tell(struct guest *guest, enum guest_test_command command)
{
    if (guest->config.test_port)
        port_write32((uint16_t)(guest->config.test_port + GUEST_TEST_COMMAND), command);
}

bool guest_asked_to_finish(struct guest *guest)
{
    uint32_t request;

    if (!guest->config.test_port)
        return false;
    request = port_read32((uint16_t)(guest->config.test_port + GUEST_TEST_REQUEST));
    return request != REQUEST_NOBODY && (request & GUEST_REQUEST_FINISH);
}

static void set_state(struct guest *guest, enum progress_state state)
{
    if (guest->progress)
        __atomic_store_n(&guest->progress->state, state, __ATOMIC_RELEASE);
}

_Noreturn void guest_fail(struct guest *guest, const char *rule, uint64_t expected, uint64_t seen, const char *format,
                          ...)
{
    struct progress_failure failure = {.expected = expected, .seen = seen};
    va_list arguments;

    if (__atomic_exchange_n(&guest->ended, 1, __ATOMIC_ACQ_REL) != 0)
        guest_halt();
    __atomic_store_n(&guest->stopped, true, __ATOMIC_RELEASE);
    text_format(failure.rule, sizeof(failure.rule), "%s", rule);
    va_start(arguments, format);
    text_format_list(failure.text, sizeof(failure.text), format, arguments);
    va_end(arguments);
    if (guest->progress)
        guest->progress->failure = failure;
    set_state(guest, PROGRESS_FAILED);
    if (expected != seen)
        console_print(&guest->console, "expected %#lx, seen %#lx", expected, seen);
    console_print(&guest->console, "stopcopy-guest: failed: %s: %s", failure.rule, failure.text);
    guest_tell(guest, GUEST_TEST_FAILED);
    guest_halt();
}

static void print_chain(struct guest *guest, const struct progress_chain *chain)
{
    const struct progress_chain_value *value = &chain->slot[chain->generation & 1];
    const char *workload = config_workload_name[chain->workload];
    char name[32];

    if (chain_is_of_vcpu(chain))
        text_format(name, sizeof(name), "%s %u", workload, chain->index);
    else
        text_format(name, sizeof(name), "%s %u.%u", workload, chain->device, chain->index);
    console_print(&guest->console, "chain %s ops %lu digest %#lx", name, value->operations, value->digest);
}

static void print_clock(struct guest *guest, uint32_t vcpu)
{
    const struct progress_clock *clock = &guest->progress->clock[vcpu];
    uint64_t longest = clock->longest.end - clock->longest.start;

    console_print(&guest->console, "vCPU %u ticks %lu gaps %lu longest %lu us", vcpu, clock->ticks, clock->gap_count,
                  scale(longest, 1000000, guest->progress->tsc_hz));
}

_Noreturn void guest_done(struct guest *guest)
{
    if (__atomic_exchange_n(&guest->ended, 1, __ATOMIC_ACQ_REL) != 0)
        guest_halt();
    set_state(guest, PROGRESS_DONE);
    for (uint32_t i = 0; i < guest->progress->chains; i++)
        print_chain(guest, &guest->progress->chain[i]);
    for (uint32_t i = 0; i < guest->progress->vcpus; i++)
        print_clock(guest, i);
    for (struct device_work *work = guest->work; work; work = work->next_of_all) {
        if (work->workload->print)
            work->workload->print(work);
    }
    console_print(&guest->console, "stopcopy-guest: done");
    guest_tell(guest, GUEST_TEST_DONE);
    guest_halt();
}
