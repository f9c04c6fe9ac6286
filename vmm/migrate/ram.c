/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/migrate/ram.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "vmm/report/event_log.h"

/* In place of a digest: no comparison. */
#define DIGEST_UNKNOWN 0u

static const uint8_t zero_page[RAM_PAGE_SIZE];

/* One range of RAM, as the functions here walk it. */
struct walk {
    unsigned int range;
    const uint8_t *host;
    uint64_t size;
    int fd;
};

static int walk_begin(struct machine *machine, unsigned int range, struct walk *walk, struct error *error)
{
    const struct board_ram *ram = &machine_board(machine)->ram[range];

    *walk = (struct walk){.range = range,
                          .host = machine_ram(machine, ram->start, ram->size),
                          .size = ram->size,
                          .fd = machine_ram_fd(machine, range)};
    return walk->host ? 0 : error_set(error, EFAULT, "RAM range %u", range);
}

/*
 * The next extent at or after *start that is not a hole: a scan of a memfd's holes would allocate them. Returns 1 with
 * [*start, *end), 0 when there is none.
 */
static int next_extent(const struct walk *walk, uint64_t *start, uint64_t *end, struct error *error)
{
    off_t data, hole;

    if (*start >= walk->size)
        return 0;
    data = lseek(walk->fd, (off_t)*start, SEEK_DATA);
    if (data < 0 && errno == ENXIO)
        return 0;
    hole = data < 0 ? -1 : lseek(walk->fd, data, SEEK_HOLE);
    if (hole < 0)
        return error_set(error, errno, "looking for the holes of RAM range %u", walk->range);
    *start = (uint64_t)data & ~(uint64_t)(RAM_PAGE_SIZE - 1);
    *end = (uint64_t)hole > walk->size ? walk->size : (uint64_t)hole;
    *end = (*end + RAM_PAGE_SIZE - 1) & ~(uint64_t)(RAM_PAGE_SIZE - 1);
    return *start < walk->size;
}

static bool page_is_zero(const struct walk *walk, uint64_t offset)
{
    return !memcmp(walk->host + offset, zero_page, RAM_PAGE_SIZE);
}

/* What is to be done with a page, and with a run of such pages. */
enum page_kind {
    PAGE_LEFT_OUT,
    PAGE_DATA,
    PAGE_ZERO,
};

void ram_sender_init(struct ram_sender *sender, struct machine *machine, struct stream *stream, uint64_t timeout_ns)
{
    *sender = (struct ram_sender){.machine = machine,
                                  .stream = stream,
                                  .timeout_ns = timeout_ns,
                                  .skip_from = RAM_SKIP_NONE,
                                  .skipped = RAM_SKIP_NONE};
}

void ram_sender_free(struct ram_sender *sender)
{
    free(sender->copy);
    sender->copy = NULL;
    for (unsigned int range = 0; range < BOARD_RAM_RANGES_MAX; range++) {
        free(sender->digest[range]);
        sender->digest[range] = NULL;
    }
    page_set_free(&sender->sent);
}

/* What was never sent is zero at the destination. */
static int prepare_digests(struct ram_sender *sender, unsigned int range, struct error *error)
{
    uint64_t pages = machine_board(sender->machine)->ram[range].size / RAM_PAGE_SIZE;
    uint64_t zero = XXH3_64bits(zero_page, RAM_PAGE_SIZE);

    sender->digest[range] = malloc(pages * sizeof(uint64_t));
    if (!sender->digest[range])
        return error_set(error, ENOMEM, "sending RAM in rounds");
    for (uint64_t page = 0; page < pages; page++)
        sender->digest[range][page] = zero;
    return 0;
}

int ram_sender_prepare(struct ram_sender *sender, struct error *error)
{
    sender->copy = malloc(STREAM_DATA_MAX);
    if (!sender->copy)
        return error_set(error, ENOMEM, "sending RAM in rounds");
    for (unsigned int range = 0; range < machine_board(sender->machine)->ram_ranges; range++)
        if (prepare_digests(sender, range, error) < 0)
            return -1;
    return page_set_init(&sender->sent, sender->machine, error);
}

static void note_digest(struct ram_sender *sender, unsigned int range, uint64_t page, uint64_t digest)
{
    uint64_t *known = sender->digest[range];

    if (!known)
        return;
    if (sender->changed && known[page] != DIGEST_UNKNOWN && known[page] != digest)
        sender->changed(sender->changed_context, range, page);
    known[page] = digest;
}

/* One pass over RAM. */
struct pass {
    struct ram_sender *sender;
    const struct page_set *only; /* NULL: every page */
    bool live;
};

