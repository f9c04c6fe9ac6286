/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The numbers of the report are those of the events. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "tests/unit/report/sample.h"
#include "vmm/report/report.h"

static json_t *report;

static void set_up(void)
{
    json_t *events = sample_events();

    report = report_build(events);
    json_decref(events);
    cr_assert(report);
}

static void tear_down(void)
{
    json_decref(report);
}

TestSuite(report, .init = set_up, .fini = tear_down);

/* A member by its way: "guest.chains.0.operations". */
static json_t *at(const char *way)
{
    char copy[128], *word, *rest = NULL;
    json_t *value = report;

    snprintf(copy, sizeof(copy), "%s", way);
    for (word = strtok_r(copy, ".", &rest); word; word = strtok_r(NULL, ".", &rest))
        value = json_is_array(value) ? json_array_get(value, (size_t)strtoul(word, NULL, 10))
                                     : json_object_get(value, word);
    return value;
}

static void expect_number(const char *way, json_int_t number)
{
    cr_expect(json_is_integer(at(way)), "%s is no number", way);
    cr_expect_eq(json_integer_value(at(way)), number, "%s is %lld", way, json_integer_value(at(way)));
}

static void expect_text(const char *way, const char *text)
{
    cr_expect(json_is_string(at(way)), "%s is no text", way);
    cr_expect_str_eq(json_string_value(at(way)) ? json_string_value(at(way)) : "", text, "%s", way);
}

Test(report, top_level_numbers_are_those_of_the_last_leg)
{
    expect_text("verdict", "pass");
    expect_text("outcome", "finished");
    expect_number("status", 0);
    expect_number("migrations", 2);
    expect_number("downtime_ns", 21000000);
    expect_number("total_ns", 130000001);
    expect_number("guest.blackout_ns", 21000001);
    expect_number("ram.bytes", 268439553);
    expect_number("ram.pages", 65538);
    expect_number("ram.pages_verified", 65536);
    expect_number("facts.rounds", 4);
}

Test(report, operations_are_counted_between_the_pauses)
{
    /* Two chains: at 1000 and 1001, 2000 and 2001, 3000 and 3001. */
    expect_number("legs.0.ops_before", 2001);
    expect_number("legs.0.ops_after", 2000);
    expect_number("legs.1.ops_before", 2000);
    expect_number("legs.1.ops_after", 2000);
    expect_number("guest.ops_before", 2000);
    expect_number("guest.ops_after", 2000);
}

Test(report, events_of_one_device_are_put_together)
{
    expect_text("devices.0.name", "test:memory=1M");
    expect_number("devices.0.state_bytes", 1048577);
    expect_number("devices.0.ops_before", 1000);
    expect_number("devices.0.ops_after", 1000);
    expect_number("devices.0.in_flight_at_stop", 0);
    expect_number("legs.0.devices.0.in_flight_at_stop", 5);
    cr_expect_eq(json_array_size(at("devices")), 1);
    cr_expect_eq(json_array_size(at("devices.0.arcs")), 3);
    expect_text("devices.0.arcs.1.from", "RUNNING_P2P");
    expect_text("devices.0.arcs.1.to", "STOP_COPY");
    expect_number("devices.0.arcs.1.ns", 345678);
}

Test(report, phases_are_as_put_in)
{
    cr_expect_eq(json_array_size(at("phases")), 3);
    expect_text("phases.2.name", "device-state");
    expect_number("phases.2.start_ns", 6002000000);
    expect_number("phases.2.end_ns", 6012000000);
    expect_number("phases.2.bytes", 1048577);
}

