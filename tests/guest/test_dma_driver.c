/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The driver of the reference DMA device, against a device that does what a test tells it to. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "guest/drivers/dma_driver.h"

#define SECOND 1000000000ull

struct fake {
    uint32_t registers[DMA_BAR_REGISTERS_SIZE / 4];
    uint64_t interrupts;
    unsigned int doorbells;
    void *memory[16];
    unsigned int allocations;
};

static struct fake fake;
static struct dma_device device;
static struct dma_queue queue;
static struct driver_fault fault;

static uint32_t read32(void *context, unsigned int bar, uint64_t offset)
{
    struct fake *self = context;

    cr_assert_eq(bar, DMA_BAR_REGISTERS);
    cr_assert_lt(offset, DMA_BAR_REGISTERS_SIZE);
    return self->registers[offset / 4];
}

static void write32(void *context, unsigned int bar, uint64_t offset, uint32_t value)
{
    struct fake *self = context;

    cr_assert_eq(bar, DMA_BAR_REGISTERS);
    cr_assert_lt(offset, DMA_BAR_REGISTERS_SIZE);
    self->registers[offset / 4] = value;
    if (offset >= DMA_PAGE_DOORBELLS && offset < DMA_PAGE_ACKNOWLEDGE)
        self->doorbells++;
}

static void *allocate(void *context, size_t size, uint64_t *address)
{
    struct fake *self = context;
    void *memory = calloc(1, size);

    cr_assert_lt(self->allocations, 16);
    self->memory[self->allocations++] = memory;
    *address = (uint64_t)memory;
    return memory;
}

static uint64_t interrupts(void *context, unsigned int vector)
{
    struct fake *self = context;

    cr_assert_eq(vector, 1);
    return self->interrupts;
}

static const struct device_ops ops = {
    .read32 = read32, .write32 = write32, .allocate = allocate, .interrupts = interrupts};

static void make_device(void)
{
    fake = (struct fake){0};
    fake.registers[DMA_REG_MAGIC / 4] = DMA_MAGIC;
    fake.registers[DMA_REG_VERSION / 4] = DMA_VERSION;
    fake.registers[DMA_REG_QUEUES / 4] = 2;
    fake.registers[DMA_REG_VECTORS / 4] = 3;
    fake.registers[DMA_REG_MEMORY_SIZE_LOW / 4] = 0x1000;
    fake.registers[DMA_REG_MEMORY_SIZE_HIGH / 4] = 2;
    fake.registers[DMA_REG_WINDOW_SIZE / 4] = 0x10000;
}

static int open_device(void)
{
    return dma_device_open(&device, (struct device_access){.ops = &ops, .context = &fake}, &fault);
}

static void set_up(void)
{
    make_device();
    cr_assert_eq(open_device(), 0);
    cr_assert_eq(dma_queue_open(&queue, &device, 1, 1, 3, &fault), 0);
}

static void tear_down(void)
{
    for (unsigned int i = 0; i < fake.allocations; i++)
        free(fake.memory[i]);
}

TestSuite(dma_driver, .init = set_up, .fini = tear_down);

static void submit(unsigned int count)
{
    struct dma_descriptor descriptor = {.opcode = DMA_OP_NOP};

    for (unsigned int i = 0; i < count; i++)
        dma_queue_submit(&queue, &descriptor);
    dma_queue_ring(&queue);
}

/* The device completes the next operation, with no interrupt. */
static void complete(uint64_t sequence, uint32_t status)
{
    volatile struct dma_completion *entry = &queue.completions[queue.shared->completed % queue.entries];

    *entry = (struct dma_completion){.sequence = sequence, .status = status, .result = sequence * 10};
    queue.shared->completed++;
}

static void interrupt(uint64_t sequence)
{
    queue.shared->interrupt_sequence = sequence;
    fake.interrupts++;
}

static void expect_fault(int result, const char *rule, uint64_t expected, uint64_t seen)
{
    cr_assert_eq(result, -1);
    cr_assert_str_eq(fault.rule, rule);
    cr_assert_eq(fault.expected, expected, "expected %llu", (unsigned long long)fault.expected);
    cr_assert_eq(fault.seen, seen, "seen %llu", (unsigned long long)fault.seen);
}

Test(dma_driver, reads_what_the_device_has)
{
    cr_assert_eq(device.queues, 2);
    cr_assert_eq(device.vectors, 3);
    cr_assert_eq(device.memory_size, 0x200001000);
    cr_assert_eq(device.window_size, 0x10000);
    cr_assert_eq(fake.registers[DMA_REG_CONTROL / 4], DMA_CONTROL_RESET);
}

