/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The example of docs/writing-a-device.md: its registers, its interrupt, its migration, and its size. */
#include "config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <isa-l/crc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"

#define LINES_MAX 149

#define ADD 0x00
#define TALLY 0x08
#define THRESHOLD 0x10
#define COUNT 0x18
#define TABLE 0x20
#define PENDING 0x30
#define BAR_SIZE 0x40

/* Of the stream: header, the section's head, u32, u32, u64, configuration space, then the device's own part. */
#define HEADER_SIZE 16u
#define SECTION_HEAD 12u
#define RECORD_AT (HEADER_SIZE + SECTION_HEAD)
#define OWN_AT (RECORD_AT + 16u + 4096u)
#define RECORD_SIZE (16u + 4096u + 4u * 8u + 16u)

static const char *const tally[] = {"--model", "tally", NULL};

static void start(struct client *client)
{
    client_start(client, tally);
    client_negotiate(client);
    client_bus_master(client, true);
}

static uint64_t get(struct client *client, uint64_t offset)
{
    uint64_t value = 0;

    cr_assert_eq(client_region_read(client, 0, offset, &value, sizeof(value)), 0);
    return value;
}

static void put(struct client *client, uint64_t offset, uint64_t value)
{
    cr_assert_eq(client_region_write(client, 0, offset, &value, sizeof(value)), 0);
}

static int trigger(struct client *client)
{
    return client_trigger(client, VFIO_PCI_MSIX_IRQ_INDEX, 0);
}

static struct client_state save(struct client *client)
{
    uint64_t size = 0, left = 0;
    struct client_state state;

    cr_assert_eq(client_feature(client, VFIO_DEVICE_FEATURE_MIG_DATA_SIZE | VFIO_DEVICE_FEATURE_GET, &size, 0, 8), 0);
    cr_assert_eq(client_set_state(client, VFIO_DEVICE_STATE_STOP_COPY), 0);
    cr_assert_eq(client_feature(client, VFIO_DEVICE_FEATURE_MIG_DATA_SIZE | VFIO_DEVICE_FEATURE_GET, &left, 0, 8), 0);
    cr_assert_eq(left, size);
    state = client_save(client, 1000);
    cr_assert_eq(state.size, size);
    return state;
}

/* A tally of 12 by 2 writes. */
static struct client_state saved_state(uint64_t threshold)
{
    struct client client;
    struct client_state state;

    start(&client);
    put(&client, THRESHOLD, threshold);
    put(&client, ADD, 5);
    put(&client, ADD, 7);
    state = save(&client);
    client_stop(&client);
    return state;
}

static void expect_registers(struct client *client, uint64_t sum, uint64_t threshold, uint64_t count)
{
    cr_expect_eq(get(client, TALLY), sum);
    cr_expect_eq(get(client, THRESHOLD), threshold);
    cr_expect_eq(get(client, COUNT), count);
}

Test(tally, registers)
{
    struct client client;
    const uint64_t one = 1;
    uint32_t half = 0;
    uint16_t command = 0;

    start(&client);
    expect_registers(&client, 0, 0, 0);
    put(&client, ADD, 5);
    put(&client, ADD, 1ull << 40);
    put(&client, TALLY, 3);
    put(&client, COUNT, 3);
    expect_registers(&client, (1ull << 40) + 5, 0, 2);
    cr_expect_eq(get(&client, ADD), 0);
    cr_expect_eq(client_read32(&client, 0, TALLY + 4), 1u << 8);
    cr_expect_eq(client_region_write(&client, 0, ADD, &half, sizeof(half)), EINVAL);
    cr_expect_eq(client_region_write(&client, 0, ADD + 4, &one, sizeof(one)), EINVAL);
    cr_expect_neq(client_region_write(&client, 0, BAR_SIZE - 4, &one, sizeof(one)), 0);
    put(&client, ADD, UINT64_MAX);
    expect_registers(&client, UINT64_MAX, 0, 3);
    cr_assert_eq(client_reset(&client), 0);
    expect_registers(&client, 0, 0, 0);
    cr_assert_eq(client_region_read(&client, VFIO_PCI_CONFIG_REGION_INDEX, 4, &command, sizeof(command)), 0);
    cr_expect_eq(command, 0);
    client_stop(&client);
}

