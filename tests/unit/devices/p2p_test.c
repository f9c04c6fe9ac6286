/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The dma device in the P2P states: what would reach another device waits, and everything else goes on. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "stopcopy/dma_device.h"

#define STOP VFIO_DEVICE_STATE_STOP
#define RUNNING VFIO_DEVICE_STATE_RUNNING
#define STOP_COPY VFIO_DEVICE_STATE_STOP_COPY
#define RESUMING VFIO_DEVICE_STATE_RESUMING
#define RUNNING_P2P VFIO_DEVICE_STATE_RUNNING_P2P

/* A queue of the test has 64 KiB of the memory: ring, completions, shared record, source, destination. */
#define QUEUE_AT(q) (0x10000u * (q))
#define COMPLETIONS 0x1000u
#define SHARED 0x2000u
#define SOURCE 0x3000u
#define DESTINATION 0x4000u
#define PEER 0x80000u
#define LENGTH 64u

static struct test_host host;
static struct device *device;

static void write32(uint32_t offset, uint32_t value)
{
    cr_assert_eq(device_region_write(device, 0, offset, &value, sizeof(value)), 0);
}

static struct dma_queue_shared *shared_of(unsigned int queue)
{
    return (struct dma_queue_shared *)(host.memory + QUEUE_AT(queue) + SHARED);
}

static void arc(unsigned int from, unsigned int to)
{
    cr_assert_eq(device_arc(device, from, to), 0);
}

static void start_queue(unsigned int queue)
{
    write32(DMA_REG_QUEUE(queue) + DMA_QUEUE_REG_RING_LOW, QUEUE_AT(queue));
    write32(DMA_REG_QUEUE(queue) + DMA_QUEUE_REG_COMPLETIONS_LOW, QUEUE_AT(queue) + COMPLETIONS);
    write32(DMA_REG_QUEUE(queue) + DMA_QUEUE_REG_SHARED_LOW, QUEUE_AT(queue) + SHARED);
    write32(DMA_REG_QUEUE(queue) + DMA_QUEUE_REG_ENTRIES, 8);
    write32(DMA_REG_QUEUE(queue) + DMA_QUEUE_REG_VECTOR, queue);
    write32(DMA_REG_QUEUE(queue) + DMA_QUEUE_REG_ENABLE, 1);
    memset(host.memory + QUEUE_AT(queue) + SOURCE, 0x5a + (int)queue, LENGTH);
}

static struct device *new_device(void)
{
    struct device_options options = test_device_options();

    options.queues = 2;
    return test_device_new(&host, &options);
}

static void set_up(void)
{
    const uint16_t command = 6;

    test_host_init(&host);
    host.peer_start = PEER;
    host.peer_size = 0x1000;
    device = new_device();
    cr_assert_eq(device_region_write(device, VFIO_PCI_CONFIG_REGION_INDEX, 4, &command, sizeof(command)), 0);
    start_queue(0);
    start_queue(1);
}

static void tear_down(void)
{
    device_destroy(device);
}

TestSuite(p2p, .init = set_up, .fini = tear_down);

static void submit(unsigned int queue, enum dma_opcode opcode, uint64_t source, uint64_t destination)
{
    uint64_t number = shared_of(queue)->tail;
    struct dma_descriptor descriptor = {.opcode = opcode,
                                        .length = LENGTH,
                                        .sequence = number + 1,
                                        .source = source,
                                        .destination = destination};

    memcpy(host.memory + QUEUE_AT(queue) + number % 8 * sizeof(descriptor), &descriptor, sizeof(descriptor));
    shared_of(queue)->tail = number + 1;
    write32(DMA_PAGE_DOORBELLS + 4 * queue, 1);
}

static void copy_to_peer(unsigned int queue)
{
    submit(queue, DMA_OP_COPY, QUEUE_AT(queue) + SOURCE, PEER);
}

static void copy_in_memory(unsigned int queue)
{
    submit(queue, DMA_OP_COPY, QUEUE_AT(queue) + SOURCE, QUEUE_AT(queue) + DESTINATION);
}

Test(p2p, waits_while_dma_to_memory_and_interrupts_go_on)
{
    arc(RUNNING, RUNNING_P2P);
    copy_to_peer(0);
    copy_in_memory(1);
    cr_expect_eq(shared_of(0)->completed, 0);
    cr_expect_eq(host.memory[PEER], 0);
    cr_expect_eq(host.raised, 1);
    cr_expect_eq(shared_of(1)->completed, 1);
    cr_expect_eq(shared_of(1)->interrupt_sequence, 1);
    cr_expect_eq(host.memory[QUEUE_AT(1) + DESTINATION], 0x5b);
    arc(RUNNING_P2P, RUNNING);
    cr_expect_eq(shared_of(0)->completed, 1);
    cr_expect_eq(host.memory[PEER], 0x5a);
    cr_expect_eq(host.raised, 2);
}

/* A timer that is due and does nothing would be set for ever. */
Test(p2p, what_waits_sets_no_timer)
{
    arc(RUNNING, RUNNING_P2P);
    copy_to_peer(0);
    cr_expect_eq(host.timer_at_ns, 0);
}