Test(dma_driver, refuses_what_is_not_its_device)
{
    fake.registers[DMA_REG_MAGIC / 4] = 7;
    expect_fault(open_device(), "guest/driver", DMA_MAGIC, 7);
    fake.registers[DMA_REG_MAGIC / 4] = DMA_MAGIC;
    fake.registers[DMA_REG_VERSION / 4] = 2;
    expect_fault(open_device(), "guest/driver", 1, 2);
    fake.registers[DMA_REG_VERSION / 4] = 1;
    fake.registers[DMA_REG_QUEUES / 4] = 17;
    expect_fault(open_device(), "guest/driver", DMA_QUEUES_MAX, 17);
    fake.registers[DMA_REG_QUEUES / 4] = 4;
    expect_fault(open_device(), "guest/driver", 4, 3);
}

Test(dma_driver, programs_a_queue_that_has_room_for_the_depth)
{
    const uint32_t *registers = &fake.registers[DMA_REG_QUEUE(1) / 4];

    cr_assert_eq(registers[DMA_QUEUE_REG_ENTRIES / 4], 4);
    cr_assert_eq(registers[DMA_QUEUE_REG_VECTOR / 4], 1);
    cr_assert_eq(registers[DMA_QUEUE_REG_ENABLE / 4], 1);
    cr_assert_eq(registers[DMA_QUEUE_REG_RING_LOW / 4], (uint32_t)(uint64_t)queue.ring);
    cr_assert_eq(registers[DMA_QUEUE_REG_SHARED_HIGH / 4], (uint64_t)queue.shared >> 32);
}

Test(dma_driver, tells_a_queue_that_does_not_start)
{
    fake.registers[(DMA_REG_QUEUE(0) + DMA_QUEUE_REG_ERROR) / 4] = DMA_QUEUE_ERROR_CONFIGURATION;
    expect_fault(dma_queue_open(&queue, &device, 0, 1, 2, &fault), "guest/driver", 0, DMA_QUEUE_ERROR_CONFIGURATION);
}

Test(dma_driver, takes_completions_only_after_the_interrupt)
{
    struct dma_completion completion;

    submit(3);
    cr_assert_eq(fake.doorbells, 1);
    cr_assert_eq(queue.shared->tail, 3);
    complete(1, DMA_STATUS_OK);
    complete(2, DMA_STATUS_OK);
    cr_assert_eq(dma_queue_interrupt(&queue, &fault), 0);
    cr_assert_eq(dma_queue_take(&queue, &completion, &fault), 0);
    interrupt(1);
    cr_assert_eq(dma_queue_interrupt(&queue, &fault), 1);
    cr_assert_eq(fake.registers[(DMA_PAGE_ACKNOWLEDGE + 4) / 4], 1);
    complete(3, DMA_STATUS_OK);
    cr_assert_eq(dma_queue_take(&queue, &completion, &fault), 1);
    cr_assert_eq(completion.result, 10);
    cr_assert_eq(dma_queue_take(&queue, &completion, &fault), 1);
    cr_assert_eq(completion.result, 20);
    cr_assert_eq(dma_queue_take(&queue, &completion, &fault), 0, "the third was completed after the interrupt");
}

Test(dma_driver, goes_round_its_rings)
{
    struct dma_completion completion;

    for (uint64_t i = 1; i <= 9; i++) {
        submit(1);
        cr_assert_eq(queue.ring[(i - 1) % 4].sequence, i);
        complete(i, DMA_STATUS_OK);
        interrupt(i);
        cr_assert_eq(dma_queue_interrupt(&queue, &fault), 1);
        cr_assert_eq(dma_queue_take(&queue, &completion, &fault), 1);
        cr_assert_eq(completion.sequence, i);
    }
}

Test(dma_driver, counts_interrupts_with_nothing_new)
{
    submit(1);
    complete(1, DMA_STATUS_OK);
    interrupt(1);
    fake.interrupts++;
    cr_assert_eq(dma_queue_interrupt(&queue, &fault), 1);
    cr_assert_eq(queue.spurious, 1);
    fake.interrupts++;
    cr_assert_eq(dma_queue_interrupt(&queue, &fault), 1);
    cr_assert_eq(queue.spurious, 2);
    cr_assert_eq(dma_queue_interrupt(&queue, &fault), 0);
}

