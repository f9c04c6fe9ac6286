/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/migrate/stop_watch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

/* All that the guest did, and 0 where it has published nothing. */
static uint64_t guest_operations(struct machine *machine)
{
    struct proof_snapshot *snapshot = calloc(1, sizeof(*snapshot));
    uint64_t operations = 0;

    if (snapshot && machine_progress(machine, snapshot, NULL) == 0)
        for (size_t i = 0; i < snapshot->chain_count; i++)
            operations += snapshot->chain[i].operations;
    free(snapshot);
    return operations;
}

void stop_watch_begin(struct stop_watch *watch, struct machine *machine, struct event_log *log)
{
    *watch = (struct stop_watch){
        .machine = machine, .log = log, .operations = guest_operations(machine), .start_ns = clock_now_ns()};
}

static void wait_until(uint64_t ns)
{
    struct timespec until = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

static int compare_ram(struct stop_watch *watch, uint64_t hold_ns, const struct ram_digests *before,
                       struct error *error)
{
    struct ram_digests now = {0};
    uint64_t different = 0, first = 0;

    if (ram_digests_take(watch->machine, &now, error) < 0)
        return -1;
    for (unsigned int range = 0; range < now.ranges; range++)
        for (uint64_t page = 0; page < now.pages[range]; page++)
            if (now.digest[range][page] != before->digest[range][page] && !different++)
                first = machine_board(watch->machine)->ram[range].start + page * RAM_PAGE_SIZE;
    ram_digests_free(&now);
    if (different)
        event_finding(watch->log, "stop/dma-after-stop",
                      "%" PRIu64 " pages of the source's RAM changed within %" PRIu64
                      " ms after every vCPU and every device had been stopped, the first at 0x%" PRIx64
                      ": a device went on with DMA",
                      different, hold_ns / 1000000u, first);
    return 0;
}

static void look_for_interrupts(struct stop_watch *watch)
{
    for (unsigned int i = 0; i < machine_board(watch->machine)->device_count; i++) {
        int vector = machine_interrupt_signalled(watch->machine, i);

        if (vector >= 0)
            event_finding(watch->log, "stop/interrupt-after-stop",
                          "device %u raised its interrupt %d on the source after it had been stopped", i, vector);
    }
}

int stop_watch_end(struct stop_watch *watch, uint64_t hold_ns, const struct ram_digests *digests, struct error *error)
{
    uint64_t operations;

    wait_until(watch->start_ns + hold_ns);
    operations = digests ? guest_operations(watch->machine) : watch->operations;
    if (operations != watch->operations) {
        event_finding(watch->log, "handover/both-run",
                      "the guest runs on the destination, and did %" PRIu64 " more operations on the source",
                      operations - watch->operations);
        return 0;
    }
    look_for_interrupts(watch);
    return digests && digests->ranges ? compare_ram(watch, hold_ns, digests, error) : 0;
}
