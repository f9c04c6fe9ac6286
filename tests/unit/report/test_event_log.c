/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/proof/proof.h"
#include "vmm/report/event_form.h"
#include "vmm/report/event_log.h"

static const char *text_of(json_t *event, const char *name)
{
    const char *text = json_string_value(json_object_get(event, name));

    return text ? text : "(none)";
}

static json_int_t number_of(json_t *event, const char *name)
{
    return json_integer_value(json_object_get(event, name));
}

/* The one event of a log. */
static json_t *only_event(struct event_log *log)
{
    json_t *events = event_log_events(log);
    json_t *event = json_incref(json_array_get(events, 0));

    cr_assert_eq(json_array_size(events), 1);
    json_decref(events);
    event_log_free(log);
    return event;
}

Test(event_log, every_event_has_kind_role_leg_and_time)
{
    struct event_log *log = event_log_new("source", -1);
    json_t *event;

    event_log_set_role(log, "destination");
    event_log_set_leg(log, 3);
    event_phase(log, "pause", 100, 250, 4096);
    event = only_event(log);
    cr_expect_str_eq(text_of(event, "kind"), "phase");
    cr_expect_str_eq(text_of(event, "role"), "destination");
    cr_expect_eq(number_of(event, "leg"), 3);
    cr_expect_gt(number_of(event, "time_ns"), 0);
    cr_expect_eq(number_of(event, "start_ns"), 100);
    cr_expect_eq(number_of(event, "end_ns"), 250);
    cr_expect_eq(number_of(event, "bytes"), 4096);
    json_decref(event);
}

Test(event_log, text_is_made_printable)
{
    struct event_log *log = event_log_new("source", -1);
    json_t *event;

    event_finding(log, "a/b", "%s", "one\ntwo \x1b[31m \xff \xc2\x9b gr\xc3\xbc\xc3\x9f \xed\xa0\x80");
    event = only_event(log);
    cr_expect_str_eq(text_of(event, "text"), "one?two ?[31m ? ?? gr\xc3\xbc\xc3\x9f ???");
    json_decref(event);
}

Test(event_log, text_that_is_too_long_is_cut)
{
    struct event_log *log = event_log_new("source", -1);
    static char text[10 * EVENT_TEXT_MAX];
    json_t *event;

    memset(text, 'x', sizeof(text) - 1);
    event_note(log, "%s", text);
    event = only_event(log);
    cr_expect_eq(strlen(text_of(event, "text")), EVENT_TEXT_MAX - 1);
    json_decref(event);
}

Test(event_log, numbers_of_64_bits_arrive_whole)
{
    struct event_log *log = event_log_new("source", -1);
    struct proof_chain chain = {
        .workload = WORKLOAD_DMA, .device = 31, .index = 15, .operations = 1ull << 62, .digest = 0xfedcba9876543210};
    uint64_t expected = UINT64_MAX;
    json_t *event;

    event_chain(log, 7, "end", &chain, &expected);
    event = only_event(log);
    cr_expect_str_eq(text_of(event, "digest"), "0xfedcba9876543210");
    cr_expect_str_eq(text_of(event, "expected"), "0xffffffffffffffff");
    cr_expect_str_eq(text_of(event, "workload"), "dma");
    cr_expect_eq(number_of(event, "operations"), 1ll << 62);
    cr_expect_eq(number_of(event, "device"), 31);
    cr_expect_eq(number_of(event, "index"), 15);
    cr_expect_eq(number_of(event, "leg"), 7);
    json_decref(event);
}

Test(event_log, an_error_is_a_finding_where_it_names_a_rule)
{
    struct event_log *log = event_log_new("source", -1);
    struct error error;
    json_t *event;

    error_rule(&error, "device/arc", 0, "refused");
    event_error(log, &error);
    event = only_event(log);
    cr_expect_str_eq(text_of(event, "kind"), "finding");
    cr_expect_str_eq(text_of(event, "rule"), "device/arc");
    json_decref(event);
    log = event_log_new("source", -1);
    error_set(&error, 0, "went wrong");
    event_error(log, &error);
    event = only_event(log);
    cr_expect_str_eq(text_of(event, "kind"), "note");
    json_decref(event);
}

Test(event_log, the_manifest_says_what_ran)
{
    struct event_log *log = event_log_new("run", -1);
    char *argv[] = {(char[]){"stopcopy"}, (char[]){"run\x01"}};
    json_t *event;

    event_manifest(log, 2, argv, 0x1234);
    event = only_event(log);
    cr_expect_str_eq(text_of(event, "kind"), "manifest");
    cr_expect_str_eq(text_of(event, "seed"), "0x0000000000001234");
    cr_expect_str_eq(json_string_value(json_array_get(json_object_get(event, "command"), 1)), "run?");
    cr_expect_neq(strlen(text_of(event, "kernel")), 0);
    json_decref(event);
}