Test(dma_driver, finds_an_interrupt_sequence_that_jumps)
{
    interrupt(2);
    expect_fault(dma_queue_interrupt(&queue, &fault), "guest/interrupt-sequence", 1, 2);
}

Test(dma_driver, finds_a_completion_out_of_order)
{
    struct dma_completion completion;

    submit(2);
    complete(2, DMA_STATUS_OK);
    interrupt(1);
    cr_assert_eq(dma_queue_interrupt(&queue, &fault), 1);
    expect_fault(dma_queue_take(&queue, &completion, &fault), "guest/completion-sequence", 1, 2);
}

Test(dma_driver, finds_a_status_that_is_not_ok)
{
    struct dma_completion completion;

    submit(1);
    complete(1, DMA_STATUS_DMA_FAULT);
    interrupt(1);
    cr_assert_eq(dma_queue_interrupt(&queue, &fault), 1);
    expect_fault(dma_queue_take(&queue, &completion, &fault), "guest/completion-status", 0, DMA_STATUS_DMA_FAULT);
}

Test(dma_driver, finds_more_completions_than_operations)
{
    submit(1);
    queue.shared->completed = 2;
    expect_fault(dma_queue_watch(&queue, 0, &fault), "guest/completion-sequence", 1, 2);
    interrupt(1);
    expect_fault(dma_queue_interrupt(&queue, &fault), "guest/completion-sequence", 1, 2);
}

Test(dma_driver, finds_completions_without_an_interrupt)
{
    submit(1);
    complete(1, DMA_STATUS_OK);
    cr_assert_eq(dma_queue_watch(&queue, SECOND, &fault), 0);
    cr_assert_eq(dma_queue_watch(&queue, 7 * SECOND - 1, &fault), 0);
    expect_fault(dma_queue_watch(&queue, 7 * SECOND, &fault), "guest/interrupt-lost", 0, 1);
}

Test(dma_driver, finds_an_interrupt_that_was_raised_and_lost)
{
    submit(1);
    queue.shared->interrupt_sequence = 1;
    cr_assert_eq(dma_queue_watch(&queue, SECOND, &fault), 0);
    expect_fault(dma_queue_watch(&queue, 7 * SECOND, &fault), "guest/interrupt-lost", 0, 1);
}

Test(dma_driver, waits_anew_after_each_interrupt)
{
    submit(2);
    complete(1, DMA_STATUS_OK);
    cr_assert_eq(dma_queue_watch(&queue, SECOND, &fault), 0);
    interrupt(1);
    cr_assert_eq(dma_queue_interrupt(&queue, &fault), 1);
    complete(2, DMA_STATUS_OK);
    cr_assert_eq(dma_queue_watch(&queue, 4 * SECOND, &fault), 0);
    expect_fault(dma_queue_watch(&queue, 10 * SECOND, &fault), "guest/interrupt-lost", 1, 2);
}

Test(dma_driver, finds_an_operation_that_does_not_end)
{
    struct dma_completion completion;

    cr_assert_eq(dma_queue_watch(&queue, 100 * SECOND, &fault), 0, "an empty queue is not stuck");
    submit(2);
    cr_assert_eq(dma_queue_watch(&queue, 110 * SECOND - 1, &fault), 0);
    complete(1, DMA_STATUS_OK);
    interrupt(1);
    cr_assert_eq(dma_queue_interrupt(&queue, &fault), 1);
    cr_assert_eq(dma_queue_take(&queue, &completion, &fault), 1);
    cr_assert_eq(dma_queue_watch(&queue, 110 * SECOND, &fault), 0);
    fake.registers[(DMA_REG_QUEUE(1) + DMA_QUEUE_REG_ERROR) / 4] = DMA_QUEUE_ERROR_DMA;
    expect_fault(dma_queue_watch(&queue, 120 * SECOND, &fault), "guest/operation-stuck", 0, DMA_QUEUE_ERROR_DMA);
}

Test(dma_driver, hears_the_complaints_of_the_device)
{
    cr_assert_eq(dma_device_check(&device, &fault), 0);
    fake.registers[DMA_REG_ACKNOWLEDGE_ERRORS / 4] = 3;
    expect_fault(dma_device_check(&device, &fault), "guest/interrupt-sequence", 0, 3);
    fake.registers[DMA_REG_ACKNOWLEDGE_ERRORS / 4] = 0;
    fake.registers[DMA_REG_STATUS / 4] = DMA_STATUS_QUEUE_ERROR;
    expect_fault(dma_device_check(&device, &fault), "guest/driver", 0, DMA_STATUS_QUEUE_ERROR);
}