static int send_data(struct pass *pass, const struct walk *walk, uint64_t start, uint64_t end, struct error *error)
{
    struct ram_sender *sender = pass->sender;
    uint64_t head = htole64(start);
    const void *data = walk->host + start;

    if (pass->live)
        /* The checksum and what is sent must be of the same bytes. */
        data = memcpy(sender->copy, data, end - start);
    if (stream_send_parts(sender->stream, STREAM_RAM, walk->range, &head, sizeof(head), data, end - start,
                          deadline_in_ns(sender->timeout_ns), error) < 0)
        return -1;
    sender->totals.pages += (end - start) / RAM_PAGE_SIZE;
    sender->totals.bytes += end - start;
    if (sender->meanwhile)
        sender->meanwhile(sender->meanwhile_context);
    for (uint64_t page = start / RAM_PAGE_SIZE; pass->only && page < end / RAM_PAGE_SIZE; page++) {
        page_set_add(&sender->sent, walk->range, page);
        note_digest(sender, walk->range, page,
                    XXH3_64bits((const uint8_t *)data + page * RAM_PAGE_SIZE - start, RAM_PAGE_SIZE));
    }
    return 0;
}

static int send_zero(struct pass *pass, const struct walk *walk, uint64_t start, uint64_t end, struct error *error)
{
    struct ram_sender *sender = pass->sender;
    uint64_t payload[2] = {htole64(start), htole64(end - start)};

    if (stream_send(sender->stream, STREAM_RAM_ZERO, walk->range, payload, sizeof(payload),
                    deadline_in_ns(sender->timeout_ns), error) < 0)
        return -1;
    for (uint64_t page = start / RAM_PAGE_SIZE; page < end / RAM_PAGE_SIZE; page++) {
        page_set_remove(&sender->sent, walk->range, page);
        note_digest(sender, walk->range, page, XXH3_64bits(zero_page, RAM_PAGE_SIZE));
    }
    return 0;
}

static int send_run(struct pass *pass, const struct walk *walk, enum page_kind kind, uint64_t start, uint64_t end,
                    struct error *error)
{
    if (start == end || kind == PAGE_LEFT_OUT)
        return 0;
    return kind == PAGE_DATA ? send_data(pass, walk, start, end, error) : send_zero(pass, walk, start, end, error);
}

/* The fault: should this page, which holds data, stay behind? */
static bool skipped(struct ram_sender *sender, const struct walk *walk, uint64_t offset)
{
    if (walk->range != 0)
        return false;
    if (offset >= sender->skip_from) {
        sender->skipped = offset;
        sender->skip_from = RAM_SKIP_NONE;
    }
    /* No log is to blame for it. */
    if (offset == sender->skipped && sender->digest[walk->range])
        sender->digest[walk->range][offset / RAM_PAGE_SIZE] = DIGEST_UNKNOWN;
    return offset == sender->skipped;
}

static enum page_kind kind_of(const struct pass *pass, const struct walk *walk, uint64_t offset)
{
    uint64_t page = offset / RAM_PAGE_SIZE;

    if (pass->only && !page_set_has(pass->only, walk->range, page))
        return PAGE_LEFT_OUT;
    if (page_is_zero(walk, offset))
        return pass->only && page_set_has(&pass->sender->sent, walk->range, page) ? PAGE_ZERO : PAGE_LEFT_OUT;
    return skipped(pass->sender, walk, offset) ? PAGE_LEFT_OUT : PAGE_DATA;
}

static int send_extent(struct pass *pass, const struct walk *walk, uint64_t start, uint64_t end, struct error *error)
{
    const uint64_t *words = pass->only ? pass->only->words[walk->range] : NULL;
    enum page_kind kind = PAGE_LEFT_OUT;
    uint64_t run = start;

    for (uint64_t offset = start; offset < end; offset += RAM_PAGE_SIZE) {
        uint64_t page = offset / RAM_PAGE_SIZE;
        enum page_kind next;

        if (words && kind == PAGE_LEFT_OUT && page % 64 == 0 && !words[page / 64]) {
            offset += (uint64_t)63 * RAM_PAGE_SIZE;
            continue;
        }
        next = kind_of(pass, walk, offset);
        if (next == kind && (kind == PAGE_LEFT_OUT || offset - run < STREAM_DATA_MAX))
            continue;
        if (send_run(pass, walk, kind, run, offset, error) < 0)
            return -1;
        kind = next;
        run = offset;
    }
    return send_run(pass, walk, kind, run, end, error);
}

