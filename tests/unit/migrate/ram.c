/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RAM on its way from one machine to another, in rounds, and RAM records that do not fit. */
#include <criterion/criterion.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/migrate/ram.h"

#define MEMORY (16u << 20)
#define PAGE(number) ((uint64_t)(number)*RAM_PAGE_SIZE)

struct ends {
    struct machine *from, *to;
    struct stream out, in;
    struct ram_sender sender;
    struct page_set pages;
    struct ram_totals received;
};

static void need_kvm(void)
{
    const char *required = getenv("STOPCOPY_REQUIRE_KVM");

    if (access("/dev/kvm", R_OK | W_OK) == 0)
        return;
    if (required && !strcmp(required, "1"))
        cr_assert_fail("/dev/kvm is not there, and STOPCOPY_REQUIRE_KVM=1");
    cr_skip_test("/dev/kvm is not there");
}

static struct machine *new_machine(void)
{
    struct board_wishes wishes = {.memory_size = MEMORY, .vcpus = 1, .wanted[WORKLOAD_CPU] = true};
    struct error error = ERROR_INIT;
    struct machine *machine;
    struct board board;

    cr_assert(board_describe(&wishes, NULL, 0, &board, &error) == 0, "%s", error.text);
    machine = machine_new(&board, NULL, NULL, &error);
    cr_assert(machine, "%s", error.text);
    return machine;
}

static void open_ends(struct ends *ends)
{
    struct error error = ERROR_INIT;
    int pair[2];

    need_kvm();
    *ends = (struct ends){.from = new_machine(), .to = new_machine()};
    cr_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    stream_open(&ends->out, pair[0], "the destination");
    stream_open(&ends->in, pair[1], "the source");
    ram_sender_init(&ends->sender, ends->from, &ends->out, 5000000000u);
    cr_assert(ram_sender_prepare(&ends->sender, &error) == 0, "%s", error.text);
    cr_assert(page_set_init(&ends->pages, ends->from, &error) == 0, "%s", error.text);
}

static void close_ends(struct ends *ends)
{
    page_set_free(&ends->pages);
    ram_sender_free(&ends->sender);
    stream_close(&ends->out);
    stream_close(&ends->in);
    machine_free(ends->from);
    machine_free(ends->to);
}

static uint8_t *at(struct machine *machine, uint64_t page)
{
    return machine_ram(machine, PAGE(page), RAM_PAGE_SIZE);
}

/* Sends these pages, and an ALIVE to mark the end. Returns how many records they took. */
static unsigned int send_round(struct ends *ends, bool live)
{
    struct error error = ERROR_INIT;
    uint32_t before = ends->out.sent;

    cr_assert(ram_send_pages(&ends->sender, &ends->pages, live, &error) == 0, "%s", error.text);
    page_set_clear(&ends->pages);
    before = ends->out.sent - before;
    cr_assert(stream_send(&ends->out, STREAM_ALIVE, 0, NULL, 0, deadline_in_ms(5000), &error) == 0);
    return before;
}

static void receive_round(struct ends *ends)
{
    struct error error = ERROR_INIT;
    struct stream_record record;

    for (;;) {
        cr_assert(stream_receive(&ends->in, &record, deadline_in_ms(5000), &error) == 0, "%s", error.text);
        if (record.type == STREAM_ALIVE)
            return;
        if (record.type == STREAM_RAM)
            cr_assert(ram_receive(ends->to, &record, &ends->received, &error) == 0, "%s", error.text);
        else if (record.type == STREAM_RAM_ZERO)
            cr_assert(ram_receive_zero(ends->to, &record, &error) == 0, "%s", error.text);
        else
            cr_assert_fail("%s", stream_type_name(record.type));
    }
}

static void expect_same(struct ends *ends)
{
    cr_expect(!memcmp(machine_ram(ends->from, 0, MEMORY), machine_ram(ends->to, 0, MEMORY), MEMORY));
}

Test(ram, in_rounds_has_what_each_page_was_last)
{
    struct ends ends;

    open_ends(&ends);
    memset(at(ends.from, 10), 1, RAM_PAGE_SIZE);
    memset(at(ends.from, 11), 2, RAM_PAGE_SIZE);
    at(ends.from, 70)[4095] = 3;
    page_set_fill(&ends.pages);
    cr_expect(send_round(&ends, true) == 2);
    receive_round(&ends);
    expect_same(&ends);
    cr_expect(ends.received.pages == 3 && ends.sender.totals.pages == 3 && ends.sender.totals.bytes == 3 * 4096);
    memset(at(ends.from, 10), 4, RAM_PAGE_SIZE);
    page_set_add(&ends.pages, 0, 10);
    cr_expect(send_round(&ends, false) == 1);
    receive_round(&ends);
    expect_same(&ends);
    close_ends(&ends);
}