Test(tally, one_interrupt_when_the_threshold_is_reached)
{
    struct client client;
    int fd;

    start(&client);
    fd = trigger(&client);
    put(&client, ADD, 1);
    put(&client, THRESHOLD, 10);
    put(&client, ADD, 8);
    cr_expect_eq(client_event_count(fd, 0), 0, "9 is below 10");
    put(&client, ADD, 1);
    cr_expect_eq(client_event_count(fd, 0), 1);
    put(&client, ADD, 1);
    cr_expect_eq(client_event_count(fd, 0), 0, "the threshold was reached before");
    put(&client, THRESHOLD, 5);
    cr_expect_eq(client_event_count(fd, 0), 1, "a threshold that is reached already");
    cr_expect_eq(get(&client, PENDING), 0);
    close(fd);
    client_stop(&client);
}

Test(tally, an_interrupt_without_bus_mastering_or_trigger_is_pending)
{
    struct client client;
    int fd;

    start(&client);
    put(&client, THRESHOLD, 1);
    put(&client, ADD, 1);
    cr_expect_eq(get(&client, PENDING), 1);
    client_bus_master(&client, false);
    fd = trigger(&client);
    cr_expect_eq(client_event_count(fd, 0), 0);
    client_bus_master(&client, true);
    cr_expect_eq(client_event_count(fd, 0), 1);
    cr_expect_eq(get(&client, PENDING), 0);
    close(fd);
    client_stop(&client);
}

Test(tally, registers_are_frozen_in_stop)
{
    static const unsigned int states[] = {VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_STOP_COPY};
    struct client client;

    start(&client);
    put(&client, THRESHOLD, 20);
    put(&client, ADD, 5);
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        cr_assert_eq(client_set_state(&client, states[i]), 0);
        put(&client, ADD, 7);
        put(&client, THRESHOLD, 2);
        put(&client, TABLE, 0x1234);
        expect_registers(&client, 5, 20, 1);
        cr_expect_eq(get(&client, TABLE), 0);
    }
    cr_assert_eq(client_set_state(&client, VFIO_DEVICE_STATE_RUNNING), 0);
    expect_registers(&client, 5, 20, 1);
    put(&client, ADD, 7);
    expect_registers(&client, 12, 20, 2);
    client_stop(&client);
}

/* Peers may still write in RUNNING_P2P; what comes of it waits for RUNNING. */
Test(tally, no_interrupt_in_running_p2p)
{
    struct client client;
    int fd;

    start(&client);
    fd = trigger(&client);
    put(&client, THRESHOLD, 5);
    cr_assert_eq(client_set_state(&client, VFIO_DEVICE_STATE_RUNNING_P2P), 0);
    put(&client, ADD, 5);
    expect_registers(&client, 5, 5, 1);
    cr_expect_eq(client_event_count(fd, 0), 0);
    cr_assert_eq(client_set_state(&client, VFIO_DEVICE_STATE_RUNNING), 0);
    cr_expect_eq(client_event_count(fd, 0), 1);
    close(fd);
    client_stop(&client);
}

Test(tally, it_goes_on_in_another_process)
{
    struct client client;
    struct client_state state = saved_state(20);
    uint16_t command = 0;
    int fd;

    start(&client);
    client_bus_master(&client, false);
    fd = trigger(&client);
    cr_assert_eq(client_load(&client, &state, 7), 0);
    expect_registers(&client, 12, 20, 2);
    cr_assert_eq(client_set_state(&client, VFIO_DEVICE_STATE_RUNNING), 0);
    cr_assert_eq(client_region_read(&client, VFIO_PCI_CONFIG_REGION_INDEX, 4, &command, sizeof(command)), 0);
    cr_expect_eq(command, 6, "configuration space is part of the state");
    put(&client, ADD, 7);
    cr_expect_eq(client_event_count(fd, 0), 0);
    put(&client, ADD, 1);
    cr_expect_eq(client_event_count(fd, 0), 1);
    expect_registers(&client, 20, 20, 4);
    close(fd);
    free(state.data);
    client_stop(&client);
}

