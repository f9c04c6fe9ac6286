/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The dma device's state: nothing that is not exactly what was saved is taken, and nothing that is taken does harm. */
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <isa-l/crc.h>
#include <stdlib.h>
#include <string.h>

#include "devices/stream.h"
#include "host.h"
#include "stopcopy/dma_device.h"

#define STOP VFIO_DEVICE_STATE_STOP
#define RUNNING VFIO_DEVICE_STATE_RUNNING
#define STOP_COPY VFIO_DEVICE_STATE_STOP_COPY
#define RESUMING VFIO_DEVICE_STATE_RESUMING
#define RUNNING_P2P VFIO_DEVICE_STATE_RUNNING_P2P

static struct test_host host;

static void write32(struct device *device, uint32_t offset, uint32_t value)
{
    cr_assert_eq(device_region_write(device, 0, offset, &value, sizeof(value)), 0);
}

static uint32_t read32(struct device *device, uint32_t offset)
{
    uint32_t value;

    cr_assert_eq(device_region_read(device, 0, offset, &value, sizeof(value)), 0);
    return value;
}

static void run_arcs(struct device *device, const unsigned int *states)
{
    for (; states[1]; states++)
        cr_assert_eq(device_arc(device, states[0], states[1]), 0);
}

/* One queue at work: ring at 0, completions at 4 KiB, shared record at 8 KiB, a page to store at 12 KiB. */
static void put_to_work(struct device *device)
{
    const uint16_t command = 6;
    struct dma_descriptor store = {.opcode = DMA_OP_STORE, .length = 4096, .sequence = 1, .source = 12288};
    const uint64_t tail = 1;

    cr_assert_eq(device_region_write(device, VFIO_PCI_CONFIG_REGION_INDEX, 4, &command, sizeof(command)), 0);
    memset(host.memory + 12288, 0x42, 4096);
    memcpy(host.memory, &store, sizeof(store));
    memcpy(host.memory + 8192, &tail, sizeof(tail));
    write32(device, DMA_REG_QUEUE(0) + DMA_QUEUE_REG_COMPLETIONS_LOW, 4096);
    write32(device, DMA_REG_QUEUE(0) + DMA_QUEUE_REG_SHARED_LOW, 8192);
    write32(device, DMA_REG_QUEUE(0) + DMA_QUEUE_REG_ENTRIES, 8);
    write32(device, DMA_REG_QUEUE(0) + DMA_QUEUE_REG_ENABLE, 1);
    write32(device, DMA_PAGE_DOORBELLS, 1);
    cr_assert_eq(host.raised, 1);
}

static uint8_t *save_one_at_work(size_t *size)
{
    struct device_options options = test_device_options();
    struct device *device;
    uint8_t *data;

    test_host_init(&host);
    device = test_device_new(&host, &options);
    put_to_work(device);
    run_arcs(device, (const unsigned int[]){RUNNING, RUNNING_P2P, STOP, STOP_COPY, 0});
    data = test_device_read_all(device, size);
    device_destroy(device);
    return data;
}

static struct device *new_resuming(void)
{
    struct device_options options = test_device_options();
    struct device *device;

    test_host_init(&host);
    device = test_device_new(&host, &options);
    run_arcs(device, (const unsigned int[]){RUNNING, RUNNING_P2P, STOP, RESUMING, 0});
    return device;
}

/* What a refused stream leaves: a device that a reset makes whole. */
static void expect_refused(struct device *device, const uint8_t *data, size_t size, size_t at)
{
    int failed;

    cr_assert_eq(device_arc(device, STOP, RESUMING), 0);
    failed = device_data_write(device, data, size);
    if (!failed)
        failed = device_arc(device, RESUMING, STOP);
    cr_expect_eq(failed, EINVAL, "at %zu of the stream", at);
    cr_expect_eq(read32(device, DMA_REG_QUEUE(0) + DMA_QUEUE_REG_ENTRIES), 0, "at %zu: taken over in part", at);
    device_reset(device);
    run_arcs(device, (const unsigned int[]){RUNNING, RUNNING_P2P, STOP, 0});
}

static struct device *new_stopped(void)
{
    struct device_options options = test_device_options();
    struct device *device;

    test_host_init(&host);
    device = test_device_new(&host, &options);
    run_arcs(device, (const unsigned int[]){RUNNING, RUNNING_P2P, STOP, 0});
    return device;
}

Test(state, cut_at_every_byte)
{
    size_t size;
    uint8_t *data = save_one_at_work(&size);
    struct device *device = new_stopped();

    for (size_t cut = 0; cut < size; cut++)
        expect_refused(device, data, cut, cut);
    device_destroy(device);
    free(data);
}

