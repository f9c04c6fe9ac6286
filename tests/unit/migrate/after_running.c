/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a destination takes from a source, which is this test, once the guest runs: nothing there makes evidence. */
#include <criterion/criterion.h>
#include <endian.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/migrate/handover.h"
#include "vmm/migrate/source_log.h"

#define MEMORY (16u << 20)
#define TIMEOUT_NS 5000000000u

static void need_kvm(void)
{
    const char *required = getenv("STOPCOPY_REQUIRE_KVM");

    if (access("/dev/kvm", R_OK | W_OK) == 0)
        return;
    if (required && !strcmp(required, "1"))
        cr_assert_fail("/dev/kvm is not there, and STOPCOPY_REQUIRE_KVM=1");
    cr_skip_test("/dev/kvm is not there");
}

static struct deadline soon(void)
{
    return deadline_in_ns(TIMEOUT_NS);
}

struct fixture {
    struct machine *source; /* whose state is sent */
    struct stream stream;
    struct event_log *log;
    struct destination *destination;
    pthread_t thread;
    int result; /* of destination_finish */
    struct error error;
};

static void *receive(void *argument)
{
    struct fixture *fixture = argument;
    static struct proof_snapshot paused;
    struct machine *machine = NULL;

    fixture->result = -2;
    if (destination_receive(fixture->destination, &machine, &paused, &fixture->error) == HANDOVER_DONE) {
        machine_pause(machine, soon(), NULL);
        fixture->result = destination_finish(fixture->destination, &fixture->error);
    }
    destination_free(fixture->destination);
    machine_free(machine);
    return NULL;
}

static void send_payload(struct fixture *fixture, enum stream_type type, const void *data, size_t size)
{
    stream_send(&fixture->stream, type, 0, data, size, soon(), NULL);
}

static void send_state(struct fixture *fixture, enum stream_type type)
{
    struct vm *vm = machine_vm(fixture->source);
    struct buffer state = BUFFER_INIT;
    int result = type == STREAM_VM     ? vm_get_state(vm, &state, &fixture->error)
                 : type == STREAM_VCPU ? vm_vcpu_get_state(vm, 0, &state, &fixture->error)
                                       : machine_get_board_state(fixture->source, &state, &fixture->error);

    cr_assert(result == 0, "%s", fixture->error.text);
    send_payload(fixture, type, state.data, state.size);
    buffer_free(&state);
}

static void expect(struct fixture *fixture, enum stream_type type)
{
    struct stream_record record;
    struct error error = ERROR_INIT;

    cr_assert(stream_receive(&fixture->stream, &record, soon(), &error) == 0, "%s", error.text);
    cr_assert(record.type == type, "%s: %.*s", stream_type_name(record.type), (int)record.size,
              (const char *)record.data);
}

/* A migration up to RUNNING. */
static void set_up(struct fixture *fixture, enum verify_mode verify)
{
    struct board_wishes wishes = {.memory_size = MEMORY, .vcpus = 1, .wanted[WORKLOAD_CPU] = true};
    struct destination_config config = {.peer = "the source",
                                        .verify = verify,
                                        .merge_log = true,
                                        .timeout_ns = TIMEOUT_NS,
                                        .message_timeout_ns = TIMEOUT_NS,
                                        .arc_timeout_ns = TIMEOUT_NS};
    uint64_t end[5] = {0};
    struct buffer tree = BUFFER_INIT;
    struct handover_hello hello;
    struct board board;
    int pair[2];

    need_kvm();
    memset(fixture, 0, sizeof(*fixture));
    cr_assert(board_describe(&wishes, NULL, 0, &board, &fixture->error) == 0, "%s", fixture->error.text);
    fixture->source = machine_new(&board, NULL, NULL, &fixture->error);
    cr_assert(fixture->source && board_to_tree(&board, &tree, &fixture->error) == 0, "%s", fixture->error.text);
    cr_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    stream_open(&fixture->stream, pair[0], "the destination");
    config.fd = pair[1];
    config.log = fixture->log = event_log_new("destination", -1);
    fixture->destination = destination_new(&config, &fixture->error);
    cr_assert(fixture->destination && pthread_create(&fixture->thread, NULL, receive, fixture) == 0);
    cr_assert(handover_hello_send(&fixture->stream, true, false, 0, soon(), NULL) == 0);
    cr_assert(handover_hello_receive(&fixture->stream, false, &hello, soon(), NULL) == 0);
    send_payload(fixture, STREAM_BOARD, tree.data, tree.size);
    expect(fixture, STREAM_PREPARED);
    send_state(fixture, STREAM_VM);
    send_state(fixture, STREAM_VCPU);
    send_state(fixture, STREAM_BOARD_STATE);
    end[1] = htole64(fixture->stream.sent);
    send_payload(fixture, STREAM_END, end, sizeof(end));
    expect(fixture, STREAM_READY);
    send_payload(fixture, STREAM_COMMIT, NULL, 0);
    expect(fixture, STREAM_RUNNING);
    buffer_free(&tree);
}