Test(tally, a_pending_interrupt_and_its_vector_are_carried)
{
    struct client source, destination;
    struct client_state state;
    int fd;

    start(&source);
    put(&source, TABLE, 0xfee01000);
    put(&source, TABLE + 8, 0x41);
    put(&source, THRESHOLD, 5);
    put(&source, ADD, 5);
    state = save(&source);
    client_stop(&source);
    start(&destination);
    fd = trigger(&destination);
    cr_assert_eq(client_load(&destination, &state, 4096), 0);
    cr_expect_eq(client_event_count(fd, 0), 0, "an interrupt in STOP");
    cr_expect_eq(get(&destination, TABLE), 0xfee01000);
    cr_expect_eq(get(&destination, TABLE + 8), 0x41);
    cr_assert_eq(client_set_state(&destination, VFIO_DEVICE_STATE_RUNNING), 0);
    cr_expect_eq(client_event_count(fd, 0), 1);
    close(fd);
    free(state.data);
    client_stop(&destination);
}

static void expect_refused(const struct client_state *state, const char *what)
{
    struct client client;

    start(&client);
    put(&client, ADD, 3);
    cr_expect_eq(client_load(&client, state, 4096), EINVAL, "%s", what);
    cr_expect_eq(client_get_state(&client), VFIO_DEVICE_STATE_RESUMING, "%s", what);
    cr_expect_eq(client_set_state(&client, VFIO_DEVICE_STATE_STOP), EINVAL, "%s: refused for good", what);
    expect_registers(&client, 0, 0, 0);
    cr_assert_eq(client_reset(&client), 0);
    cr_expect_eq(client_get_state(&client), VFIO_DEVICE_STATE_RUNNING);
    put(&client, ADD, 3);
    expect_registers(&client, 3, 0, 1);
    client_stop(&client);
}

Test(tally, a_changed_byte_is_refused)
{
    struct client_state state = saved_state(20);
    const size_t places[] = {0, HEADER_SIZE, RECORD_AT, RECORD_AT + 100, OWN_AT, OWN_AT + 16, state.size - 1};

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        state.data[places[i]] ^= 0x10;
        expect_refused(&state, "a changed byte");
        state.data[places[i]] ^= 0x10;
    }
    free(state.data);
}

Test(tally, a_stream_that_is_cut_or_longer_is_refused)
{
    struct client_state state = saved_state(20);
    const size_t sizes[] = {0, HEADER_SIZE, RECORD_AT + 10, OWN_AT, state.size - 24, state.size - 1};
    struct client_state longer = {calloc(1, state.size + 1), state.size + 1};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        expect_refused(&(struct client_state){state.data, sizes[i]}, "cut");
    memcpy(longer.data, state.data, state.size);
    expect_refused(&longer, "longer");
    free(longer.data);
    free(state.data);
}

/* What was cut and refused cannot be made whole afterwards. */
Test(tally, a_refusal_is_for_good)
{
    struct client_state state = saved_state(20);
    const struct client_state cut = {state.data, OWN_AT};
    struct client client;

    start(&client);
    cr_expect_eq(client_load(&client, &cut, 4096), EINVAL);
    cr_expect_eq(client_data_write(&client, state.data + OWN_AT, (uint32_t)(state.size - OWN_AT)), EINVAL);
    cr_expect_eq(client_set_state(&client, VFIO_DEVICE_STATE_STOP), EINVAL);
    free(state.data);
    client_stop(&client);
}

/* Adds a section with a checksum that is right. */
static void add_section(struct client_state *state, uint32_t type, uint32_t number, const void *payload, uint32_t size)
{
    const uint32_t head[] = {type, number, size};
    uint8_t *section;
    uint32_t crc;

    state->data = realloc(state->data, state->size + SECTION_HEAD + size + sizeof(crc));
    cr_assert_not_null(state->data);
    section = state->data + state->size;
    memcpy(section, head, SECTION_HEAD);
    memcpy(section + SECTION_HEAD, payload, size);
    crc = ~crc32_iscsi(section, (int)(SECTION_HEAD + size), ~0u);
    memcpy(section + SECTION_HEAD + size, &crc, sizeof(crc));
    state->size += SECTION_HEAD + size + sizeof(crc);
}

/* A sound stream of the record of state, by copies, of size bytes: where these are more than it has the last are 0. */
static struct client_state rewrap(const struct client_state *state, uint32_t size, uint32_t copies)
{
    struct client_state made = {malloc(HEADER_SIZE), HEADER_SIZE};
    uint8_t *record = calloc(1, size + state->size);
    uint64_t bytes;