Test(state, changed_at_every_byte)
{
    size_t size;
    uint8_t *data = save_one_at_work(&size);
    struct device *device = new_stopped();

    for (size_t at = 0; at < size; at++) {
        data[at] ^= (uint8_t)(1u << at % 8);
        expect_refused(device, data, size, at);
        data[at] ^= (uint8_t)(1u << at % 8);
    }
    device_destroy(device);
    free(data);
}

/* What is saved again right after a load is what was loaded. */
Test(state, comes_back_the_same)
{
    size_t size, again_size;
    uint8_t *data = save_one_at_work(&size), *again;
    struct device *device = new_resuming();

    cr_assert_eq(device_data_write(device, data, size), 0);
    run_arcs(device, (const unsigned int[]){RESUMING, STOP, STOP_COPY, 0});
    again = test_device_read_all(device, &again_size);
    cr_assert_eq(again_size, size);
    cr_expect_arr_eq(again, data, size);
    device_destroy(device);
    free(data);
    free(again);
}

struct section {
    size_t at;
    uint32_t type;
    uint32_t length;
};

static uint32_t get32(const uint8_t *data)
{
    uint32_t value;

    memcpy(&value, data, sizeof(value));
    return le32toh(value);
}

static size_t find_sections(const uint8_t *data, size_t size, struct section *sections, size_t room)
{
    size_t count = 0;

    for (size_t at = STREAM_HEADER_SIZE; at < size; at += STREAM_SECTION_OVERHEAD + sections[count - 1].length) {
        cr_assert_lt(count, room);
        sections[count++] = (struct section){.at = at, .type = get32(data + at), .length = get32(data + at + 8)};
    }
    return count;
}

static void seal(uint8_t *data, const struct section *section)
{
    uint32_t crc = htole32(~crc32_iscsi(data + section->at, (int)(12 + section->length), ~0u));

    memcpy(data + section->at + 12 + section->length, &crc, sizeof(crc));
}

/* Whatever is written here, with a checksum that is right: refused, or a device that works on without harm. */
static void try_hostile(struct device *device, const uint8_t *data, size_t size)
{
    int failed;

    cr_assert_eq(device_arc(device, STOP, RESUMING), 0);
    failed = device_data_write(device, data, size);
    if (!failed)
        failed = device_arc(device, RESUMING, STOP);
    if (!failed) {
        run_arcs(device, (const unsigned int[]){STOP, RUNNING_P2P, RUNNING, 0});
        write32(device, DMA_PAGE_DOORBELLS, 1);
        device_timer(device);
        write32(device, DMA_PAGE_ACKNOWLEDGE, 1);
    }
    device_reset(device);
    run_arcs(device, (const unsigned int[]){RUNNING, RUNNING_P2P, STOP, 0});
}

Test(state, numbers_of_an_enemy_do_no_harm)
{
    static const uint32_t evil[] = {0, 1, 2, 3, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff, 65, 4096};
    struct section sections[32];
    size_t size, count;
    uint8_t *data = save_one_at_work(&size);
    struct device *device = new_stopped();

    count = find_sections(data, size, sections, 32);
    for (size_t i = 0; i < count; i++) {
        size_t words = sections[i].length / 4 < 40 ? sections[i].length / 4 : 40;

        for (size_t word = 0; word < words; word++) {
            uint8_t *place = data + sections[i].at + 12 + word * 4;
            uint32_t kept = get32(place);

            for (size_t e = 0; e < sizeof(evil) / sizeof(evil[0]); e++) {
                uint32_t value = htole32(evil[e]);

                memcpy(place, &value, sizeof(value));
                seal(data, &sections[i]);
                try_hostile(device, data, size);
            }
            kept = htole32(kept);
            memcpy(place, &kept, sizeof(kept));
            seal(data, &sections[i]);
        }
    }
    device_destroy(device);
    free(data);
}

