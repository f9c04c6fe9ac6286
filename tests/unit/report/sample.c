/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/report/sample.h"

#include "vmm/proof/proof.h"
#include "vmm/report/event_log.h"

#define MS 1000000ull
#define START (5000 * MS)

static void add_manifest(struct event_log *log)
{
    json_t *command = json_pack("[s, s, s, s, s, s]", "stopcopy", "migrate", "--device", "test:memory=1M,to=test",
                                "--workload", "dma it's");

    event_log_add(log, "manifest",
                  json_pack("{s:s, s:s, s:s, s:o, s:s, s:s}", "version", "0.1", "kernel", "6.1.0-13-amd64", "cpu",
                            "A CPU", "command", command, "seed", "0x000000000000002a", "time", "2024-05-06T07:08:09Z"));
}

static void add_chains(struct event_log *log, unsigned int leg, const char *when, uint64_t operations)
{
    struct proof_chain dma = {
        .workload = WORKLOAD_DMA,
        .device = 2,
        .index = 0,
        .parameter = 16,
        .operations = operations,
        .digest = 0x1000 + operations,
        .submitted = operations + (when[0] == 'p' ? 5 : 0),
        .interrupts = operations / 2,
    };
    struct proof_chain cpu = {
        .workload = WORKLOAD_CPU,
        .operations = operations + 1,
        .digest = 0xfedcba9876543210 + operations,
        .submitted = operations + 1,
    };
    struct proof_chain clock = {.workload = WORKLOAD_CLOCK};

    event_chain(log, leg, when, &cpu, &cpu.digest);
    event_chain(log, leg, when, &dma, &dma.digest);
    event_chain(log, leg, when, &clock, &clock.digest);
}

static void add_arcs(struct event_log *log, uint64_t start)
{
    event_arc(log, 0, "RUNNING", "RUNNING_P2P", start + 1 * MS, start + 2 * MS);
    event_arc(log, 0, "RUNNING_P2P", "STOP_COPY", start + 2 * MS, start + 2 * MS + 345678);
    event_log_set_role(log, "destination");
    event_arc(log, 0, "RUNNING", "RESUMING", start + 3 * MS, start + 4 * MS);
    event_log_set_role(log, "source");
}

static void add_leg(struct event_log *log, unsigned int leg)
{
    uint64_t start = START + leg * 1000 * MS;
    struct event_device_numbers stream = EVENT_DEVICE_NUMBERS_UNKNOWN;
    struct event_device_numbers work = {EVENT_UNKNOWN, 1000, 1000, leg ? 0 : 5};

    stream.state_bytes = 1048576 + leg;
    event_log_set_leg(log, leg);
    event_phase(log, "ram round 1", start - 100 * MS, start, 268435456);
    event_phase(log, "pause", start, start + MS, 0);
    event_phase(log, "device-state", start + 2 * MS, start + 12 * MS, 1048576 + leg);
    add_arcs(log, start);
    event_device(log, leg, 0, "test:memory=1M", &stream);
    event_device(log, leg, 0, NULL, &work);
    add_chains(log, leg, "pause", 1000 * (leg + 1));
    event_fact(log, "downtime_ns", 20 * MS + leg * MS);
    event_fact(log, "total_ns", 130 * MS + leg);
    event_fact(log, "guest.blackout_ns", 21 * MS + leg);
    event_fact(log, "ram.bytes", 268439552 + leg);
    event_fact(log, "ram.pages", 65537 + leg);
    event_fact(log, "ram.pages_verified", 65536);
    event_fact(log, "rounds", 3 + leg);
    event_outcome(log, "destination", 0, "the guest runs on the destination");
}

json_t *sample_events(void)
{
    struct event_log *log = event_log_new("source", -1);
    struct event_expectation expectation = {.guest = true, .migrations = 2, .devices = 1};
    json_t *events, *event;
    size_t i;

    add_manifest(log);
    event_expect(log, &expectation);
    add_leg(log, 0);
    add_leg(log, 1);
    add_chains(log, 1, "end", 3000);
    event_note(log, "the device has no dirty log");
    event_not_proven(log, false, "what the device reads is not seen");
    event_outcome(log, "finished", 0, "the guest has done all its work");
    events = event_log_events(log);
    json_array_foreach (events, i, event)
        json_object_set_new(event, "time_ns", json_integer((json_int_t)(START - 200 * MS + i)));
    event_log_free(log);
    return events;
}
