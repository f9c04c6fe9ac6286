/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RAM handed over as it is: what a destination takes for it, and what a source finds that lets others write to it. */
#include <criterion/criterion.h>
#include <endian.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/migrate/handover.h"
#include "vmm/migrate/ram_share.h"

#define MEMORY (16u << 20)
#define PAGES (MEMORY / RAM_PAGE_SIZE)
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

static int new_memfd(unsigned int seals)
{
    int fd = memfd_create("ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    cr_assert(fd >= 0 && ftruncate(fd, MEMORY) == 0 && fcntl(fd, F_ADD_SEALS, seals) == 0);
    return fd;
}

/* RAM_SHARED as a source sends it, of these descriptors, received on the other side. */
static int pass(struct ram_shared *shared, const int *fds, size_t count, uint64_t grown, size_t cut,
                struct error *error)
{
    struct stream sender, receiver;
    struct stream_record record;
    int came[BOARD_RAM_RANGES_MAX];
    size_t came_count = BOARD_RAM_RANGES_MAX;
    uint64_t payload[3 * BOARD_RAM_RANGES_MAX];
    int pair[2];
    int result;

    for (size_t i = 0; i < count; i++) {
        struct stat status;

        cr_assert(fstat(fds[i], &status) == 0);
        payload[3 * i] = htole64(status.st_dev);
        payload[3 * i + 1] = htole64(status.st_ino);
        payload[3 * i + 2] = htole64((uint64_t)status.st_size + grown);
    }
    cr_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    stream_open(&sender, pair[0], "the destination");
    stream_open(&receiver, pair[1], "the source");
    cr_assert(stream_send(&sender, STREAM_ALIVE, 0, NULL, 0, soon(), NULL) == 0);
    cr_assert(stream_send_fds(&sender, STREAM_RAM_SHARED, 0, payload, 24 * count - cut, fds, count, soon(), NULL) == 0);
    cr_assert(stream_receive(&receiver, &record, soon(), NULL) == 0);
    cr_assert(stream_receive_fds(&receiver, &record, came, &came_count, soon(), error) == 0, "%s", error->text);
    cr_assert(record.type == STREAM_RAM_SHARED && came_count == count);
    result = ram_shared_receive(shared, &record, came, came_count, error);
    stream_close(&sender);
    stream_close(&receiver);
    return result;
}

static void expect_refused(const int *fds, size_t count, uint64_t grown, size_t cut, const char *why)
{
    struct ram_shared shared;
    struct error error = ERROR_INIT;

    cr_expect(pass(&shared, fds, count, grown, cut, &error) < 0, "%s", why);
    cr_expect(!strcmp(error.rule, "stream/invalid") && strstr(error.text, why), "%s: %s", why, error.text);
    cr_expect(shared.ranges == 0);
}

Test(ram_share, takes_sealed_memfds_and_nothing_else)
{
    char path[] = "/tmp/stopcopy-ram-XXXXXX";
    int good[2] = {new_memfd(F_SEAL_SHRINK), new_memfd(F_SEAL_SHRINK | F_SEAL_GROW)};
    int open_ended = new_memfd(F_SEAL_GROW), read_only = new_memfd(F_SEAL_SHRINK | F_SEAL_WRITE);
    int twice[2] = {good[0], good[0]};
    int file = mkstemp(path), null = open("/dev/null", O_RDWR);
    struct error error = ERROR_INIT;
    struct ram_shared shared;

    cr_assert(unlink(path) == 0 && ftruncate(file, MEMORY) == 0);
    cr_assert(pass(&shared, good, 2, 0, 0, &error) == 0, "%s", error.text);
    cr_expect(shared.ranges == 2 && shared.fd[0] != good[0] && shared.identity[1].size == MEMORY);
    ram_shared_close(&shared);
    cr_expect(fcntl(good[0], F_GETFD) >= 0, "the sender's descriptors stay its own");
    expect_refused(&open_ended, 1, 0, 0, "not sealed");
    expect_refused(&read_only, 1, 0, 0, "not writable");
    expect_refused(&file, 1, 0, 0, file >= 0 && fcntl(file, F_GET_SEALS) < 0 ? "not a memfd" : "not sealed");
    expect_refused(&null, 1, 0, 0, "not a memfd");
    expect_refused(twice, 2, 0, 0, "the same memory");
    expect_refused(good, 1, 4096, 0, "not the one that the record describes");
    expect_refused(good, 2, 0, 8, "2 descriptors came with 40 bytes");
    expect_refused(good, 0, 0, 0, "0 descriptors");
}

Test(ram_share, more_descriptors_than_ranges_are_refused_and_closed)
{
    int fds[BOARD_RAM_RANGES_MAX + 1], came[BOARD_RAM_RANGES_MAX];
    size_t count = BOARD_RAM_RANGES_MAX;
    struct error error = ERROR_INIT;
    struct stream sender, receiver;
    struct stream_record record;
    int pair[2], before, after;

    for (size_t i = 0; i < BOARD_RAM_RANGES_MAX + 1; i++)
        fds[i] = new_memfd(F_SEAL_SHRINK);
    cr_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    stream_open(&sender, pair[0], "the destination");
    stream_open(&receiver, pair[1], "the source");
    before = dup(0);
    close(before);
    cr_assert(stream_send_fds(&sender, STREAM_RAM_SHARED, 0, NULL, 0, fds, BOARD_RAM_RANGES_MAX + 1, soon(), NULL) ==
              0);
    cr_expect(stream_receive_fds(&receiver, &record, came, &count, soon(), &error) < 0 && count == 0);
    after = dup(0);
    cr_expect(after == before, "a descriptor is left open");
    close(after);
    stream_close(&sender);
    stream_close(&receiver);
}

Test(ram_share, is_not_possible_over_tcp)
{
    struct error error = ERROR_INIT;
    int tcp = socket(AF_INET, SOCK_STREAM, 0), local = socket(AF_UNIX, SOCK_STREAM, 0);

    cr_expect(ram_share_possible(tcp, &error) < 0 && strstr(error.text, "UNIX socket only"), "%s", error.text);
    cr_expect(ram_share_possible(local, &error) == 0);
    close(tcp);
    close(local);
}

/* A source that shares its RAM with a destination, which is this test. */
struct fixture {
    struct machine *machine;
    struct event_log *log;
    struct source *source;
    struct stream stream;
    pthread_t thread;
    enum handover_outcome outcome;
    struct error error;
};

static void *migrate(void *argument)
{
    struct fixture *fixture = argument;

    fixture->outcome = HANDOVER_ON_SOURCE;
    if (source_prepare(fixture->source, &fixture->error) == 0)
        fixture->outcome = source_migrate(fixture->source, &fixture->error);
    return NULL;
}

static uint8_t *share_and_stop(struct fixture *fixture)
{
    struct board_wishes wishes = {.memory_size = MEMORY, .vcpus = 1, .wanted[WORKLOAD_CPU] = true};
    struct source_config config = {.peer = "the destination",
                                   .share_ram = true,
                                   .timeout_ns = TIMEOUT_NS,
                                   .message_timeout_ns = TIMEOUT_NS,
                                   .arc_timeout_ns = TIMEOUT_NS};
    size_t count = BOARD_RAM_RANGES_MAX;
    struct handover_hello hello;
    struct stream_record record;
    struct ram_shared shared;
    struct board board;
    int fds[BOARD_RAM_RANGES_MAX];
    uint8_t *ram;
    int pair[2];

    need_kvm();
    memset(fixture, 0, sizeof(*fixture));
    cr_assert(board_describe(&wishes, NULL, 0, &board, &fixture->error) == 0, "%s", fixture->error.text);
    fixture->machine = config.machine = machine_new(&board, NULL, NULL, &fixture->error);
    cr_assert(fixture->machine, "%s", fixture->error.text);
    cr_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    stream_open(&fixture->stream, pair[0], "the source");
    config.fd = pair[1];
    config.log = fixture->log = event_log_new("source", -1);
    fixture->source = source_new(&config, &fixture->error);
    cr_assert(fixture->source && pthread_create(&fixture->thread, NULL, migrate, fixture) == 0);
    cr_assert(handover_hello_receive(&fixture->stream, true, &hello, soon(), NULL) == 0);
    cr_assert(handover_hello_send(&fixture->stream, false, true, 0, soon(), NULL) == 0);
    cr_assert(stream_receive_fds(&fixture->stream, &record, fds, &count, soon(), NULL) == 0 && count == 1);
    cr_assert(ram_shared_receive(&shared, &record, fds, count, NULL) == 0);
    ram = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, shared.fd[0], 0);
    cr_assert(ram != MAP_FAILED);
    ram_shared_close(&shared);
    cr_assert(stream_receive(&fixture->stream, &record, soon(), NULL) == 0 && record.type == STREAM_BOARD);
    cr_assert(stream_send(&fixture->stream, STREAM_PREPARED, 0, NULL, 0, soon(), NULL) == 0);
    do
        cr_assert(stream_receive(&fixture->stream, &record, soon(), NULL) == 0 && record.type != STREAM_CANCELLED &&
                  record.type != STREAM_RAM);
    while (record.type != STREAM_END);
    return ram;
}