Test(p2p, keeps_the_order_of_a_queue)
{
    arc(RUNNING, RUNNING_P2P);
    copy_in_memory(0);
    copy_to_peer(0);
    copy_in_memory(0);
    cr_expect_eq(shared_of(0)->completed, 1);
    device_timer(device);
    cr_expect_eq(shared_of(0)->completed, 1);
    cr_expect_eq(host.memory[PEER], 0);
    arc(RUNNING_P2P, RUNNING);
    cr_expect_eq(shared_of(0)->completed, 3);
}

Test(p2p, reading_another_device_waits_as_well)
{
    static const enum dma_opcode readers[] = {DMA_OP_COPY, DMA_OP_CRC32C, DMA_OP_DIGEST, DMA_OP_STORE};

    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
        arc(RUNNING, RUNNING_P2P);
        submit(0, readers[i], PEER, QUEUE_AT(0) + DESTINATION);
        cr_expect_eq(shared_of(0)->completed, i, "opcode %d", readers[i]);
        arc(RUNNING_P2P, RUNNING);
        cr_expect_eq(shared_of(0)->completed, i + 1, "opcode %d", readers[i]);
    }
}

/* The address of another device in a field that the operation does not use, and one that begins before it. */
Test(p2p, looks_at_what_is_moved_alone)
{
    arc(RUNNING, RUNNING_P2P);
    submit(0, DMA_OP_NOP, PEER, PEER);
    submit(0, DMA_OP_FILL, PEER, QUEUE_AT(0) + DESTINATION);
    submit(0, DMA_OP_CRC32C, QUEUE_AT(0) + SOURCE, PEER);
    submit(0, DMA_OP_COPY, QUEUE_AT(0) + SOURCE, PEER - LENGTH);
    cr_expect_eq(shared_of(0)->completed, 4);
    submit(0, DMA_OP_COPY, QUEUE_AT(0) + SOURCE, PEER - LENGTH + 1);
    cr_expect_eq(shared_of(0)->completed, 4);
}

Test(p2p, a_queue_whose_completions_are_with_another_device_waits)
{
    host.peer_start = QUEUE_AT(0) + COMPLETIONS;
    arc(RUNNING, RUNNING_P2P);
    copy_in_memory(0);
    copy_in_memory(1);
    cr_expect_eq(shared_of(0)->completed, 0);
    cr_expect_eq(shared_of(1)->completed, 1);
    arc(RUNNING_P2P, RUNNING);
    cr_expect_eq(shared_of(0)->completed, 1);
}

/* An interrupt that is due writes its number to every queue that has the vector. */
Test(p2p, an_interrupt_whose_record_is_with_another_device_waits)
{
    copy_in_memory(0);
    copy_in_memory(0);
    cr_expect_eq(shared_of(0)->interrupt_sequence, 1);
    host.peer_start = QUEUE_AT(0) + SHARED;
    arc(RUNNING, RUNNING_P2P);
    write32(DMA_PAGE_ACKNOWLEDGE, 1);
    cr_expect_eq(host.raised, 1);
    cr_expect_eq(shared_of(0)->interrupt_sequence, 1);
    arc(RUNNING_P2P, RUNNING);
    cr_expect_eq(host.raised, 2);
    cr_expect_eq(shared_of(0)->interrupt_sequence, 2);
}

Test(p2p, another_device_may_write_to_the_window)
{
    struct device_region region;
    uint32_t value = 0x12345678, seen = 0;

    device_get_region(device, VFIO_PCI_BAR2_REGION_INDEX, &region);
    arc(RUNNING, RUNNING_P2P);
    cr_expect_eq(device_region_write(device, VFIO_PCI_BAR2_REGION_INDEX, 16, &value, sizeof(value)), 0);
    cr_expect_eq(device_region_read(device, VFIO_PCI_BAR2_REGION_INDEX, 16, &seen, sizeof(seen)), 0);
    cr_expect_eq(seen, value);
}

Test(p2p, what_waits_is_saved_and_done_where_it_is_loaded)
{
    struct device *source = device;
    uint8_t *data;
    size_t size;

    arc(RUNNING, RUNNING_P2P);
    copy_to_peer(0);
    copy_in_memory(0);
    arc(RUNNING_P2P, STOP);
    arc(STOP, STOP_COPY);
    data = test_device_read_all(device, &size);
    device = new_device();
    arc(RUNNING, RUNNING_P2P);
    arc(RUNNING_P2P, STOP);
    arc(STOP, RESUMING);
    cr_assert_eq(device_data_write(device, data, size), 0);
    arc(RESUMING, STOP);
    arc(STOP, RUNNING_P2P);
    device_timer(device);
    cr_expect_eq(shared_of(0)->completed, 0);
    cr_expect_eq(host.memory[PEER], 0);
    arc(RUNNING_P2P, RUNNING);
    cr_expect_eq(shared_of(0)->completed, 2);
    cr_expect_eq(host.memory[PEER], 0x5a);
    device_destroy(source);
    free(data);
}

Test(p2p, nothing_at_all_moves_in_stop)
{
    arc(RUNNING, RUNNING_P2P);
    arc(RUNNING_P2P, STOP);
    copy_in_memory(1);
    cr_expect_eq(shared_of(1)->completed, 0);
    cr_expect_eq(host.raised, 0);
    arc(STOP, RUNNING_P2P);
    cr_expect_eq(shared_of(1)->completed, 1);
}