static void expect_replaced(const char *kind, json_t *members)
{
    struct event_log *log = event_log_new("source", -1);
    json_t *event;

    event_log_add(log, kind, members);
    event = only_event(log);
    cr_expect_str_eq(text_of(event, "kind"), "not-proven", "of a bad %s", kind);
    cr_expect(json_is_true(json_object_get(event, "about_device")));
    json_decref(event);
}

Test(event_log, a_malformed_event_is_said_to_be_not_proven)
{
    expect_replaced("finding", NULL);
    expect_replaced("nonsense", json_object());
    expect_replaced("fact", json_pack("{s:s, s:i}", "name", "x", "value", -1));
    expect_replaced("fact", json_pack("{s:s, s:s}", "name", "x", "value", "1"));
    expect_replaced("outcome", json_pack("{s:s, s:i, s:s}", "who", "everybody", "status", 0, "text", ""));
}

Test(event_log, a_log_that_is_not_there_takes_everything)
{
    struct event_device_numbers numbers = EVENT_DEVICE_NUMBERS_UNKNOWN;

    event_note(NULL, "nothing");
    event_device(NULL, 0, 0, "x", &numbers);
    event_log_set_leg(NULL, 1);
    event_log_free(NULL);
}

static int merge(struct event_log *log, const char *line)
{
    struct error error = ERROR_INIT;

    return event_log_merge_line(log, line, strlen(line), &error);
}

Test(event_log, merged_events_come_in_the_order_of_time)
{
    struct event_log *log = event_log_new("source", -1);
    json_t *events;

    event_note(log, "now");
    cr_assert_eq(
        merge(log, "{\"kind\":\"note\",\"role\":\"destination\",\"leg\":2,\"time_ns\":5,\"text\":\"long ago\"}"), 0);
    cr_assert_eq(merge(log, "{\"kind\":\"note\",\"role\":\"destination\",\"leg\":2,\"time_ns\":5,\"text\":\"then\"}"),
                 0);
    events = event_log_events(log);
    cr_assert_eq(json_array_size(events), 3);
    cr_expect_str_eq(text_of(json_array_get(events, 0), "text"), "long ago");
    cr_expect_str_eq(text_of(json_array_get(events, 0), "role"), "destination");
    cr_expect_eq(number_of(json_array_get(events, 0), "leg"), 2);
    cr_expect_str_eq(text_of(json_array_get(events, 1), "text"), "then");
    cr_expect_str_eq(text_of(json_array_get(events, 2), "text"), "now");
    json_decref(events);
    event_log_free(log);
}

Test(event_log, what_another_process_sends_is_checked)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "17",
        "{\"kind\":\"note\"}",
        "{\"kind\":\"note\",\"role\":\"s\",\"leg\":0,\"time_ns\":1}",
        "{\"kind\":\"note\",\"role\":\"s\",\"leg\":0,\"time_ns\":1,\"text\":1}",
        "{\"kind\":\"note\",\"role\":\"s\",\"leg\":-1,\"time_ns\":1,\"text\":\"\"}",
        "{\"kind\":\"note\",\"role\":\"s\",\"leg\":10000,\"time_ns\":1,\"text\":\"\"}",
        "{\"kind\":\"note\",\"role\":\"s\",\"leg\":0,\"time_ns\":1.5,\"text\":\"\"}",
        "{\"kind\":\"note\",\"role\":\"0123456789012345678901234567890123456789\",\"leg\":0,\"time_ns\":1,\"text\":"
        "\"\"}",
        "{\"kind\":\"note\",\"role\":\"s\",\"leg\":0,\"time_ns\":1,\"text\":\"\",\"more\":{}}",
        "{\"kind\":\"note\",\"role\":\"s\",\"leg\":0,\"time_ns\":1,\"text\":\"\",\"more\":[[]]}",
        "{\"kind\":\"note\",\"kind\":\"note\",\"role\":\"s\",\"leg\":0,\"time_ns\":1,\"text\":\"\"}",
        "{\"kind\":\"finding\",\"role\":\"s\",\"leg\":0,\"time_ns\":1,\"text\":\"\"}",
        "{\"kind\":\"arc\",\"role\":\"s\",\"leg\":0,\"time_ns\":1,\"device\":256,\"from\":\"\",\"to\":\"\","
        "\"start_ns\":0,\"ns\":0}",
        "{\"kind\":\"chain\",\"role\":\"s\",\"leg\":0,\"time_ns\":1,\"when\":\"end\",\"workload\":\"dma\",\"device\":0,"
        "\"index\":0,\"parameter\":0,\"operations\":0,\"digest\":\"0x1\",\"submitted\":0,\"interrupts\":0}",
    };
    struct event_log *log = event_log_new("source", -1);
    json_t *events;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_eq(merge(log, bad[i]), -1, "%s", bad[i]);
    events = event_log_events(log);
    cr_expect_eq(json_array_size(events), 0);
    json_decref(events);
    event_log_free(log);
}

