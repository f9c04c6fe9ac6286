/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The faults do what they say, and nothing else. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "devices/faults/fault.h"
#include "host.h"
#include "stopcopy/dma_device.h"

#define STOP VFIO_DEVICE_STATE_STOP
#define RUNNING VFIO_DEVICE_STATE_RUNNING
#define RUNNING_P2P VFIO_DEVICE_STATE_RUNNING_P2P
#define STOP_COPY VFIO_DEVICE_STATE_STOP_COPY
#define RESUMING VFIO_DEVICE_STATE_RESUMING

static struct test_host host;

static struct device *faulty_device(const char *text)
{
    struct device_options options = test_device_options();
    struct fault_request request;
    struct error error = ERROR_INIT;
    struct device *device = test_device_new(&host, &options);

    cr_assert_eq(fault_parse(text, &request, &error), 0, "%s", error.text);
    device = fault_push(&request, device, &error);
    cr_assert_not_null(device);
    return device;
}

Test(fault, parsing)
{
    struct fault_request request;
    struct error error = ERROR_INIT;

    cr_expect_eq(fault_parse("completion-repeated", &request, &error), 0);
    cr_expect_not(request.has_at);
    cr_expect_eq(fault_parse("completion-repeated,at=12", &request, &error), 0);
    cr_expect(request.has_at && request.at == 12);
    cr_expect_lt(fault_parse("", &request, &error), 0);
    cr_expect_lt(fault_parse("no-such-fault", &request, &error), 0);
    cr_expect_lt(fault_parse("completion-repeated,when=1", &request, &error), 0);
    cr_expect_lt(fault_parse("completion-repeated,at=x", &request, &error), 0);
}

static void write32(struct device *device, uint32_t offset, uint32_t value)
{
    cr_assert_eq(device_region_write(device, 0, offset, &value, sizeof(value)), 0);
}

/* Ring at 0, completions at 4 KiB, shared record at 8 KiB; without latency, so that a doorbell does it all. */
static void start_queue(struct device *device)
{
    const uint16_t command = 6;

    cr_assert_eq(device_region_write(device, VFIO_PCI_CONFIG_REGION_INDEX, 4, &command, sizeof(command)), 0);
    write32(device, DMA_REG_QUEUE(0) + DMA_QUEUE_REG_COMPLETIONS_LOW, 4096);
    write32(device, DMA_REG_QUEUE(0) + DMA_QUEUE_REG_SHARED_LOW, 8192);
    write32(device, DMA_REG_QUEUE(0) + DMA_QUEUE_REG_ENTRIES, 8);
    write32(device, DMA_REG_QUEUE(0) + DMA_QUEUE_REG_ENABLE, 1);
}

static struct dma_queue_shared *shared(void)
{
    return (struct dma_queue_shared *)(host.memory + 8192);
}

static uint64_t completion_sequence(uint64_t slot)
{
    struct dma_completion completion;

    memcpy(&completion, host.memory + 4096 + slot % 8 * sizeof(completion), sizeof(completion));
    return completion.sequence;
}

static void nops(struct device *device, unsigned int count)
{
    for (unsigned int i = 0; i < count; i++) {
        struct dma_descriptor nop = {.opcode = DMA_OP_NOP, .sequence = shared()->tail + 1};

        memcpy(host.memory + shared()->tail % 8 * sizeof(nop), &nop, sizeof(nop));
        shared()->tail++;
        write32(device, DMA_PAGE_DOORBELLS, 1);
    }
}

Test(fault, completion_repeated)
{
    struct device *device;

    test_host_init(&host);
    device = faulty_device("completion-repeated,at=3");
    start_queue(device);
    nops(device, 2);
    cr_expect_eq(shared()->completed, 2);
    nops(device, 1);
    cr_expect_eq(shared()->completed, 4);
    cr_expect_eq(completion_sequence(2), 3);
    cr_expect_eq(completion_sequence(3), 3);
    nops(device, 1);
    cr_expect_eq(shared()->completed, 5);
    cr_expect_eq(completion_sequence(4), 4);
    device_destroy(device);
}

Test(fault, completion_repeated_after_a_resume)
{
    struct device *device;

    test_host_init(&host);
    device = faulty_device("completion-repeated");
    start_queue(device);
    nops(device, 20);
    cr_expect_eq(shared()->completed, 20);
    cr_assert_eq(device_arc(device, RUNNING, STOP), 0);
    cr_assert_eq(device_arc(device, STOP, RUNNING), 0);
    nops(device, 4);
    cr_expect_eq(shared()->completed, 24);
    nops(device, 1);
    cr_expect_eq(shared()->completed, 26);
    device_destroy(device);
}