static int send_pass(struct pass *pass, struct error *error)
{
    struct machine *machine = pass->sender->machine;

    for (unsigned int range = 0; range < machine_board(machine)->ram_ranges; range++) {
        struct walk walk;
        uint64_t start = 0, end;
        int found;

        if (walk_begin(machine, range, &walk, error) < 0)
            return -1;
        while ((found = next_extent(&walk, &start, &end, error)) > 0) {
            if (send_extent(pass, &walk, start, end, error) < 0)
                return -1;
            start = end;
        }
        if (found < 0)
            return -1;
    }
    return 0;
}

int ram_send_all(struct ram_sender *sender, struct error *error)
{
    struct pass pass = {.sender = sender};

    return send_pass(&pass, error);
}

int ram_send_pages(struct ram_sender *sender, const struct page_set *pages, bool live, struct error *error)
{
    struct pass pass = {.sender = sender, .only = pages, .live = live};

    return send_pass(&pass, error);
}

void ram_sender_judge_logs(const struct ram_sender *sender, const struct ram_digests *last, struct event_log *log)
{
    uint64_t missed = 0, first = 0;

    for (unsigned int range = 0; range < last->ranges; range++) {
        const uint64_t *sent = sender->digest[range];

        for (uint64_t page = 0; sent && page < last->pages[range]; page++)
            if (sent[page] != DIGEST_UNKNOWN && sent[page] != last->digest[range][page] && !missed++)
                first = machine_board(sender->machine)->ram[range].start + page * RAM_PAGE_SIZE;
    }
    if (missed)
        event_finding(log, "ram/log-missed",
                      "%" PRIu64 " pages changed after they were sent, and no dirty log had them, neither KVM's nor a "
                      "device's; the first at 0x%" PRIx64,
                      missed, first);
}

/*
 * Pages that are new are had by a write in half the time of a fault for each of them, which zeroes them first. Whatever is
 * left of it goes the other way.
 */
static void store(int fd, uint8_t *host, const uint8_t *data, size_t size, uint64_t offset)
{
    size_t done = 0;

    while (done < size) {
        ssize_t count = pwrite(fd, data + done, size - done, (off_t)(offset + done));

        if (count <= 0)
            break;
        done += (size_t)count;
    }
    memcpy(host + done, data + done, size - done);
}

int ram_receive(struct machine *machine, const struct stream_record *record, struct ram_totals *totals,
                struct error *error)
{
    const struct board *board = machine_board(machine);
    struct cursor cursor = cursor_over(record->data, record->size);
    uint64_t offset = cursor_get_u64(&cursor);
    uint8_t *host;

    if (cursor.failed || !cursor.left || cursor.left % RAM_PAGE_SIZE || offset % RAM_PAGE_SIZE ||
        record->instance >= board->ram_ranges || offset >= board->ram[record->instance].size ||
        cursor.left > board->ram[record->instance].size - offset)
        return error_rule(error, "stream/invalid", 0,
                          "a RAM record of %zu bytes at offset %" PRIu64 " of range %" PRIu32 " is outside of RAM",
                          record->size, offset, record->instance);
    host = machine_ram(machine, board->ram[record->instance].start + offset, cursor.left);
    if (!host)
        return error_set(error, EFAULT, "RAM range %" PRIu32, record->instance);
    totals->pages += cursor.left / RAM_PAGE_SIZE;
    totals->bytes += cursor.left;
    store(machine_ram_fd(machine, record->instance), host, cursor.data, cursor.left, offset);
    return 0;
}

int ram_receive_zero(struct machine *machine, const struct stream_record *record, struct error *error)
{
    const struct board *board = machine_board(machine);
    struct cursor cursor = cursor_over(record->data, record->size);
    uint64_t offset = cursor_get_u64(&cursor);
    uint64_t size = cursor_get_u64(&cursor);
    void *host;

    if (!cursor_at_end(&cursor) || !size || size > STREAM_DATA_MAX || (offset | size) % RAM_PAGE_SIZE ||
        record->instance >= board->ram_ranges || offset >= board->ram[record->instance].size ||
        size > board->ram[record->instance].size - offset)
        return error_rule(error, "stream/invalid", 0,
                          "a RAM_ZERO record of %" PRIu64 " bytes at offset %" PRIu64 " of range %" PRIu32
                          " is outside of RAM",
                          size, offset, record->instance);
    host = machine_ram(machine, board->ram[record->instance].start + offset, size);
    if (!host)
        return error_set(error, EFAULT, "RAM range %" PRIu32, record->instance);
    memset(host, 0, size);
    return 0;
}

void ram_digests_free(struct ram_digests *digests)
{
    for (unsigned int range = 0; range < digests->ranges; range++)
        free(digests->digest[range]);
    *digests = (struct ram_digests){0};
}

#define MEANWHILE_PAGES (UINT64_C(1) << 16)