Test(report, chains_are_sorted_and_verified)
{
    cr_expect_eq(json_array_size(at("guest.chains")), 3);
    expect_text("guest.chains.0.workload", "dma");
    expect_text("guest.chains.0.at", "end");
    expect_number("guest.chains.0.device", 2);
    expect_number("guest.chains.0.ops_at_pause", 2000);
    expect_number("guest.chains.0.operations", 3000);
    expect_number("guest.chains.0.interrupts", 1500);
    expect_text("guest.chains.0.digest", "0x0000000000001bb8");
    expect_text("guest.chains.0.digest_expected", "0x0000000000001bb8");
    cr_expect(json_is_true(at("guest.chains.0.verified")));
    expect_text("guest.chains.1.workload", "cpu");
    expect_text("guest.chains.1.digest", "0xfedcba9876543dc8");
    expect_text("guest.chains.2.workload", "clock");
}

static uint64_t digest_words(const uint64_t *words, size_t count, uint64_t h)
{
    for (size_t i = 0; i < count; i++) {
        h = (h ^ words[i]) * 0x9fb21c651e98df25ull;
        h ^= h >> 32;
    }
    return h;
}

Test(report, one_digest_combines_those_of_all_chains)
{
    static const uint64_t words[] = {1, 2ull << 32, 3000, 0x1bb8, 3, 0, 3001, 0xfedcba9876543dc8};
    char text[32];

    snprintf(text, sizeof(text), "0x%016" PRIx64, digest_words(words, 8, 0));
    expect_text("guest.digest", text);
    expect_text("guest.digest_expected", text);
}

Test(report, the_summary_is_over_all_legs)
{
    expect_number("legs.0.leg", 0);
    expect_number("legs.0.downtime_ns", 20000000);
    expect_number("legs.0.blackout_ns", 21000000);
    expect_number("legs.1.downtime_ns", 21000000);
    expect_number("summary.downtime_ns.median", 20500000);
    expect_number("summary.downtime_ns.worst", 21000000);
    expect_number("summary.blackout_ns.worst", 21000001);
}

Test(report, the_manifest_is_there)
{
    expect_text("manifest.version", "0.1");
    expect_text("manifest.kernel", "6.1.0-13-amd64");
    expect_text("manifest.cpu", "A CPU");
    expect_text("manifest.command.1", "migrate");
    expect_text("manifest.seed", "0x000000000000002a");
    cr_expect_eq(json_array_size(at("manifests")), 1);
}

Test(report, ram_that_was_not_compared_is_said_to_be_not_proven)
{
    json_t *events = sample_events(), *event, *other;
    size_t i;

    json_array_foreach (events, i, event) {
        if (strcmp(json_string_value(json_object_get(event, "kind")), "fact") == 0 &&
            strcmp(json_string_value(json_object_get(event, "name")), "ram.pages_verified") == 0)
            json_object_set_new(event, "value", json_integer(0));
    }
    other = report_build(events);
    cr_expect_eq(json_array_size(json_object_get(other, "not_proven")), 3);
    cr_expect_eq(json_array_size(at("not_proven")), 1);
    json_decref(other);
    json_decref(events);
}

Test(report, only_migrations_that_went_over_are_counted)
{
    json_t *events = sample_events(), *event, *other;
    size_t i;

    json_array_foreach (events, i, event) {
        if (strcmp(json_string_value(json_object_get(event, "kind")), "outcome") == 0 &&
            json_integer_value(json_object_get(event, "leg")) == 0)
            json_object_set_new(event, "status", json_integer(1));
    }
    other = report_build(events);
    cr_expect_eq(json_integer_value(json_object_get(other, "migrations")), 1);
    cr_expect_eq(report_verdict(other), VERDICT_FAIL);
    json_decref(other);
    json_decref(events);
}

Test(report, nonsense_in_the_events_is_left_out)
{
    json_t *events =
        json_pack("[i, s, n, {}, [], {s:I}, {s:s, s:s, s:I, s:i, s:s}]", 1, "x", "leg", (json_int_t)1 << 62, "kind",
                  "note", "role", "r", "leg", (json_int_t)1 << 40, "time_ns", 1, "text", "t");
    json_t *other = report_build(events);

    cr_assert(other);
    cr_expect_eq(report_verdict(other), VERDICT_INCOMPLETE);
    cr_expect_eq(json_array_size(json_object_get(other, "notes")), 0);
    json_decref(other);
    json_decref(events);
}
