/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who has the guest after what a destination, which is this test, answers to COMMIT. */
#include <criterion/criterion.h>
#include <endian.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/migrate/handover.h"

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
    struct machine *machine;
    struct source *source;
    struct stream stream;
    pthread_t thread;
    enum handover_outcome outcome;
    unsigned int asked;    /* where to stop */
    unsigned int liked_at; /* which time, from 1; 0: any instant will do */
    struct error error;
};

static bool stop_here(void *context)
{
    struct fixture *fixture = context;

    return ++fixture->asked >= fixture->liked_at;
}

static void *migrate(void *argument)
{
    struct fixture *fixture = argument;

    fixture->outcome = HANDOVER_LOST;
    if (source_prepare(fixture->source, &fixture->error) == 0)
        fixture->outcome = source_migrate(fixture->source, &fixture->error);
    return NULL;
}

static void set_up_liking(struct fixture *fixture, unsigned int liked_at)
{
    struct board_wishes wishes = {.memory_size = MEMORY, .vcpus = 1, .wanted[WORKLOAD_CPU] = true};
    struct source_config config = {.peer = "the destination",
                                   .timeout_ns = TIMEOUT_NS,
                                   .message_timeout_ns = TIMEOUT_NS,
                                   .arc_timeout_ns = TIMEOUT_NS};
    const char *builddir = getenv("top_builddir");
    struct board board;
    char image[4096];
    int pair[2];

    need_kvm();
    memset(fixture, 0, sizeof(*fixture));
    fixture->liked_at = liked_at;
    if (liked_at) {
        config.stop_here = stop_here;
        config.stop_here_context = fixture;
    }
    cr_assert(board_describe(&wishes, NULL, 0, &board, &fixture->error) == 0, "%s", fixture->error.text);
    fixture->machine = config.machine = machine_new(&board, NULL, NULL, &fixture->error);
    cr_assert(fixture->machine, "%s", fixture->error.text);
    snprintf(image, sizeof(image), "%s/guest/stopcopy-guest.elf", builddir ? builddir : ".");
    cr_assert(machine_load(fixture->machine, image, &fixture->error) == 0, "%s", fixture->error.text);
    cr_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    stream_open(&fixture->stream, pair[0], "the source");
    config.fd = pair[1];
    fixture->source = source_new(&config, &fixture->error);
    cr_assert(fixture->source);
    cr_assert(pthread_create(&fixture->thread, NULL, migrate, fixture) == 0);
}

static void set_up(struct fixture *fixture)
{
    set_up_liking(fixture, 0);
}

/* Up to COMMIT, as a destination does. */
static void take_everything(struct fixture *fixture)
{
    struct handover_hello hello;
    struct stream_record record;
    struct error error = ERROR_INIT;

    cr_assert(handover_hello_receive(&fixture->stream, true, &hello, soon(), &error) == 0, "%s", error.text);
    cr_assert(handover_hello_send(&fixture->stream, false, false, 0, soon(), &error) == 0);
    cr_assert(stream_receive(&fixture->stream, &record, soon(), &error) == 0 && record.type == STREAM_BOARD);
    cr_assert(stream_send(&fixture->stream, STREAM_PREPARED, 0, NULL, 0, soon(), &error) == 0);
    do
        cr_assert(stream_receive(&fixture->stream, &record, soon(), &error) == 0, "%s", error.text);
    while (record.type != STREAM_END && record.type != STREAM_CANCELLED);
    cr_assert(record.type == STREAM_END, "%.*s", (int)record.size, (const char *)record.data);
    cr_assert(stream_send(&fixture->stream, STREAM_READY, 0, NULL, 0, soon(), &error) == 0);
    cr_assert(stream_receive(&fixture->stream, &record, soon(), &error) == 0 && record.type == STREAM_COMMIT);
}

static void finish(struct fixture *fixture)
{
    pthread_join(fixture->thread, NULL);
    source_free(fixture->source);
    machine_free(fixture->machine);
    stream_close(&fixture->stream);
}

static const struct {
    enum stream_type type;
    enum handover_outcome outcome;
} answers[] = {
    {STREAM_REFUSED, HANDOVER_ON_SOURCE}, {STREAM_NOT_STARTED, HANDOVER_ON_SOURCE}, {STREAM_FAILED, HANDOVER_LOST},
    {STREAM_CANCELLED, HANDOVER_UNKNOWN}, {STREAM_RUNNING, HANDOVER_UNKNOWN}, /* without its time */
};

Test(source, has_the_guest_after_commit_only_where_the_destination_started_nothing)
{
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct fixture fixture;

        set_up(&fixture);
        take_everything(&fixture);
        stream_send(&fixture.stream, answers[i].type, 0, NULL, 0, soon(), NULL);
        finish(&fixture);
        cr_expect(fixture.outcome == answers[i].outcome, "%s: %d, %s", stream_type_name(answers[i].type),
                  (int)fixture.outcome, fixture.error.text);
    }
}

Test(source, says_why_a_destination_could_not_even_begin)
{
    struct fixture fixture;

    set_up(&fixture);
    stream_send_text(&fixture.stream, STREAM_REFUSED, "there is no such device", soon(), NULL);
    finish(&fixture);
    cr_expect(strstr(fixture.error.text, "there is no such device"), "%s", fixture.error.text);
}

Test(source, waits_as_long_as_the_destination_says_that_it_verifies)
{
    uint64_t resumed = 0;
    struct fixture fixture;

    set_up(&fixture);
    take_everything(&fixture);
    for (int i = 0; i < 100; i++)
        cr_assert(stream_send(&fixture.stream, STREAM_ALIVE, 0, NULL, 0, soon(), NULL) == 0);
    cr_assert(stream_send(&fixture.stream, STREAM_RUNNING, 0, &resumed, sizeof(resumed), soon(), NULL) == 0);
    finish(&fixture);
    cr_expect(fixture.outcome == HANDOVER_DONE, "%d, %s", (int)fixture.outcome, fixture.error.text);
}

Test(source, does_not_wait_for_a_destination_that_verifies_for_ever)
{
    struct fixture fixture;

    set_up(&fixture);
    take_everything(&fixture);
    for (int i = 0; i < 10000; i++)
        if (stream_send(&fixture.stream, STREAM_ALIVE, 0, NULL, 0, soon(), NULL) < 0)
            break;
    finish(&fixture);
    cr_expect(fixture.outcome == HANDOVER_UNKNOWN, "%d, %s", (int)fixture.outcome, fixture.error.text);
}

Test(source, stops_where_it_is_told_to_or_does_not_look_for_it_for_ever)
{
    static const struct {
        unsigned int liked_at, asked;
    } cases[] = {{1, 1}, {3, 3}, {UINT32_MAX, 19}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t resumed = 0;
        struct fixture fixture;

        set_up_liking(&fixture, cases[i].liked_at);
        take_everything(&fixture);
        cr_assert(stream_send(&fixture.stream, STREAM_RUNNING, 0, &resumed, sizeof(resumed), soon(), NULL) == 0);
        finish(&fixture);
        cr_expect(fixture.outcome == HANDOVER_DONE, "%d, %s", (int)fixture.outcome, fixture.error.text);
        cr_expect(fixture.asked == cases[i].asked, "%u", fixture.asked);
    }
}