    memcpy(made.data, state->data, HEADER_SIZE);
    memcpy(record, state->data + RECORD_AT, RECORD_SIZE);
    for (uint32_t i = 0; i < copies; i++)
        add_section(&made, 1, i, record, size);
    bytes = made.size;
    add_section(&made, UINT32_MAX, copies, &bytes, sizeof(bytes));
    free(record);
    return made;
}

/* Changes a number in the stream of a device with this threshold, and makes the checksum right again. */
static void expect_forged(uint64_t threshold, size_t at, uint64_t value, int expected, const char *what)
{
    struct client_state state = saved_state(threshold), made;
    struct client client;

    memcpy(state.data + at, &value, sizeof(value));
    made = rewrap(&state, RECORD_SIZE, 1);
    if (expected) {
        expect_refused(&made, what);
    } else {
        start(&client);
        cr_expect_eq(client_load(&client, &made, 4096), 0, "%s", what);
        client_stop(&client);
    }
    free(made.data);
    free(state.data);
}

Test(tally, a_record_of_another_size_or_number_is_refused)
{
    static const struct {
        uint32_t size, copies;
    } cases[] = {{RECORD_SIZE + 1, 1}, {RECORD_SIZE - 1, 1}, {20, 1}, {RECORD_SIZE, 0}, {RECORD_SIZE, 2}};
    struct client_state state = saved_state(20);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client_state made = rewrap(&state, cases[i].size, cases[i].copies);

        expect_refused(&made, "another size or number");
        free(made.data);
    }
    free(state.data);
}

/* By the write, so that a stream cannot fill the memory. */
Test(tally, a_second_record_is_refused_at_once)
{
    struct client_state state = saved_state(20), twice = rewrap(&state, RECORD_SIZE, 2);
    struct client client;

    start(&client);
    cr_assert_eq(client_set_state(&client, VFIO_DEVICE_STATE_RESUMING), 0);
    cr_expect_eq(client_data_write(&client, twice.data, (uint32_t)twice.size), EINVAL);
    free(twice.data);
    free(state.data);
    client_stop(&client);
}

Test(tally, a_state_that_cannot_be_is_refused)
{
    expect_forged(20, OWN_AT, 13, 0, "another tally, which could be");
    expect_forged(20, OWN_AT + 16, 0, EINVAL, "a tally without a write");
    expect_forged(20, OWN_AT + 24, 1, EINVAL, "an interrupt below the threshold");
    expect_forged(5, OWN_AT + 24, 2, EINVAL, "two interrupts of one vector");
    expect_forged(20, RECORD_AT, 0x54524155, EINVAL, "another model");
    expect_forged(20, RECORD_AT + 8, VFIO_MIGRATION_STOP_COPY, EINVAL, "other migration flags");
    expect_forged(20, RECORD_AT + 16, 0x00035343, EINVAL, "another PCI device");
}

Test(tally, it_is_listed)
{
    const char *build = getenv("top_builddir");
    char command[4096], line[512];
    bool found = false;
    FILE *list;

    snprintf(command, sizeof(command), "%s/stopcopy-device --list", build ? build : ".");
    list = popen(command, "r");
    cr_assert_not_null(list);
    while (fgets(line, sizeof(line), list))
        found |= !strncmp(line, "tally ", 6);
    cr_expect_eq(pclose(list), 0);
    cr_expect(found);
}

Test(tally, no_pre_copy)
{
    static const char *const arguments[] = {"--model", "tally", "--features", "stop-copy+pre-copy", NULL};
    struct client client;

    client_start(&client, arguments);
    client_expect_closed(&client);
    client_abandon(&client);
}

/* The example is meant to be read in one go. */
Test(tally, the_example_stays_small)
{
    const char *source = getenv("top_srcdir");
    char path[4096];
    unsigned int lines = 0;
    FILE *file;

    snprintf(path, sizeof(path), "%s/devices/models/tally.c", source ? source : ".");
    file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    for (int c = getc(file); c != EOF; c = getc(file))
        lines += c == '\n';
    fclose(file);
    cr_expect_gt(lines, 0);
    cr_expect_leq(lines, LINES_MAX, "%s has %u lines", path, lines);
}