/* What is to be done while digests are taken. */
struct meanwhile {
    void (*call)(void *context); /* NULL: nothing */
    void *context;
};

static int take_range(const struct walk *walk, uint64_t *digest, const struct meanwhile *meanwhile, struct error *error)
{
    uint64_t zero = XXH3_64bits(zero_page, RAM_PAGE_SIZE);
    uint64_t page = 0;
    uint64_t start = 0, end;
    int found;

    while ((found = next_extent(walk, &start, &end, error)) > 0) {
        while (page < start / RAM_PAGE_SIZE)
            digest[page++] = zero;
        for (; page < end / RAM_PAGE_SIZE; page++) {
            digest[page] = XXH3_64bits(walk->host + page * RAM_PAGE_SIZE, RAM_PAGE_SIZE);
            if (page % MEANWHILE_PAGES == 0 && meanwhile->call)
                meanwhile->call(meanwhile->context);
        }
        start = end;
    }
    while (page < walk->size / RAM_PAGE_SIZE)
        digest[page++] = zero;
    return found;
}

int ram_digests_take(struct machine *machine, struct ram_digests *digests, struct error *error)
{
    return ram_digests_take_slowly(machine, digests, NULL, NULL, error);
}

int ram_digests_take_slowly(struct machine *machine, struct ram_digests *digests, void (*call)(void *context),
                            void *context, struct error *error)
{
    struct meanwhile meanwhile = {.call = call, .context = context};

    *digests = (struct ram_digests){0};
    for (unsigned int range = 0; range < machine_board(machine)->ram_ranges; range++) {
        struct walk walk;

        if (walk_begin(machine, range, &walk, error) < 0)
            goto fail;
        digests->pages[range] = walk.size / RAM_PAGE_SIZE;
        digests->digest[range] = malloc(digests->pages[range] * sizeof(uint64_t));
        digests->ranges = range + 1;
        if (!digests->digest[range]) {
            error_set(error, ENOMEM, "the digests of RAM range %u", range);
            goto fail;
        }
        if (take_range(&walk, digests->digest[range], &meanwhile, error) < 0)
            goto fail;
    }
    return 0;
fail:
    ram_digests_free(digests);
    return -1;
}

int ram_digests_send(const struct ram_digests *digests, struct stream *stream, uint64_t timeout_ns, struct error *error)
{
    const uint64_t most = STREAM_DATA_MAX / sizeof(uint64_t);

    for (unsigned int range = 0; range < digests->ranges; range++) {
        for (uint64_t page = 0; page < digests->pages[range]; page += most) {
            uint64_t count = digests->pages[range] - page < most ? digests->pages[range] - page : most;
            uint64_t head = htole64(page);

            /* Digests are sent as this host has them: the format is of x86-64, little endian. */
            if (stream_send_parts(stream, STREAM_DIGESTS, range, &head, sizeof(head), digests->digest[range] + page,
                                  count * sizeof(uint64_t), deadline_in_ns(timeout_ns), error) < 0)
                return -1;
        }
    }
    return 0;
}

int ram_digests_compare(const struct ram_digests *ours, const struct page_set *changed, struct machine *machine,
                        const struct stream_record *record, struct ram_comparison *comparison, struct error *error)
{
    struct cursor cursor = cursor_over(record->data, record->size);
    uint64_t page = cursor_get_u64(&cursor);
    uint64_t count = cursor.left / sizeof(uint64_t);

    if (cursor.failed || cursor.left % sizeof(uint64_t) || record->instance >= ours->ranges ||
        page > ours->pages[record->instance] || count > ours->pages[record->instance] - page || !count)
        return error_rule(error, "stream/invalid", 0, "digests for pages outside of RAM");
    if (record->instance != comparison->next_range || page != comparison->next_page)
        return error_rule(error, "stream/invalid", 0,
                          "digests from page %" PRIu64 " of RAM range %" PRIu32 " came where page %" PRIu64
                          " of range %u was due",
                          page, record->instance, comparison->next_page, comparison->next_range);
    comparison->next_page += count;
    if (comparison->next_page == ours->pages[record->instance]) {
        comparison->next_range++;
        comparison->next_page = 0;
    }
    for (; count; count--, page++) {
        uint64_t theirs = cursor_get_u64(&cursor);

        if (changed && page_set_has(changed, record->instance, page)) {
            comparison->changed++;
            continue;
        }
        comparison->compared++;
        if (theirs == ours->digest[record->instance][page])
            continue;
        if (!comparison->different++)
            comparison->first_different = machine_board(machine)->ram[record->instance].start + page * RAM_PAGE_SIZE;
    }
    return 0;
}