static void finish(struct fixture *fixture)
{
    pthread_join(fixture->thread, NULL);
    stream_close(&fixture->stream);
    machine_free(fixture->source);
}

static void tear_down(struct fixture *fixture)
{
    event_log_free(fixture->log);
}

#define PAGES (MEMORY / 4096)

static void send_digests(struct fixture *fixture, uint64_t first, uint64_t count)
{
    struct ram_digests digests;
    uint64_t *payload = malloc((count + 1) * sizeof(*payload));

    cr_assert(payload && ram_digests_take(fixture->source, &digests, &fixture->error) == 0);
    payload[0] = htole64(first);
    memcpy(payload + 1, digests.digest[0], count * sizeof(*payload));
    send_payload(fixture, STREAM_DIGESTS, payload, (count + 1) * sizeof(*payload));
    ram_digests_free(&digests);
    free(payload);
}

static bool log_has(struct fixture *fixture, const char *text)
{
    json_t *events = event_log_events(fixture->log);
    char *all = json_dumps(events, 0);
    bool found = all && strstr(all, text);

    json_decref(events);
    free(all);
    return found;
}

static void expect_invalid(struct fixture *fixture)
{
    finish(fixture);
    cr_expect(fixture->result == -1 && !strcmp(fixture->error.rule, "stream/invalid"), "%d: %s", fixture->result,
              fixture->error.text);
    tear_down(fixture);
}

Test(after_running, takes_digests_the_log_and_the_end)
{
    struct fixture fixture;

    set_up(&fixture, VERIFY_FULL);
    send_digests(&fixture, 0, PAGES / 2);
    send_digests(&fixture, PAGES / 2, PAGES / 2);
    send_payload(&fixture, STREAM_LOG, "[]", 2);
    send_payload(&fixture, STREAM_BYE, NULL, 0);
    finish(&fixture);
    cr_expect(fixture.result == 0, "%s", fixture.error.text);
    cr_expect(log_has(&fixture, "pages_verified") && !log_has(&fixture, "not-proven"));
    tear_down(&fixture);
}

Test(after_running, without_a_log_it_is_not_all)
{
    struct fixture fixture;

    set_up(&fixture, VERIFY_OFF);
    send_payload(&fixture, STREAM_BYE, NULL, 0);
    expect_invalid(&fixture);
}

Test(after_running, takes_no_second_log_and_nothing_else)
{
    static const enum stream_type wrong[] = {STREAM_LOG, STREAM_ALIVE, STREAM_DIGESTS, STREAM_RAM, STREAM_COMMIT};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct fixture fixture;

        set_up(&fixture, VERIFY_OFF);
        send_payload(&fixture, STREAM_LOG, "[]", 2);
        send_payload(&fixture, wrong[i], wrong[i] == STREAM_LOG ? "[]" : NULL, wrong[i] == STREAM_LOG ? 2 : 0);
        expect_invalid(&fixture);
    }
}

Test(after_running, a_page_compared_twice_does_not_stand_for_another)
{
    struct fixture fixture;

    set_up(&fixture, VERIFY_FULL);
    send_digests(&fixture, 0, PAGES / 2);
    send_digests(&fixture, 0, PAGES / 2);
    expect_invalid(&fixture);
}