/* States that no device of this kind could have got into, in a stream that is whole. */
Test(state, impossible_states_are_refused)
{
    static const struct {
        uint32_t section, word, value;
    } cases[] = {
        {1, 0, 2},  {1, 1, 2},          {1, 7, 1},  {1, 10, 1},   {4, 2, 1},        {5, 0, 1},  {5, 1, 2},
        {5, 2, 4},  {5, 3, 1},          {5, 4, 3},  {5, 4, 2048}, {5, 5, 1},        {5, 5, 65}, {5, 6, 4},
        {5, 12, 0}, {5, 12, 1 + 8 + 1}, {5, 13, 1}, {6, 2, 2},    {6, 3, 2},        {6, 3, 4},  {7, 0, 0},
        {7, 2, 0},  {2, 0, 3},          {2, 1, 1},  {2, 2, 1},    {2, 2, 4096 * 2}, {2, 3, 1},
    };
    struct section sections[32];
    size_t size, count;
    uint8_t *data = save_one_at_work(&size);
    struct device *device = new_stopped();

    count = find_sections(data, size, sections, 32);
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        const struct section *section = sections;
        uint32_t value = htole32(cases[c].value);
        uint8_t kept[4], *place;

        while (section->type != cases[c].section && section < sections + count - 1)
            section++;
        cr_assert_eq(section->type, cases[c].section);
        place = data + section->at + 12 + 4 * cases[c].word;
        memcpy(kept, place, 4);
        memcpy(place, &value, 4);
        seal(data, section);
        expect_refused(device, data, size, c);
        memcpy(place, kept, 4);
        seal(data, section);
    }
    device_destroy(device);
    free(data);
}

/* Each section once more or once less, with numbers and checksums made right again. */
Test(state, sections_missing_or_twice)
{
    struct section sections[32];
    size_t size, count;
    uint8_t *data = save_one_at_work(&size), *changed = malloc(2 * size);
    struct device *device = new_stopped();

    count = find_sections(data, size, sections, 32);
    for (size_t odd = 0; odd + 1 < count; odd++) {
        for (unsigned int copies = 0; copies < 3; copies += 2) {
            size_t to = STREAM_HEADER_SIZE;
            uint32_t number = 0;

            if (copies == 2 && sections[odd].type == 2)
                continue; /* memory may be sent again */
            if (copies == 0 && sections[odd].type == 2)
                continue; /* and what is zero is not sent */
            memcpy(changed, data, to);
            for (size_t i = 0; i < count; i++) {
                for (unsigned int copy = 0; copy < (i == odd ? copies : 1); copy++) {
                    struct section section = {.at = to, .length = sections[i].length};
                    uint32_t value = htole32(number);
                    uint64_t before = htole64(to);

                    number++;
                    memcpy(changed + to, data + sections[i].at, sections[i].length + STREAM_SECTION_OVERHEAD);
                    memcpy(changed + to + 4, &value, sizeof(value));
                    if (sections[i].type == STREAM_SECTION_END)
                        memcpy(changed + to + 12, &before, sizeof(before));
                    seal(changed, &section);
                    to += sections[i].length + STREAM_SECTION_OVERHEAD;
                }
            }
            expect_refused(device, changed, to, odd);
        }
    }
    device_destroy(device);
    free(data);
    free(changed);
}

/* PRE_COPY: the initial bytes, then what changed, then nothing for now; the rest comes with STOP_COPY. */
Test(state, pre_copy_sends_what_changes)
{
    const unsigned int pre_copy = VFIO_DEVICE_STATE_PRE_COPY, pre_copy_p2p = VFIO_DEVICE_STATE_PRE_COPY_P2P;
    struct device_options options = test_device_options();
    struct vfio_precopy_info info;
    struct device *device;
    uint8_t data[65536];
    uint64_t before;
    size_t count;

    test_host_init(&host);
    options.migration_flags |= VFIO_MIGRATION_PRE_COPY;
    device = test_device_new(&host, &options);
    put_to_work(device);
    cr_assert_eq(device_arc(device, RUNNING, pre_copy), 0);
    cr_assert_eq(device_precopy_info(device, false, &info), 0);
    cr_expect_gt(info.initial_bytes, 4096);
    cr_expect_eq(info.dirty_bytes, 0);
    before = info.initial_bytes;
    cr_expect_eq(device_data_read(device, data, 100, &count), DEVICE_DATA);
    cr_assert_eq(device_precopy_info(device, false, &info), 0);
    cr_expect_eq(info.initial_bytes, before - 100);
    cr_expect_eq(device_data_read(device, data, sizeof(data), &count), DEVICE_DATA_AGAIN);
    cr_expect_eq(count, before - 100);
    cr_expect_eq(device_data_read(device, data, sizeof(data), &count), DEVICE_DATA_AGAIN);
    cr_expect_eq(count, 0);
    cr_assert_eq(device_precopy_info(device, false, &info), 0);
    cr_expect_eq(info.initial_bytes, 0);
    cr_expect_eq(info.dirty_bytes, 0);

    memcpy(host.memory + 64, &(struct dma_descriptor){.opcode = DMA_OP_STORE, .length = 8, .sequence = 2}, 64);
    memcpy(host.memory + 8192, &(uint64_t){2}, sizeof(uint64_t));
    write32(device, DMA_PAGE_DOORBELLS, 1);
    cr_assert_eq(device_precopy_info(device, false, &info), 0);
    cr_expect_eq(info.initial_bytes, 0);
    cr_expect_gt(info.dirty_bytes, 4096);
    before = info.dirty_bytes;
    cr_expect_eq(device_data_read(device, data, sizeof(data), &count), DEVICE_DATA_AGAIN);
    cr_expect_eq(count, before);

    run_arcs(device, (const unsigned int[]){pre_copy, pre_copy_p2p, STOP_COPY, 0});
    cr_expect_eq(device_precopy_info(device, false, &info), EINVAL);
    before = device_data_size(device);
    cr_expect_eq(device_data_read(device, data, sizeof(data), &count), DEVICE_DATA_END);
    cr_expect_eq(count, before);
    device_destroy(device);
}