Test(event_log, texts_of_another_process_are_made_printable)
{
    struct event_log *log = event_log_new("source", -1);
    json_t *event;

    cr_assert_eq(merge(log,
                       "{\"kind\":\"note\",\"role\":\"a\\u001bb\",\"leg\":0,\"time_ns\":1,\"text\":\"x\\u001b[2J\","
                       "\"more\":\"\\u009b\"}"),
                 0);
    event = only_event(log);
    cr_expect_str_eq(text_of(event, "text"), "x?[2J");
    cr_expect_str_eq(text_of(event, "role"), "a?b");
    cr_expect_str_eq(text_of(event, "more"), "??");
    json_decref(event);
}

Test(event_log, lines_can_be_merged_by_another_log)
{
    struct event_log *log, *other = event_log_new("migrate", -1);
    struct error error = ERROR_INIT;
    char line[1024];
    json_t *event;
    FILE *file;
    int pipes[2];

    cr_assert_eq(pipe(pipes), 0);
    log = event_log_new("source", pipes[1]);
    event_fact(log, "downtime_ns", 123456789);
    close(pipes[1]);
    file = fdopen(pipes[0], "r");
    cr_assert(fgets(line, sizeof(line), file));
    cr_assert_eq(event_log_merge_line(other, line, strlen(line), &error), 0, "%s", error.text);
    cr_expect_null(fgets(line, sizeof(line), file));
    fclose(file);
    event_log_free(log);
    event = only_event(other);
    cr_expect_str_eq(text_of(event, "role"), "source");
    cr_expect_eq(number_of(event, "value"), 123456789);
    json_decref(event);
}

Test(event_log, a_full_log_says_what_was_left_out_and_keeps_findings)
{
    struct event_log *log = event_log_new("source", -1);
    size_t findings = 0, i;
    json_t *events, *event;

    for (int n = 0; n < EVENT_LOG_MAX + 10; n++)
        event_log_add(log, "note", json_pack("{s:s}", "text", ""));
    event_finding(log, "a/b", "late");
    events = event_log_events(log);
    json_array_foreach (events, i, event)
        findings += strcmp(text_of(event, "kind"), "finding") == 0;
    cr_expect_leq(json_array_size(events), EVENT_LOG_MAX + 1);
    cr_expect_eq(findings, 1);
    event = json_array_get(events, json_array_size(events) - 1);
    cr_expect_str_eq(text_of(event, "kind"), "not-proven");
    cr_expect(strstr(text_of(event, "text"), "2010 events were left out"), "%s", text_of(event, "text"));
    cr_expect(json_is_true(json_object_get(event, "about_device")));
    cr_expect_eq(event_form_check(event, NULL), 0);
    json_decref(events);
    event_log_free(log);
}

static void *add_many(void *log)
{
    for (int i = 0; i < 1000; i++)
        event_fact(log, "x", 1);
    return NULL;
}

Test(event_log, threads_lose_nothing)
{
    struct event_log *log = event_log_new("source", -1);
    pthread_t thread[4];
    json_t *events;

    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&thread[i], NULL, add_many, log), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    events = event_log_events(log);
    cr_expect_eq(json_array_size(events), 4000);
    json_decref(events);
    event_log_free(log);
}

/* While the log is held a timing waits, a finding does not, and nothing is lost, however much there is. */
Test(event_log, a_held_log_writes_what_is_urgent_alone)
{
    int reader[2];
    char text[4096];
    struct event_log *log;
    json_t *events;
    ssize_t count;

    cr_assert_eq(pipe2(reader, O_NONBLOCK), 0);
    log = event_log_new("source", reader[1]);
    event_log_hold(log);
    event_phase(log, "pause", 100, 250, 0);
    event_arc(log, 0, "RUNNING", "STOP", 100, 200);
    cr_expect_lt(read(reader[0], text, sizeof(text)), 0, "a timing did not wait");
    event_finding(log, "a/b", "urgent");
    count = read(reader[0], text, sizeof(text) - 1);
    cr_assert_gt(count, 0, "a finding waits");
    text[count] = '\0';
    cr_expect(strstr(text, "urgent") && !strstr(text, "pause"), "%s", text);
    event_log_release(log);
    count = read(reader[0], text, sizeof(text) - 1);
    cr_assert_gt(count, 0);
    text[count] = '\0';
    cr_expect(strstr(text, "pause") && strstr(text, "RUNNING"), "%s", text);
    event_log_free(log);
    close(reader[0]);
    close(reader[1]);
    log = event_log_new("source", -1);
    event_log_hold(log);
    for (unsigned int i = 0; i < 3000; i++)
        event_phase(log, "many", i, i, 0);
    events = event_log_events(log);
    cr_expect_eq(json_array_size(events), 3000);
    cr_expect_eq(number_of(json_array_get(events, 0), "time_ns") <= number_of(json_array_get(events, 1), "time_ns"), 1);
    json_decref(events);
    event_log_free(log);
}