Test(after_running, digests_that_were_asked_for_and_did_not_come_make_it_incomplete)
{
    struct fixture fixture;

    set_up(&fixture, VERIFY_FULL);
    send_digests(&fixture, 0, PAGES / 2);
    send_payload(&fixture, STREAM_LOG, "[]", 2);
    send_payload(&fixture, STREAM_BYE, NULL, 0);
    finish(&fixture);
    cr_expect(fixture.result == 0, "%s", fixture.error.text);
    cr_expect(log_has(&fixture, "digests of 2048 of 4096 pages came") && log_has(&fixture, "\"about_device\": true"));
    tear_down(&fixture);
}

static const char forged[] =
    "[{\"kind\":\"note\",\"role\":\"source\",\"leg\":0,\"time_ns\":1,\"text\":\"taken\"},"
    "{\"kind\":\"device\",\"role\":\"source\",\"leg\":0,\"time_ns\":1,\"index\":0,\"state_bytes\":77,"
    "\"ops_before\":1001,\"ops_after\":1002,\"in_flight_at_stop\":1003},"
    "{\"kind\":\"fact\",\"role\":\"source\",\"leg\":0,\"time_ns\":1,\"name\":\"ram.bytes\",\"value\":88},"
    "{\"kind\":\"fact\",\"role\":\"source\",\"leg\":0,\"time_ns\":1,\"name\":\"ram.pages_verified\",\"value\":1004},"
    "{\"kind\":\"fact\",\"role\":\"source\",\"leg\":0,\"time_ns\":1,\"name\":\"downtime_ns\",\"value\":1005},"
    "{\"kind\":\"outcome\",\"role\":\"source\",\"leg\":0,\"time_ns\":9,\"who\":\"finished\",\"status\":0,"
    "\"text\":\"forged\"},"
    "{\"kind\":\"check\",\"role\":\"source\",\"leg\":0,\"time_ns\":9,\"rule\":\"a/b\",\"result\":\"pass\","
    "\"text\":\"forged\"},"
    "{\"kind\":\"note\",\"role\":\"destination\",\"leg\":0,\"time_ns\":9,\"text\":\"forged\"},"
    "{\"kind\":\"note\",\"role\":\"source\",\"leg\":3,\"time_ns\":9,\"text\":\"forged\"},"
    "{\"kind\":\"chain\",\"role\":\"source\",\"leg\":0,\"time_ns\":9,\"when\":\"end\",\"workload\":\"cpu\",\"device\":"
    "0,"
    "\"index\":0,\"parameter\":0,\"operations\":1006,\"digest\":\"0x0000000000000001\","
    "\"expected\":\"0x0000000000000001\",\"submitted\":0,\"interrupts\":0}, 5]";

/* The number as a whole member, not as the beginning of another. */
static bool log_has_number(struct fixture *fixture, unsigned int number)
{
    char before_another[32], last[32];

    snprintf(before_another, sizeof(before_another), ": %u,", number);
    snprintf(last, sizeof(last), ": %u}", number);
    return log_has(fixture, before_another) || log_has(fixture, last);
}

Test(source_log, is_no_evidence_of_what_the_destination_did)
{
    struct stream_record record = {.type = STREAM_LOG, .data = forged, .size = strlen(forged)};
    struct fixture fixture = {.log = event_log_new("destination", -1)};

    cr_assert(source_log_merge(fixture.log, 0, &record, &fixture.error) == 0, "%s", fixture.error.text);
    cr_expect(log_has(&fixture, "taken") && log_has_number(&fixture, 77) && log_has_number(&fixture, 88));
    cr_expect(!log_has(&fixture, "forged"));
    for (unsigned int number = 1001; number <= 1006; number++)
        cr_expect(!log_has_number(&fixture, number), "%u", number);
    tear_down(&fixture);
}

Test(source_log, that_is_no_array_is_refused)
{
    static const char *const wrong[] = {"", "{}", "[", "5", "[1]x"};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct stream_record record = {.type = STREAM_LOG, .data = wrong[i], .size = strlen(wrong[i])};
        struct error error = ERROR_INIT;

        cr_expect(source_log_merge(NULL, 0, &record, &error) == -1 && !strcmp(error.rule, "stream/invalid"), "%zu", i);
    }
}