/* The memory is cleared in PRE_COPY: that is new initial data, told once to who opted in, and loads as such. */
Test(state, a_reset_in_pre_copy_is_new_initial_data)
{
    const unsigned int pre_copy = VFIO_DEVICE_STATE_PRE_COPY, pre_copy_p2p = VFIO_DEVICE_STATE_PRE_COPY_P2P;
    struct device_options options = test_device_options();
    struct vfio_precopy_info info;
    struct device *device, *destination;
    uint8_t data[65536], *memory;
    uint64_t memory_size;
    size_t count, size;

    test_host_init(&host);
    options.migration_flags |= VFIO_MIGRATION_PRE_COPY;
    device = test_device_new(&host, &options);
    put_to_work(device);
    cr_assert_eq(device_arc(device, RUNNING, pre_copy), 0);
    cr_expect_eq(device_data_read(device, data, sizeof(data), &count), DEVICE_DATA_AGAIN);
    size = count;
    write32(device, DMA_REG_CONTROL, DMA_CONTROL_RESET);
    cr_assert_eq(device_precopy_info(device, false, &info), 0);
    cr_expect_eq(info.flags, 0);
    cr_expect_eq(info.initial_bytes, 0);
    cr_assert_eq(device_precopy_info(device, true, &info), 0);
    cr_expect_eq(info.flags, VFIO_PRECOPY_INFO_REINIT);
    cr_expect_gt(info.initial_bytes, 0);
    cr_assert_eq(device_precopy_info(device, true, &info), 0);
    cr_expect_eq(info.flags, 0);
    run_arcs(device, (const unsigned int[]){pre_copy, pre_copy_p2p, STOP_COPY, 0});
    cr_expect_eq(device_data_read(device, data + size, sizeof(data) - size, &count), DEVICE_DATA_END);
    size += count;

    destination = test_device_new(&host, &options);
    run_arcs(destination, (const unsigned int[]){RUNNING, RUNNING_P2P, STOP, RESUMING, 0});
    cr_assert_eq(device_data_write(destination, data, size), 0);
    run_arcs(destination, (const unsigned int[]){RESUMING, STOP, 0});
    memory = device_memory(destination, &memory_size);
    cr_expect_eq(memory[0], 0);
    device_destroy(device);
    device_destroy(destination);
}

/* Dirtied by itself while it is not stopped, and the dirt arrives. */
Test(state, the_dirtier_dirties_and_stops)
{
    const unsigned int pre_copy = VFIO_DEVICE_STATE_PRE_COPY;
    struct device_options options = test_device_options();
    struct vfio_precopy_info info;
    struct device *device;
    uint64_t memory_size;
    uint8_t data[65536];
    size_t count;

    test_host_init(&host);
    options.migration_flags |= VFIO_MIGRATION_PRE_COPY;
    options.dirty_rate = 64u << 20;
    device = test_device_new(&host, &options);
    cr_assert_eq(device_arc(device, RUNNING, pre_copy), 0);
    while (device_data_read(device, data, sizeof(data), &count) == DEVICE_DATA)
        ;
    cr_expect_neq(host.timer_at_ns, 0);
    do {
        device_timer(device);
        cr_assert_eq(device_precopy_info(device, false, &info), 0);
    } while (!info.dirty_bytes);
    cr_expect_eq(device_memory(device, &memory_size)[0], 0, "the dirtier reached what operations reach");
    run_arcs(device, (const unsigned int[]){pre_copy, RUNNING, RUNNING_P2P, STOP, 0});
    cr_expect_eq(host.timer_at_ns, 0);
    device_destroy(device);
}