Test(ram, that_became_zero_is_zero_at_the_destination)
{
    struct ends ends;

    open_ends(&ends);
    for (unsigned int page = 10; page < 14; page++)
        memset(at(ends.from, page), 1, RAM_PAGE_SIZE);
    page_set_fill(&ends.pages);
    send_round(&ends, true);
    receive_round(&ends);
    memset(at(ends.from, 11), 0, RAM_PAGE_SIZE);
    memset(at(ends.from, 12), 0, RAM_PAGE_SIZE);
    page_set_fill(&ends.pages);
    cr_expect(send_round(&ends, true) == 3, "data, zero, data");
    receive_round(&ends);
    expect_same(&ends);
    /* It is known to be zero there. */
    page_set_add(&ends.pages, 0, 11);
    /* And this one never was anything else. */
    page_set_add(&ends.pages, 0, 200);
    cr_expect(send_round(&ends, true) == 0);
    receive_round(&ends);
    /* Written once more, it goes as data again, and is zero again later. */
    memset(at(ends.from, 11), 5, RAM_PAGE_SIZE);
    page_set_add(&ends.pages, 0, 11);
    send_round(&ends, true);
    receive_round(&ends);
    memset(at(ends.from, 11), 0, RAM_PAGE_SIZE);
    page_set_add(&ends.pages, 0, 11);
    cr_expect(send_round(&ends, false) == 1);
    receive_round(&ends);
    expect_same(&ends);
    close_ends(&ends);
}

Test(ram, goes_in_records_of_bounded_size_and_only_as_asked)
{
    const unsigned int count = 1000;
    struct ends ends;

    open_ends(&ends);
    for (unsigned int page = 100; page < 100 + count; page++)
        memset(at(ends.from, page), 1, RAM_PAGE_SIZE);
    page_set_add(&ends.pages, 0, 100);
    page_set_add(&ends.pages, 0, 100 + count - 1);
    cr_expect(send_round(&ends, true) == 2);
    receive_round(&ends);
    cr_expect(ends.received.pages == 2);
    cr_expect(at(ends.to, 100)[0] == 1 && at(ends.to, 101)[0] == 0 && at(ends.to, 100 + count - 1)[0] == 1);
    close_ends(&ends);
}

Test(ram, that_a_fault_leaves_behind_stays_behind_in_every_round)
{
    struct ends ends;

    open_ends(&ends);
    ends.sender.skip_from = PAGE(11);
    for (unsigned int round = 1; round < 4; round++) {
        memset(at(ends.from, 10), (int)round, RAM_PAGE_SIZE);
        memset(at(ends.from, 20), (int)round, RAM_PAGE_SIZE);
        memset(at(ends.from, 30), (int)round, RAM_PAGE_SIZE);
        page_set_fill(&ends.pages);
        send_round(&ends, true);
        receive_round(&ends);
        cr_expect(at(ends.to, 10)[0] == round && at(ends.to, 20)[0] == 0 && at(ends.to, 30)[0] == round);
    }
    close_ends(&ends);
}

Test(ram, records_that_say_zero_outside_of_it_are_refused)
{
    static const uint64_t wrong[][2] = {
        {0, 0},
        {1, 4096},
        {0, 4095},
        {MEMORY, 4096},
        {MEMORY - 4096, 8192},
        {0, 2u << 20},
        {UINT64_MAX - 4095, 4096},
        {4096, UINT64_MAX - 4095},
    };
    struct error error = ERROR_INIT;
    struct ends ends;

    open_ends(&ends);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint64_t payload[2] = {htole64(wrong[i][0]), htole64(wrong[i][1])};
        struct stream_record record = {.type = STREAM_RAM_ZERO, .data = payload, .size = sizeof(payload)};

        cr_expect(ram_receive_zero(ends.to, &record, &error) == -1 && !strcmp(error.rule, "stream/invalid"), "%zu", i);
        record.size = 12;
        cr_expect(ram_receive_zero(ends.to, &record, &error) == -1);
        record.size = sizeof(payload);
        record.instance = 1;
        cr_expect(ram_receive_zero(ends.to, &record, &error) == -1);
    }
    close_ends(&ends);
}

Test(page_set, counts_pages_of_ranges_that_do_not_fill_their_last_word)
{
    uint64_t words[2] = {0};
    struct page_set set = {.ranges = 1, .pages = {70}, .words = {words}};

    page_set_fill(&set);
    cr_expect(page_set_count(&set) == 70 && words[1] == 0x3f);
    page_set_remove(&set, 0, 69);
    cr_expect(page_set_count(&set) == 69 && !page_set_has(&set, 0, 69) && page_set_has(&set, 0, 68));
    page_set_clear(&set);
    cr_expect(page_set_count(&set) == 0);
}