static void refuse(struct fixture *fixture)
{
    cr_assert(stream_send_text(&fixture->stream, STREAM_REFUSED, "no", soon(), NULL) == 0);
    pthread_join(fixture->thread, NULL);
    cr_expect(fixture->outcome == HANDOVER_ON_SOURCE, "%s", fixture->error.text);
    machine_pause(fixture->machine, soon(), NULL);
    source_free(fixture->source);
    machine_free(fixture->machine);
    stream_close(&fixture->stream);
}

static bool log_has(struct fixture *fixture, const char *text)
{
    json_t *events = event_log_events(fixture->log);
    char *all = json_dumps(events, JSON_COMPACT);
    bool found = all && strstr(all, text);

    json_decref(events);
    free(all);
    return found;
}

Test(ram_share, a_handover_that_is_called_off_leaves_every_page_as_it_was)
{
    struct fixture fixture;

    share_and_stop(&fixture);
    refuse(&fixture);
    cr_expect(log_has(&fixture, "\"name\":\"ram.pages_unchanged\",\"value\":4096"));
    cr_expect(!log_has(&fixture, "ram/written-while-stopped"));
    event_log_free(fixture.log);
}

Test(ram_share, a_destination_that_wrote_before_commit_is_found)
{
    struct fixture fixture;
    uint8_t *ram = share_and_stop(&fixture);

    ram[5 * RAM_PAGE_SIZE + 7] ^= 1;
    refuse(&fixture);
    cr_expect(log_has(&fixture, "\"name\":\"ram.pages_unchanged\",\"value\":4095"));
    cr_expect(log_has(&fixture, "ram/written-while-stopped") && log_has(&fixture, "the first at 0x5000"));
    event_log_free(fixture.log);
}