Test(fault, device_byte_changed)
{
    struct device_options options = test_device_options();
    struct device *source, *device;
    uint8_t *data, *memory;
    uint64_t memory_size;
    size_t size;

    test_host_init(&host);
    source = test_device_new(&host, &options);
    start_queue(source);
    memset(host.memory + 16384, 0x40, 4096);
    memcpy(host.memory,
           &(struct dma_descriptor){
               .opcode = DMA_OP_STORE, .length = 100, .sequence = 1, .source = 16384, .operand = 4100},
           sizeof(struct dma_descriptor));
    shared()->tail = 1;
    write32(source, DMA_PAGE_DOORBELLS, 1);
    cr_assert_eq(device_arc(source, RUNNING, STOP), 0);
    cr_assert_eq(device_arc(source, STOP, STOP_COPY), 0);
    data = test_device_read_all(source, &size);

    device = faulty_device("device-byte-changed");
    cr_assert_eq(device_arc(device, RUNNING, STOP), 0);
    cr_assert_eq(device_arc(device, STOP, RESUMING), 0);
    cr_assert_eq(device_data_write(device, data, size), 0);
    cr_assert_eq(device_arc(device, RESUMING, STOP), 0);
    memory = device_memory(device, &memory_size);
    cr_expect_eq(memory[4100], 0x41);
    cr_expect_eq(memory[4101], 0x40);
    cr_expect_eq(memory[0], 0);
    device_destroy(device);
    device_destroy(source);
    free(data);
}

/* A write to another device at 64 KiB of the memory, which the stop finds under way, or just done. */
static void expect_late_write(uint64_t latency_ns)
{
    struct device_options options = test_device_options();
    struct fault_request request;
    struct error error = ERROR_INIT;
    struct device *device;
    uint8_t *data;
    size_t size;

    test_host_init(&host);
    host.peer_start = 65536;
    host.peer_size = 4096;
    options.latency_ns = latency_ns;
    cr_assert_eq(fault_parse("p2p-not-quiesced", &request, &error), 0);
    cr_assert_not_null(device = fault_push(&request, test_device_new(&host, &options), &error));
    start_queue(device);
    memcpy(host.memory,
           &(struct dma_descriptor){
               .opcode = DMA_OP_FILL, .length = 8, .sequence = 1, .destination = 65536, .operand = 0x77},
           sizeof(struct dma_descriptor));
    shared()->tail = 1;
    write32(device, DMA_PAGE_DOORBELLS, 1);
    cr_assert_eq(device_arc(device, RUNNING, RUNNING_P2P), 0);
    cr_assert_eq(device_arc(device, RUNNING_P2P, STOP), 0);
    cr_expect_eq(shared()->completed, 1);
    cr_expect_eq(host.memory[65536], 0);
    cr_assert_eq(device_arc(device, STOP, STOP_COPY), 0);
    data = test_device_read_all(device, &size);
    cr_expect_eq(host.memory[65536], 0x77);
    device_destroy(device);
    free(data);
}

Test(fault, p2p_not_quiesced_under_way)
{
    expect_late_write(20000000);
}

Test(fault, p2p_not_quiesced_just_done)
{
    expect_late_write(0);
}

struct tally {
    unsigned int kinds;
    unsigned int seen[256]; /* by the row's place in the table */
};

static void count_kind(void *context, const struct fault_kind *kind)
{
    struct tally *tally = context;
    const struct fault_row *row = fault_table_find(kind->name);

    cr_assert_not_null(row, "%s is in no row of the table", kind->name);
    cr_expect(fault_row_is_of_device(row), "%s is the VMM's", kind->name);
    tally->seen[row - fault_table()]++;
    tally->kinds++;
}

Test(faults, have_one_kind_for_each_row_of_a_device)
{
    const struct fault_row *table = fault_table();
    struct tally tally = {.kinds = 0};

    fault_kinds_each(count_kind, &tally);
    cr_expect_gt(tally.kinds, 50);
    for (size_t i = 0; table[i].name; i++) {
        cr_assert_lt(i, sizeof(tally.seen) / sizeof(tally.seen[0]));
        cr_expect_eq(tally.seen[i], fault_row_is_of_device(&table[i]), "%s: %u kinds", table[i].name, tally.seen[i]);
        cr_expect(*table[i].finding && *table[i].command && *table[i].text, "%s", table[i].name);
    }
}

Test(faults, stand_for_every_known_bug_or_there_is_a_reason)
{
    for (const struct known_bug *bug = fault_known_bugs(); bug->number; bug++) {
        bool has_fault = false;

        for (const struct fault_row *row = fault_table(); row->name; row++)
            has_fault |= fault_row_has_bug(row, bug->number);
        cr_expect_neq(has_fault, *bug->why_no_fault != '\0', "known bug %u", bug->number);
    }
}
